"""Conditions: the typed `where`, `orderBy` and `key` inputs of each class, and how they become kg conditions.

Invariant: an input that GraphQL accepted becomes exactly the conditions written in it; a null is refused rather than dropped,
because a dropped condition would answer with more than was asked for.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import strawberry
from strawberry import UNSET

from api.errors import BadRequestError
from api.graphql.ids import entity_id
from api.graphql.rows import PREFIX
from api.graphql.scalars import DateText, DateTimeText, DecimalText, DurationText, Long
from kg.model import Op, Order, Where
from kg.ontology.classes import Class
from kg.ontology.names import graphql_field, graphql_type
from kg.values import Money, Ref, Scalar

#: Values in one `in` list.
IN_MAX = 500


@strawberry.input(name="MoneyInput", description="An amount and its ISO 4217 currency.")
class MoneyInput:
    amount: DecimalText
    currency: str

    def value(self) -> Money:
        """The money it says."""
        return Money(Decimal(self.amount), self.currency)


@strawberry.enum(name="Direction", description="Which end of an order comes first.")
class Sense(enum.Enum):
    ASC = "asc"
    DESC = "desc"


def _filter(name: str, of: Any, *ops: str) -> type:
    """A filter input with the operators of one scalar type."""
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for op in ops:
        body["__annotations__"][f"{op}_"] = (list[of] if op == "in" else of) | None
        body[f"{op}_"] = strawberry.field(name=op, default=UNSET)
    body["__annotations__"]["present_"] = bool | None
    body["present_"] = strawberry.field(
        name="present", default=UNSET, description="true: it has a value; false: it has none"
    )
    return strawberry.input(type(name, (), body), name=name, description="All that are given must hold.")


_RANGE = ("eq", "in", "lt", "le", "gt", "ge")


def filters() -> dict[str, type]:
    """Scalar type -> its filter input; ``list`` for properties with many values."""
    return {
        "string": _filter("StringFilter", str, "eq", "in", "prefix"),
        "integer": _filter("LongFilter", Long, *_RANGE),
        "decimal": _filter("DecimalFilter", DecimalText, *_RANGE),
        "boolean": _filter("BooleanFilter", bool, "eq"),
        "date": _filter("DateFilter", DateText, *_RANGE),
        "instant": _filter("DateTimeFilter", DateTimeText, *_RANGE),
        "duration": _filter("DurationFilter", DurationText, *_RANGE),
        "money": _filter("MoneyFilter", MoneyInput, "eq", "lt", "le", "gt", "ge"),
        "reference": _filter("IDFilter", strawberry.ID, "eq", "in"),
        "list": _filter("ListFilter", str),
    }


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input types of one class; `order` and `key` are None where the class has nothing to order or find by."""

    where: Any
    order: Any
    key: Any


def inputs(cls: Class, by_type: Mapping[str, type], annotations: Mapping[str, Any]) -> Inputs:
    """The input types of a class."""
    name = graphql_type(cls.name)
    where: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for prop in cls.properties.values():
        where["__annotations__"][PREFIX + prop.name] = by_type["list" if prop.many else prop.type] | None
        where[PREFIX + prop.name] = strawberry.field(name=graphql_field(prop.name), default=UNSET)
    where_type = None
    if cls.properties:
        where_type = strawberry.input(type(f"{name}Where", (), where), description="All conditions must hold.")
    return Inputs(where_type, _order(cls, name), _key(cls, name, annotations))


def _order(cls: Class, name: str) -> Any:
    sortable = {p.name: graphql_field(p.name) for p in cls.properties.values() if not p.many}
    if not sortable:
        return None
    make: Any = enum.Enum
    names = make(f"{name}Property", {shown: prop for prop, shown in sortable.items()})
    fields = strawberry.enum(names, description=f"The properties by which a list of {name} can be ordered.")
    body = {
        "__annotations__": {"property": fields, "direction": Sense},
        "__module__": __name__,
        "direction": strawberry.field(default=Sense.ASC),
    }
    return strawberry.input(type(f"{name}OrderBy", (), body))


def _key(cls: Class, name: str, annotations: Mapping[str, Any]) -> Any:
    parts = [cls.properties[part] for part in cls.key if part in cls.properties]
    if not parts:
        return None
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for prop in parts:
        body["__annotations__"][PREFIX + prop.name] = MoneyInput if prop.type == "money" else annotations[prop.type]
        body[PREFIX + prop.name] = strawberry.field(name=graphql_field(prop.name))
    return strawberry.input(type(f"{name}Key", (), body), description=f"What names a {name} in its source.")


def value_of(given: Any, scalar: str) -> Scalar:
    """The kg value of one given input value."""
    if isinstance(given, MoneyInput):
        return given.value()
    if scalar == "reference":
        return Ref(entity_id(given))
    return cast(Scalar, given)


def conditions(cls: Class, given: Any) -> tuple[Where, ...]:
    """The conditions of a `where` input."""
    if given is None or given is UNSET:
        return ()
    found: list[Where] = []
    for prop in cls.properties.values():
        wanted = getattr(given, PREFIX + prop.name)
        if wanted is UNSET:
            continue
        shown = graphql_field(prop.name)
        if wanted is None:
            raise BadRequestError(f"where.{shown} is null; leave it out, or write {{ present: false }}")
        for name, value in vars(wanted).items():
            if value is not UNSET:
                found.append(_condition(prop.name, prop.type, name.rstrip("_"), value, shown))
    return tuple(found)


def _condition(property: str, scalar: str, op: str, value: Any, shown: str) -> Where:
    if value is None or (op == "in" and any(item is None for item in value)):
        raise BadRequestError(f"where.{shown}.{op} is null; leave it out, or write present: false")
    if op == "present":
        return Where(property, Op.PRESENT if value else Op.ABSENT)
    if op == "in":
        if len(value) > IN_MAX:
            raise BadRequestError(f"where.{shown}.in has {len(value)} values; at most {IN_MAX} in one request")
        return Where(property, Op.IN, tuple(value_of(item, scalar) for item in value))
    return Where(property, Op(op), value_of(value, scalar))


def ordering(given: Any) -> Order:
    """The order of an `orderBy` input: by id where none is given."""
    if given is None or given is UNSET:
        return Order()
    return Order(given.property.value, given.direction is Sense.DESC)


def key_conditions(cls: Class, given: Any) -> tuple[Where, ...]:
    """The conditions of a `key` input."""
    return tuple(
        Where(part, Op.EQ, value_of(getattr(given, PREFIX + part), cls.properties[part].type))
        for part in cls.key
        if part in cls.properties
    )
