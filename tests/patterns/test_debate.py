"""Debate: each sees what was said; agreement ends it early, else the judge decides once the rounds are over."""

from typing import Any

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check
from coordination.patterns.debate import Debate, debate
from tests.patterns.team import answered, asked, same_after_crashes, says, team

DEBATERS = (Ask("pro", retries=0), Ask("contra", retries=0))


def stubborn(position: str) -> Any:
    return lambda assignment: answered({"position": position, "argument": f"round {len(assignment.data['said'])}"})


def convinced(assignment: Assignment) -> Answer:
    said = assignment.data["said"]
    return answered({"position": "no" if not said else said[-1][0]["position"]})


def silent(assignment: Assignment) -> Answer:
    raise AnswerError("nothing to say")


def document(rounds: int = 3) -> Any:
    return debate(Debate(About("debate"), DEBATERS, Ask("judge"), rounds))


def test_agreement_ends_it_and_no_judge_is_asked() -> None:
    with team({"pro": stubborn("yes"), "contra": convinced}) as here:
        here.start(document(), {"task": "buy?"})
        output = here.output()
        assert (output["output"], output["agreed"], output["rounds"]) == ("yes", True, 2)
        assert [[item["position"] for item in said] for said in output["said"]] == [["yes", "no"], ["yes", "yes"]]


def test_the_judge_decides_after_the_last_round() -> None:
    with team({"pro": stubborn("yes"), "contra": stubborn("no"), "judge": says("wait")}) as here:
        here.start(document(2), {"task": "buy?"})
        output = here.output()
        assert (output["output"], output["agreed"], output["rounds"]) == ("wait", False, 2)
        assert len(here.found("AgentAnswer", agent="pro")) == 2


def test_one_silent_debater_does_not_end_it_and_all_silent_do() -> None:
    with team({"pro": stubborn("yes"), "contra": silent}) as here:
        here.start(document(1), {"task": "buy?"})
        assert here.output()["output"] == "yes"
    with team({"pro": silent, "contra": silent}) as here:
        here.start(document(), {"task": "buy?"})
        assert (here.error()["title"], here.error()["status"]) == ("Silence", 422)


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team({"pro": stubborn("yes"), "contra": convinced}), document(), {"task": "?"}, every=3)


def test_debaters_with_a_check_of_their_own_still_have_to_take_a_position() -> None:
    """Two who name no position do not agree on none."""
    sure = Check(confidence=0.5)
    with team({name: says({"argument": name}) for name in ("a", "b")} | {"j": says("judged")}) as here:
        here.start(debate(Debate(About("w"), (Ask("a", check=sure), Ask("b", check=sure)), Ask("j"))), {"task": "t"})
        assert here.error()["title"] == "Silence"


def test_the_judge_is_asked_what_his_settings_say() -> None:
    asked: list[str] = []

    def judge(assignment: Assignment) -> Answer:
        asked.append(assignment.text)
        return answered("judged")

    replies = {"a": says({"position": "x"}), "b": says({"position": "y"}), "j": judge}
    for task, said in (("Weigh it", "Weigh it"), ("", "Decide: t")):
        with team(replies) as here:
            here.start(debate(Debate(About("w"), (Ask("a"), Ask("b")), Ask("j", task), rounds=1)), {"task": "t"})
            assert (here.output()["output"], asked.pop()) == ("judged", said)


def test_what_they_agree_on_last_is_the_output_and_what_was_argued_is_kept() -> None:
    def turned(assignment: Assignment) -> Answer:
        return answered({"position": "no" if assignment.data["said"] else "yes", "argument": "as it stands"})

    with team({"pro": turned, "contra": stubborn("no")}) as here:
        here.start(document(), {"task": "buy?"})
        output = here.output()
        assert (output["output"], output["rounds"]) == ("no", 2)
        assert output["said"][0] == [
            {"agent": "pro", "position": "yes", "argument": "as it stands"},
            {"agent": "contra", "position": "no", "argument": "round 0"},
        ]


def test_a_debater_hears_what_was_said_and_nothing_of_how_it_was_asked() -> None:
    log: list[Assignment] = []
    with team({"pro": asked(log, stubborn("yes")), "contra": stubborn("no"), "judge": says("wait")}) as here:
        here.start(document(2), {"task": "buy?"})
        assert here.output()["rounds"] == 2
        assert [sorted(one.data) for one in log] == [["agreed", "context", "rounds", "said", "task"]] * 2


def test_an_empty_position_is_none() -> None:
    with team({name: says({"position": ""}) for name in ("pro", "contra")}) as here:
        here.start(document(), {"task": "buy?"})
        assert here.error()["title"] == "Silence"


def test_a_debater_with_a_form_of_its_own_is_held_to_that() -> None:
    form = {"type": "object", "required": ["position", "odds"]}
    with team({"a": says({"position": "x"}), "b": says({"position": "y", "odds": 2})}) as here:
        debaters = (Ask("a", check=Check(form), retries=0), Ask("b", check=Check(form)))
        here.start(debate(Debate(About("w"), debaters, Ask("j"))), {"task": "t"})
        assert (here.output()["output"], [len(said) for said in here.output()["said"]]) == ("y", [1])
