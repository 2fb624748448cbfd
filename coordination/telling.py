"""Telling: what a decision asks, in lines for a person, as that person may see it.

Invariants: of a proposal that repeats labelled values none of its words is told, whoever reads; each value is one line, so that it
writes no line and no header of its own. Sends and shows nothing itself.
"""

from datetime import datetime
from typing import Final

from kg.model import Direction, Entity
from kg.reader import Reader
from kg.values import Money, plain

#: Where the API shows what a link asks.
PATH: Final = "/answer"
#: Characters of one line.
LINE_MAX: Final = 300


def told(reader: Reader, decision: Entity) -> list[str]:
    """What is asked, in lines, as its reader may see it; of a proposal that repeats labelled values not its words."""
    edges = reader.expand([decision.id], "decidedBy", Direction.IN, first=1)[decision.id]
    lines = [
        f"{name}: {line(decision[key])}"
        for name, key in (
            ("What", "operation"), ("On", "targetClass"), ("Proposed by", "principal"), ("For", "onBehalfOf"),
            ("Amount", "amount"), ("Currency", "currency"), ("Needs", "required"), ("Until", "expires"),
        )
        if key in decision.properties
    ]  # fmt: skip
    for edge in edges:
        plain_words = not edge.entity.get("labels") and "rationale" not in edge.entity.masked
        if plain_words and edge.entity.get("rationale"):
            lines.append(f"Why: {line(edge.entity['rationale'])}")
    return lines


def line(value: object) -> str:
    """A value in one line of at most LINE_MAX characters."""
    if isinstance(value, tuple):
        return line("; ".join(map(str, value)))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    text = f"{plain(value.amount)} {value.currency}" if isinstance(value, Money) else str(value)
    # One line each, so that no value of the graph writes a line, or a header, of its own.
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return clean if len(clean) <= LINE_MAX else clean[: LINE_MAX - 1] + "…"
