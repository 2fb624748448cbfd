"""`call: agent` and `call: approve` as workflows write them: who is stopped is asked later, strangers are refused, five parts."""

from typing import Any

import pytest

from coordination.workflow.document import parse
from governance.controls import resume, stop
from tests.coordination.plant import AUTHOR
from tests.patterns.team import Team, rest, says, team

HEAD = "document: {dsl: '1.0.3', namespace: patterns, name: flow, version: '1.0.0'}\n"
ADVICE = "{what: pay, why: it is due, evidence: [i-1], alternatives: [wait], risk: none}"


def flow(text: str) -> Any:
    return parse(HEAD + text)


def begun(here: Team, text: str) -> Team:
    here.start(flow(text), {"task": "t"})
    return here


def test_an_agent_that_is_stopped_is_asked_once_the_control_lets_go() -> None:
    with team({"one": says(1)}) as here:
        stop(here.store, here.clock, AUTHOR, "agent:one", "test")
        begun(here, "do: [{a: {call: agent, with: {agent: one, task: t}}}]")
        here.later(60)
        assert not here.found("AgentAnswer")
        resume(here.store, here.clock, AUTHOR, "agent:one", "test")
        rest(here)
        assert here.output()["output"] == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("{agent: nobody, task: t}", "no agent is called 'nobody' here; load it, or correct it"),
        ("{agent: one, task: t, among: [two]}", "no agent is called 'one' here; name one of two"),
        ("{agent: one, task: ''}", "needs `task`"),
        ("{agent: one, task: t, check: strict}", "`check` of `call: agent` is an object"),
        ("{agent: one, task: t, check: {evidence: some}}", "a whole number of evidence"),
        ("{agent: one, task: t, check: {schema: {type: nothing}}}", "cannot be used"),
    ],
)
def test_what_cannot_be_asked_says_why(call: str, said: str) -> None:
    with team({"one": says(1), "two": says(2)}) as here:
        begun(here, f"do: [{{a: {{call: agent, with: {call}}}}}]")
        assert said in here.error()["detail"]
        assert here.error()["status"] == 400


def test_a_recommendation_has_five_parts_and_goes_on_record() -> None:
    with team() as here:
        begun(here, f"do: [{{a: {{call: approve, with: {{approvers: {{managers: 1}}, recommendation: {ADVICE}}}}}}}]")
        advice = here.decide()
        assert (advice["what"], advice["rationale"], advice["evidence"]) == ("pay", "it is due", ("i-1",))
        asked = next(d for d in here.found("Decision") if d.id == str(advice["decision"]))
        assert asked["reason"] == "pay\nWhy: it is due\nEvidence: i-1\nAlternatives: wait\nRisk: none"
        assert here.output()["by"] == ['User::"anna"']


@pytest.mark.parametrize(
    "advice", ["raw words of a model", "{what: pay}", "{what: pay, why: '', evidence: [], alternatives: [], risk: ''}"]
)
def test_what_is_no_recommendation_reaches_nobody(advice: str) -> None:
    with team() as here:
        begun(here, f"do: [{{a: {{call: approve, with: {{approvers: {{managers: 1}}, recommendation: {advice}}}}}}}]")
        assert "the recommendation does not fit its schema" in here.error()["detail"]
        assert not here.found("Decision")


def test_nothing_to_undo_and_strange_ids() -> None:
    with team() as here:
        begun(here, "do: [{a: {call: compensate, with: {proposals: []}}}]")
        assert here.output() == {"compensation": None, "effects": []}
    with team() as here:
        begun(here, "do: [{a: {call: compensate, with: {proposals: [x-1]}}}]")
        assert "'x-1' is no proposal" in here.error()["detail"]
