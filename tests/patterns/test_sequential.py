"""Sequential: each agent gets what those before it answered; poor answers are asked for again, of another, or of a person."""

from decimal import Decimal
from typing import Any

import pytest

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, Person
from coordination.patterns.sequential import Sequential, sequential
from tests.patterns.team import ANNA, answered, asked, same_after_crashes, says, team

STEPS = (Ask("extract"), Ask("score"), Ask("report"))
REPLIES: dict[str, Any] = {
    "extract": says({"income": 10}),
    "score": lambda assignment: answered({"risk": len(assignment.data["answers"])}),
    "report": lambda assignment: answered([answer["output"] for answer in assignment.data["answers"]]),
}


def document(*steps: Ask) -> Any:
    return sequential(Sequential(About("line"), steps or STEPS))


def test_each_gets_what_was_answered_before() -> None:
    log: list[Assignment] = []
    with team({**REPLIES, "score": asked(log, REPLIES["score"])}) as here:
        here.start(document(), {"task": "assess", "context": {"id": 7}})
        output = here.output()
        assert output["output"] == [{"income": 10}, {"risk": 1}]
        assert [answer["agent"] for answer in output["answers"]] == ["extract", "score", "report"]
        assert log[0].text == "assess"
        assert log[0].data["context"] == {"id": 7}
        records = here.found("AgentAnswer", run="run")
        assert [record["state"] for record in records] == ["good"] * 3
        assert [record.id for record in records] == [answer["answer"] for answer in output["answers"]]
        assert all(str(record["contextPosition"]) > "0" and record["contextHash"] for record in records)


def test_the_same_after_a_crash_at_any_commit() -> None:
    def once(here: Any) -> None:
        assert len(here.found("AgentAnswer", run="run")) == 3, "I3: an answer was recorded twice, or lost"

    same_after_crashes(lambda: team(REPLIES), document(), {"task": "assess"}, check=once)


def test_a_poor_answer_is_asked_for_again_and_stays_on_record() -> None:
    tries: list[int] = []

    def learning(assignment: Assignment) -> Answer:
        tries.append(1)
        return answered({"risk": "high"} if len(tries) == 1 else {"risk": 3})

    check = Check({"type": "object", "properties": {"risk": {"type": "integer"}}, "required": ["risk"]})
    with team({"score": learning}) as here:
        here.start(document(Ask("score", check=check)), {"task": "assess"})
        assert here.output()["output"] == {"risk": 3}
        poor, good = here.found("AgentAnswer")
        assert (poor["state"], good["state"]) == ("poor", "good")
        assert "'high' is not of type 'integer'" in str(poor["reason"])


def test_what_stays_poor_falls_back_to_another_agent() -> None:
    step = Ask("unsure", check=Check(confidence=0.8), fallback=("broken", "sure"))

    def broken(assignment: Assignment) -> Answer:
        raise AnswerError("agent 'broken' raised ValueError: no")

    with team({"unsure": says("maybe", "0.5"), "broken": broken, "sure": says("yes")}) as here:
        here.start(document(step), {"task": "assess"})
        assert here.output()["answers"][0]["agent"] == "sure"
        assert [record["agent"] for record in here.found("AgentAnswer")] == ["unsure", "unsure", "sure"]


def test_evidence_is_asked_for() -> None:
    with team({"score": says(3)}) as here:
        here.start(document(Ask("score", check=Check(evidence=1), retries=0)), {"task": "assess"})
        assert here.error()["title"] == "Poor Answer"
        assert "cites 0 items of evidence where 1 are asked for" in here.error()["detail"]


def test_an_evaluator_refuses_what_it_does_not_accept() -> None:
    asks: list[Assignment] = []

    def judge(assignment: Assignment) -> Answer:
        accepted = assignment.data["answer"]["output"] == "good"
        return answered({"accepted": accepted, "reason": "too short"})

    step = Ask("writer", evaluator="judge", fallback=("other",), retries=0)
    with team({"writer": asked(asks, says("bad")), "other": says("good"), "judge": judge}) as here:
        here.start(document(step), {"task": "write"})
        assert here.output()["output"] == "good"
    with team({"writer": says("bad"), "judge": judge}) as here:
        here.start(document(Ask("writer", evaluator="judge")), {"task": "write"})
        assert here.error()["detail"] == "not accepted: too short"


