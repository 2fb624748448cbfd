"""Lanes: the queue in which a message travels, by the department of the agent it is for and the class of its priority.

Invariant: the lane only says who is asked when; what happens to the work is the same in every lane, so a lane nobody serves costs
time and no work. Work that belongs to no agent travels in the general lane. Knows no broker.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from coordination.acting import AgentCard
from coordination.errors import LaneError

#: The lane of what belongs to no agent, and the first part of every other's name.
GENERAL: Final = "noesis"
#: The word for the general lane where lanes are chosen.
GENERAL_NAME: Final = "general"
HIGH, NORMAL, LOW = "high", "normal", "low"
#: The order in which a free thread takes what waits in its process: the smaller number first.
PRIORITIES: Final[Mapping[str, int]] = {HIGH: 0, NORMAL: 10, LOW: 20}
#: Characters of a department in the name of a lane.
NAME_MAX: Final = 100


def of(card: AgentCard | None) -> str:
    """The lane of an agent's work: ``noesis.sales``, or ``noesis.sales.high`` where its priority is above 0 (low: below)."""
    if card is None:
        return GENERAL
    priority = HIGH if card.priority > 0 else LOW if card.priority < 0 else NORMAL
    department = f".{_slug(card.department)}" if card.department else ""
    return f"{GENERAL}{department}" + ("" if priority == NORMAL else f".{priority}")


def priority(lane: str) -> str:
    """The priority class of a lane."""
    last = lane.rpartition(".")[2]
    # A department of such a name is written with a mark by `_slug`.
    return last if last in (HIGH, LOW) else NORMAL


def every(cards: Iterable[AgentCard]) -> tuple[str, ...]:
    """The lanes of these agents and the general one, in order."""
    return tuple(sorted({GENERAL, *map(of, cards)}))


def chosen(lanes: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The lanes that these names choose: a department (all its lanes), one lane (``sales.high``), or ``general``."""
    found: set[str] = set()
    for name in names:
        wanted = name.strip()
        department = GENERAL if wanted in (GENERAL_NAME, GENERAL) else f"{GENERAL}.{_slug(wanted.partition('.')[0])}"
        exact = f"{department}.{wanted.partition('.')[2]}" if "." in wanted else department
        mine = {lane for lane in lanes if lane == exact or (exact == department and _department(lane) == department)}
        if not mine:
            known = ", ".join(shown(lane) for lane in lanes)
            raise LaneError(f"there is no queue {name!r}; the agents of this project use {known}")
        found |= mine
    return tuple(sorted(found))


def shown(lane: str) -> str:
    """A lane as people name it."""
    return GENERAL_NAME if lane == GENERAL else lane.removeprefix(f"{GENERAL}.")


def _department(lane: str) -> str:
    parts = lane.split(".")
    return ".".join(parts[:-1] if parts[-1] in (HIGH, LOW) else parts)


def _slug(department: str) -> str:
    """A department as part of a queue's name: two that differ in signs alone share a queue."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", department.lower()).strip("-")[:NAME_MAX] or "other"
    return f"{slug}-" if slug in (HIGH, LOW, NORMAL, GENERAL_NAME) else slug
