"""Conditions and order of `find` as SQL over stored JSON, exact for every scalar type and equal to the oracle's order.

Invariant: one sort text per value, made alike in Python (`sort_text`) and SQL (`sort_sql`), whose byte order is the order of
values: the type's rank first, then the value. So equality, ranges, prefixes, cursors and expression indexes are one
comparison of texts, and a value of another type never matches. Decimals are scaled to integers, since a double cannot
hold the ends of the domain exactly.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from kg.errors import ShapeError, ValueDomainError
from kg.model import Op, Where
from kg.values import DECIMAL_PLACES, INTEGER_MAX, Money, Ref, Value, canonical, encode, instant

#: Makes every integer of the domain positive, so that 17 digits sort as the numbers do.
SHIFT: Final = INTEGER_MAX + 1
_MONEY, _TEXT, _REF, _LIST = "6", "7", "8", "9"
_UNUSABLE = re.compile(r'["\\\x00-\x1f]')
_LAST_CHARACTER = "\U0010ffff"


def _number(value: int) -> str:
    return f"{value + SHIFT:017d}"


def _scaled(value: Decimal) -> str:
    return _number(int(value.scaleb(DECIMAL_PLACES)))


_SORT_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda value: "01" if value else "00",
    int: lambda value: "1" + _number(value),
    Decimal: lambda value: "2" + _scaled(value),
    date: lambda value: "3" + value.isoformat(),
    datetime: lambda value: "4" + instant(value),
    timedelta: lambda value: "5" + _number(encode(value)["duration"]),
    Money: lambda value: _MONEY + value.currency + _scaled(value.amount),
    str: lambda value: _TEXT + value,
    Ref: lambda value: _REF + value,
}


def sort_text(value: Value) -> str:
    """The text whose byte order is the order of values; raises ValueDomainError outside the table of types."""
    form = encode(value)
    make = _SORT_TEXTS.get(type(value))
    return make(value) if make is not None else _LIST + canonical(form)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def path(name: str) -> str:
    """The SQL literal of the JSON path of a property."""
    if not name or _UNUSABLE.search(name):
        raise ShapeError(f"{name[:40]!r} cannot be the name of a property to search by")
    return _quoted(f'$."{name}"')


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
        f"CASE json_type({column}, {at}) WHEN 'text' THEN '{_TEXT}' || {value} WHEN 'integer' THEN '1' || {number} "
        f"WHEN 'true' THEN '01' WHEN 'false' THEN '00' WHEN 'array' THEN '{_LIST}' || {value} WHEN 'object' THEN CASE "
        f"WHEN {tagged('decimal')} IS NOT NULL THEN '2' || {_scaled_sql(tagged('decimal'))} "
        f"WHEN {tagged('instant')} IS NOT NULL THEN '4' || {tagged('instant')} "
        f"WHEN {tagged('date')} IS NOT NULL THEN '3' || {tagged('date')} "
        f"WHEN {tagged('money')} IS NOT NULL THEN '{_MONEY}' || {tagged('currency')} || {_scaled_sql(tagged('money'))} "
        f"WHEN {tagged('ref')} IS NOT NULL THEN '{_REF}' || {tagged('ref')} "
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
    if text[0] != _TEXT:
        clause.add("0")
        return
    clause.add(f"{key} >= ? AND {key} <= ?", text, text + _LAST_CHARACTER * 2)
    clause.add(f"substr({key}, 1, ?) = ?", len(text), text)


def _range(clause: Clause, key: str, text: str, op: Op) -> None:
    # Only values of the same type compare, and money only within its currency.
    same = text[:4] if text[0] == _MONEY else text[0]
    clause.add(f"{key} {_COMPARE[op]} ?", text)
    if op in (Op.LT, Op.LE):
        clause.add(f"{key} >= ?", same)
    else:
        clause.add(f"{key} < ?", _after(same))


def _after(text: str) -> str:
    return text[:-1] + chr(ord(text[-1]) + 1)
