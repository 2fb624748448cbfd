"""The one table of scalar types: what a property may hold, in Python, JSON, SQL, Cedar, jq, GraphQL and XSD alike.

Invariant: `decode(encode(v)) == v` for every value in the domain, and the encoded form holds neither floats nor integers
beyond 2^53, so the C JSON encoder with sorted keys writes RFC 8785 bytes. Does not know which property has which type:
that is the ontology's part.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from json import encoder as encoding
from typing import Any

from kg.errors import ValueDomainError

#: The largest integer that every JSON reader, jq and RFC 8785 keep exactly (IEEE 754 double).
INTEGER_MAX = 2**53 - 1
#: Cedar's decimal type has four places.
DECIMAL_PLACES = 4
DECIMAL_MAX = Decimal(INTEGER_MAX).scaleb(-DECIMAL_PLACES)
#: Characters in one string property; larger texts belong in the payload store.
STRING_MAX = 1_000_000
LIST_MAX = 10_000
_QUANTUM = Decimal(1).scaleb(-DECIMAL_PLACES)
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_MICROSECOND = timedelta(microseconds=1)
#: Characters of an instant before its zone.
_INSTANT_LENGTH = 26


class Ref(str):
    """The id of another entity, held as a property value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount with at most four decimal places and its ISO 4217 currency code."""

    amount: Decimal
    currency: str


Scalar = str | int | Decimal | bool | date | datetime | timedelta | Money | Ref
Value = Scalar | tuple[Scalar, ...]
Json = Any


@dataclass(frozen=True, slots=True)
class ScalarType:
    """One row of the table: the name of a type and what it is called in each neighbouring language."""

    name: str
    python: type
    json: str
    xsd: str
    cedar: str
    graphql: str
    jq: str


SCALARS: tuple[ScalarType, ...] = (
    ScalarType("string", str, "string", "string", "String", "String", "string"),
    ScalarType("integer", int, "number", "integer", "Long", "Long", "number"),
    ScalarType("decimal", Decimal, '{"decimal": "1.5"}', "decimal", "decimal", "Decimal", "string"),
    ScalarType("boolean", bool, "boolean", "boolean", "Bool", "Boolean", "boolean"),
    ScalarType("date", date, '{"date": "2026-01-31"}', "date", "String", "Date", "string"),
    ScalarType(
        "instant", datetime, '{"instant": "2026-01-31T09:00:00.000000Z"}', "dateTime", "Long", "DateTime", "string"
    ),
    ScalarType("duration", timedelta, '{"duration": 1000000}', "dayTimeDuration", "Long", "Duration", "number"),
    ScalarType("money", Money, '{"currency": "EUR", "money": "1.5"}', "money", "decimal", "Money", "object"),
    ScalarType("reference", Ref, '{"ref": "01J…"}', "anyURI", "String", "ID", "string"),
    ScalarType("list", tuple, "array", "rdf:List", "Set", "list", "array"),
)


def plain(amount: Decimal) -> str:
    """The canonical text of a decimal: no exponent, no trailing zeros, no negative zero."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def decimal(value: Decimal) -> Decimal:
    """The value itself when it lies in the decimal domain; refuses NaN, infinities, a fifth place and overflow."""
    if not value.is_finite():
        raise ValueDomainError(f"{value} is not a finite number; leave the property out or give a number")
    if abs(value) > DECIMAL_MAX:
        raise ValueDomainError(f"{value} is beyond ±{DECIMAL_MAX}; give it in a larger unit")
    try:
        fits = value == value.quantize(_QUANTUM)
    except InvalidOperation:
        fits = False
    if not fits:
        raise ValueDomainError(f"{value} has more than {DECIMAL_PLACES} decimal places; round it in the mapping")
    return value


