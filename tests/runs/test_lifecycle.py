"""Lifecycle events: each transition of a run and of its tasks gives the specification's event, once, under an id that stays."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from coordination.effectors.announcing import HttpSink
from coordination.effectors.http_call import Reach
from coordination.errors import GiveUp, RetryLater, StateError
from coordination.runs.engine import Workflows
from coordination.runs.lifecycles import events
from kg.store import PAGE_MAX
from tests.coordination.server import reply, serving
from tests.kg.views import RuleView
from tests.runs.lifecycles import counted, legal, named
from tests.runs.works import ANNA, Works, works


@pytest.fixture
def here(store: Any) -> Iterator[Works]:
    functions: dict[str, Any] = {"inc": lambda x: {"x": x + 1}, "boom": lambda: 1 / 0}
    with works(Workflows(functions=functions), store=store) as made:
        yield made


def test_a_run_that_completes(here: Works) -> None:
    run = here.start("do: [{a: {set: {x: 1}}}, {b: {call: inc, with: {x: '${ .x }'}}}]", id="r/1".replace("/", "-"))
    found = legal(here.store, run)
    assert [named(event) for event in found] == [
        ("workflow", "started"),
        ("task", "created"), ("task", "started"), ("task", "completed"),
        ("task", "created"), ("task", "started"), ("task", "completed"),
        ("workflow", "completed"),
    ]  # fmt: skip
    began, ended = here.run(run).entity["began"], here.run(run).entity["ended"]
    assert found[0] == {
        "specversion": "1.0",
        "id": found[0]["id"],
        "source": f"urn:noesis:run:{run}",
        "type": "io.serverlessworkflow.workflow.started.v1",
        "subject": run,
        "time": began.isoformat(),
        "sequence": found[0]["sequence"],
        "datacontenttype": "application/json",
        "data": {
            "name": f"flow-{run}.test",
            "definition": {"namespace": "test", "name": "flow", "version": "1.0.0"},
            "startedAt": began.isoformat(),
        },
    }
    assert found[1]["data"] == {"workflow": f"flow-{run}.test", "task": "/do/0/a", "createdAt": found[1]["time"]}
    assert found[-1]["data"] == {"name": f"flow-{run}.test", "completedAt": ended.isoformat()}


def test_suspended_resumed_and_cancelled_with_the_tasks_that_wait(here: Works) -> None:
    run = here.start("do: [{a: {wait: {seconds: 50}}}, {b: {wait: {hours: 1}}}]")
    here.engine.pause(run, ANNA)
    here.engine.resume(run, ANNA)
    here.drain()
    here.later(51)
    here.engine.cancel(run, ANNA)
    here.drain()
    found = legal(here.store, run)
    times = counted(found)
    assert {name: times[name] for name in ("workflow.suspended", "task.suspended", "workflow.resumed", "task.resumed")} == {
        "workflow.suspended": 1, "task.suspended": 1, "workflow.resumed": 1, "task.resumed": 1,
    }  # fmt: skip
    assert (times["task.completed"], times["task.cancelled"], times["workflow.cancelled"]) == (1, 1, 1)


def test_faulted_retried_and_taken_up_again(here: Works) -> None:
    run = here.start(
        "do: [{t: {try: [{f: {call: boom}}], catch: {retry: {delay: {seconds: 1}, limit: {attempt: {count: 2}}}}}}]"
    )
    for _ in range(4):
        here.later(2)
    found = legal(here.store, run)
    assert counted(found)["task.retried"] >= 1
    (faulted,) = [event for event in found if named(event) == ("workflow", "faulted")]
    assert faulted["data"]["error"] == here.run(run).error
    here.engine.retry(run, ANNA)
    here.drain()
    assert counted(legal(here.store, run))["workflow.resumed"] == 1


@pytest.mark.parametrize(
    "around", ["do: %s", "for: {in: '[1]'}, do: %s", "try: %s, catch: {errors: {with: {status: 418}}}"]
)
def test_what_stands_inside_other_tasks_is_tried_again_as_often_as_it_faults(store: Any, around: str) -> None:
    left = [2]

    def heals() -> int:
        left[0] -= 1
        return 1 // (left[0] < 0)

    # `inner` ends with its wait in the commit that faults, `outer` in it too.
    inside = around % "[{inner: {do: [{w: {wait: {seconds: 1}}}]}}, {f: {call: heals}}]"
    with works(Workflows(functions={"heals": heals}), store=store) as here:
        run = here.start(f"do: [{{outer: {{{inside}}}}}]")
        for _ in range(2):
            here.later(2)
            assert here.run(run).state == "faulted"
            here.engine.retry(run, ANNA)
            here.drain()
        here.later(2)
        assert here.output(run) == 1
        times = counted(legal(here.store, run))
        assert (times["workflow.faulted"], times["workflow.resumed"], times["task.cancelled"]) == (2, 2, 0)
        ends = [(step["task"], step["state"]) for step in here.steps(run) if step["task"] in ("outer", "f")]
        assert sorted(ends) == [
            *[(name, end) for name in ("f", "outer") for end in ("completed", "faulted", "faulted")]
        ]
        assert here.rows() == {}


def test_listening_is_a_correlation(here: Works) -> None:
    run = here.start("do: [{h: {listen: {to: {one: {with: {type: go}}}}}}]")
    assert counted(legal(here.store, run))["workflow.correlation-started"] == 1
    here.engine.signal(run, here.event("go"))
    here.drain()
    assert counted(legal(here.store, run))["workflow.correlation-completed"] == 1


def test_what_the_losing_branches_waited_for_is_cancelled_with_their_fork(here: Works) -> None:
    run = here.start(
        "do: [{race: {fork: {compete: true, branches: [{slow: {wait: {hours: 1}}}, {fast: {wait: {seconds: 1}}}, "
        "{deep: {fork: {branches: [{far: {wait: {hours: 2}}}]}}}]}}}, {rest: {wait: {seconds: 9}}}]"
    )
    here.later(2)
    here.engine.pause(run, ANNA)
    here.engine.resume(run, ANNA)
    here.drain()
    here.later(10)
    times = counted(legal(here.store, run))
    assert (times["workflow.completed"], times["task.cancelled"], times["task.suspended"]) == (1, 3, 1)


def test_a_skipped_task_says_so(here: Works) -> None:
    found = legal(here.store, here.start("do: [{a: {if: '${ false }', set: {x: 1}}}]"))
    assert [event["data"]["status"] for event in found if named(event)[1] == "status-changed"] == ["skipped"]


def test_more_tasks_than_a_page_are_all_told(here: Works) -> None:
    count = PAGE_MAX + 5
    run = here.start(f"do: [{{l: {{for: {{in: '[range({count})]'}}, do: [{{s: {{set: {{x: 1}}}}}}]}}}}]")
    assert counted(events(here.store, RuleView(), run))["task.completed"] == count + 1


def test_a_run_that_is_not_there_is_one_sentence(here: Works) -> None:
    with pytest.raises(StateError, match="there is no run 'nobody'"):
        events(here.store, RuleView(), "nobody")


def told(sink: Any, text: str, failing: Exception | None = None) -> tuple[list[Any], list[Any], Works]:
    """What a sink was given of a run, and what the run's events are."""
    got: list[Any] = []

    def take(event: Any) -> None:
        got.append(event)
        if failing is not None and len(got) == 2:
            raise failing
        if sink is not None:
            sink(event)

    with works(Workflows(sink=take)) as here:
        run = here.start(text)
        for _ in range(5):
            here.later(120)
        return got, events(here.store, RuleView(), run), here


