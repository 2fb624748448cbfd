"""The demo's story goes on where the graph has come to rest, and not between two pieces of work."""

from typing import Any

from coordination.feed import CURSOR
from coordination.works import Work, micros
from examples.distributor.rest import at_rest
from kg.model import Cause, Put, StateWrite
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock


def test_work_that_follows_between_two_looks_is_no_rest() -> None:
    clock = ManualClock()
    store = DictStore(FreeSchema(), clock)
    now = micros(clock.now())
    held = Work("act:one", "act", "x")
    store.commit([], None, state=[held.first(now)])
    scan = store.scan

    def late(*arguments: Any, **named: Any) -> Any:
        store.scan = scan  # type: ignore[method-assign]
        done = StateWrite("work", held.id, None)
        store.commit([Put("x", "Thing", {})], Cause(clock.id(), "act", 'Agent::"a"'), state=[done])
        found = scan(*arguments, **named)
        read = StateWrite(*CURSOR, store.head().position)
        store.commit([], None, state=[read, Work("act:two", "act", "x").first(now)])
        return found

    store.scan = late  # type: ignore[method-assign]
    assert not at_rest(store)
    assert not at_rest(store), "the work that followed is open"
    store.commit([], None, state=[StateWrite("work", "act:two", None)])
    assert at_rest(store)
