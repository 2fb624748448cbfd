"""Four agents that are asked and answer: who a lead is, what it is worth, what to write, what a reply means. None of them acts."""

import re
from decimal import Decimal
from typing import cast

from agents.context import Context
from agents.reasoners.asked import Asked
from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from kg.model import Entity

INDUSTRIES = {"manufacturing": 40, "logistics": 30}
#: Words by which a reply is read; the first kind with a word in it is meant.
WORDS = {
    "unsubscribe": ("unsubscribe", "stop writing", "remove me"),
    "not interested": ("not interested", "no thanks", "no need"),
    # "not interested" holds the word "interested" too.
    "interested": ("(?<!not )interested", "call me", "send an offer", "yes"),
}


def enrich(asked: Assignment, context: Context) -> Answer:
    """The company behind a lead, as the CRM knows it."""
    lead = _lead(asked, context)
    companies = [edge.entity for edge in context.expand(lead.id, "worksAt")]
    if not companies:
        raise AnswerError("no company is known for this lead; enter it in the CRM and start again")
    (company,) = companies
    profile = {"company": str(company["companyName"]), "industry": str(company["industry"])}
    return Answer(profile | {"employees": cast(int, company["employees"])}, context.evidence(lead, company))


def score(asked: Assignment, context: Context) -> Answer:
    """Points for industry and size, from 0 to 100, and why."""
    lead, profile = _lead(asked, context), asked.data["profile"]
    parts = {"industry": INDUSTRIES.get(profile["industry"], 10), "size": min(profile["employees"] // 5, 50)}
    why = ", ".join(f"{name} {points}" for name, points in parts.items())
    return Answer({"score": sum(parts.values()), "why": why}, context.evidence(lead))


def personalise(asked: Assignment, context: Context) -> Answer:
    """A first message about what the lead wants, or a shorter one that comes back to it."""
    lead, company = _lead(asked, context), asked.data["profile"]["company"]
    first = asked.data["attempt"] == 1
    subject = f"{lead['wants']} for {company}"
    says = "you asked about" if first else "I come back once to"
    text = f"Dear {lead['contact']},\n\n{says} {lead['wants']}. Shall we talk?\n\nTo hear no more from us, answer: unsubscribe.\n"
    return Answer({"subject": subject if first else f"Once more: {subject}", "text": text}, context.evidence(lead))


def read(asked: Assignment, context: Context) -> Answer:
    """What a reply means; unsure where several kinds of words stand in it, or none."""
    lead, text = _lead(asked, context), str(asked.data["reply"]).lower()
    found = [kind for kind, words in WORDS.items() if any(re.search(rf"\b{word}\b", text) for word in words)]
    sure = Decimal("0.9") if found[:1] == ["unsubscribe"] or len(found) == 1 else Decimal("0.3")
    return Answer({"meaning": found[0] if found else "interested"}, context.evidence(lead), sure)


def _lead(asked: Assignment, context: Context) -> Entity:
    found = context.get(asked.data["lead"])
    if found is None:
        raise AnswerError("the lead may not be seen; permit the agent to read it")
    return found


AGENTS = (
    Asked("enricher", "sales", enrich),
    Asked("scorer", "sales", score),
    Asked("writer", "sales", personalise),
    Asked("reader", "sales", read),
)
