"""Schedules: each workflow has one chain of starts, however often it is switched off and on again or its runs are retried."""

from coordination.runs.engine import Workflows
from kg.model import Op, Where
from kg.values import Ref
from tests.runs.works import ANNA, Works, works

EVERY = "schedule: {every: {hours: 1}}\ndo: [{a: {set: {x: 1}}}]"
CRON = "schedule: {cron: '0 * * * *'}\ndo: [{a: {set: {x: 1}}}]"
AFTER = "schedule: {after: {minutes: 1}}\ndo: [{a: {set: {x: 1}}}, {b: {call: step, with: {}}}]"


def _count(here: Works) -> int:
    return len(here.store.find("Run").items)


def _timers(here: Works) -> int:
    return len(here.store.scan("work", prefix="schedule:", first=100))


def test_switched_off_and_on_again_a_schedule_starts_one_run_at_a_time() -> None:
    for text in (EVERY, CRON):
        with works() as here:
            workflow = here.register("flow", text)
            for _ in range(3):
                here.engine.activate(workflow, ANNA)
                here.later(600)
                here.engine.deactivate(workflow)
                assert _timers(here) == 0
            here.engine.activate(workflow, ANNA)
            for count in (1, 2, 3):
                here.later(3_601)
                assert (_count(here), _timers(here)) == (count, 1)


def test_a_timer_that_fires_while_its_schedule_is_switched_off_leaves_none_behind() -> None:
    with works() as here:
        workflow = here.register("flow", EVERY)
        here.engine.activate(workflow, ANNA)
        here.clock.advance(3_601)
        (timer,) = here.store.scan("work", prefix="schedule:", first=100)
        scan = here.store.scan

        def fired(kind: str, *args: object, **more: object) -> object:
            found = scan(kind, *args, **more)
            if more.get("prefix", "").startswith("schedule:"):
                here.store.scan = scan
                here.runtime.handle(timer.key)
            return found

        here.store.scan = fired
        here.engine.deactivate(workflow)
        assert _timers(here) == 0


def test_a_run_that_is_retried_does_not_start_a_second_chain() -> None:
    asked: list[int] = []

    def step() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise ValueError("broken")
        return 1

    with works(Workflows(functions={"step": step})) as here:
        workflow = here.register("flow", AFTER)
        here.engine.activate(workflow, ANNA)
        here.later(6)
        (run,) = here.store.find("Run").items
        assert run["state"] == "faulted"
        assert _timers(here) == 1
        here.engine.retry(run.id, ANNA)
        here.drain()
        assert here.run(run.id).state == "completed"
        assert _timers(here) == 1
        for count in (2, 3, 4):
            here.later(61)
            assert (_count(here), _timers(here)) == (count, 1)


def test_a_run_of_before_does_not_go_on_beside_the_schedule_that_was_switched_on_again() -> None:
    text = AFTER.replace("{b: {call: step, with: {}}}", "{b: {wait: {seconds: 30}}}")
    with works() as here:
        workflow = here.register("flow", text)
        here.engine.activate(workflow, ANNA)
        here.later(6)
        here.engine.deactivate(workflow)
        here.engine.activate(workflow, ANNA)
        here.later(6)
        assert _count(here) == 2
        here.later(31)
        assert _timers(here) == 1


def test_a_run_that_is_cancelled_does_not_end_the_chain() -> None:
    text = AFTER.replace("{b: {call: step, with: {}}}", "{b: {wait: {hours: 1}}}")
    with works() as here:
        workflow = here.register("flow", text)
        here.engine.activate(workflow, ANNA)
        here.later(6)
        (run,) = here.store.find("Run").items
        here.engine.cancel(run.id, ANNA)
        here.later(61)
        assert _count(here) == 2


def test_a_schedule_starts_on_the_events_that_its_filters_mean() -> None:
    """Expressions, regular expressions, two of one type, and correlation count as they do in `listen`."""
    wanted = {
        "one: {with: {type: 'or.*', data: '${ .n > 5 }'}}": [[9]],
        "all: [{with: {type: order}}, {with: {type: order}}]": [[1, 9]],
        "all: [{with: {type: order}, correlate: {k: {from: .data.id}}}, {with: {type: paid}, correlate: {k: {from: .data.id}}}]": [
            [1, 4]
        ],
    }
    with works() as here:
        flows = {
            here.register(
                f"on-{index}", f"schedule: {{on: {{{on}}}}}\ndo: [{{s: {{set: {{n: '${{ map(.n) }}'}}}}}}]"
            ): runs
            for index, (on, runs) in enumerate(wanted.items())
        }
        for flow in flows:
            here.engine.activate(flow, 'User::"anna"')
        for kind, data in (("order", {"n": 1, "id": 1}), ("order", {"n": 9, "id": 2}), ("paid", {"n": 3, "id": 2}),
                           ("paid", {"n": 4, "id": 1}), ("ordinary", "poison")):  # fmt: skip
            here.engine.publish(here.event(kind, data))
            here.drain()
        for flow, runs in flows.items():
            found = here.store.find("Run", [Where("workflow", Op.EQ, Ref(flow))], first=10).items
            assert [here.output(run.id)["n"] for run in found] == runs
        assert not here.runtime.failures()
