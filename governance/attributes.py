"""Values of the scalar table as Cedar reads them in JSON, and the shape of each type in a Cedar schema.

Invariant: what cannot be said in Cedar without loss is refused (ValueDomainError), never rounded; an absent value is an absent
attribute. Instants and durations are Long milliseconds; money is its amount, with the currency in a second attribute.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from kg.errors import ValueDomainError
from kg.values import INTEGER_MAX, Json, Money, Ref, Value, decimal, plain

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

#: Scalar type -> its Cedar schema type.
SCHEMA_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "string": {"type": "String"},
    "integer": {"type": "Long"},
    "decimal": {"type": "Extension", "name": "decimal"},
    "boolean": {"type": "Boolean"},
    "date": {"type": "String"},
    "instant": {"type": "Long"},
    "duration": {"type": "Long"},
    "money": {"type": "Extension", "name": "decimal"},
    "reference": {"type": "String"},
}


def currency_attribute(name: str) -> str:
    """The attribute that holds the currency of a money property; beside ``amount`` it is ``currency``."""
    return "currency" if name == "amount" else f"{name}Currency"


def _decimal(value: Decimal) -> Json:
    text = plain(decimal(value))
    return {"__extn": {"fn": "decimal", "arg": text if "." in text else f"{text}.0"}}


def _integer(value: int) -> Json:
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise ValueDomainError(f"{value} is beyond ±(2^53 - 1); keep it as a string")
    return value


def milliseconds(value: datetime) -> int:
    """An instant as Cedar's Long: milliseconds since 1970, rounded down."""
    if value.tzinfo is None:
        raise ValueDomainError(f"{value.isoformat()} has no time zone; declare one")
    return (value - _EPOCH) // _MILLISECOND


_FORMS: Final[dict[type, Callable[[Any], Json]]] = {
    str: lambda value: value,
    Ref: str,
    int: _integer,
    bool: lambda value: value,
    Decimal: _decimal,
    date: lambda value: value.isoformat(),
    datetime: milliseconds,
    timedelta: lambda value: value // _MILLISECOND,
    Money: lambda value: _decimal(value.amount),
    tuple: lambda value: [form(item) for item in value],
    frozenset: lambda value: [form(item) for item in sorted(value)],
}


def form(value: Value) -> Json:
    """One value in Cedar's JSON; raises ValueDomainError for a type outside the table (a float, None)."""
    convert = _FORMS.get(type(value))
    if convert is None:
        raise ValueDomainError(f"a {type(value).__name__} has no form in Cedar; use a scalar type of the table")
    return convert(value)


def record(values: Mapping[str, Value], names: frozenset[str] | None = None) -> dict[str, Json]:
    """Named values as a Cedar record; `names` keeps only these attributes (a currency by its own name)."""
    attributes: dict[str, Json] = {}
    for name, value in values.items():
        if names is None or name in names:
            try:
                attributes[name] = form(value)
            except ValueDomainError:
                # The name only: the value may be personal, and errors are kept with the decision.
                raise ValueDomainError(
                    f"the value of {name!r} has no form in Cedar; give a scalar type of the table"
                ) from None
        if type(value) is Money:
            beside = currency_attribute(name)
            if names is None or beside in names:
                attributes[beside] = value.currency
    return attributes
