"""Conflicts: two open proposals on one target whose operations do not go together; priority wins, then confidence, else a person.

Invariant: both stay on record; the loser is superseded with the reason in words and a relation conflictsWith. Pure: it compares
proposals that were read and says what should become of them; `settling` commits it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from coordination.proposals import Proposal

#: States in which a proposal has won already: its effect is under way.
_WON = frozenset({"approved", "applying"})


@dataclass(frozen=True, slots=True)
class Meeting:
    """What meeting its rivals means for a proposal.

    `beaten` are rivals that it supersedes and `by` the one that supersedes it, each with the reason; `undecided` are rivals of
    the same weight, so that a person has to choose.
    """

    beaten: tuple[tuple[Proposal, str], ...] = ()
    by: tuple[Proposal, str] | None = None
    undecided: tuple[Proposal, ...] = ()


def meet(one: Proposal, others: Sequence[Proposal]) -> Meeting:
    """Settle a proposal against the other open ones on its target."""
    beaten: list[tuple[Proposal, str]] = []
    undecided: list[Proposal] = []
    for other in others:
        if other.id == one.id or compatible(one, other):
            continue
        verdict, reason = _compare(one, other)
        if verdict < 0:
            return Meeting(by=(other, reason))
        if verdict > 0:
            beaten.append((other, reason))
        else:
            undecided.append(other)
    return Meeting(tuple(beaten), None, tuple(undecided))


def compatible(one: Proposal, other: Proposal) -> bool:
    """Whether two proposals may both go on: made by one act, or one of them says so; an undoing competes with nothing."""
    if one.text("work") == other.text("work"):
        return True
    # What is only simulated stands in nobody's way, and what undoes holds the versions that it rests on.
    if one.sandbox != other.sandbox or one.text("undoes") or other.text("undoes"):
        return True
    return other.text("operation") in one.texts("compatible") or one.text("operation") in other.texts("compatible")


def _compare(one: Proposal, other: Proposal) -> tuple[int, str]:
    """Above 0 where the first wins, below where the second does, 0 where a person chooses; and the reason."""
    if other.state in _WON:
        return -1, f"{_name(other)} is already {other.state}"
    if (one.text("agent"), one.text("operation")) == (other.text("agent"), other.text("operation")):
        return _renewed(one, other)
    if one.number("priority") != other.number("priority"):
        return _higher(one, other, one.number("priority") > other.number("priority"), "priority")
    if one.confidence != other.confidence:
        return _higher(one, other, one.confidence > other.confidence, "confidence")
    return 0, f"{_name(one)} and {_name(other)} have the same priority and confidence; a person decides"


def _renewed(one: Proposal, other: Proposal) -> tuple[int, str]:
    """An agent that proposes the same operation again: the same intent is a repetition, another one is news."""
    newer, older = (one, other) if _age(one) > _age(other) else (other, one)
    if one.text("intent") == other.text("intent"):
        return (1 if older is one else -1), f"{_name(older)} already asks for the same"
    return (1 if newer is one else -1), f"{_name(newer)} rests on newer facts"


def _age(proposal: Proposal) -> tuple[int, str]:
    """Order of knowledge: the position its context was pinned to; ties by id, so that every worker sees one order."""
    return proposal.number("contextPosition"), proposal.id


def _higher(one: Proposal, other: Proposal, first: bool, what: str) -> tuple[int, str]:
    winner, loser = (one, other) if first else (other, one)
    values = [p.number("priority") if what == "priority" else p.confidence for p in (winner, loser)]
    return (1 if first else -1), f"{_name(winner)} has the higher {what}, {values[0]} against {values[1]}"


def _name(proposal: Proposal) -> str:
    return f"{proposal.text('operation')} by {proposal.text('agent')} ({proposal.id})"
