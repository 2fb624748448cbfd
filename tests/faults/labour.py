"""A worker process of the broker and lease tests: `python -m tests.faults.labour JSON`; it ends when its standard input closes.

`deed` says what befalls it: at a named commit it kills (SIGKILL) or stops (SIGSTOP) itself, once in its life, never while another
of its commits is under way, so that the turn to write is not what is tested. Told to (SIGUSR1), it stops in the same way.
"""

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from coordination import lanes
from coordination.bounds import Bounds
from coordination.brokers import carrier
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.proposals import Draft
from coordination.runtime import Runtime
from coordination.wakes import Wake
from coordination.worker import Worker
from kg.clock import Clock, SystemClock
from kg.committer import Committer
from kg.fibers import Crew
from kg.model import Change, Entity
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import Scripted, card, low, ontology, reorder
from tests.services.graph import open_store
from tests.services.server import Server

#: Short, so that a test of what happens after them does not take long.
QUICK = Bounds(
    feed_lease_seconds=0.6,
    beat_seconds=0.2,
    beat_lease_seconds=1.0,
    backoff_seconds=0.1,
    resend_seconds=0.5,
    reconcile_lease_seconds=1.0,
)
CARDS = {
    "buyer": replace(card("buyer", Wake("Product", properties=("stock",), condition=low)), department="purchasing"),
    "teller": replace(card("teller", Wake("Ticket", on=frozenset({"created"})), priority=1), department="helpdesk"),
}
POLL_SECONDS = 0.02
#: Set when the process was let go on after a stop.
CONTINUED = threading.Event()


@dataclass(frozen=True)
class Job:
    """What a worker process is told."""

    folder: str
    broker: str | None
    name: str
    point: str = ""
    deed: str = "SIGKILL"
    quick: bool = True
    neo4j: "dict[str, Any] | None" = None
    threads: int = 2
    deaf: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self))


def store_of(job: Job, clock: Clock) -> GraphStore:
    if job.neo4j is not None:
        return open_store(ontology(), clock, Server(**job.neo4j))
    return SqliteStore(Path(job.folder) / "graph.db", ontology(), clock)


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


class Target:
    """A target outside that honours no key and can be asked: it writes a line for each act, so that a repetition shows."""

    kind = "file"
    idempotent = False
    can_look_up = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def act(self, effect: Effect) -> Receipt:
        with (self.folder / effect.key).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return Receipt(effect.key)

    def look_up(self, effect: Effect) -> Receipt | None:
        return Receipt(effect.key) if (self.folder / effect.key).exists() else None

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return None

    def simulate(self, effect: Effect) -> Receipt:
        return Receipt(effect.key)


def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("notice.send", entity.id, effector="file", payload={"to": entity.id})]


class Fated:
    """The store; at the named point the process meets its fate."""

    def __init__(self, store: GraphStore, point: str, deed: str) -> None:
        self._store = store
        self._point = point
        self._deed = deed
        self._one_at_a_time = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, writes: Any, cause: Any, expects: Any = None, state: Any = ()) -> Any:
        name = _name(cause, state)
        with self._one_at_a_time:
            self._meet(f"before {name}")
            made = self._store.commit(writes, cause, expects, state)
            self._meet(f"after {name}")
        return made

    def pause(self) -> None:
        """Stop this process once no commit of it is under way: one stopped with the turn to write would hold up everybody."""
        with self._one_at_a_time:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _meet(self, point: str) -> None:
        if point == self._point:
            self._point = ""
            say(f"met {point}")
            os.kill(os.getpid(), getattr(signal, self._deed))
            # A stop takes hold of the other threads first, so this one waits to be told that it is over.
            CONTINUED.wait()
            say("went on")


def _name(cause: Any, state: Any) -> str:
    if cause is not None:
        return str(cause.activity)
    work = [row.value for row in state if row.kind == "work"]
    if work and any(row.kind == "cursor" for row in state):
        return "feed"
    if work and work[0]["state"] == "claimed":
        return f"claim {work[0]['task']}"
    return "reconcile" if work and any(row.kind == "lease" for row in state) else "state"


def _tell(work: str) -> None:
    say(f"sent {work}")


def main(job: Job) -> None:
    """Work until standard input closes."""
    signal.signal(signal.SIGCONT, lambda *_: CONTINUED.set())
    clock = SystemClock()
    committer = Committer(store_of(job, clock))
    store: Any = Fated(committer, job.point, job.deed)
    signal.signal(signal.SIGUSR1, lambda *_: store.pause())
    acting = Scripted(store, CARDS, {"buyer": reorder, "teller": tell})
    every = lanes.every(CARDS.values())

    def handle(work: str) -> None:
        runtime.handle(work)

    def route(work: str) -> str:
        return runtime.lane(work)

    carried = carrier(handle, job.broker, job.threads, route, every)
    bounds = QUICK if job.quick else Bounds()
    enqueue: Callable[[str], None] = carried.enqueue
    if job.deaf:
        # It tells what it would send, and does none of the work.
        bounds = replace(bounds, resend_seconds=1.5)
        enqueue = _tell
    target = Target(Path(job.folder) / "told")
    runtime = Runtime(
        store, clock, ontology(), acting, [target], enqueue, bounds, holder=job.name, crew=Crew(committer)
    )
    worker = Worker(runtime, carried, interval_seconds=0.1 if job.quick else 1.0, poll_seconds=POLL_SECONDS)
    committer.on_commit(worker.notify)
    worker.start()
    say("ready")
    while not select.select([0], [], [], 0.1)[0] or os.read(0, 1_024):
        # The main thread alone runs what signals ask for, so it must not sleep in a read.
        continue
    worker.stop()
    committer.close()
    say("ended")


if __name__ == "__main__":
    main(Job(**json.loads(sys.argv[1])))
