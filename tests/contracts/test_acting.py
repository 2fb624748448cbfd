"""The contract of port Acting, over LocalActing: read-only, repeatable, pinned; the behaviour of one agent is tested beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from agents.acting import Loaded, LocalActing
from agents.context import Context
from coordination.acting import Acting
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Cause, Change, Entity, Put
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock, OpenView


@dataclass(frozen=True)
class Counter:
    name: str = "counter"
    version: str = "3"
    department: str | None = "sales"
    capabilities: tuple[str, ...] = ("note.write",)
    wakes: tuple[Wake, ...] = (Wake("Order"),)
    priority: int = 2

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        seen = context.find("Order")
        note = Put(context.new_id(), "Note", {"orders": len(seen)})
        return [Draft("note.write", entity.id, (note,), evidence=context.evidence(entity, *seen))]


@pytest.fixture(name="store")
def _store() -> DictStore:
    store = DictStore(FreeSchema(), ManualClock())
    store.commit([Put("o1", "Order", {"n": 1})], Cause("1", "ingest", 'Service::"ingest"'))
    store.commit([Put("o2", "Order", {"n": 2})], Cause("2", "ingest", 'Service::"ingest"'))
    return store


def local(store: DictStore) -> Acting:
    return LocalActing(store, {"counter": Loaded(Counter(), "digest")}, lambda _: OpenView())


@pytest.fixture(name="acting", params=[local], ids=["LocalActing"])
def _acting(request: pytest.FixtureRequest, store: DictStore) -> Acting:
    make: Callable[[DictStore], Acting] = request.param
    return make(store)


def test_each_agent_has_its_card(acting: Acting) -> None:
    [(name, card)] = acting.agents().items()
    assert (name, card.name, card.version, card.department, card.priority) == ("counter", "counter", "3", "sales", 2)
    assert card.capabilities == ("note.write",)
    assert card.wakes == (Wake("Order"),)
    assert card.digest


def test_the_same_act_gives_the_same_drafts_and_record(acting: Acting, store: DictStore) -> None:
    [change] = store.changes(0, 1)
    entity = store.get(["o1"])["o1"]
    assert acting.act("counter", change, entity, 2) == acting.act("counter", change, entity, 2)


def test_another_change_makes_other_ids(acting: Acting, store: DictStore) -> None:
    first, second = store.changes(0)
    one = acting.act("counter", first, store.get(["o1"])["o1"], 2)[0][0].writes[0]
    other = acting.act("counter", second, store.get(["o2"])["o2"], 2)[0][0].writes[0]
    assert isinstance(one, Put)
    assert isinstance(other, Put)
    assert one.id != other.id


def test_it_is_pinned_writes_nothing_and_records_what_was_read(acting: Acting, store: DictStore) -> None:
    [change] = store.changes(0, 1)
    head = store.head()
    [draft], record = acting.act("counter", change, store.get(["o1"], 1)["o1"], 1)
    assert store.head() == head
    assert record.position == 1
    assert {read.id for read in record.read} == {"o1"}
    assert {item.id for item in draft.evidence} == {"o1"}
    [write] = draft.writes
    assert isinstance(write, Put)
    assert write.set["orders"] == 1
    assert record.hash
