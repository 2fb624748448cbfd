"""Versions in flight: a run keeps its own; recorded runs are gone through again; waiting runs are taken over by a map."""

import json

import pytest

from coordination.errors import StateError
from coordination.runs.engine import Workflows
from coordination.runs.migrating import migrate
from coordination.testing import replay
from coordination.workflow.document import Document, parse
from tests.coordination.plant import AUTHOR, Telling
from tests.runs.simulated import CHILD, MAIN, boom
from tests.runs.works import ANNA, Works, works

FLOW = """
do:
  - first: {call: inc, with: {x: '${ .n }'}, output: {as: '{x: .x}'}}
  - loop: {for: {in: '[1, 2]'}, do: [{add: {call: inc, with: {x: '${ .x + $item }'}}}]}
  - rest: {wait: {hours: 5}}
  - last: {set: {done: '${ .x }'}}
"""
MORE = FLOW.replace("- loop", "- more: {set: {x: '${ .x }'}}\n  - loop").replace(
    "- last", "- extra: {set: {x: 70}}\n  - last"
)
FUNCTIONS = Workflows(functions={"inc": lambda x: {"x": x + 1}, "boom": boom})
MAP = {"/do/2/rest": "/do/3/rest"}


def version(text: str, number: str = "2.0.0", name: str = "flow") -> Document:
    return parse(f"document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '{number}'}}\n{text}")


def to(here: Works, run: str, number: str, map: dict[str, str] | None = None) -> list[str]:
    return migrate(here.store, here.clock, here.engine.definitions, run, number, map or {}, ANNA, "a better version")


def test_a_run_keeps_its_version_whatever_is_registered_after() -> None:
    with works(FUNCTIONS) as here:
        run = here.start(FLOW, {"n": 1})
        here.engine.register(version(MORE), AUTHOR, ("agents",))
        here.later(5 * 3600)
        assert here.output(run) == {"done": 7}
        assert here.run(run).text("called") == "test.flow:1.0.0"


@pytest.mark.parametrize("after", [0.0, 5 * 3600.0])
def test_the_same_version_goes_the_same_way(after: float) -> None:
    with works(FUNCTIONS) as here:
        run = here.start(FLOW, {"n": 1})
        here.later(after)
        found = replay(here.store, run)
        assert found.same
        assert found.steps == (5 if after == 0 else 6)


def test_a_run_of_every_kind_of_task_goes_the_same_way_at_any_moment() -> None:
    with works(FUNCTIONS, effectors=[Telling(kind="keyed")]) as here:
        here.register("child", CHILD)
        run = here.start(MAIN, {"n": 1}, name="main")
        for event in ("e1", "e2", ""):
            assert replay(here.store, run).differences == ()
            for _ in range(4):
                here.later(2)
            if event:
                here.engine.signal(run, {"id": event, "source": "s", "type": "go", "data": event})
                here.drain()
        assert here.run(run).state == "completed"
        assert replay(here.store, run).same


def test_another_version_is_told_where_it_parts_and_why() -> None:
    with works(FUNCTIONS) as here:
        run = here.start(FLOW, {"n": 1})
        (moved,) = replay(here.store, run, version(MORE)).differences
        assert (moved.number, moved.reference) == (1, "/do/1/loop")
        assert "this version does set more at /do/1/more" in moved.why
        here.later(5 * 3600)
        (other,) = replay(here.store, run, version(FLOW.replace("done:", "over:"))).differences
        assert other.why == 'set last gave {"done": 7} on record and gives {"over": 7} in this version'
        (gone,) = replay(here.store, run, version(FLOW.replace("  - last: {set: {done: '${ .x }'}}\n", ""))).differences
        assert (gone.reference, "ends before it" in gone.why) == ("/do/3/last", True)
        (more,) = replay(here.store, run, version(FLOW + "  - again: {set: {a: 1}}\n")).differences
        assert more.why == "the run ended here; this version goes on with set again"


