"""Four agents that are asked and answer: two ways to read a contract, what the graph knows of it, where it leaves the standard."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import cast

from agents.context import Context
from agents.reasoners.asked import Asked
from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from kg.model import Entity, Op, Where
from kg.values import Json, Money

DAY = r"\d{4}-\d{2}-\d{2}"
TERMS = ("party", "start", "end", "fee")
#: How prose says it, and how a form says it: the first group is the value, the whole match its span.
PROSE = {
    "party": r"and ([^.\n]+)\.\nIt runs", "start": rf"runs from ({DAY})", "end": rf"to ({DAY})",
    "fee": r"fee is ([\d,]+\.\d\d) EUR",
    "payment": r"payable within (\d+ days)", "liability": r"Liability is ([^.\n]+)", "notice": r"Notice is given (\d+ days)",
}  # fmt: skip
LINES = {
    "party": r"^Party: (.+)$", "start": rf"^Start: ({DAY})$", "end": rf"^End: ({DAY})$", "fee": r"^Fee: EUR ([\d,]+\.\d\d)$",
    "payment": r"^Payment: (.+)$", "liability": r"^Liability: (.+)$", "notice": r"^Notice: (.+)$",
}  # fmt: skip


def reading(patterns: Mapping[str, str]) -> Callable[[Assignment, Context], Answer]:
    """A reader of one kind of text; the more it finds, the surer it is."""

    def read(asked: Assignment, context: Context) -> Answer:
        contract = _contract(asked, context)
        found: dict[str, Json] = {}
        for name, pattern in patterns.items():
            match = re.search(pattern, str(contract["text"]), re.MULTILINE)
            if match:
                found[name] = {
                    "value": match[1].replace(",", "") if name == "fee" else match[1],
                    "from": match.start(),
                    "to": match.end(),
                }
        terms = {name: item for name, item in found.items() if name in TERMS}
        clauses = {name: item for name, item in found.items() if name not in TERMS}
        sure = Decimal(len(found)) / Decimal(len(patterns))
        return Answer({"terms": terms, "clauses": clauses}, context.evidence(contract), round(sure, 2))

    return read


def compare(asked: Assignment, context: Context) -> Answer:
    """Whether the graph knows the counterparty, and another contract that says the same."""
    contract, terms = _contract(asked, context), asked.data["reading"]["terms"]
    name = terms["party"]["value"]
    parties = context.find("Counterparty", [Where("partyName", Op.EQ, name)], first=2)
    says = _same(terms["start"]["value"], terms["end"]["value"], terms["fee"]["value"])
    others = context.find("Contract", [Where("counterparty", Op.EQ, name)])
    same = [
        other
        for other in others
        if other.id != contract.id
        and _same(other["startsOn"], other["endsOn"], cast(Money, other["worth"]).amount) == says
    ]
    party = parties[0] if len(parties) == 1 else None
    answer: dict[str, Json] = {"known": party is not None, "party": party.id if party else "", "duplicateOf": ""}
    if same:
        answer["duplicateOf"] = str(same[0]["contractNo"])
    return Answer(answer, context.evidence(contract, *parties, *same))


def review(asked: Assignment, context: Context) -> Answer:
    """Where the clauses leave the standard: missing, longer than we grant, or with a word that we never sign."""
    contract, clauses = _contract(asked, context), asked.data["reading"]["clauses"]
    standard = context.find("StandardClause")
    found = [said for clause in standard if (said := _deviation(clause, clauses.get(clause["kind"])))]
    return Answer({"deviations": found, "risk": "high" if found else "low"}, context.evidence(contract, *standard))


def _deviation(standard: Entity, clause: Mapping[str, Json] | None) -> str:
    if clause is None:
        return f"no clause on {standard['kind']}"
    text, most, never = str(clause["value"]), standard.get("mostDays"), standard.get("never")
    days = re.search(r"\d+", text)
    if most is not None and (days is None or int(days[0]) > int(str(most))):
        return f"{standard['kind']}: {text}, we grant {most} days"
    return f"{standard['kind']}: {text}" if never and str(never) in text.lower() else ""


def _same(start: object, end: object, fee: object) -> tuple[str, str, Decimal]:
    return str(start), str(end), Decimal(str(fee))


def _contract(asked: Assignment, context: Context) -> Entity:
    found = context.get(asked.data["contract"])
    if found is None:
        raise AnswerError("the contract may not be seen; permit the agent to read it")
    return found


AGENTS = (
    Asked("extractor", "legal", reading(PROSE)),
    Asked("form-extractor", "legal", reading(LINES)),
    Asked("comparer", "legal", compare),
    Asked("clause-reviewer", "legal", review),
)
