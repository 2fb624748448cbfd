"""Done work goes after its retention, and nothing is done twice for it; what failed stays, and is found by its due time."""

from dataclasses import replace

from coordination import works
from coordination.bounds import Bounds
from coordination.sweeping import over
from coordination.works import Work
from kg.model import State, StateWrite
from kg.store import PAGE_MAX
from tests.coordination.plant import Plant, plant

DAY = 86_400.0


def busy() -> Plant:
    """A plant whose one shortage was noticed and settled."""
    p = plant(bounds=Bounds(retention_seconds=7 * DAY))
    p.product("a", stock=1)
    p.run()
    return p


def rows(p: Plant) -> list[State]:
    found: list[State] = p.store.scan(works.KIND, first=PAGE_MAX)
    return found


def test_done_work_stays_within_its_retention_and_then_goes() -> None:
    p = busy()
    made = rows(p)
    assert any(row.value["state"] == works.DONE for row in made)
    p.later(6 * DAY)
    assert {row.key for row in made} <= {row.key for row in rows(p)}
    p.later(2 * DAY)
    left = rows(p)
    assert not [row for row in left if row.key in {row.key for row in made} and row.value["state"] == works.DONE]


def test_a_message_that_comes_again_after_all_is_gone_does_nothing() -> None:
    p = busy()
    ids, before = [row.key for row in rows(p)], p.store.head().position
    p.later(8 * DAY)
    for id in ids:
        p.runtime.handle(id)
    assert p.store.head().position == before


def test_what_may_still_be_asked_for_stays() -> None:
    done = Work("act:buyer:a:5", "act", "a", "buyer", position=5, state=works.DONE, since=10, until=20)

    def gone(work: Work, read: int = 9) -> bool:
        return over(State(works.KIND, work.id, work.form(), 1, None), read, before=100)

    assert gone(done)
    assert not gone(done, read=4), "the feed has not passed its change"
    assert not gone(replace(done, until=200)), "its time is not over"
    assert not gone(replace(done, task="start")), "nothing else guards it"
    for state in (works.READY, works.CLAIMED, works.FAILED, works.DROPPED):
        assert not gone(replace(done, state=state))


def test_failed_work_of_before_is_made_findable() -> None:
    p = busy()
    failed = Work("act:buyer:z:1", "act", "z", "buyer", state=works.FAILED, reason="once")
    p.store.commit([], None, state=[StateWrite(works.KIND, failed.id, failed.form())])
    assert p.runtime.failures() == []
    p.later(DAY)
    assert [work.id for work in p.runtime.failures()] == [failed.id]
