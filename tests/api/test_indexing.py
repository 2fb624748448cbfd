"""One process at a time fills an index server, and one that was overtaken does not move the cursor."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.indexing import LEASE, LEASE_SECONDS, Indexing
from coordination import leases
from kg.indexer import CURSOR_KEY, CURSOR_KIND, Indexer
from kg.model import StateWrite
from tests.kg.search.world import World, world
from tests.parts import ManualClock


@pytest.fixture
def full(tmp_path: Path) -> World:
    made = world(tmp_path)
    for n in range(10):
        made.thing(f"t{n}", f"title number{n}")
    return made


def indexing(made: World, clock: ManualClock, holder: str) -> Indexing:
    """The indexing of a process whose index is not its own."""
    platform: Any = SimpleNamespace(store=made.store, clock=clock, index=made.index)
    one = Indexing(platform)
    one._holder = holder
    return one


def test_of_two_processes_one_indexes_until_it_is_silent(full: World) -> None:
    clock = ManualClock()
    one, two = (indexing(full, clock, name) for name in ("one", "two"))
    assert (one._mine(), two._mine()) == (True, False)
    clock.advance(LEASE_SECONDS)
    assert (two._mine(), one._mine()) == (True, False)
    two._leave()
    assert one._mine(), "given back at once"


def test_an_indexer_that_was_overtaken_does_not_move_the_cursor(full: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """I7: the lease ran out while texts were embedded, another took it, and the cursor's commit is refused."""
    clock = ManualClock()
    one, two = (indexing(full, clock, name) for name in ("one", "two"))
    assert one._mine()
    indexer = Indexer(full.store, full.index, full.embedder, full.ontology, one._fence)
    indexer.run_once()
    before = full.store.state(CURSOR_KIND, [CURSOR_KEY])[CURSOR_KEY]
    full.thing("late", "title of a late one")
    embed = full.embedder.embed

    def slow(texts: Any) -> Any:
        clock.advance(LEASE_SECONDS)
        assert two._mine()
        return embed(texts)

    monkeypatch.setattr(full.embedder, "embed", slow)
    assert indexer.run_once() == 0
    assert full.store.state(CURSOR_KIND, [CURSOR_KEY])[CURSOR_KEY] == before
    row = leases.read(full.store, LEASE)
    assert row is not None
    assert row.value["holder"] == "two"
    assert indexer.run_once() == 0, "another leads"
    monkeypatch.undo()
    follower = Indexer(full.store, full.index, full.embedder, full.ontology, two._fence)
    assert follower.run() > 0


def test_a_fence_is_a_row_at_the_revision_that_was_read(full: World) -> None:
    clock = ManualClock()
    one = indexing(full, clock, "one")
    fence = one._fence()
    assert isinstance(fence, StateWrite)
    assert fence.expect == 0
