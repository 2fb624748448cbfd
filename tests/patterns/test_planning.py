"""Planner with a ledger: plans, looks, works; plans anew where it stalls; every bound ends it."""

from typing import Any

import pytest

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Person
from coordination.patterns.planning import Planning, planning
from tests.patterns.team import answered, asked, same_after_crashes, says, team


def planner(assignment: Assignment) -> Answer:
    """Plans one step a member, then goes through the plan in its order."""
    ledger = assignment.data
    if assignment.text.startswith("Write"):
        steps = [{"agent": name, "task": f"do {name}"} for name in ledger["team"]]
        return answered({"facts": ["a fact"], "steps": steps})
    if len(ledger["log"]) == len(ledger["plan"]):
        return answered({"done": True, "output": [step["output"] for step in ledger["log"]]})
    return answered({"done": False, "progress": True, "next": ledger["plan"][len(ledger["log"])]})


REPLIES: dict[str, Any] = {
    "planner": planner,
    "coder": lambda assignment: answered(f"{assignment.text} after {len(assignment.data['log'])}"),
    "tester": says("tested"),
}


def document(**more: Any) -> Any:
    return planning(Planning(About("magentic"), "planner", ("coder", "tester"), **more))


def test_it_goes_through_its_plan() -> None:
    with team(REPLIES) as here:
        here.start(document(), {"task": "build"})
        output = here.output()
        assert output["output"] == ["do coder after 0", "tested"]
        assert (output["facts"], output["plans"]) == (["a fact"], 1)
        assert [(step["agent"], step["output"]) for step in output["log"]] == [
            ("coder", "do coder after 0"),
            ("tester", "tested"),
        ]


def stalling(assignment: Assignment) -> Answer:
    if assignment.text.startswith("Write"):
        return planner(assignment)
    return answered({"done": False, "progress": False, "next": {"agent": "coder", "task": "again"}})


def test_where_it_stalls_it_plans_anew_and_that_is_bounded() -> None:
    with team({**REPLIES, "planner": stalling}) as here:
        here.start(document(stalls=1, plans=2), {"task": "build"})
        assert here.error()["title"] == "No Progress"
        assert here.error()["detail"] == "2 plans led no further"
        assert len(here.found("AgentAnswer", agent="coder")) == 2, "one step a plan, then the stall is seen"


def test_the_rounds_are_bounded() -> None:
    def busy(assignment: Assignment) -> Answer:
        if assignment.text.startswith("Write"):
            return planner(assignment)
        return answered({"done": False, "progress": True, "next": {"agent": "coder", "task": "more"}})

    with team({**REPLIES, "planner": busy}) as here:
        here.start(document(rounds=3), {"task": "build"})
        assert here.error()["detail"] == "the 3 rounds are used up"
        assert len(here.found("AgentAnswer", agent="coder")) == 3


def test_a_failed_step_is_in_the_ledger() -> None:
    def broken(assignment: Assignment) -> Answer:
        raise AnswerError("no compiler")

    def seeing(assignment: Assignment) -> Answer:
        log = assignment.data["log"]
        if not assignment.text.startswith("Write") and log:
            return answered({"done": True, "output": log[0]["failed"]})
        return planner(assignment)

    with team({**REPLIES, "planner": seeing, "coder": broken}) as here:
        here.start(document(), {"task": "build"})
        assert here.output()["output"] == "no compiler"


def test_a_plan_with_strangers_is_refused_and_a_person_may_decide() -> None:
    with team({**REPLIES, "planner": says({"steps": [{"agent": "root", "task": "x"}]})}) as here:
        here.start(document(), {"task": "build"})
        assert here.error()["title"] == "Poor Answer"
    person = Person({"managers": 1}, "Do it by hand", "it takes a day", "by hand")
    with team({**REPLIES, "planner": stalling}) as here:
        here.start(document(stalls=0, plans=1, person=person), {"task": "build"})
        here.decide()
        assert here.output()["output"] == "by hand"


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team(REPLIES), document(), {"task": "build"}, every=3)


def test_progress_begins_the_count_of_stalls_anew() -> None:
    """One round without progress is borne, however often; two in a row are not."""
    progress = iter([False, True, False, True, False, True])

    def uneven(assignment: Assignment) -> Answer:
        if assignment.text.startswith("Write"):
            return planner(assignment)
        went = next(progress, None)
        if went is None:
            return answered({"done": True, "output": "all"})
        return answered({"done": False, "progress": went, "next": {"agent": "coder", "task": "go on"}})

    with team({**REPLIES, "planner": uneven}) as here:
        here.start(document(stalls=1), {"task": "build"})
        assert (here.output()["output"], here.output()["plans"]) == ("all", 1)


@pytest.mark.parametrize(
    ("plan", "look", "said"),
    [
        ([], None, "should be non-empty"),
        (None, {"done": True}, "'output' is a required property"),
        (None, {"done": False, "next": {"agent": "coder", "task": "x"}}, "'progress' is a required property"),
        (None, {"done": False, "progress": True}, "'next' is a required property"),
        (None, {"done": False, "progress": True, "next": {"agent": "stranger", "task": "x"}}, "is not one of"),
    ],
)
def test_what_is_no_plan_and_no_look_is_a_poor_answer(plan: Any, look: Any, said: str) -> None:
    def odd(assignment: Assignment) -> Answer:
        if assignment.text.startswith("Write"):
            return answered({"steps": plan}) if plan is not None else planner(assignment)
        return answered(look)

    with team({**REPLIES, "planner": odd}) as here:
        here.start(document(), {"task": "build"})
        assert here.error()["title"] == "Poor Answer"
        assert said in here.error()["detail"]


def test_facts_outlive_their_plan_and_all_see_them_with_the_context() -> None:
    looks: list[Assignment] = []
    work: list[Assignment] = []
    replies = {**REPLIES, "planner": asked(looks, stalling), "coder": asked(work, REPLIES["coder"])}
    with team(replies) as here:
        here.start(document(stalls=0, plans=2, rounds=3), {"task": "build", "context": "c"})
        assert here.error()["detail"] == "2 plans led no further"
    with team({**REPLIES, "planner": asked(looks, planner), "coder": asked(work, REPLIES["coder"])}) as here:
        here.start(document(), {"task": "build", "context": "c"})
        assert here.output()["facts"] == ["a fact"]
    seen = [one.data["facts"] for one in looks if one.text.startswith("Look")]
    assert seen[:2] == [["a fact"], ["a fact", "a fact"]]
    assert {(one.data["context"], one.data["task"]) for one in work} == {("c", "build")}
