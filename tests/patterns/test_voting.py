"""Vote: what wins follows from the ballots alone; a tie goes to whoever is named, and a vote for no option counts for nobody."""

from itertools import permutations
from typing import Any

import pytest

from coordination.acting import Assignment
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, Person
from coordination.patterns.voting import Rule, Vote, vote
from tests.patterns.team import answered, asked, same_after_crashes, says, team

OPTIONS = ("grant", "refuse", "ask")


def ballot(choice: str, confidence: str = "0.9") -> Any:
    return says({"choice": choice}, confidence)


def document(count: int, **more: Any) -> Any:
    voters = tuple(Ask(f"voter-{n}", retries=0) for n in range(count))
    return vote(Vote(About("vote"), voters, OPTIONS, **more))


def held(ballots: list[Any], **more: Any) -> Any:
    with team({f"voter-{n}": reply for n, reply in enumerate(ballots)}) as here:
        here.start(document(len(ballots), **more), {"task": "credit for c-1"})
        return here.output() if here.state() == "completed" else here.error()


def test_the_majority_wins_whoever_votes_first() -> None:
    for order in permutations(["grant", "grant", "refuse"]):
        output = held([ballot(choice) for choice in order])
        assert output["choice"] == "grant"
        assert output["tally"] == [
            {"choice": "grant", "votes": 2, "weight": 2}, {"choice": "refuse", "votes": 1, "weight": 1}
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "choices", "won"),
    [
        ("plurality", ["grant", "grant", "refuse", "ask", "ask", "grant", "refuse"], "grant"),
        ("majority", ["grant", "grant", "refuse", "ask"], None),
        ("majority", ["grant", "grant", "grant", "refuse"], "grant"),
        ("two-thirds", ["grant", "grant", "refuse"], "grant"),
        ("two-thirds", ["grant", "grant", "grant", "refuse", "refuse"], None),
        ("unanimous", ["grant", "grant"], "grant"),
        ("unanimous", ["grant", "ask"], None),
        ("unanimous", ["grant"] * 10 + ["ask"], None),
        ("unanimous", ["grant"], "grant"),
        ("plurality", ["grant", "ask"], None),
    ],
)
def test_rules(rule: Rule, choices: list[str], won: str | None) -> None:
    output = held([ballot(choice) for choice in choices], rule=rule)
    if won is None:
        assert output["title"] == "No Majority"
    else:
        assert output["choice"] == won


def test_weighted_by_confidence() -> None:
    assert (
        held([ballot("grant", "0.3"), ballot("grant", "0.3"), ballot("refuse", "0.9")], weighted=True)["choice"]
        == "refuse"
    )


def test_a_vote_for_no_option_counts_for_nobody() -> None:
    output = held([ballot("grant"), ballot("maybe"), ballot("grant")], quorum=2)
    assert output["choice"] == "grant"
    assert [item["agent"] for item in output["failed"]] == ["voter-1"]
    assert held([ballot("grant"), ballot("maybe")])["title"] == "No Quorum"


def test_a_tie_is_broken_by_who_is_named() -> None:
    ballots = {"voter-0": ballot("grant"), "voter-1": ballot("refuse")}
    with team({**ballots, "chair": says({"choice": "ask"})}) as here:
        here.start(document(2, tie_breaker=Ask("chair")), {"task": "credit"})
        assert here.output()["choice"] == "ask"
    person = Person({"managers": 1}, "Refuse", "a good customer may be lost", "refuse", ("grant",))
    with team(ballots) as here:
        here.start(document(2, person=person), {"task": "credit"})
        assert here.decide()["rationale"] == "no option won: grant 1, refuse 1"
        assert here.output()["choice"] == "refuse"


def test_the_same_after_a_crash_at_any_commit() -> None:
    ballots = {"voter-0": ballot("grant"), "voter-1": ballot("refuse"), "chair": lambda _: answered({"choice": "ask"})}
    same_after_crashes(lambda: team(ballots), document(2, tie_breaker=Ask("chair")), {"task": "credit"}, every=2)


def test_a_tie_of_sureness_is_a_tie_however_it_is_added_up() -> None:
    """0.1 and 0.2 are 0.30000000000000004 to a computer."""
    sure = {"a": says({"choice": "x"}, "0.1"), "b": says({"choice": "x"}, "0.2"), "c": says({"choice": "y"}, "0.3")}
    with team(sure) as here:
        here.start(vote(Vote(About("w"), tuple(map(Ask, sure)), ("x", "y"), "plurality", weighted=True)), {"task": "t"})
        assert here.error()["detail"] == "no option won: x 0.3, y 0.3"


def test_two_thirds_are_reached_by_two_of_three_and_votes_without_weight_elect_nobody() -> None:
    voters = {"a": "x", "b": "x", "c": "y"}
    with team({name: says({"choice": choice}) for name, choice in voters.items()}) as here:
        here.start(vote(Vote(About("w"), tuple(map(Ask, voters)), ("x", "y"), "two-thirds")), {"task": "t"})
        assert here.output()["choice"] == "x"
    with team({"a": says({"choice": "x"}, "0")}) as here:
        here.start(vote(Vote(About("w"), (Ask("a"),), ("x",), "plurality", weighted=True)), {"task": "t"})
        assert here.error()["title"] == "No Majority"


def test_who_breaks_a_tie_chooses_among_the_options_and_is_held_to_its_check() -> None:
    replies = {"a": says({"choice": "x"}), "b": says({"choice": "y"})}
    settings = Vote(About("w"), (Ask("a"), Ask("b")), ("x", "y"), tie_breaker=Ask("j", check=Check(confidence=0.8)))
    for said, sure, why in (("z", "1", "'z' is not one of"), ("x", "0.5", "confidence is 0.5")):
        with team({**replies, "j": says({"choice": said}, sure)}) as here:
            here.start(vote(settings), {"task": "t"})
            assert why in here.error()["detail"]


def test_votes_without_weight_elect_nobody_by_any_rule() -> None:
    for rule in ("plurality", "two-thirds", "unanimous"):
        assert held([ballot("grant", "0")], rule=rule, weighted=True)["title"] == "No Majority"


def test_who_breaks_a_tie_is_told_that_nobody_won() -> None:
    log: list[Assignment] = []
    ballots = {"voter-0": ballot("grant"), "voter-1": ballot("refuse")}
    with team({**ballots, "chair": asked(log, says({"choice": "ask"}))}) as here:
        here.start(document(2, tie_breaker=Ask("chair")), {"task": "credit"})
        assert [one.text for one in log] == ["No option won; choose one: credit"]


def test_who_stands_in_for_the_tie_breaker_is_asked_the_same() -> None:
    log: list[Assignment] = []
    replies = {"voter-0": ballot("grant"), "voter-1": ballot("refuse"), "chair": says("hm")}
    with team({**replies, "deputy": asked(log, says({"choice": "ask"}))}) as here:
        here.start(document(2, tie_breaker=Ask("chair", fallback=("deputy",))), {"task": "credit"})
        assert (here.output()["choice"], log[0].text) == ("ask", "No option won; choose one: credit")
