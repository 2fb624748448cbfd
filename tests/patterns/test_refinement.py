"""Evaluator-optimiser: the writer hears what to better; accepted ends it, the bound ends it too."""

from json import dumps
from typing import Any

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, Person
from coordination.patterns.refinement import Refinement, refinement
from tests.patterns.team import answered, same_after_crashes, says, team


def writer(assignment: Assignment) -> Answer:
    said = assignment.data["feedback"]
    return answered("short" if said is None else f"{assignment.data['draft']} {said}")


def judge(least: int) -> Any:
    def judged(assignment: Assignment) -> Answer:
        words = len(assignment.data["draft"].split())
        return answered({"accepted": words >= least, "reason": "longer", "score": words})

    return judged


def document(**more: Any) -> Any:
    return refinement(Refinement(About("refine"), Ask("writer"), Ask("judge"), **more))


def test_it_betters_until_it_is_accepted() -> None:
    with team({"writer": writer, "judge": judge(3)}) as here:
        here.start(document(), {"task": "write"})
        assert here.output() == {
            "output": "short longer longer", "accepted": True, "score": 3, "rounds": 3, "feedback": "longer"
        }  # fmt: skip


def test_what_is_accepted_early_ends_it() -> None:
    with team({"writer": writer, "judge": judge(2)}) as here:
        here.start(document(rounds=5), {"task": "write"})
        assert (here.output()["output"], here.output()["rounds"]) == ("short longer", 2)
        assert len(here.found("AgentAnswer", agent="writer")) == 2


def test_the_rounds_are_bounded() -> None:
    with team({"writer": writer, "judge": judge(9)}) as here:
        here.start(document(rounds=2), {"task": "write"})
        assert here.error()["title"] == "Not Accepted"
        assert here.error()["detail"] == "after 2 rounds the evaluator still says: longer"
        assert len(here.found("AgentAnswer", agent="writer")) == 2


def test_the_best_may_do_though_a_later_one_is_worse() -> None:
    drafts = iter(["a b", "a b c", "a"])
    with team({"writer": lambda _: answered(next(drafts)), "judge": judge(9)}) as here:
        here.start(document(best_will_do=True), {"task": "write"})
        output = here.output()
        assert (output["output"], output["accepted"], output["score"]) == ("a b c", False, 3)


def test_a_person_may_take_the_best() -> None:
    person = Person({"managers": 1}, "Take the best draft", "it is short", "${ .before.best.draft }")
    with team({"writer": writer, "judge": judge(9)}) as here:
        here.start(document(rounds=1, person=person), {"task": "write"})
        here.decide()
        assert (here.output()["output"], here.output()["score"]) == ("short", None)


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team({"writer": writer, "judge": judge(2)}), document(), {"task": "write"}, every=2)


def test_an_evaluator_with_a_check_of_its_own_still_has_to_give_a_verdict() -> None:
    with team({"writer": says("draft"), "judge": says("looks good")}) as here:
        sure = Ask("judge", check=Check(confidence=0.5))
        here.start(refinement(Refinement(About("w"), Ask("writer"), sure)), {"task": "write"})
        assert here.error()["title"] == "Poor Answer"


def test_the_best_of_drafts_with_scores_and_without_is_kept_and_the_evaluators_stand_in_counts() -> None:
    scores = iter([{"accepted": False}, {"accepted": False, "score": 0.2}, {"accepted": False, "score": 0.1}])
    drafts = iter("abc")

    def broken(assignment: Assignment) -> Answer:
        raise AnswerError("busy")

    replies = {"writer": lambda _: answered(next(drafts)), "judge": broken, "second": lambda _: answered(next(scores))}
    with team(replies) as here:
        judges = Ask("judge", retries=0, fallback=("second",), timeout=60)
        made = refinement(Refinement(About("w"), Ask("writer"), judges, best_will_do=True))
        assert '"after": {"seconds": 60}' in dumps(made.body)
        here.start(made, {"task": "write"})
        assert (here.output()["output"], here.output()["score"]) == ("b", 0.2)


def test_no_person_is_asked_about_what_was_accepted() -> None:
    person = Person({"managers": 1}, "Take the best draft", "it is short", "${ .before.best.draft }")
    with team({"writer": writer, "judge": judge(1)}) as here:
        here.start(document(person=person), {"task": "write"})
        assert here.output()["output"] == "short"
        assert not here.found("Recommendation")


def verdicts(*given: Any) -> Any:
    """Drafts a, b, c and what is said of each."""
    said, drafts = iter(given), iter("abc")
    return {"writer": lambda _: answered(next(drafts)), "judge": lambda _: answered(next(said))}


def test_what_is_accepted_is_the_result_though_another_had_more_points() -> None:
    with team(verdicts({"accepted": False, "score": 9}, {"accepted": True, "score": 1})) as here:
        here.start(document(), {"task": "write"})
        assert (here.output()["output"], here.output()["score"]) == ("b", 1)


def test_of_drafts_with_as_many_points_or_none_the_first_is_kept() -> None:
    for more in ({"score": 2}, {}):
        with team(verdicts(*[{"accepted": False, **more}] * 3)) as here:
            here.start(document(best_will_do=True), {"task": "write"})
            assert here.output()["output"] == "a"


def test_the_evaluator_is_asked_what_its_settings_say_and_as_often() -> None:
    fails = iter([True])
    log: list[Assignment] = []

    def judged(assignment: Assignment) -> Answer:
        log.append(assignment)
        if next(fails, False):
            raise AnswerError("busy")
        return answered({"accepted": True})

    with team({"writer": writer, "judge": judged}) as here:
        settings = Refinement(About("refine"), Ask("writer"), Ask("judge", "Mind the grammar", retries=0))
        here.start(refinement(settings), {"task": "write"})
        assert (here.error()["title"], [one.text for one in log]) == ("No Answer", ["Mind the grammar"])
