"""Listening: what this process makes of the spans and counts of `kg.tracing`: metrics always, traces where a collector is named,
and the fields that every line of the log gets.

Invariant: a fault in here never reaches the work that is watched. Holds no values of the graph: ids, names and numbers only.
"""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from time import perf_counter
from types import MappingProxyType, TracebackType
from typing import Any, Final

from api.metrics import Metrics
from api.tracer import Tracer
from kg.tracing import Attribute

#: The attributes of spans that go into the lines of the log below them.
NAMED: Final = ("cause", "work", "agent")
_here: ContextVar[Mapping[str, Attribute]] = ContextVar("noesis_here", default=MappingProxyType({}))


def here() -> Mapping[str, Attribute]:
    """What is under way in this thread: cause, work, agent."""
    return _here.get()


class Listening:
    """The listener of a process."""

    def __init__(self, metrics: Metrics, tracer: Tracer | None = None) -> None:
        self.metrics = metrics
        self.tracer = tracer

    def span(self, name: str, parent: str, attributes: Mapping[str, Attribute]) -> "Under":
        """A span, timed, and traced where a tracer is there."""
        return Under(self, name, parent, attributes)

    def count(self, name: str, attributes: Mapping[str, Attribute]) -> None:
        """One more of these."""
        self.metrics.count(name, attributes)

    def carried(self) -> str:
        """The traceparent of the span under way."""
        return "" if self.tracer is None else self.tracer.carried()

    def close(self) -> None:
        """Hand over what waits to be sent."""
        if self.tracer is not None:
            self.tracer.close()


class Under:
    """One span under way; used once, by the thread or task that made it."""

    __slots__ = ("_attributes", "_began", "_listening", "_name", "_parent", "_token", "_traced")

    def __init__(self, listening: Listening, name: str, parent: str, attributes: Mapping[str, Attribute]) -> None:
        self._listening = listening
        self._name = name
        self._parent = parent
        self._attributes = dict(attributes)
        self._token: Token[Mapping[str, Attribute]] | None = None
        self._traced: Any = None
        self._began = 0.0

    def set(self, name: str, value: Attribute) -> None:
        """Note what became known."""
        self._attributes[name] = value
        if self._traced is not None:
            self._traced.set(name, value)

    def __enter__(self) -> "Under":
        named = {name: self._attributes[name] for name in NAMED if self._attributes.get(name)}
        if named:
            self._token = _here.set({**_here.get(), **named})
        if self._listening.tracer is not None:
            self._traced = self._listening.tracer.start(self._name, self._parent, self._attributes)
        self._began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._began
        if self._traced is not None:
            self._traced.end(kind)
        self._listening.metrics.observe(self._name, self._attributes, seconds, kind is not None)
        if self._token is not None:
            _here.reset(self._token)
