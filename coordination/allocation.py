"""Allocation: which bidder gets which task, so that as many tasks as possible are given and they cost the least together.

Exact: the assignment problem by shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957, the O(n^2 m) form of Jonker and
Volgenant 1987), in whole numbers. The same bids give the same allocation, whatever their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from coordination.workflow.faults import fault
from kg.values import Json

#: Costs are compared in millionths.
UNIT: Final = 1_000_000
#: Tasks of one allocation, places (bidders times what each may take), and tasks squared times both, which is the work.
TASKS_MAX: Final = 100
PLACES_MAX: Final = 10_000
WORK_MAX: Final = 3_000_000
#: Characters of a number in a bid: more, or an exponent beyond this, is no amount that anybody asks.
DIGITS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Bid:
    """What an agent asks for a task: cost, confidence (over 0, to 1) that it gets it done, seconds it takes."""

    agent: str
    task: str
    cost: Fraction
    confidence: Fraction
    seconds: Fraction = Fraction(0)

    @property
    def expected(self) -> int:
        """What it costs until it is done, where each try costs the same and succeeds with the confidence: cost / confidence."""
        return round(self.cost / self.confidence * UNIT)


def assignment(costs: Sequence[Sequence[int]]) -> list[int]:
    """For each row its column, each column once, so that the sum of costs is least; needs as many columns as rows."""
    rows, columns = len(costs), len(costs[0]) if costs else 0
    if rows > columns:
        raise ValueError("an assignment needs at least as many columns as rows; add columns")
    # Row 0 and column 0 stand for none; `match[column]` is the row that has it.
    high, low = [0] * (rows + 1), [0] * (columns + 1)
    match = [0] * (columns + 1)
    for row in range(1, rows + 1):
        _augment(costs, row, high, low, match)
    found = [0] * rows
    for column in range(1, columns + 1):
        if match[column]:
            found[match[column] - 1] = column - 1
    return found


def _augment(costs: Sequence[Sequence[int]], row: int, high: list[int], low: list[int], match: list[int]) -> None:
    """Give one more row a column along the shortest path, and keep the potentials."""
    columns = len(low) - 1
    match[0] = row
    least: list[int | None] = [None] * (columns + 1)
    way = [0] * (columns + 1)
    used = [False] * (columns + 1)
    at = 0
    while match[at]:
        used[at] = True
        current, delta, next_ = match[at], None, 0
        for column in range(1, columns + 1):
            if used[column]:
                continue
            reduced = costs[current - 1][column - 1] - high[current] - low[column]
            known = least[column]
            if known is None or reduced < known:
                least[column], way[column] = reduced, at
                known = reduced
            if delta is None or known < delta:
                delta, next_ = known, column
        step = delta or 0
        for column in range(columns + 1):
            if used[column]:
                high[match[column]] += step
                low[column] -= step
            elif (known := least[column]) is not None:
                least[column] = known - step
        at = next_
    while at:
        match[at] = match[way[at]]
        at = way[at]


def allocated(
    tasks: Sequence[str], bids: Sequence[Bid], capacity: Mapping[str, int], default: int = 1
) -> dict[str, Bid]:
    """The bid that won each task; a task that nobody bid for, or that no place is left for, is not in it."""
    best: dict[tuple[str, str], Bid] = {}
    for bid in sorted(bids, key=lambda bid: (bid.expected, bid.seconds, bid.agent, bid.task)):
        best.setdefault((bid.task, bid.agent), bid)
    agents = sorted({bid.agent for bid in bids})
    places = [agent for agent in agents for _ in range(min(capacity.get(agent, default), len(tasks)))]
    order = sorted(tasks)
    work = len(order) ** 2 * (len(order) + len(places))
    if len(order) > TASKS_MAX or len(places) > PLACES_MAX or work > WORK_MAX:
        raise ValueError(
            f"{len(order)} tasks and {len(places)} places are too many for one auction ({TASKS_MAX} tasks, and the more tasks "
            "the fewer places); split it"
        )
    if not order:
        return {}
    # Dearer than all bids together: no saving is worth a task that is not given.
    none = sum(bid.expected for bid in best.values()) + 1
    costs = [
        [best[task, agent].expected if (task, agent) in best else none for agent in places] + [none] * len(order)
        for task in order
    ]
    chosen = assignment(costs)
    pairs = [(task, places[column]) for task, column in zip(order, chosen, strict=True) if column < len(places)]
    return {task: best[task, agent] for task, agent in pairs if (task, agent) in best}


def allocate(arguments: Mapping[str, Json]) -> Json:
    """`call: allocate` with `tasks` (objects with `id`, perhaps `deadline` seconds and `reserve`), `bids` and `capacity`.

    Gives ``{awards: [{task, agent, cost, confidence, seconds}], unassigned, refused: [{bid, why}]}``. A bid is refused that takes
    longer than the task's deadline, costs more than its reserve, or is no bid.
    """
    listed = list(arguments.get("tasks") or ())
    tasks = {str(task["id"]): task for task in listed if isinstance(task, Mapping) and "id" in task}
    if len(tasks) < len(listed):
        raise fault("validation", "tasks that are announced together have an `id` each, no two the same; rename one")
    for id, task in tasks.items():
        for name in ("deadline", "reserve"):
            _limit(id, name, task)
    capacity = {str(name): int(count) for name, count in dict(arguments.get("capacity") or {}).items()}
    default = int(arguments.get("each", 1))
    bids: list[Bid] = []
    refused: list[Json] = []
    for given in arguments.get("bids") or ():
        bid, why = _bid(given, tasks)
        if bid is None:
            refused.append({"bid": given, "why": why})
        else:
            bids.append(bid)
    try:
        won = allocated(list(tasks), bids, capacity, default)
    except ValueError as error:
        raise fault("validation", str(error)) from error
    awards: list[Json] = [
        {
            "task": id,
            "agent": won[id].agent,
            "cost": float(won[id].cost),
            "confidence": float(won[id].confidence),
            "seconds": float(won[id].seconds),
        }
        for id in tasks
        if id in won
    ]
    return {"awards": awards, "unassigned": [id for id in tasks if id not in won], "refused": refused}


def _limit(id: str, name: str, task: Mapping[str, Any]) -> Fraction | None:
    """What a task allows at most, None where it does not say."""
    if task.get(name) is None:
        return None
    try:
        return _number(task[name])
    except ValueError as error:
        raise fault(
            "validation", f"`{name}` of the task {id[:80]!r} is no number; correct it, or leave it out"
        ) from error


def _number(given: Any) -> Fraction:
    """An exact number; a text such as 1e999999999 would fill the memory."""
    text = str(given)
    exponent = text.lower().rpartition("e")[2] if "e" in text.lower() else "0"
    if isinstance(given, bool) or len(text) > DIGITS_MAX or abs(int(exponent)) > DIGITS_MAX:
        raise ValueError(f"{text[:DIGITS_MAX]} is no number that can be compared")
    return Fraction(text)


def _bid(given: Any, tasks: Mapping[str, Mapping[str, Any]]) -> tuple[Bid | None, str]:
    try:
        bid = Bid(
            str(given["agent"]), str(given["task"]), _number(given["cost"]), _number(given["confidence"]),
            _number(given.get("seconds", 0)),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        return None, "it lacks agent, task, cost or confidence, or a number in it cannot be compared"
    task = tasks.get(bid.task)
    if task is None:
        return None, "there is no such task"
    if bid.cost < 0 or not 0 < bid.confidence <= 1 or bid.seconds < 0:
        return None, "cost and seconds are 0 or more, confidence is over 0 and at most 1"
    longest, worth = (_limit(bid.task, name, task) for name in ("deadline", "reserve"))
    if longest is not None and bid.seconds > longest:
        return None, f"it takes {float(bid.seconds):g} seconds, the task has {task['deadline']}"
    if worth is not None and bid.cost > worth:
        return None, f"it costs {float(bid.cost):g}, the task is worth {task['reserve']}"
    return bid, ""
