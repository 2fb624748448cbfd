"""Tracing: where the platform says what it is doing while it does it, for whoever listens (traces, metrics, the fields of logs).

Invariant: nothing that happens here changes what is done, and while nobody listens a span costs one look at a variable. One
listener a process, installed by bootstrap; a trace is carried from thread to thread and process to process as a W3C
`traceparent`, empty where there is none. Knows no vendor.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol

Attribute = str | int | float | bool

#: Names of the spans and counts that listeners know.
OPERATION: Final = "graphql.operation"
INGEST: Final = "noesis.ingest"
COMMIT: Final = "noesis.commit"
FEED: Final = "noesis.feed"
SEND: Final = "noesis.send"
PROCESS: Final = "noesis.process"
HANDLE: Final = "noesis.handle"
DECIDE: Final = "noesis.decide"
ACT: Final = "invoke_agent"
ASK: Final = "chat"
DECISIONS: Final = "noesis.decisions"
EFFECTS: Final = "noesis.effects"
ASIDE: Final = "noesis.put_aside"
BREAK_GLASS: Final = "noesis.break_glass"
#: Kind of the state rows that carry a trace beside the commit that it belongs to, by cause id, until the feed has read them.
CARRIED: Final = "trace"


class Span(Protocol):
    """Something under way."""

    def set(self, name: str, value: Attribute) -> None:
        """Note what became known on the way."""


class Listener(Protocol):
    """Whoever is told. Its methods raise nothing and wait for nobody."""

    def span(self, name: str, parent: str, attributes: Mapping[str, Attribute]) -> AbstractContextManager[Span]:
        """A span around what follows, below the one under way here, or below `parent` where that is of another trace."""

    def count(self, name: str, attributes: Mapping[str, Attribute]) -> None:
        """Note that something happened."""

    def carried(self) -> str:
        """The traceparent of the span under way, empty where there is none or nobody will keep it."""


class _Off:
    """What is under way while nobody listens."""

    def set(self, name: str, value: Attribute) -> None:
        """Note nothing."""

    def __enter__(self) -> "_Off":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_OFF: Final = _Off()


class _Ear:
    listener: Listener | None = None


def install(listener: Listener | None) -> None:
    """Have this listener told from now on, nobody with None."""
    _Ear.listener = listener


def listening() -> bool:
    """Whether somebody is told."""
    return _Ear.listener is not None


def span(name: str, parent: str = "", **attributes: Attribute) -> AbstractContextManager[Span]:
    """A span around what follows; an attribute's name without a dot is one of ours."""
    listener = _Ear.listener
    return _OFF if listener is None else listener.span(name, parent, attributes)


def count(name: str, **attributes: Attribute) -> None:
    """Say that something happened."""
    listener = _Ear.listener
    if listener is not None:
        listener.count(name, attributes)


def carried() -> str:
    """The traceparent to hand on, empty where there is none."""
    listener = _Ear.listener
    return "" if listener is None else listener.carried()
