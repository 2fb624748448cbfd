"""The GraphQL side of the table of scalar types: how each value is written in an answer and read from a question.

Invariant: what a scalar serialises, it also parses back to the same value; nothing passes through a float. `Value` is the
plain JSON of any value, for places where the type is not known beforehand (history, search, why).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NewType

import strawberry
from graphql import FloatValueNode, GraphQLError, IntValueNode, StringValueNode, ValueNode
from strawberry.types.scalar import ScalarDefinition

from kg.errors import ValueDomainError
from kg.values import INTEGER_MAX, Json, Money, Value, decimal, encode, instant, plain

Long = NewType("Long", int)
Position = NewType("Position", int)
DecimalText = NewType("DecimalText", Decimal)
DateText = NewType("DateText", date)
DateTimeText = NewType("DateTimeText", datetime)
DurationText = NewType("DurationText", timedelta)
JSON = NewType("JSON", object)

_DURATION = re.compile(
    r"(?P<sign>-)?P(?=[\dT])(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,12})(?:\.(?P<part>\d{1,6}))?S)?)?\Z"
)


def duration_text(value: timedelta) -> str:
    """The xsd:dayTimeDuration text of a duration, e.g. ``P1DT2H3M4.5S``."""
    micro = value // timedelta(microseconds=1)
    sign, micro = ("-", -micro) if micro < 0 else ("", micro)
    seconds, part = divmod(micro, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{part:06d}".rstrip("0") if part else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    time += f"{seconds}{fraction}S" if seconds or part else ""
    text = (f"{days}D" if days else "") + (f"T{time}" if time else "")
    return f"{sign}P{text or 'T0S'}"


def duration(text: str) -> timedelta:
    """The duration of an xsd:dayTimeDuration text."""
    found = _DURATION.match(text)
    if found is None:
        raise ValueDomainError(f"{text!r} is no duration; write days and times such as P1DT2H30M")
    try:
        value = timedelta(
            days=int(found["days"] or 0),
            hours=int(found["hours"] or 0),
            minutes=int(found["minutes"] or 0),
            seconds=int(found["seconds"] or 0),
            microseconds=int((found["part"] or "").ljust(6, "0")),
        )
    except OverflowError:
        raise ValueDomainError(f"{text!r} is longer than a duration may be; give it in years as an integer") from None
    return -value if found["sign"] else value


def _integer(low: int, name: str) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= INTEGER_MAX:
            raise GraphQLError(f"{value!r} is no {name}; give a whole number from {low} to {INTEGER_MAX}")
        return value

    return parse


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise GraphQLError(f'{value!r} is no Decimal; give it as text such as "12.50", since JSON numbers lose digits')
    try:
        return decimal(Decimal(value))
    except InvalidOperation:
        raise GraphQLError(f'{value!r} is no Decimal; give it as text such as "12.50"') from None
    except ValueDomainError as error:
        raise GraphQLError(str(error)) from None


def _decimal_literal(node: ValueNode, _variables: Any = None) -> Decimal:
    if isinstance(node, IntValueNode | FloatValueNode | StringValueNode):
        return _decimal(node.value)
    raise GraphQLError('a Decimal is written as a number or as text such as "12.50"')


def _text(name: str, example: str, parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise GraphQLError(f'{value!r} is no {name}; write it as text such as "{example}"')
        try:
            return parse(value)
        except (ValueError, OverflowError, ValueDomainError):
            raise GraphQLError(f'{value!r} is no {name}; write it as text such as "{example}"') from None

    return read


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueDomainError("no time zone")
    return value.astimezone(UTC)


def plain_json(value: Value) -> Json:
    """A value as JSON that a person reads: decimals, dates and durations as text, money as an object."""
    if isinstance(value, tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, Money):
        return {"amount": plain(value.amount), "currency": value.currency}
    if isinstance(value, timedelta):
        return duration_text(value)
    form = encode(value)
    return next(iter(form.values())) if isinstance(form, dict) else form


#: Scalar type of the ontology -> reads its plain JSON; raises GraphQLError.
PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": _integer(-INTEGER_MAX, "Long"),
    "decimal": _decimal,
    "date": _text("Date", "2026-01-31", date.fromisoformat),
    "instant": _text("DateTime", "2026-01-31T09:00:00Z", _instant),
    "duration": _text("Duration", "P1DT2H30M", duration),
}


def _scalar(
    name: str, description: str, serialize: Any, parse_value: Any, parse_literal: Any = None
) -> ScalarDefinition:
    return strawberry.scalar(
        name=name,
        description=description,
        serialize=serialize,
        parse_value=parse_value,
        parse_literal=parse_literal,
    )


def scalar_map() -> Mapping[object, ScalarDefinition]:
    """The scalar definitions of one schema, by the Python name that annotations use."""
    return {
        Long: _scalar("Long", "A whole number within ±(2^53 - 1).", int, PARSERS["integer"]),
        Position: _scalar("Position", "A position of the change log, counted from 1.", int, _integer(0, "Position")),
        DecimalText: _scalar(
            "Decimal", "A decimal number with at most four places, as text.", plain, _decimal, _decimal_literal
        ),
        DateText: _scalar(
            "Date", "A day, 2026-01-31.", date.isoformat, _text("Date", "2026-01-31", date.fromisoformat)
        ),
        DateTimeText: _scalar(
            "DateTime",
            "An instant with its time zone, answered in UTC.",
            instant,
            PARSERS["instant"],
        ),
        DurationText: _scalar("Duration", "Days and times, P1DT2H30M.", duration_text, PARSERS["duration"]),
        JSON: _scalar("JSON", "Any JSON value.", lambda value: value, lambda value: value),
    }


#: Scalar type of the ontology -> what annotations use for one value (Money is an object type, added by its module).
ANNOTATIONS: Mapping[str, Any] = {
    "string": str,
    "integer": Long,
    "decimal": DecimalText,
    "boolean": bool,
    "date": DateText,
    "instant": DateTimeText,
    "duration": DurationText,
    "reference": strawberry.ID,
}
