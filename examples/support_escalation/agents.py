"""The desk's three agents: what a ticket is about, what is known about it, and the answer where an article has one."""

import re
from collections.abc import Iterator
from typing import cast

from agents.context import Context
from agents.reasoners.called import Called
from coordination.proposals import Draft
from kg.model import Direction, Entity, Op, Put, Where
from kg.values import Money, Value

WORDS = {
    "billing": ("charged", "invoice", "twice"),
    "login": ("password", "log in", "locked"),
    "outage": ("down", "outage", "nothing works"),
}


def classify(ticket: Entity, context: Context) -> Iterator[Draft]:
    """The topic with the most words in the text."""
    text = str(ticket["text"]).lower()
    counts = {
        topic: sum(re.search(rf"\b{word}s?\b", text) is not None for word in words) for topic, words in WORDS.items()
    }
    topic = max(counts, key=lambda name: counts[name]) if any(counts.values()) else "other"
    yield _said("ticket.classify", ticket, {"topic": topic}, f"{counts.get(topic, 0)} words of {topic}.", context)


def inform(ticket: Entity, context: Context) -> Iterator[Draft]:
    """The customer's tier and other open tickets; a premium customer, or a third open ticket, makes it urgent."""
    (customer,) = (edge.entity for edge in context.expand(ticket.id, "raisedBy"))
    others = [edge.entity for edge in context.expand(customer.id, "raisedBy", Direction.IN)]
    waiting = [other for other in others if other["status"] == "open"]
    urgent = len(waiting) > 2 or (customer["tier"] == "premium" and ticket["topic"] == "outage")
    known = f"{customer['tier']} customer with {len(waiting)} open tickets"
    yield _said("ticket.inform", ticket, {"known": known, "urgent": urgent}, known, context, customer, *waiting)


def resolve(ticket: Entity, context: Context) -> Iterator[Draft]:
    """The article's solution; where it gives money back, with the amount, so that rules can weigh it."""
    for article in context.find("Article", [Where("topic", Op.EQ, ticket["topic"])]):
        amount = cast(Money, ticket["charged"]) if article["refunds"] is True else None
        values: dict[str, Value] = {"status": "resolved", "answer": article["solution"]}
        yield _said("ticket.resolve", ticket, values, str(article["solution"]), context, article, amount=amount)


def _said(
    operation: str, ticket: Entity, values: dict[str, Value], why: str, context: Context, *known: Entity,
    amount: Money | None = None,
) -> Draft:  # fmt: skip
    writes = (Put(ticket.id, "Ticket", values),)
    evidence = context.evidence(ticket, *known)
    return Draft(operation, ticket.id, writes, rationale=why, evidence=evidence, amount=amount)


AGENTS = (
    Called("classifier", "support", ("ticket.classify",), classify),
    Called("context", "support", ("ticket.inform",), inform),
    Called("resolver", "support", ("ticket.resolve",), resolve),
)
