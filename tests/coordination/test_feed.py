"""What wakes whom: compared with what was last seen, once, whoever reads the feed and however often."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from coordination import works
from coordination.bounds import Bounds
from coordination.feed import CURSOR
from coordination.wakes import Neighbour, Wake
from kg.errors import InputError
from kg.model import Close, Direction, Entity, Link, Put, StateWrite, Unlink
from tests.coordination.plant import Plant, card, plant


def quiet(*wakes: Wake, bounds: Bounds | None = None) -> Plant:
    """A plant whose one agent proposes nothing: what is asked is who was woken."""
    return plant([card("watcher", *wakes)], {"watcher": lambda *_: ()}, bounds=bounds)


def woken(p: Plant) -> list[str]:
    """The subjects the agent was woken on, in order of the change."""
    rows = [works.of(row) for row in p.store.scan("work", "act:", first=1_000)]
    return [work.subject for work in sorted(rows, key=lambda work: work.position)]


def test_named_properties_wake_and_others_do_not() -> None:
    p = quiet(Wake("Product", on=frozenset({"updated"}), properties=("stock",)))
    p.product("a", stock=5, name="x")
    p.run()
    p.product("a", name="y", note="z")
    p.run()
    assert woken(p) == []
    p.product("a", stock=4)
    p.run()
    assert woken(p) == ["a"]


def test_what_is_undone_within_a_batch_wakes_nobody() -> None:
    p = quiet(Wake("Product", properties=("stock",), on=frozenset({"updated"})))
    p.product("a", stock=5)
    p.run()
    for stock in (4, 3, 5):
        p.product("a", stock=stock)
    p.run()
    assert woken(p) == []


def test_several_changes_of_a_batch_wake_once_at_the_last() -> None:
    p = quiet(Wake("Product", properties=("stock",)))
    p.product("a", stock=5)
    p.product("a", stock=4)
    last = p.product("a", stock=3)
    p.run()
    assert woken(p) == ["a"]
    assert works.read(p.store, works.act_id("watcher", "a", last)) is not None


def test_subclasses_wake_too() -> None:
    p = quiet(Wake("Product"))
    p.put(Put("part", "Part", {"stock": 1}))
    p.run()
    assert woken(p) == ["part"]


def test_created_and_closed() -> None:
    p = quiet(Wake("Product", on=frozenset({"closed"})))
    p.product("a", stock=1)
    p.run()
    p.put(Close("a"))
    p.run()
    p.product("b", stock=1)
    p.put(Close("b"))
    p.run()
    assert woken(p) == ["a"], "what came and went unseen was never there"


def test_the_condition_sees_what_was_last_seen() -> None:
    seen: list[tuple[object, object]] = []

    def condition(before: Entity | None, now: Entity) -> bool:
        seen.append((before and before["stock"], now["stock"]))
        return True

    p = quiet(Wake("Product", condition=condition))
    p.product("a", stock=9)
    p.run()
    p.product("a", stock=8)
    p.product("a", stock=7)
    p.run()
    assert seen == [(None, 9), (9, 7)]


def test_a_condition_that_raises_is_put_aside_and_the_feed_goes_on() -> None:
    p = quiet(Wake("Product", condition=lambda before, now: now["nothing"] == 1), Wake("Ticket"))
    p.product("a", stock=1)
    p.put(Put("t", "Ticket", {}))
    p.run()
    (failure,) = p.runtime.failures()
    assert "condition" in failure.reason
    assert "KeyError" in failure.reason
    assert works.read(p.store, works.act_id("watcher", "t", p.store.head().position)) is not None


def nowhere(entity: Entity) -> list[str]:
    raise LookupError(entity.id)


def test_a_subject_that_raises_or_never_ends_is_put_aside_and_the_feed_goes_on() -> None:
    p = quiet(Wake("Product", subject=nowhere), Wake("Customer", subject=lambda e: map(str, count())), Wake("Ticket"))
    p.product("a", stock=1)
    p.put(Put("t", "Ticket", {}), Put("c", "Customer", {}))
    p.run()
    (failure,) = p.runtime.failures()
    assert "subject of a wake" in failure.reason
    assert "LookupError" in failure.reason
    assert works.read(p.store, works.act_id("watcher", "t", p.store.head().position - 1)) is not None


def test_relations_wake_unless_they_cancel_out() -> None:
    p = quiet(Wake("Ticket", relation="raisedBy", on=frozenset({"linked", "unlinked"})))
    p.put(Put("t", "Ticket", {}), Put("c", "Customer", {}), Put("d", "Customer", {}))
    p.put(Link("t", "raisedBy", "c"), Unlink("t", "raisedBy", "c"))
    p.run()
    assert woken(p) == []
    p.put(Link("t", "raisedBy", "c"))
    p.run()
    p.put(Unlink("t", "raisedBy", "c"))
    p.run()
    assert woken(p) == ["t", "t"]


def test_a_relation_wake_is_about_links_where_it_does_not_say() -> None:
    assert Wake("Ticket", relation="raisedBy").on == {"linked"}


def test_a_wake_may_be_about_a_neighbour() -> None:
    p = quiet(Wake("Ticket", on=frozenset({"created"}), subject=Neighbour("raisedBy")))
    p.put(Put("c", "Customer", {}))
    p.put(*(Put(f"t{n}", "Ticket", {}) for n in range(3)), *(Link(f"t{n}", "raisedBy", "c") for n in range(3)))
    p.run()
    assert woken(p) == ["c"], "three tickets, one customer, one batch"


def test_two_steps_and_a_function() -> None:
    sister = Neighbour("raisedBy", then=Neighbour("raisedBy", Direction.IN))
    p = quiet(
        Wake("Ticket", on=frozenset({"updated"}), subject=sister), Wake("Product", subject=lambda e: [f"x{e.id}"])
    )
    p.put(Put("c", "Customer", {}), *(Put(f"t{n}", "Ticket", {}) for n in range(2)))
    p.put(*(Link(f"t{n}", "raisedBy", "c") for n in range(2)))
    p.run()
    p.put(Put("t0", "Ticket", {"note": "new"}))
    p.product("p", stock=1)
    p.run()
    assert sorted(woken(p)) == ["t0", "t1", "xp"]


@pytest.mark.parametrize("on", [{"linked"}, {"created", "made"}, set()])
def test_a_wake_that_can_never_match_is_refused(on: set[str]) -> None:
    with pytest.raises(InputError, match="a wake on Product names"):
        Wake("Product", on=frozenset(on))


def test_an_agent_that_listens_for_an_unknown_class_sleeps_and_deafens_nobody(caplog: pytest.LogCaptureFixture) -> None:
    p = plant()
    cards = {**p.runtime.acting.agents(), "lost": card("lost", Wake("Nowhere"))}
    p.runtime.feed.acting = replace(p.runtime.acting, cards=cards)  # type: ignore[type-var]
    p.product("a", stock=1)
    p.run()
    assert p.one()["agent"] == "buyer"
    assert "agent lost sleeps: it wakes on Nowhere" in caplog.text


def test_batches_are_bounded_and_the_cursor_is_durable() -> None:
    p = quiet(Wake("Product"), bounds=Bounds(batch=4))
    for n in range(10):
        p.product(f"p{n}", stock=n)
    assert p.runtime.pump() == 4
    again = plant([card("watcher", Wake("Product"))], {"watcher": lambda *_: ()}, store=lambda clock: p.store, seed=8)
    assert len(woken(again)) == 4, "the first reader holds the lease"
    again.clock.advance(Bounds().feed_lease_seconds)
    again.run()
    assert len(woken(again)) == 10


def test_a_batch_that_makes_too_much_work_is_halved() -> None:
    p = quiet(Wake("Product"), bounds=Bounds(batch=8, batch_work_max=3))
    p.put(*(Put(f"p{n}", "Product", {"stock": n}) for n in range(8)))
    assert p.runtime.pump() == 2
    p.run()
    assert len(woken(p)) == 8


@pytest.mark.usefixtures("on_both")
def test_reading_the_log_again_doubles_nothing() -> None:
    """I3: a cursor that is set back makes no work twice."""
    p = quiet(Wake("Product"))
    p.product("a", stock=1)
    p.run()
    before = [(row.key, row.revision) for row in p.store.scan("work", first=1_000)]
    p.store.commit([], None, state=[StateWrite(*CURSOR, 0)])
    p.run()
    assert [(row.key, row.revision) for row in p.store.scan("work", first=1_000)] == before


def test_a_stale_reader_writes_nothing() -> None:
    """I7: whoever read the lease and cursor before another moved them comes too late."""
    p = quiet(Wake("Product"))
    p.product("a", stock=1)
    feed = p.runtime.feed
    other = quiet(Wake("Product")).runtime.feed
    other.store = p.store
    stale: list[str] = []
    new = works.new

    def slow(*args: object) -> Sequence[StateWrite]:
        if not stale:
            stale.append("here")
            p.clock.advance(10)
            other.clock = p.clock
            assert other.step()[0] == 1
        return new(*args)  # type: ignore[arg-type]

    works.new = slow  # type: ignore[assignment]
    try:
        assert feed.step() == (0, [])
    finally:
        works.new = new
    assert woken(p) == ["a"]


def test_one_reader_at_a_time() -> None:
    p = quiet(Wake("Product"))
    p.product("a", stock=1)
    assert p.runtime.pump() == 1
    p.product("b", stock=1)
    other = quiet(Wake("Product")).runtime
    other.feed.store, other.feed.clock, other.feed.holder = p.store, p.clock, "other"
    assert other.pump() == 0, "the lease is held"
    p.clock.advance(Bounds().feed_lease_seconds)
    assert other.pump() == 1, "the lease ran out"
    p.product("c", stock=1)
    p.clock.jump(-3600)
    assert p.runtime.pump() == 1, "a clock that went back ends a lease"


def test_agents_that_wake_each_other_in_a_circle_come_to_rest() -> None:
    p = quiet(Wake("Product"))
    p.put(Put("deep", "Product", {"stock": 1}), depth=Bounds().cause_depth_max)
    p.put(Put("deeper", "Product", {"stock": 1}), depth=Bounds().cause_depth_max - 1)
    p.run()
    assert sorted(woken(p)) == ["deep", "deeper"]
    (failure,) = p.runtime.failures()
    assert failure.subject == "deep"
    assert "in a circle" in failure.reason