TEXT = "do: [{a: {set: {x: 1}}}, {w: {wait: {seconds: 5}}}, {b: {set: {y: 2}}}]"


def test_a_sink_is_told_of_every_event_under_its_id() -> None:
    got, wanted, here = told(None, TEXT)
    assert sorted(got, key=lambda event: event["sequence"]) == wanted
    assert not [row.key for row in here.store.scan("work", first=1_000) if row.key.startswith("announce:")]


def test_a_sink_that_fails_is_told_again_the_same() -> None:
    got, wanted, _ = told(None, TEXT, RetryLater("away", 1.0))
    assert len(got) > len(wanted)
    assert {event["id"]: event for event in got} == {event["id"]: event for event in wanted}


def test_without_a_sink_nothing_is_made_ready() -> None:
    with works() as here:
        here.start(TEXT)
        assert not [row.key for row in here.store.scan("work", first=1_000) if row.key.startswith("announce:")]


def test_events_arrive_over_http_as_the_binding_says() -> None:
    with serving() as server:
        sink = HttpSink(f"http://{server.host}/events", "s3cret-token", Reach((server.host,), 10.0))
        got, wanted, _ = told(sink, TEXT)
        assert len(got) == len(wanted) == len(server.got)
        assert {json.loads(item.body)["id"] for item in server.got} == {event["id"] for event in wanted}
        assert server.got[0].headers["content-type"].startswith("application/cloudevents+json")
        assert server.got[0].headers["authorization"] == "Bearer s3cret-token"
        assert "s3cret" not in repr(sink)
        server.answer = lambda handler: reply(handler, 500)
        with pytest.raises(RetryLater):
            sink(wanted[0])
        server.answer = lambda handler: reply(handler, 403)
        with pytest.raises(GiveUp):
            sink(wanted[0])
    with pytest.raises(GiveUp, match="without encryption"):
        HttpSink("http://169.254.169.254/")(wanted[0])


def test_what_a_reader_may_not_see_gives_no_event(here: Works) -> None:
    run = here.start("do: [{a: {raise: {error: {type: 'u:x', status: 400, title: told, detail: the reason}}}}]")
    whole = legal(here.store, run)
    steps = events(here.store, RuleView(hidden_classes=frozenset({"Step"})), run)
    assert steps == [event for event in whole if named(event)[0] == "workflow"]
    masked = events(here.store, RuleView(mask={"Run": frozenset({"error"}), "Step": frozenset({"error"})}), run)
    assert "the reason" in json.dumps(whole)
    assert "the reason" not in json.dumps(masked)
    assert [event["id"] for event in masked] == [event["id"] for event in whole]
    with pytest.raises(StateError):
        events(here.store, RuleView(hidden_classes=frozenset({"Run"})), run)