def test_a_person_gets_a_recommendation_and_never_what_the_model_said() -> None:
    secret = "raw words of the model"
    person = Person({"managers": 1}, "Go on without a score", "the risk is unknown", {"risk": None}, ("ask again",))
    step = Ask("score", check=Check({"type": "object"}), person=person)
    with team({"score": says(secret)}) as here:
        here.start(document(step), {"task": "assess"})
        assert here.state() == "waiting"
        advice = here.decide()
        assert (advice["what"], advice["risk"], advice["alternatives"]) == (
            "Go on without a score", "the risk is unknown", ("ask again",)
        )  # fmt: skip
        assert advice["evidence"] == ("run run",)
        assert secret not in str(advice["what"]) + str(advice["risk"])
        assert here.output()["output"] == {"risk": None}
        assert here.output()["answers"][0]["agent"] == "person"


def test_a_person_may_say_no() -> None:
    person = Person({"managers": 1}, "Go on", "unknown")
    with team({"score": says(1)}) as here:
        here.start(document(Ask("score", check=Check(confidence=1.0), person=person, retries=0)), {"task": "t"})
        here.decide("reject")
        assert here.error()["title"] == "Rejected"


def test_who_started_the_run_does_not_approve_it() -> None:
    person = Person({"managers": 1}, "Go on", "unknown")
    step = Ask("score", check=Check(confidence=1.0), person=person, retries=0)
    with team({"score": says(1)}) as here:
        here.start(document(step), {"task": "t"})
        assert here.state() == "waiting"


def test_the_confidence_and_cost_go_along() -> None:
    with team({"score": says(1, "0.75", "2.5")}) as here:
        here.start(document(Ask("score")), {"task": "t"})
        (answer,) = here.output()["answers"]
        assert (answer["confidence"], answer["cost"]) == (0.75, 2.5)
        assert here.found("AgentAnswer")[0]["cost"] == Decimal("2.5")


def test_a_step_asks_what_its_settings_say_and_the_next_agent_is_asked_the_same_once() -> None:
    log: list[Assignment] = []
    with team({"one": asked(log, says(1, "0.1")), "two": asked(log, says(2, "0.1"))}) as here:
        step = Ask("one", "Weigh it", Check(confidence=0.5), fallback=("two",))
        here.start(document(step), {"task": "t", "context": "c"})
        assert here.error()["title"] == "Poor Answer"
        assert [(one.text, one.data["context"]) for one in log] == [("Weigh it", "c")] * 3
        assert [one["agent"] for one in here.found("AgentAnswer")] == ["one", "one", "two"]


def test_it_waits_between_its_tries_and_does_not_try_again_what_cannot_be_asked() -> None:
    with team({"one": says(1, "0.1")}) as here:
        here.start(document(Ask("one", check=Check(confidence=0.5), delay=60)), {"task": "t"})
        here.later(59)
        assert len(here.found("AgentAnswer")) == 1
        here.later(2)
        assert (len(here.found("AgentAnswer")), here.state()) == (2, "faulted")
    with team({"one": says(1)}) as here:
        here.start(document(Ask("stranger", delay=60)), {"task": "t"})
        assert here.error()["status"] == 400


def test_a_person_hears_why_and_has_as_long_as_the_settings_say() -> None:
    person = Person({"managers": 1}, "Go on", "unknown", "${ .before.task }", timeout=60)
    step = Ask("one", check=Check(confidence=0.5), retries=0, person=person)
    with team({"one": says(1, "0.1")}) as here:
        here.start(document(step), {"task": "t"})
        advice = here.decide()
        assert advice["rationale"] == "no answer was good enough: the answer's confidence is 0.1 where 0.5 is asked for"
        assert (here.output()["output"], here.output()["answers"][0]["by"]) == ("t", [ANNA])
    with team({"one": says(1, "0.1")}) as here:
        here.start(document(step), {"task": "t"})
        here.later(61)
        assert here.error()["detail"] == "nobody answered in time"


def test_an_evaluator_that_gives_no_verdict_lets_nothing_through() -> None:
    with team({"writer": says("draft"), "judge": says({"reason": "fine"})}) as here:
        here.start(document(Ask("writer", evaluator="judge", retries=0)), {"task": "t"})
        assert "'accepted' is a required property" in here.error()["detail"]


@pytest.mark.parametrize("input", [{}, {"task": ""}])
def test_without_a_task_nobody_is_asked(input: Any) -> None:
    with team(REPLIES) as here:
        here.start(document(), input)
        assert "the workflow's input does not fit its schema" in here.error()["detail"]
        assert not here.found("AgentAnswer")