def _string(value: str) -> Json:
    if len(value) > STRING_MAX:
        raise ValueDomainError(
            f"a text of {len(value):,} characters exceeds {STRING_MAX:,}; store it outside and keep a link"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueDomainError("a text holds a broken character (lone surrogate); repair its encoding") from None
    if "\x00" in value:
        raise ValueDomainError("a text holds a NUL character; remove it")
    return value


def _integer(value: int) -> Json:
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise ValueDomainError(f"{value} is beyond ±(2^53 - 1); keep it as a string")
    return value


def instant(value: datetime) -> str:
    """The fixed-width UTC text of an instant, in microseconds, so that text order is time order."""
    if value.tzinfo is None:
        raise ValueDomainError(f"{value.isoformat()} has no time zone; declare one in the mapping")
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:_INSTANT_LENGTH] + "Z"


def _money(value: Money) -> Json:
    if not _CURRENCY.match(value.currency):
        raise ValueDomainError(f"{value.currency!r} is not a currency code; use three capital letters such as EUR")
    return {"currency": value.currency, "money": plain(decimal(value.amount))}


def _list(value: tuple[Scalar, ...]) -> Json:
    if len(value) > LIST_MAX:
        raise ValueDomainError(f"a list of {len(value):,} items exceeds {LIST_MAX:,}; make the items entities")
    if any(isinstance(item, tuple) for item in value):
        raise ValueDomainError("a list may not hold lists; make the inner items entities")
    return [encode(item) for item in value]


_ENCODERS: dict[type, Callable[[Any], Json]] = {
    str: _string,
    int: _integer,
    bool: lambda value: value,
    Decimal: lambda value: {"decimal": plain(decimal(value))},
    date: lambda value: {"date": value.isoformat()},
    datetime: lambda value: {"instant": instant(value)},
    timedelta: lambda value: {"duration": _integer(value // _MICROSECOND)},
    Money: _money,
    Ref: lambda value: {"ref": str(value)},
    tuple: _list,
    list: lambda value: _list(tuple(value)),
}


def encode(value: Value) -> Json:
    """The tagged JSON form of a value; raises ValueDomainError outside the table."""
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise ValueDomainError(
            f"a {type(value).__name__} is no scalar type; use one of {', '.join(s.name for s in SCALARS)}"
        )
    return encoder(value)


def decode(form: Json) -> Value:
    """The value of a tagged JSON form, as `encode` made it."""
    if type(form) is dict:
        return _decode_tagged(form)
    if type(form) is list:
        return tuple(decode(item) for item in form)  # type: ignore[misc]
    return form  # type: ignore[no-any-return]


def _decode_tagged(form: Mapping[str, Json]) -> Scalar:
    if "decimal" in form:
        return Decimal(form["decimal"])
    if "instant" in form:
        return datetime.fromisoformat(form["instant"])
    if "money" in form:
        return Money(Decimal(form["money"]), form["currency"])
    if "date" in form:
        return date.fromisoformat(form["date"])
    if "duration" in form:
        return timedelta(microseconds=form["duration"])
    if "ref" in form:
        return Ref(form["ref"])
    raise ValueDomainError(f"{json.dumps(form)[:80]} is not a stored value")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
# What `_ENCODER` makes anew at each call, which takes as long as a short text; absent outside CPython.
_make = getattr(encoding, "c_make_encoder", None)
_chunks = _make and _make(None, _ENCODER.default, encoding.encode_basestring, None, ":", ",", True, False, False)


def canonical(form: Json) -> str:
    """The canonical JSON text of an encoded form: RFC 8785 bytes when keys are ASCII and numbers are small integers."""
    return "".join(_chunks(form, 0)) if _chunks else _ENCODER.encode(form)


def encode_properties(properties: Mapping[str, Value]) -> dict[str, Json]:
    """The encoded form of each property; the error names the property."""
    encoded: dict[str, Json] = {}
    for name, value in properties.items():
        try:
            encoded[name] = _string(value) if type(value) is str else encode(value)
        except ValueDomainError as error:
            raise ValueDomainError(f"property {name!r}: {error}") from None
    return encoded


def decode_properties(encoded: Mapping[str, Json]) -> dict[str, Value]:
    """The values of encoded properties."""
    return {name: decode(form) for name, form in encoded.items()}
