"""Ticket router: the team that solved similar tickets gets a waiting one.

Precedents are found by meaning and words; each votes for the team that solved it, weighted by how near it came. The confidence
is the share of the votes, and the precedents that voted for the choice are its evidence. What the requester guessed as
category is not used: it is often wrong.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Put
from kg.search import Hit

ROUTE = "ticket.route"
#: Precedents that vote, and hits asked for to find so many among tickets that still wait.
PRECEDENTS = 20
HITS = 30
#: Precedents named in the rationale.
NAMED = 3


def _waits(ticket: Entity) -> bool:
    return ticket.get("status") == "open" and not {"team", "assignedTeam"} & ticket.properties.keys()


@dataclass(frozen=True, slots=True)
class TicketRouter:
    """Works for support; reads support."""

    name: str = "ticket-router"
    version: str = "1.0"
    department: str = "support"
    capabilities: tuple[str, ...] = (ROUTE,)
    priority: int = 5
    wakes: tuple[Wake, ...] = (
        Wake("Ticket", properties=("status", "team", "subject", "body"), condition=lambda _, now: _waits(now)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Route a waiting ticket by its precedents; none where there are none."""
        del change
        if not _waits(entity):
            return ()
        # The body says what it is about; subjects are mostly "Please help".
        hits = context.search(str(entity.get("body") or entity.get("subject", "")), ("Ticket",), HITS)
        precedents = [hit for hit in hits if hit.entity.id != entity.id and "team" in hit.entity.properties]
        precedents = precedents[:PRECEDENTS]
        return (_draft(entity, precedents, context),) if precedents else ()


def vote(precedents: Sequence[Hit]) -> tuple[str, Decimal, tuple[str, ...]]:
    """The team with the highest sum of scores, its share of all, and the other teams in order; ties go by name."""
    votes: defaultdict[str, float] = defaultdict(float)
    for hit in precedents:
        votes[str(hit.entity["team"])] += hit.score
    first, *others = sorted(votes, key=lambda team: (-votes[team], team))
    share = Decimal(votes[first] / sum(votes.values())).quantize(Decimal("0.0001"))
    return first, share, tuple(others)


def _draft(ticket: Entity, precedents: Sequence[Hit], context: Context) -> Draft:
    team, share, others = vote(precedents)
    agreeing = [hit.entity for hit in precedents if hit.entity["team"] == team]
    named = ", ".join(str(precedent["ticketId"]) for precedent in agreeing[:NAMED])
    return Draft(
        ROUTE,
        ticket.id,
        (Put(ticket.id, "Ticket", {"assignedTeam": team}),),
        rationale=(
            f"{len(agreeing)} of the {len(precedents)} tickets most like {ticket['ticketId']} were solved by {team}, "
            f"nearest {named}: {share:.0%} of the votes."
        ),
        evidence=context.evidence(ticket, *agreeing),
        confidence=share,
        alternatives=others,
    )
