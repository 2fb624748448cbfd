"""Conflicts: two open proposals on one target whose operations do not go together. The policy of the two says by which steps it is
settled: priority, confidence, vote, merge; what no step decides, a person does.

Invariant: both stay on record; the loser is superseded with the reason in words and a relation conflictsWith. Pure: it compares
proposals that were read and says what should become of them; `settling` commits it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from coordination import merging
from coordination.policies import Policy
from coordination.proposals import Proposal

#: States in which a proposal has won already: its effect is under way.
_WON = frozenset({"approved", "applying"})
#: Which policy settles two operations that meet.
Between = Callable[[str, str], Policy]
#: The agents behind each intent.
Votes = Mapping[str, Set[str]]
_MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Loss:
    """A rival that loses, why, and whether what it wanted may be remembered as refused."""

    rival: Proposal
    reason: str
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Meeting:
    """What meeting its rivals means for a proposal.

    `beaten` are rivals that it supersedes and `by` the one that supersedes it, each with the reason; `merged` are rivals that
    become one new proposal with it; `undecided` are rivals of the same weight, so that a person has to choose.
    """

    beaten: tuple[Loss, ...] = ()
    by: Loss | None = None
    undecided: tuple[Proposal, ...] = ()
    merged: tuple[Proposal, ...] = ()

    @property
    def met(self) -> tuple[Proposal, ...]:
        """Every rival that counts in it."""
        losses = (*self.beaten, *((self.by,) if self.by is not None else ()))
        return (*(loss.rival for loss in losses), *self.undecided, *self.merged)


def plain(one: str, other: str) -> Policy:
    """The policy of installations that declare none."""
    del one, other
    return Policy()


def meet(one: Proposal, others: Sequence[Proposal], between: Between = plain) -> Meeting:
    """Settle a proposal against the other open ones on its target."""
    rivals = sorted((other for other in others if other.id != one.id and not compatible(one, other)), key=_strength)
    votes = _votes([one, *rivals])
    beaten: list[Loss] = []
    undecided: list[Proposal] = []
    mergeable: list[Proposal] = []
    for other in rivals:
        verdict, reason, final = _compare(one, other, between(one.text("operation"), other.text("operation")), votes)
        if verdict < 0:
            return Meeting(by=Loss(other, reason, final))
        if verdict > 0:
            beaten.append(Loss(other, reason, final))
        elif reason == _MERGE and merging.fits([one, *mergeable], other):
            mergeable.append(other)
        else:
            undecided.append(other)
    if mergeable and not undecided:
        return Meeting(tuple(beaten), merged=tuple(mergeable))
    return Meeting(tuple(beaten), None, (*undecided, *mergeable))


def compatible(one: Proposal, other: Proposal) -> bool:
    """Whether two proposals may both go on: made by one act, or one of them says so; an undoing competes with nothing."""
    if one.text("work") == other.text("work"):
        return True
    # What is only simulated stands in nobody's way, and what undoes holds the versions that it rests on.
    if one.sandbox != other.sandbox or one.text("undoes") or other.text("undoes"):
        return True
    return other.text("operation") in one.texts("compatible") or one.text("operation") in other.texts("compatible")


def needs_all(policies: Sequence[Policy]) -> bool:
    """Whether each rival has to be asked about, because each may have a voice or a part."""
    return any(step in policy.steps for policy in policies for step in ("vote", _MERGE))


def _strength(proposal: Proposal) -> tuple[bool, int, float, str]:
    """The strongest first, so that what loses meets whom it loses to at once."""
    return proposal.state not in _WON, -proposal.number("priority"), -float(proposal.confidence), proposal.id


def _votes(proposals: Sequence[Proposal]) -> Votes:
    found: dict[str, set[str]] = defaultdict(set)
    for proposal in proposals:
        found[proposal.text("intent")] |= {proposal.text("agent"), *proposal.texts("partners")}
    return found


def _compare(one: Proposal, other: Proposal, policy: Policy, votes: Votes) -> tuple[int, str, bool]:
    """Above 0 where the first wins, below where the second does, 0 where a person chooses; the reason; whether it is final."""
    if other.state in _WON:
        return -1, f"{_name(other)} is already {other.state}", False
    same = (one.text("agent"), one.text("operation")) == (other.text("agent"), other.text("operation"))
    if same and not one.texts("partners") and not other.texts("partners"):
        verdict, reason = _renewed(one, other)
        return verdict, reason, False
    for step in policy.steps:
        if step == _MERGE and merging.fits([one], other):
            return 0, _MERGE, False
        verdict, reason, final = _step(step, one, other, policy, votes)
        if verdict:
            return verdict, reason, final
    return 0, f"{_name(one)} and {_name(other)} weigh the same; a person decides", False


def _step(step: str, one: Proposal, other: Proposal, policy: Policy, votes: Votes) -> tuple[int, str, bool]:
    if step == "priority" and one.number("priority") != other.number("priority"):
        return _higher(one, other, one.number("priority") > other.number("priority"), "priority")
    if step == "confidence" and one.confidence != other.confidence:
        return _higher(one, other, one.confidence > other.confidence, "confidence")
    return _voted(one, other, policy, votes) if step == "vote" else (0, "", False)


def _voted(one: Proposal, other: Proposal, policy: Policy, votes: Votes) -> tuple[int, str, bool]:
    """By the number of agents behind each intent; of two that want the same, the one that is settled first stands for both."""
    if one.text("intent") == other.text("intent"):
        return 1, f"{_name(one)} asks for the same and stands for both", False
    mine, theirs = len(votes[one.text("intent")]), len(votes[other.text("intent")])
    if mine == theirs or max(mine, theirs) < policy.quorum:
        return 0, "", False
    winner, ahead, behind = (one, mine, theirs) if mine > theirs else (other, theirs, mine)
    return (1 if winner is one else -1), f"{_name(winner)} has more agents behind it, {ahead} against {behind}", True


def _renewed(one: Proposal, other: Proposal) -> tuple[int, str]:
    """An agent that proposes the same operation again: the same intent is a repetition, another one is news."""
    newer, older = (one, other) if _age(one) > _age(other) else (other, one)
    if one.text("intent") == other.text("intent"):
        return (1 if older is one else -1), f"{_name(older)} already asks for the same"
    return (1 if newer is one else -1), f"{_name(newer)} rests on newer facts"


def _age(proposal: Proposal) -> tuple[int, str]:
    """Order of knowledge: the position its context was pinned to; ties by id, so that every worker sees one order."""
    return proposal.number("contextPosition"), proposal.id


def _higher(one: Proposal, other: Proposal, first: bool, what: str) -> tuple[int, str, bool]:
    winner, loser = (one, other) if first else (other, one)
    values = [p.number("priority") if what == "priority" else p.confidence for p in (winner, loser)]
    # Who asks for the same is not refused: what it wants happens.
    final = one.text("intent") != other.text("intent")
    return (1 if first else -1), f"{_name(winner)} has the higher {what}, {values[0]} against {values[1]}", final


def _name(proposal: Proposal) -> str:
    return f"{proposal.text('operation')} by {proposal.text('agent')} ({proposal.id})"
