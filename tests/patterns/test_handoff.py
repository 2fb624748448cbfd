"""Handoff: the context goes along and grows; both bounds end it; nobody outside the team is reached."""

from typing import Any

from coordination.acting import Assignment
from coordination.patterns.about import About
from coordination.patterns.asking import Check, Person
from coordination.patterns.handoff import Handoff, handoff
from tests.patterns.team import answered, asked, same_after_crashes, says, team

TEAM = ("desk", "billing", "network")


def on(to: str, **context: Any) -> Any:
    return says({"handoff": to, "reason": f"for {to}", "context": context})


def document(**more: Any) -> Any:
    return handoff(Handoff(About("support"), TEAM, **more))


REPLIES: dict[str, Any] = {
    "desk": on("billing", customer="c-1"),
    "billing": on("network", outage=True),
    "network": lambda assignment: answered({"output": assignment.data["context"]}),
}


def test_the_context_goes_along() -> None:
    log: list[Assignment] = []
    with team({**REPLIES, "network": asked(log, REPLIES["network"])}) as here:
        here.start(document(), {"task": "help", "context": {"ticket": "t-1"}})
        output = here.output()
        assert output["output"] == {"ticket": "t-1", "customer": "c-1", "outage": True}
        assert output["agent"] == "network"
        assert [(item["from"], item["to"]) for item in output["handoffs"]] == [
            ("desk", "billing"),
            ("billing", "network"),
        ]
        assert log[0].data["handoffs"][1]["reason"] == "for network"


def test_ping_pong_is_ended() -> None:
    with team({"desk": on("billing"), "billing": on("desk")}) as here:
        here.start(document(ping_pong=2), {"task": "help"})
        assert here.error()["title"] == "Ping-Pong"
        assert here.error()["detail"] == "desk handed on to billing 3 times"
        assert len(here.found("AgentAnswer")) == 5


def test_all_handoffs_are_bounded() -> None:
    with team({"desk": on("billing"), "billing": on("network"), "network": on("desk")}) as here:
        here.start(document(handoffs=4, ping_pong=9), {"task": "help"})
        assert here.error()["title"] == "Too Many Handoffs"
        assert len(here.found("AgentAnswer")) == 5


def test_a_person_takes_over_what_goes_in_circles() -> None:
    person = Person({"managers": 1}, "Call the customer", "she waits", "called")
    with team({"desk": on("billing"), "billing": on("desk")}) as here:
        here.start(document(person=person), {"task": "help"})
        assert here.decide()["rationale"] == "desk handed on to billing 3 times"
        assert (here.output()["output"], here.output()["agent"]) == ("called", "person")


def test_nobody_outside_the_team_is_reached() -> None:
    with team({"desk": on("root"), "root": says({"output": 1})}) as here:
        here.start(document(), {"task": "help"})
        assert here.error()["title"] == "Poor Answer"
        assert not here.found("AgentAnswer", agent="root")


def test_an_answer_that_is_neither_is_poor() -> None:
    with team({"desk": says("let me think")}) as here:
        here.start(document(), {"task": "help"})
        assert here.error()["status"] == 422


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team(REPLIES), document(), {"task": "help"}, every=3)


def test_the_first_of_the_team_begins() -> None:
    with team({"desk": says({"output": "done"})}) as here:
        here.start(document(), {"task": "help"})
        assert here.output() == {"output": "done", "agent": "desk", "handoffs": [], "context": {}}


def test_an_answer_has_to_pass_the_check_of_the_settings_and_is_asked_for_again_so_often() -> None:
    poor = [
        ({"output": 1}, Check(evidence=1), "0 items of evidence"),
        ({"output": 1}, Check(confidence=0.95), "confidence"),
    ]
    for output, check, why in [*poor, ({"neither": 1}, Check(), "is not valid under any of the given schemas")]:
        for retries in (0, 2):
            with team({"desk": says(output)}) as here:
                here.start(document(check=check, retries=retries), {"task": "help"})
                assert (here.error()["title"], why in here.error()["detail"]) == ("Poor Answer", True)
                assert len(here.found("AgentAnswer")) == 1 + retries