def test_a_replay_calls_nothing_and_writes_nothing() -> None:
    calls: list[int] = []
    with works(Workflows(functions={"inc": lambda x: calls.append(x) or {"x": x + 1}})) as here:
        run = here.start(FLOW, {"n": 1})
        before, head = list(calls), here.store.head()
        replay(here.store, run)
        assert (calls, here.store.head()) == (before, head)


def test_a_waiting_run_goes_on_in_the_new_version_by_the_map() -> None:
    with works(FUNCTIONS) as here:
        run = here.start(FLOW, {"n": 1})
        here.engine.register(version(MORE), AUTHOR, ("agents",))
        for work in to(here, run, "2.0.0", MAP):
            here.queue.append(work)
        here.drain()
        assert here.run(run).state == "waiting"
        assert here.run(run).text("called") == "test.flow:2.0.0"
        here.later(5 * 3600)
        assert here.output(run) == {"done": 70}
        causes = [here.store.changes(v.since - 1, 1)[0].cause for v in here.store.history(run)]
        (cause,) = [c for c in here.store.causes(causes).values() if c.activity == "run.migrate"]
        told = dict(cause.attributes)
        assert (cause.agent, cause.reason) == (ANNA, "a better version")
        assert (told["from"], told["to"]) == ("test.flow:1.0.0", "test.flow:2.0.0")
        assert json.loads(str(told["map"])) == MAP


def test_where_the_map_does_not_cover_where_a_run_stands_nothing_changes() -> None:
    with works(FUNCTIONS) as here:
        run = here.start(FLOW, {"n": 1})
        here.engine.register(version(MORE), AUTHOR, ("agents",))
        head = here.store.head()
        with pytest.raises(
            StateError, match=r"stands at /do/2/rest, and test.flow:2.0.0 has no /do/2/rest; name in the map"
        ):
            to(here, run, "2.0.0")
        with pytest.raises(
            StateError, match=r"/do/1/more of test.flow:2.0.0 is set more; name in the map a task of the same kind"
        ):
            to(here, run, "2.0.0", {"/do/2/rest": "/do/1/more"})
        with pytest.raises(StateError, match="has no /do/9/x, which the map names"):
            to(here, run, "2.0.0", {**MAP, "/do/9/x": "/do/0/first"})
        with pytest.raises(StateError, match=r"there is no workflow test\.flow:3\.0\.0"):
            to(here, run, "3.0.0")
        assert here.store.head() == head
        here.later(5 * 3600)
        assert here.output(run) == {"done": 7}
        with pytest.raises(StateError, match="is completed and keeps the version it ended with"):
            to(here, run, "2.0.0", MAP)


FORKED = """
do:
  - split:
      fork:
        branches:
          - left: {do: [{rest: {wait: {hours: 1}}}, {l: {set: {by: old}}}]}
          - right: {listen: {to: {one: {with: {type: go}}}}}
"""


def test_branches_and_what_they_listen_to_come_along() -> None:
    new = "do:\n  - before: {set: {}}\n" + FORKED.replace("do:\n", "", 1).replace("by: old", "by: new").lstrip("\n")
    map = {old: old.replace("/do/0/split", "/do/1/split", 1) for old in (
        "/do/0/split", "/do/0/split/fork/branches/0/left", "/do/0/split/fork/branches/0/left/do/0/rest",
        "/do/0/split/fork/branches/1/right",
    )}  # fmt: skip
    with works(FUNCTIONS) as here:
        run = here.start(FORKED, {})
        here.engine.register(version(new), AUTHOR, ("agents",))
        here.engine.register(version(new.replace("type: go", "type: other"), "3.0.0"), AUTHOR, ("agents",))
        with pytest.raises(StateError, match="listens to something else"):
            to(here, run, "3.0.0", map)
        to(here, run, "2.0.0", map)
        here.later(3600)
        here.engine.signal(run, here.event("go", 5))
        here.later(1)
        assert here.output(run) == [{"by": "new"}, [5]]
