"""Conditions and orders as Cypher: comparisons of the sort texts that each version carries under `~<name>`.

Invariant: names are quoted and refused where they cannot be spelt safely; values travel as parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kg.errors import InputError, ValueDomainError
from kg.model import Cursor, Op, Where
from kg.stores.keys import TEXT, same_kind, searchable, sort_text
from kg.stores.neo4j_queries import quoted
from kg.stores.neo4j_show import KEY_MAX
from kg.stores.neo4j_show import key as short

_COMPARE: Final = {Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}


@dataclass(slots=True)
class Clause:
    """Cypher conditions joined by AND, with their parameters by name."""

    terms: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, term: str, *values: Any) -> None:
        """One more condition; each `?` becomes a parameter."""
        for value in values:
            name = f"w{len(self.values)}"
            self.values[name] = value
            term = term.replace("?", f"${name}", 1)
        self.terms.append(term)

    @property
    def text(self) -> str:
        """The conditions as one expression."""
        return " AND ".join(self.terms) or "true"


def column(name: str) -> str:
    """The property of a version that holds a property's sort text."""
    return f"v.{quoted('~' + searchable(name))}"


def conditions(where: Sequence[Where]) -> Clause:
    """The conditions of a find or expand."""
    clause = Clause()
    for one in where:
        _condition(clause, one, column(one.property))
    return clause


def _condition(clause: Clause, where: Where, key: str) -> None:
    if where.op in (Op.PRESENT, Op.ABSENT):
        clause.add(f"{key} IS {'NOT ' if where.op is Op.PRESENT else ''}NULL")
        return
    value = where.value
    if value is None:
        raise ValueDomainError(f"a condition {where.op} on {where.property!r} needs a value")
    if where.op is Op.IN:
        if not isinstance(value, tuple | list):
            raise ValueDomainError(f"a condition in on {where.property!r} needs a list of values")
        clause.add(f"{key} IN ?", [short(sort_text(item)) for item in value])
        return
    text = sort_text(value)
    if where.op is Op.EQ:
        clause.add(f"{key} = ?", short(text))
    elif where.op is Op.PREFIX:
        if len(text) > KEY_MAX:
            raise InputError(f"a prefix of more than {KEY_MAX - 1} characters is not searched for; shorten it")
        clause.add(f"{key} STARTS WITH ?" if text[0] == TEXT else "false", *([text] if text[0] == TEXT else []))
    elif isinstance(value, bool | tuple | list):
        clause.add("false")
    else:
        start, end = same_kind(text)
        clause.add(f"{key} {_COMPARE[where.op]} ?", short(text))
        if where.op in (Op.LT, Op.LE):
            clause.add(f"{key} >= ?", start)
        else:
            clause.add(f"{key} < ?", end)


def beyond(clause: Clause, key: str | None, descending: bool, after: Cursor | None, absent: bool) -> bool:
    """Add what lies after a cursor among the items with the property (or, with `absent`, without); False where none can."""
    sign = "<" if descending else ">"
    if key is not None:
        clause.add(f"{key} IS NULL" if absent else f"{key} IS NOT NULL")
    if after is None:
        return True
    if key is None or (absent and after.value is None):
        clause.add(f"v.subject {sign} ?", after.id)
        return True
    if absent or after.value is None:
        return absent
    text = short(sort_text(after.value))
    clause.add(f"({key} {sign} ? OR ({key} = ? AND v.subject {sign} ?))", text, text, after.id)
    return True


def classes(names: Sequence[str]) -> tuple[str, Mapping[str, Any]]:
    """The condition on the class: equality where there is one, so that an index gives the order as well."""
    if len(names) == 1:
        return "v.cls = $cls", {"cls": names[0]}
    return "v.cls IN $cls", {"cls": list(names)}
