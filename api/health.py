"""Health: whether the parts that a process stands on answer, each asked at once and within a bounded time.

Invariant: an answer holds names, states and sentences of ours: no address, no key, no text of a vendor's error. A part that does
not answer in time is down; asking it again while it has not come back makes no second thread.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from api.platform import Noesis
from api.standing import feed_lag
from coordination.brokerstate import ask
from kg.errors import LedgerError, NoesisError
from kg.indexer import lag as index_lag
from kg.indexer import standing as index_standing

OK, BEHIND, DOWN, NONE = "ok", "behind", "down", "none"
PARTS: Final = ("store", "broker", "index", "feed")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its state, a sentence where it is not ok, milliseconds it took to answer, and how far it is behind in changes."""

    name: str
    state: str
    reason: str = ""
    milliseconds: int = 0
    behind: int | None = None

    def form(self) -> dict[str, object]:
        """The JSON of it, without what is not there."""
        form: dict[str, object] = {"state": self.state, "milliseconds": self.milliseconds}
        return (
            form
            | ({"reason": self.reason} if self.reason else {})
            | ({"behind": self.behind} if self.behind is not None else {})
        )


@dataclass(frozen=True, slots=True)
class Readiness:
    """Every part, and those that are needed and down."""

    parts: Sequence[Part]
    missing: Sequence[str]

    @property
    def ready(self) -> bool:
        """Whether every needed part answers."""
        return not self.missing

    def form(self) -> dict[str, object]:
        """The JSON that /readyz answers."""
        status = "ok" if self.ready else "unavailable"
        return {"status": status, "parts": {part.name: part.form() for part in self.parts}}


@dataclass(slots=True)
class Health:
    """Asks the parts of one platform."""

    platform: Noesis
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(len(PARTS), thread_name_prefix="noesis-health")
    )
    _asked: dict[str, "Future[Part]"] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> Readiness:
        """Ask every part, within `ready_seconds_max` altogether."""
        settings = self.platform.settings
        asked = {name: self._ask(name, question) for name, question in self._questions().items()}
        wait(asked.values(), settings.ready_seconds_max)
        late = f"it gave no answer within {settings.ready_seconds_max:g} s"
        parts = [
            future.result() if future.done() else Part(name, DOWN, late, int(settings.ready_seconds_max * 1_000))
            for name, future in asked.items()
        ]
        needed = set(settings.ready_needs)
        return Readiness(parts, [part.name for part in parts if part.state == DOWN and part.name in needed])

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _questions(self) -> Mapping[str, Callable[[], Part]]:
        return {"store": self._store, "broker": self._broker, "index": self._index, "feed": self._feed}

    def _ask(self, name: str, question: Callable[[], Part]) -> "Future[Part]":
        with self._lock:
            earlier = self._asked.get(name)
            if earlier is None or earlier.done():
                try:
                    earlier = self._pool.submit(_timed, name, question)
                except RuntimeError:
                    # Whoever asks just as the process stops gets an answer too.
                    earlier = Future()
                    earlier.set_result(Part(name, DOWN, "this process is ending"))
                self._asked[name] = earlier
            return earlier

    def _store(self) -> Part:
        self.platform.store.head()
        return Part("store", OK)

    def _broker(self) -> Part:
        url = self.platform.settings.broker_url
        if url is None:
            return Part("broker", OK, "messages stay in this process")
        ask(url.get_secret_value(), self.platform.settings.ready_seconds_max)
        return Part("broker", OK)

    def _index(self) -> Part:
        platform = self.platform
        if platform.index is None:
            return Part("index", NONE, "this process uses no index")
        try:
            found = index_standing(platform.store, platform.ontology, platform.index.info())
        except NoesisError:
            reason = "it does not answer; search uses the words in the store, and the index catches up when it is back"
            return Part("index", DOWN, reason, behind=index_lag(platform.store, platform.ontology))
        if not found.filled:
            return Part("index", BEHIND, "it is being filled; search uses the words in the store", behind=found.behind)
        return Part("index", OK, behind=found.behind)

    def _feed(self) -> Part:
        lag = feed_lag(self.platform)
        if lag <= self.platform.settings.ready_lag_max:
            return Part("feed", OK, behind=lag)
        return Part("feed", BEHIND, f"{lag:,} changes are not read yet; see whether a worker runs", behind=lag)


def _timed(name: str, question: Callable[[], Part]) -> Part:
    began = monotonic()

    def took() -> int:
        return int((monotonic() - began) * 1_000)

    try:
        part = question()
    except LedgerError:
        return Part(name, DOWN, "its record does not verify; run `noesis verify`", took())
    except NoesisError as error:
        # The default sentence of the error's class: what an adapter adds may name addresses.
        return Part(name, DOWN, (type(error).__doc__ or "It cannot serve").strip().splitlines()[0], took())
    except Exception as error:
        return Part(name, DOWN, f"it failed with {type(error).__name__}; see the log", took())
    return Part(part.name, part.state, part.reason, took(), part.behind)
