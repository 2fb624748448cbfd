"""Allocation: optimal against trying every possibility, on fixtures and on random bids; ties fall the same way."""

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from coordination.allocation import Bid, allocate, allocated, assignment
from coordination.workflow.faults import Fault


def cheapest(costs: Sequence[Sequence[int]]) -> int:
    """By trying everything."""
    rows, columns = len(costs), len(costs[0])
    return min(
        sum(costs[row][column] for row, column in enumerate(choice)) for choice in permutations(range(columns), rows)
    )


@pytest.mark.parametrize(
    ("costs", "total"),
    [
        ([[7]], 7),
        ([[4, 1, 3], [2, 0, 5], [3, 2, 2]], 5),
        ([[9, 2, 7, 8], [6, 4, 3, 7], [5, 8, 1, 8], [7, 6, 9, 4]], 13),
        ([[1, 2], [1, 9]], 3),
        ([[10, 5, 1]], 1),
        ([[0, 0], [0, 0]], 0),
        ([[5, -3], [-4, 2]], -7),
    ],
)
def test_fixtures(costs: list[list[int]], total: int) -> None:
    chosen = assignment(costs)
    assert len(set(chosen)) == len(costs)
    assert sum(row[column] for row, column in zip(costs, chosen, strict=True)) == total == cheapest(costs)


def test_random_costs_against_trying_everything() -> None:
    dice = random.Random(1)
    for _ in range(400):
        rows = dice.randint(1, 5)
        columns = dice.randint(rows, 6)
        costs = [[dice.randint(0, 20) for _ in range(columns)] for _ in range(rows)]
        chosen = assignment(costs)
        assert len(set(chosen)) == rows
        assert sum(costs[row][column] for row, column in enumerate(chosen)) == cheapest(costs)


def test_more_rows_than_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="at least as many columns"):
        assignment([[1], [2]])


def bid(agent: str, task: str, cost: float, confidence: str = "1", seconds: int = 0) -> Bid:
    return Bid(agent, task, Fraction(str(cost)), Fraction(confidence), Fraction(seconds))


def best(tasks: list[str], bids: list[Bid], each: int) -> tuple[int, int]:
    """Most tasks given, then least cost, by trying every way to give each task to a bidder or to nobody."""
    found = (0, 0)
    ways: list[list[Bid]] = [[]]
    for task in tasks:
        ways = [[*way, offer] for way in ways for offer in bids if offer.task == task] + ways
    for way in ways:
        agents = [offer.agent for offer in way]
        if all(agents.count(agent) <= each for agent in agents):
            found = max(found, (len(way), -sum(offer.expected for offer in way)))
    return found[0], -found[1]


def test_random_bids_against_trying_everything() -> None:
    dice = random.Random(2)
    for _ in range(200):
        tasks = [f"t{n}" for n in range(dice.randint(1, 4))]
        agents = [f"a{n}" for n in range(dice.randint(1, 4))]
        each = dice.randint(1, 2)
        bids = [
            bid(agent, task, dice.randint(0, 9), str(dice.choice(["0.5", "0.8", "1"])))
            for agent in agents
            for task in tasks
            if dice.random() < 0.6
        ]
        won = allocated(tasks, bids, {}, each)
        assert (len(won), sum(offer.expected for offer in won.values())) == best(tasks, bids, each)
        shuffled = bids[:]
        dice.shuffle(shuffled)
        assert allocated(tasks[::-1], shuffled, {}, each) == won, "the order of bids decides nothing"


def test_greed_would_pay_more() -> None:
    """The cheapest bid of all is not taken: with it the other task would cost 100."""
    won = allocated(["a", "b"], [bid("x", "a", 1), bid("x", "b", 2), bid("y", "a", 3), bid("y", "b", 100)], {})
    assert {task: offer.agent for task, offer in won.items()} == {"a": "y", "b": "x"}


def test_confidence_counts_as_cost() -> None:
    won = allocated(["a"], [bid("cheap", "a", 5, "0.25"), bid("sure", "a", 10)], {})
    assert won["a"].agent == "sure"


def test_capacity_and_what_is_left_over() -> None:
    bids = [bid("x", task, 1) for task in "abc"]
    assert len(allocated(list("abc"), bids, {})) == 1
    assert len(allocated(list("abc"), bids, {"x": 2})) == 2
    assert allocated(["d"], bids, {}) == {}
    assert allocated([], [], {}) == {}


def test_bids_that_break_the_rules_are_refused_with_the_reason() -> None:
    tasks: Any = [{"id": "a", "deadline": 10, "reserve": 5}]
    good = {"agent": "x", "task": "a", "cost": 5, "confidence": 0.5, "seconds": 10}
    wrong = [
        {**good, "seconds": 11}, {**good, "cost": 6}, {**good, "confidence": 0}, {**good, "confidence": 1.1},
        {**good, "cost": -1}, {**good, "task": "b"}, {**good, "cost": "much"}, {"agent": "x"}, "nothing",
        {**good, "cost": float("inf")},
    ]  # fmt: skip
    given: Any = allocate({"tasks": tasks, "bids": [*wrong, good]})
    assert given["awards"] == [{"task": "a", "agent": "x", "cost": 5.0, "confidence": 0.5, "seconds": 10.0}]
    assert len(given["refused"]) == len(wrong)
    assert given["refused"][0]["why"] == "it takes 11 seconds, the task has 10"
    assert given["refused"][1]["why"] == "it costs 6, the task is worth 5"


def test_an_auction_is_bounded() -> None:
    with pytest.raises(ValueError, match="split it"):
        allocated([f"t{n}" for n in range(101)], [bid("x", "t1", 1)], {})


def test_a_thousand_bidders_for_one_task_are_one_auction() -> None:
    won = allocated(["t"], [bid(f"a{n}", "t", 1 + n % 7) for n in range(1_000)], {})
    assert won["t"].agent == "a0"
    with pytest.raises(ValueError, match="split"):
        allocated([f"t{n}" for n in range(100)], [bid(f"a{n}", "t1", 1) for n in range(1_000)], {})


def test_numbers_that_nobody_means_are_refused_and_fill_no_memory() -> None:
    tasks: Any = [{"id": "a", "reserve": None}]
    bids: Any = [
        {"agent": "x", "task": "a", "cost": cost, "confidence": 1} for cost in ("1e999999999", True, "9" * 41, 2)
    ]
    given: Any = allocate({"tasks": tasks, "bids": bids})
    assert [award["cost"] for award in given["awards"]] == [2.0]
    assert {refused["why"] for refused in given["refused"]} == {
        "it lacks agent, task, cost or confidence, or a number in it cannot be compared"
    }


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([{"id": "a"}, {"id": "a"}], "no two the same"),
        ([{"name": "a"}], "have an `id` each"),
        ([{"id": "a", "deadline": "soon"}], "`deadline` of the task 'a' is no number"),
    ],
)
def test_tasks_that_cannot_be_told_apart_or_bounded_are_one_clear_sentence(tasks: Any, said: str) -> None:
    with pytest.raises(Fault, match=said):
        allocate({"tasks": tasks, "bids": []})
