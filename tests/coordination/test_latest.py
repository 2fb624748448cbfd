"""An agent never proposes in ignorance of what it proposed on the same target a moment ago, however many workers there are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coordination import latest, works
from coordination.bounds import Bounds
from coordination.proposals import PROPOSAL, Draft
from coordination.wakes import Wake
from kg.clock import Clock
from kg.model import Change, Commit, Entity, Op, Put, StateWrite, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import Ref
from tests import place
from tests.coordination.plant import Plant, card, ontology, plant

WAKES = (Wake("Product", properties=("stock",)),)


def careful(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    """Order unless an order was proposed already, as far as can be known at this position."""
    del change
    where = [Where("target", Op.EQ, Ref(entity.id))]
    if any(found["agent"] == "buyer" for found in store.find(PROPOSAL, where, at=at).items):
        return ()
    return [Draft("order.create", entity.id, writes=(Put(entity.id, entity.cls, {"onOrder": 100}),), rationale="low")]


def woken_twice(act: Callable[..., Sequence[Draft]], **more: Any) -> tuple[Plant, list[str]]:
    """A plant whose buyer was woken twice by one product, in two batches, and did nothing yet."""
    p = plant([card("buyer", *WAKES)], {"buyer": act}, bounds=Bounds(), **more)
    p.product("a", stock=5)
    p.runtime.pump()
    p.product("a", stock=4)
    p.runtime.pump()
    ids = list(p.queue)
    p.queue.clear()
    assert len(ids) == 2
    return p, ids


def test_an_act_that_another_overtook_is_done_again_by_what_is_known_then() -> None:
    inner: list[Callable[[], None]] = []

    def slow(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        drafts = careful(change, entity, store, at)
        if inner:
            inner.pop()()
        return drafts

    p, (first, second) = woken_twice(slow)
    inner.append(lambda: p.runtime.handle(second))
    p.runtime.handle(first)
    assert len(p.proposals()) == 1
    work = works.read(p.store, first)
    assert work is not None
    assert work.state == works.READY
    assert "meanwhile" in work.reason
    assert work.attempts == 0, "being overtaken uses up no try"
    p.later()
    assert len(p.proposals()) == 1
    assert [works.read(p.store, id).state for id in (first, second)] == [works.DONE] * 2  # type: ignore[union-attr]


class Between:
    """A store that lets something happen right before the first commit that proposes."""

    def __init__(self, inner: GraphStore) -> None:
        self.inner = inner
        self.before: list[Callable[[], None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def commit(
        self,
        writes: Sequence[Any],
        cause: Any,
        expects: Mapping[str, int] | None = None,
        state: Sequence[StateWrite] = (),
    ) -> Commit:
        if self.before and any(isinstance(write, Put) and write.cls == PROPOSAL for write in writes):
            self.before.pop()()
        return self.inner.commit(writes, cause, expects or {}, state)


def between(clock: Clock) -> Between:
    return Between(place.make(ontology(), clock))


def test_two_that_propose_in_the_same_moment_propose_once() -> None:
    p, (first, second) = woken_twice(careful, store=between)
    p.store.before.append(lambda: p.runtime.handle(second))
    p.runtime.handle(first)
    assert len(p.proposals()) == 1
    p.later()
    assert len(p.proposals()) == 1


def test_a_proposal_that_was_known_hinders_none() -> None:
    def stubborn(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        del store, at
        return [Draft(f"order.{change.position}", entity.id, writes=(Put(entity.id, entity.cls, {"onOrder": 1}),))]

    p, ids = woken_twice(stubborn)
    for id in ids:
        p.runtime.handle(id)
    assert len(p.proposals()) == 2


def test_another_agents_proposal_hinders_none() -> None:
    p = plant([card("buyer", *WAKES), card("seller", *WAKES)], {"buyer": careful, "seller": careful})
    p.product("a", stock=5)
    p.runtime.pump()
    one, other = p.queue
    p.queue.clear()
    assert one != other
    inner = [lambda: p.runtime.handle(other)]

    def late(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        if inner:
            inner.pop()()
        return [Draft("order.create", entity.id, writes=(Put(entity.id, entity.cls, {"onOrder": 1}),))]

    p.runtime.acting.acts["buyer" if ":buyer:" in one else "seller"] = late  # type: ignore[attr-defined]
    p.runtime.handle(one)
    assert {found["agent"] for found in p.proposals()} == {"buyer", "seller"}


def test_what_was_erased_since_hinders_none() -> None:
    p, (first, _) = woken_twice(careful)
    row = StateWrite(latest.KIND, latest.key_of("buyer", "a"), {"proposal": "never-there"})
    p.store.commit([], None, state=[row])
    p.runtime.handle(first)
    assert len(p.proposals()) == 1


def test_rows_go_after_their_time_and_not_before() -> None:
    p, (first, _) = woken_twice(careful)
    p.runtime.handle(first)
    p.later(latest.KEPT_SECONDS - 60)
    assert len(p.store.scan(latest.KIND, first=PAGE_MAX)) == 1
    p.later(120)
    assert not p.store.scan(latest.KIND, first=PAGE_MAX)
