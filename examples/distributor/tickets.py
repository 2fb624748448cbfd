"""Tickets: drafted with a matter and a team that can help, then numbered and written. Ordinary tickets name only delivered
orders, so that none of them is about a late one; most live tickets use wordings that no older ticket has.
"""

from __future__ import annotations

from datetime import datetime
from random import Random

from examples.distributor import names
from examples.distributor.clock import at, days, helpdesk_text
from examples.distributor.company import Client, Company, OrderDraft, TicketDraft
from examples.distributor.phrases import frame
from examples.distributor.systems.helpdesk import Ticket

ORDINARY_TICKETS = 2_080
LIVE_TICKETS = 120
STRANGER_SHARE = 0.03
# Now and then another team than the obvious one solved a ticket, and precedents must stand that.
ODD_SOLVER_SHARE = 0.03
REMARK_SHARE = 0.4
# Of the live tickets, so many are worded as no ticket was before; the others repeat a wording of the past.
FRESH_SHARE = 0.6
WAITING = "where_is_it"
ORDER_SPELLINGS = ("SO {n}", "SO{n}", "so-{n}", "SO #{n}", "SO-00{n}", "so {n}")
MAIL_HOSTS = ("mail.example", "post.example")


def draft_tickets(company: Company) -> None:
    """Draft the ordinary tickets of the past and the ordinary ones of the live phase."""
    chance = company.chance("tickets")
    delivered: dict[str, list[OrderDraft]] = {}
    for past in company.orders:
        if past.status == "delivered":
            delivered.setdefault(past.client.account.account_id, []).append(past)
    cases = [(team, intent) for team, intents in frame.TEAMS.items() for intent in intents]
    for index in range(ORDINARY_TICKETS + LIVE_TICKETS):
        live = index >= ORDINARY_TICKETS
        client = None if chance.random() < STRANGER_SHARE else chance.choice(company.clients)
        order = chance.choice(delivered[client.account.account_id]) if client else None
        team, intent = cases[index % len(cases)]
        when = company.day if live else company.day - days(chance.randint(1, 240))
        created = at(when, chance.randint(8, 17), chance.randint(0, 59))
        solver = chance.choice(list(frame.TEAMS)) if chance.random() < ODD_SOLVER_SHARE else team
        status = "open" if live or (company.day - when < days(4)) else chance.choice(("solved", "closed"))
        shown = None if live else solver
        company.tickets.append(TicketDraft(client, created, team, intent, status, shown, order, live))


def waiting_ticket(
    client: Client, created: datetime, order: OrderDraft, status: str = "open", live: bool = False
) -> TicketDraft:
    """Draft a ticket of a customer who waits for an order."""
    return TicketDraft(client, created, "logistics", WAITING, status, None if live else "logistics", order, live)


def number_tickets(company: Company) -> None:
    """Number all drafted tickets in the order they came in, live ones last."""
    company.tickets.sort(key=lambda draft: (draft.live, draft.created, draft.intent))
    for number, draft in enumerate(company.tickets, 1):
        draft.number = number


def write_ticket(company: Company, chance: Random, draft: TicketDraft) -> Ticket:
    """Put a drafted ticket into words."""
    known, fresh = frame.TEAMS[draft.solver][draft.intent]
    product = chance.choice(draft.order.lines)[0] if draft.order else chance.choice(company.erp.products)
    number = draft.order.number if draft.order else chance.randint(90_000, 99_999)
    spelled = chance.choice(ORDER_SPELLINGS).format(n=number)
    words = {"o": spelled, "p": product.description.split(",")[0]}
    # A waiting customer always names the order, be it in the subject.
    wordings = fresh if draft.live and chance.random() < FRESH_SHARE else known
    matter = chance.choice(wordings).format(**words)
    subject = chance.choice(frame.SUBJECTS).format(**words)
    if draft.intent == WAITING and spelled not in matter:
        subject = f"{subject} {spelled}" if spelled not in subject else subject
    parts = [
        chance.choice(frame.GREETINGS),
        matter,
        chance.choice(frame.REMARKS) if chance.random() < REMARK_SHARE else "",
    ]
    parts.append(chance.choice(frame.CLOSINGS))
    guess = frame.LIKELY_CATEGORY[draft.solver] if chance.random() < 0.55 else chance.choice(frame.CATEGORIES)
    sku = product.product_no.replace("-", "").lower() if chance.random() < 0.4 else None
    return Ticket(
        ticket_id=draft.ticket_id,
        created_at=helpdesk_text(draft.created),
        requester_email=_requester(chance, draft.client),
        subject=subject,
        body=" ".join(part for part in parts if part),
        product_sku=sku,
        category=guess,
        team=draft.team,
        status=draft.status,
    )


def _requester(chance: Random, client: Client | None) -> str:
    """Spell the e-mail address of somebody at the customer, the domain in any case."""
    name = f"{chance.choice(names.GIVEN_NAMES)}.{chance.choice(names.FAMILY_NAMES)}".lower()
    for umlaut, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        name = name.replace(umlaut, plain)
    if client is None:
        return f"{name}@{chance.choice(MAIL_HOSTS)}"
    domain = client.account.domain
    return f"{name}@{chance.choice((domain, domain, domain.upper(), domain.title()))}"
