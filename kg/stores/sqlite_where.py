"""Conditions and orders as SQL: sort texts made in SQL as `keys.sort_text` makes them in Python.

Invariant: both give the same text, so that one comparison of texts answers every condition and one expression index serves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kg.errors import ValueDomainError
from kg.model import Op, Where
from kg.stores.keys import LAST_CHARACTER, LIST, MONEY, REF, SHIFT, TEXT, same_kind, searchable, sort_text
from kg.values import DECIMAL_PLACES, canonical


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def path(name: str) -> str:
    """The SQL literal of the JSON path of a property."""
    return _quoted(f'$."{searchable(name)}"')


def _scaled_sql(text: str) -> str:
    places = f"CASE instr({text}, '.') WHEN 0 THEN 0 ELSE length({text}) - instr({text}, '.') END"
    digits = f"replace({text}, '.', '') || substr('{'0' * DECIMAL_PLACES}', 1 + {places})"
    return f"printf('%017d', CAST({digits} AS INTEGER) + {SHIFT})"


def _sort_column(column: str, name: str) -> str:
    at = path(name)

    def tagged(tag: str) -> str:
        return f"json_extract({column}, {at[:-1]}.{tag}')"

    value = f"json_extract({column}, {at})"
    number = f"printf('%017d', {value} + {SHIFT})"
    return (
        f"CASE json_type({column}, {at}) WHEN 'text' THEN '{TEXT}' || {value} WHEN 'integer' THEN '1' || {number} "
        f"WHEN 'true' THEN '01' WHEN 'false' THEN '00' WHEN 'array' THEN '{LIST}' || {value} WHEN 'object' THEN CASE "
        f"WHEN {tagged('decimal')} IS NOT NULL THEN '2' || {_scaled_sql(tagged('decimal'))} "
        f"WHEN {tagged('instant')} IS NOT NULL THEN '4' || {tagged('instant')} "
        f"WHEN {tagged('date')} IS NOT NULL THEN '3' || {tagged('date')} "
        f"WHEN {tagged('money')} IS NOT NULL THEN '{MONEY}' || {tagged('currency')} || {_scaled_sql(tagged('money'))} "
        f"WHEN {tagged('ref')} IS NOT NULL THEN '{REF}' || {tagged('ref')} "
        f"ELSE '5' || printf('%017d', {tagged('duration')} + {SHIFT}) END END"
    )


def sort_sql(name: str, alias: str = "") -> str:
    """The SQL expression of a property's sort text, NULL where absent; personal properties lie in their own column."""
    return f"coalesce({_sort_column(f'{alias}props', name)}, {_sort_column(f'{alias}personal', name)})"


@dataclass(slots=True)
class Clause:
    """SQL conditions joined by AND, with their parameters in order."""

    terms: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, term: str, *values: Any) -> None:
        """One more condition."""
        self.terms.append(term)
        self.values += values

    @property
    def sql(self) -> str:
        """The conditions as one expression."""
        return " AND ".join(self.terms) or "1"


_COMPARE: Final = {Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}


def conditions(where: Sequence[Where], alias: str = "") -> Clause:
    """The conditions of a find or expand."""
    clause = Clause()
    for one in where:
        _condition(clause, one, sort_sql(one.property, alias))
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
        clause.add(f"{key} IN (SELECT value FROM json_each(?))", canonical([sort_text(item) for item in value]))
        return
    text = sort_text(value)
    if where.op is Op.EQ:
        clause.add(f"{key} = ?", text)
    elif where.op is Op.PREFIX:
        _prefix(clause, key, text)
    elif isinstance(value, bool | tuple | list):
        clause.add("0")
    else:
        _range(clause, key, text, where.op)


def _prefix(clause: Clause, key: str, text: str) -> None:
    if text[0] != TEXT:
        clause.add("0")
        return
    clause.add(f"{key} >= ? AND {key} <= ?", text, text + LAST_CHARACTER * 2)
    clause.add(f"substr({key}, 1, ?) = ?", len(text), text)


def _range(clause: Clause, key: str, text: str, op: Op) -> None:
    start, end = same_kind(text)
    clause.add(f"{key} {_COMPARE[op]} ?", text)
    if op in (Op.LT, Op.LE):
        clause.add(f"{key} >= ?", start)
    else:
        clause.add(f"{key} < ?", end)
