"""Counting approvers, which Cedar cannot do: whether the people who approved fill the places that a requirement names.

Invariant: one person fills one place of a requirement, however many roles or identities it has. Does not know the proposer:
`governance.decide` leaves that one out first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from governance.verdict import Approved, Requirement

#: Places of one requirement, all roles together.
PLACES_MAX: Final = 20


def satisfied(requirement: Requirement, approvals: Sequence[Approved]) -> bool:
    """Whether distinct people with the right roles fill every place."""
    return not missing(requirement, approvals)


def missing(requirement: Requirement, approvals: Sequence[Approved]) -> dict[str, int]:
    """The places still open, by role; none where those fill theirs to whom it was escalated in time."""
    vacant = _vacant(requirement.approvers, approvals)
    late = [approval for approval in approvals if requirement.name in approval.escalated]
    return {} if vacant and requirement.escalate and not _vacant(requirement.escalate, late) else vacant


def _vacant(approvers: Mapping[str, int], approvals: Sequence[Approved]) -> dict[str, int]:
    """The places still open when the approvers are seated as well as possible (bipartite matching)."""
    roles_of = _roles(approvals)
    places = [role for role, count in sorted(approvers.items()) for _ in range(count)]
    seated: dict[str, int] = {}
    vacant: dict[str, int] = {}
    for place, role in enumerate(places):
        if not _seat(place, places, roles_of, seated, set()):
            vacant[role] = vacant.get(role, 0) + 1
    return vacant


def _roles(approvals: Sequence[Approved]) -> dict[str, frozenset[str]]:
    roles: dict[str, frozenset[str]] = {}
    for approval in approvals:
        # An agent that answers for a person brings no role that the person lacks.
        held = frozenset.intersection(*(link.roles for link in approval.by.chain()))
        who = approval.by.responsible()
        roles[who] = roles.get(who, frozenset()) | held
    # INVARIANT I5: what one person lends counts once, and not beside that person's own answer.
    used = set(roles)
    for approval in sorted(approvals, key=lambda approval: approval.id):
        for lender, lent in approval.lent:
            if lender not in used:
                used.add(lender)
                roles[approval.by.responsible()] |= lent
    return roles


def _seat(
    place: int, places: Sequence[str], roles_of: dict[str, frozenset[str]], seated: dict[str, int], tried: set[str]
) -> bool:
    """Seat somebody on a place, moving others where that helps (Kuhn's augmenting path; depth at most PLACES_MAX)."""
    for who, roles in sorted(roles_of.items()):
        if who in tried or places[place] not in roles:
            continue
        tried.add(who)
        if who not in seated or _seat(seated[who], places, roles_of, seated, tried):
            seated[who] = place
            return True
    return False


def merge(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """One requirement a name, in order of name, with the highest count of each role."""
    merged: dict[str, Requirement] = {}
    for item in requirements:
        known = merged.get(item.name)
        merged[item.name] = item if known is None else _both(known, item)
    return tuple(merged[name] for name in sorted(merged))


def _both(one: Requirement, other: Requirement) -> Requirement:
    """Both at once, which is the stricter: escalated only where both are, at the later time; the shorter time to answer."""
    escalate = _most(one.escalate, other.escalate) if one.escalate and other.escalate else {}
    times = [seconds for seconds in (one.expires, other.expires) if seconds]
    after = max(one.after, other.after) if escalate else 0
    return Requirement(one.name, _most(one.approvers, other.approvers), escalate, after, min(times, default=0))


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {role: max(one.get(role, 0), other.get(role, 0)) for role in {**one, **other}}
