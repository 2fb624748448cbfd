"""What shares a commit: a function that was quick of late goes with the wait that ended before it, a slow one does not."""

from coordination.runs.driving import SLOW_SECONDS
from coordination.runs.engine import Workflows
from kg.model import Cause, Op, Put, Where
from tests.runs.works import Works, works

TEXT = "do: [{rest: {wait: {seconds: 10}}}, {on: {call: inc, with: {x: '${ .x }'}}}]"


def _woken(here: Works, id: str) -> list[str]:
    """The states that a run took after its wait was over, driven to its end."""
    run = here.start(TEXT, {"x": 1}, id=id)
    assert here.run(run).state == "waiting"
    before = here.run(run).version
    here.later(10)
    assert here.output(run) == {"x": 2}
    return [str(entity["state"]) for entity in here.store.history(run) if entity.version > before]


def _causes(here: Works, run: str) -> set[str]:
    """The causes that ended the steps of a run."""
    steps = here.store.find("Step", [Where("run", Op.EQ, run)], first=10).items
    return {change.cause for step in steps for change in here.store.changes_of(step.id, 1)}


def test_a_quick_function_goes_with_the_wait_before_it_and_a_slow_one_does_not() -> None:
    took = [0.0]

    def inc(x: int) -> dict[str, int]:
        here.clock.advance(took[0])
        return {"x": x + 1}

    with works(Workflows(functions={"inc": inc})) as here:
        # Nobody knows yet how long it takes: the wait is committed before it is called.
        assert _woken(here, "unknown") == ["running", "completed"]
        assert len(_causes(here, "unknown")) == 2
        took[0] = SLOW_SECONDS
        assert _woken(here, "quick-until-now") == ["completed"]
        assert len(_causes(here, "quick-until-now")) == 1
        assert _woken(here, "slow") == ["running", "completed"]
        assert len(_causes(here, "slow")) == 2


def test_what_shares_a_commit_ends_at_its_own_time() -> None:
    def inc(x: int) -> dict[str, int]:
        here.clock.advance(0.01)
        return {"x": x + 1}

    with works(Workflows(functions={"inc": inc})) as here:
        _woken(here, "first")
        _woken(here, "second")
        rest, on = here.steps("second")
        assert on["began"] == rest["ended"]
        assert (on["ended"] - on["began"]).total_seconds() == 0.01


def test_a_run_is_after_its_own_write_what_the_store_says_of_it() -> None:
    with works(Workflows()) as here:
        run = here.run(here.start("do: [{a: {set: {x: 1}}}, {w: {wait: {seconds: 9}}}]"))
        for put in (
            Put(run.id, "Run", {"state": "waiting", "error": "e"}),
            Put(run.id, "Run", {"state": "running"}, unset=frozenset({"error", "ended"})),
        ):
            commit = here.store.commit([put], Cause(here.clock.id(), "test", "Service"))
            run = run.moved(put, commit.versions[run.id])
            stored = here.store.get([run.id])[run.id]
            assert (dict(run.entity.properties), run.entity.version) == (dict(stored.properties), stored.version)
