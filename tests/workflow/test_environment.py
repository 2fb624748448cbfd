"""The environment of coordination.testing: days in milliseconds, fakes for what is called, and the same as the durable engine."""

import json
from dataclasses import replace

import pytest

from coordination.errors import StateError
from coordination.testing import Environment, Later, Problem
from tests.conformance.workflow_engine import Naive
from tests.workflow.random_workflows import Chance
from tests.workflow.test_engines_agree import _unnamed, determined

HEAD = "document: {dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0'}\n"
DAY = 86_400.0
SEEDS = 60


def test_days_of_waiting_events_and_retries_pass_at_once() -> None:
    tries: list[object] = []

    def flaky(arguments: object) -> object:
        tries.append(arguments)
        if len(tries) < 3:
            raise Problem("communication", "it is down", 503)
        return {"ok": True}

    text = """
do:
  - score: {call: agent, with: {agent: scorer, entity: '${ .id }'}, output: {as: '{score: .}'}}
  - rest: {wait: {days: 3}}
  - paid: {listen: {to: {one: {with: {type: paid}}}}, output: {as: '.[0]'}}
  - send: {try: [{post: {call: flaky, with: {n: '${ .sum }'}}}], catch: {retry: {delay: {minutes: 5}}}}
"""
    with Environment(HEAD + text, {"agent": Later(60, 7), "flaky": flaky}) as here:
        result = here.run({"id": "c1"}, [(5 * DAY, {"type": "paid", "data": {"sum": 5}})])
    assert (result.state, result.output, result.elapsed) == ("completed", {"ok": True}, 5 * DAY + 600)
    assert result.step("score").output == {"score": 7}
    assert (result.step("rest").began, result.step("rest").ended) == (60.0, 60 + 3 * DAY)
    assert [step.state for step in result.of("post")] == ["faulted", "faulted", "completed"]
    assert [(call.task, call.name, call.arguments) for call in result.calls][:2] == [
        ("score", "agent", {"agent": "scorer", "entity": "c1"}), ("post", "flaky", {"n": 5}),
    ]  # fmt: skip


def test_a_call_without_a_fake_and_a_run_that_waits_for_ever_are_told() -> None:
    with Environment(HEAD + "do: [{a: {call: http, with: {endpoint: 'https://x.example/y'}}}]") as here:
        with pytest.raises(StateError, match="no fake answers `http` of the task a; give one in `calls`"):
            here.run()
        assert replace(here, calls={"a": Later(None)}).run().state == "waiting"
        faulted = replace(here, calls={"a": Problem("timeout", "too late", 408)}).run()
        assert (faulted.state, faulted.error["status"], faulted.error["instance"]) == ("faulted", 408, "/do/0/a")
        with pytest.raises(StateError, match="the task 'b' has 0 steps"):
            faulted.step("b")


def test_branches_race_and_another_workflow_runs() -> None:
    text = """
do:
  - race:
      fork:
        compete: true
        branches: [{slow: {wait: {hours: 2}}}, {fast: {do: [{w: {wait: {hours: 1}}}, {s: {set: {n: 1}}}]}}]
  - child: {run: {workflow: {namespace: test, name: child, version: latest, input: '${ . }'}}}
"""
    child = HEAD.replace("flow", "child") + "do: [{w: {wait: {days: 1}}}, {s: {set: {n: '${ .n + 1 }'}}}]"
    with Environment(HEAD + text, workflows=[child]) as here:
        result = here.run()
    assert (result.output, result.elapsed) == ({"n": 2}, 3600 + DAY)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_it_does_as_the_oracle(seed: int) -> None:
    document, case = Chance(seed).case()
    expected = Naive().execute(replace(case, definition=json.dumps(document.body)))
    with Environment(document, start=case.start) as here:
        found = here.run(case.input, [(at / 1_000_000, event) for at, event in case.events])
    assert (found.state, _unnamed(found.output)) == (expected.status, _unnamed(expected.output))
    if determined(expected):
        assert sorted(s.task for s in found.steps if s.state == "completed") == sorted(
            name for phase, name, _ in expected.trace if phase == "completed"
        )
