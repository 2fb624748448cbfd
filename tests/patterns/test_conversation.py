"""Group chat: who speaks, who hears what, who ends it, and the bounds of turns and cost."""

from typing import Any

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Person
from coordination.patterns.conversation import Conversation, conversation
from tests.patterns.team import answered, same_after_crashes, says, team


def speaker(name: str) -> Any:
    return lambda assignment: answered(f"{name} heard {len(assignment.data['messages'])}")


def decider(after: int) -> Any:
    def decided(assignment: Assignment) -> Answer:
        messages = assignment.data["messages"]
        done = len(messages) >= after
        return answered({"done": True, "output": messages[-1]["said"]} if done else {"done": False}, cost="0")

    return decided


REPLIES: dict[str, Any] = {"ann": speaker("ann"), "bob": speaker("bob"), "chair": decider(3)}


def document(**more: Any) -> Any:
    return conversation(Conversation(About("chat"), ("ann", "bob"), "chair", **more))


def test_they_speak_in_turn_and_hear_all() -> None:
    with team(REPLIES) as here:
        here.start(document(), {"task": "plan"})
        output = here.output()
        assert [(m["agent"], m["said"]) for m in output["messages"]] == [
            ("ann", "ann heard 0"), ("bob", "bob heard 1"), ("ann", "ann heard 2")
        ]  # fmt: skip
        assert (output["output"], output["turns"], output["cost"]) == ("ann heard 2", 3, 3)
        assert len(here.found("AgentAnswer", agent="chair")) == 3, "once it is done nobody is asked again"


def test_a_selector_chooses_the_speaker_among_the_members() -> None:
    with team({**REPLIES, "selector": says({"speaker": "bob"}, cost="0")}) as here:
        here.start(document(selector="selector"), {"task": "plan"})
        assert [m["agent"] for m in here.output()["messages"]] == ["bob"] * 3
    with team({**REPLIES, "selector": says({"speaker": "chair"})}) as here:
        here.start(document(selector="selector"), {"task": "plan"})
        assert here.error()["title"] == "Poor Answer"


def test_the_turns_are_bounded_and_the_decider_is_asked_a_last_time() -> None:
    asked: list[str] = []

    def late(assignment: Assignment) -> Answer:
        asked.append(assignment.text)
        last = assignment.text.startswith("The group may speak no more")
        return answered({"done": True, "output": "so be it"} if last else {"done": False})

    with team({**REPLIES, "chair": late}) as here:
        here.start(document(turns=2), {"task": "plan"})
        assert (here.output()["output"], here.output()["turns"], len(asked)) == ("so be it", 2, 3)


def test_without_a_decision_there_is_no_result() -> None:
    with team({**REPLIES, "chair": decider(99)}) as here:
        here.start(document(turns=2), {"task": "plan"})
        assert here.error()["title"] == "No Decision"
    person = Person({"managers": 1}, "Close it", "nothing was found", "closed")
    with team({**REPLIES, "chair": decider(99)}) as here:
        here.start(document(turns=2, person=person), {"task": "plan"})
        here.decide()
        assert here.output()["output"] == "closed"


def test_the_cost_is_bounded() -> None:
    with team({**REPLIES, "chair": decider(99)}) as here:
        here.start(document(cost=4), {"task": "plan"})
        assert here.error()["title"] == "Budget Spent"
        assert len(here.found("AgentAnswer", agent="ann")) + len(here.found("AgentAnswer", agent="bob")) == 4


def test_who_fails_to_speak_is_silent_and_the_turn_counts() -> None:
    def broken(assignment: Assignment) -> Answer:
        raise AnswerError("no voice")

    with team({**REPLIES, "bob": broken}) as here:
        here.start(document(), {"task": "plan"})
        assert here.output()["messages"][1] == {"agent": "bob", "silent": True}


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team(REPLIES), document(), {"task": "plan"}, every=3)


def test_what_selector_and_decider_cost_counts_as_well() -> None:
    def chair(assignment: Assignment) -> Answer:
        done = len(assignment.data["messages"]) == 2
        return answered({"done": True, "output": "so"} if done else {"done": False}, cost="10")

    with team({**REPLIES, "chair": chair, "selector": says({"speaker": "bob"}, cost="100")}) as here:
        here.start(document(selector="selector"), {"task": "plan"})
        assert here.output()["cost"] == 222


def test_a_decider_that_is_done_says_what_the_result_is() -> None:
    with team({**REPLIES, "chair": says({"done": True})}) as here:
        here.start(document(), {"task": "plan"})
        assert "'output' is a required property" in here.error()["detail"]
