"""Sound: whether the settings of a pattern can be meant: somebody takes part, counts are whole numbers within their bounds.

Invariant: what cannot be meant is refused when the document is made, in one sentence with the remedy; no run is spent on it. What
agents answer is checked where they are asked.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from coordination.errors import WorkflowError
from coordination.workflow.scope import Limits

#: Participants of one pattern: as many as a fork has branches.
PARTICIPANTS_MAX: Final = Limits().branches_max
#: Rounds, turns, reviews, retries and the like.
COUNT_MAX: Final = 1_000


def some(what: str, names: Sequence[object], most: int = PARTICIPANTS_MAX) -> None:
    """Refuse nobody, and more than a run can hold."""
    if not 1 <= len(names) <= most:
        raise WorkflowError(f"{what} are 1 to {most:,}, not {len(names):,}; name them")


def whole(what: str, value: object, least: int, most: int = COUNT_MAX) -> None:
    """Refuse what is no whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise WorkflowError(f"{what} is a whole number from {least:,} to {most:,}, not {str(value)[:40]}; correct it")


def quorum(value: object, participants: int) -> None:
    """Refuse a quorum that can never be reached."""
    whole("a quorum, of so many participants (0: all),", value, 0, participants)


def approvers(given: Mapping[str, int]) -> None:
    """Refuse a question that nobody could answer."""
    some("the roles of a person who decides", list(given))
    for role, count in given.items():
        whole(f"how many of the role {role[:80]!r} decide", count, 1)


def distinct(what: str, names: Sequence[str]) -> None:
    """Refuse a name that stands there twice."""
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise WorkflowError(f"{what} have different names, {twice[:80]!r} stands there twice; rename one")
