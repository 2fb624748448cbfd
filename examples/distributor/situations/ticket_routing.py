"""Ticket routing. Every live ticket waits for a team; the truth is the team whose matter it was written from. Only the wording
tells it, and most live wordings are new, so precedents must be found by meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from examples.distributor.company import Company
from examples.distributor.live import event
from examples.distributor.tickets import write_ticket
from examples.distributor.truth import Expected, Situation

KIND = "ticket_routing"


def write_all(company: Company) -> None:
    """Write the tickets of the base load, and as events those that arrive live."""
    chance = company.chance("wording")
    for draft in company.tickets:
        ticket = write_ticket(company, chance, draft)
        if draft.live:
            company.live.append(event(draft.created, "helpdesk.helpdesk", "insert", "ticket_id", asdict(ticket)))
        else:
            company.helpdesk.tickets.append(ticket)


def reveal(company: Company) -> Iterator[Situation]:
    """Tell the right team of every live ticket."""
    for draft in company.tickets:
        if draft.live:
            keys = {"ticket": draft.ticket_id}
            params = {"team": draft.solver}
            expected = Expected("ticket-router", "route", draft.ticket_id, params=params)
            yield Situation(f"S-ROUTE-{draft.number:05d}", KIND, draft.intent, "live", keys, expected, ("helpdesk",))
