"""Turns what a source gives into values of kg.values, by the declared type of the property.

Invariant: a value is converted exactly or refused with a reason; only a float, which is no exact decimal, is rounded to four
places, and anything where the mapping says `round`. Dates and times are read by kg.ingest.moments.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from kg.ingest import moments
from kg.ingest.unfit import Unfit, shown
from kg.values import DECIMAL_PLACES, STRING_MAX, Money, Ref, Scalar, Value, plain

Converter = Callable[[Any], Scalar]
_BOOLEANS = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}\Z")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?\Z")


@dataclass(frozen=True, slots=True)
class Options:
    """How the values of one property are read; `zone` is that of times without one."""

    round: int | None = None
    format: str | None = None
    unit: str | None = None
    zone: tzinfo | None = None


def absent(value: Any) -> bool:
    """Whether a raw value means that there is none."""
    return value is None or (type(value) is str and not value.strip())


def text(value: Any) -> str:
    """A text; numbers and dates are written out, bytes read as UTF-8."""
    found = value if type(value) is str else _WRITERS.get(type(value), _other_text)(value)
    if len(found) > STRING_MAX:
        raise Unfit(f"is a text of {len(found):,} characters; at most {STRING_MAX:,} fit, so keep it outside")
    if "\x00" in found:
        raise Unfit("holds a NUL character; remove it")
    if not found.isascii():
        try:
            found.encode()
        except UnicodeEncodeError:
            raise Unfit("holds a broken character; repair its encoding") from None
    return str(found)


def _other_text(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        raise Unfit("is an object or a list, not one value; pick a part of it with jq")
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unfit("is binary data, not a text; leave the column out") from None


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        raise Unfit(f"{value} is not a finite number; leave it empty or give a number")
    return str(int(value)) if value.is_integer() else repr(value)


_WRITERS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    float: _float_text,
    Decimal: plain,
    bytes: _bytes_text,
}


def integer(value: Any) -> int:
    """A whole number; a float or decimal only where nothing is lost."""
    if type(value) is int:
        return value
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, str) and _INTEGER.match(value.strip()):
        return int(value)
    raise Unfit(f"{shown(value)} is no whole number; correct it or declare another type")


def decimal(options: Options) -> Callable[[Any], Decimal]:
    """A reader of exact decimals: four places, or `round`."""
    places = DECIMAL_PLACES if options.round is None else options.round
    quantum = Decimal(1).scaleb(-places)

    def read(value: Any) -> Decimal:
        exact = _number(value, options.format)
        if not exact.is_finite():
            raise Unfit(f"{value} is not a finite number; leave it empty or give a number")
        try:
            rounded = exact.quantize(quantum, rounding=ROUND_HALF_EVEN)
        except InvalidOperation:
            raise Unfit(f"{shown(value)} is too large; give it in a larger unit") from None
        if rounded != exact and options.round is None and not isinstance(value, float):
            raise Unfit(f"{shown(value)} has more than {DECIMAL_PLACES} decimal places; declare `round`")
        return rounded

    return read


def _number(value: Any, style: str | None) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str):
        plain_text = value.strip()
        if style is not None:
            point = "," if style.rfind(",") > style.rfind(".") else "."
            plain_text = plain_text.replace("." if point == "," else ",", "").replace(" ", "").replace(point, ".")
        if _DECIMAL.match(plain_text):
            return Decimal(plain_text)
        if plain_text.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            return Decimal("NaN")
    raise Unfit(f"{shown(value)} is no number; correct it, or declare `format` where it has a decimal comma")


def boolean(value: Any) -> bool:
    """True or false, also as 1/0, yes/no, t/f."""
    if type(value) is bool:
        return value
    found = _BOOLEANS.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise Unfit(f"{shown(value)} is neither true nor false; map it with jq")
    return found


def money(options: Options) -> Converter:
    """A reader of money from an object of amount and currency, which the mapping's `currency` makes of a plain number."""
    amount = decimal(options)

    def read(value: Any) -> Money:
        if not isinstance(value, dict):
            raise Unfit("has no currency; declare `currency: EUR` or a column")
        if not {"amount", "currency"} <= set(value):
            raise Unfit("is an object without amount and currency; pick the amount with jq")
        code = str(value["currency"] or "").strip().upper()
        if not _CURRENCY.match(code):
            raise Unfit(f"has no currency code ({shown(code)}); declare `currency: EUR` or a column")
        return Money(amount(value["amount"]), code)

    return read


def converter(kind: str, options: Options) -> Converter:
    """The reader of one scalar type."""
    readers: dict[str, Callable[[], Converter]] = {
        "string": lambda: text,
        "integer": lambda: integer,
        "boolean": lambda: boolean,
        "reference": lambda: lambda value: Ref(text(value).strip()),
        "decimal": lambda: decimal(options),
        "money": lambda: money(options),
        "date": lambda: moments.day(options.format, options.zone),
        "instant": lambda: moments.instant(options.format, options.zone),
        "duration": lambda: moments.duration(options.unit),
    }
    return readers[kind]()


def listed(item: Converter, split: str | None) -> Callable[[Any], Value | None]:
    """A reader of lists: a JSON array, or a text cut at `split`; an empty list is no value."""

    def read(value: Any) -> Value | None:
        parts = value
        if isinstance(value, str):
            parts = value.split(split) if split else [value]
        elif not isinstance(value, list | tuple):
            parts = [value]
        found = tuple(item(part.strip() if isinstance(part, str) else part) for part in parts if not absent(part))
        return found or None

    return read
