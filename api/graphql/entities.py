"""Interfaces Node and Entity, and what every entity has beside its properties: versions, changes, and the reason why.

Invariant: each field reads through the operation's Reader or a function that takes its View (I10). Which classes there are is
not known here; `classes.py` makes a type of each.
"""

from typing import Any

import strawberry
from strawberry import Info

from api.errors import BadRequestError
from api.graphql.changes import Change, describe
from api.graphql.lineage import Why, explain
from api.graphql.operations import Operation
from api.graphql.scalars import JSON, DateTimeText, Long, Position, plain_json
from kg.model import Entity as Stored
from kg.ontology.classes import Class
from kg.ontology.names import graphql_field

#: Versions and changes of one entity in one answer.
PAST_MAX = 500


@strawberry.type(description="The value of one property, as JSON.")
class PropertyValue:
    name: str
    value: JSON


@strawberry.type(description="One version of an entity. Its relations are asked with @asOf(position: since).")
class EntityVersion:
    version: Long
    since: Position = strawberry.field(description="The change that made it.")
    until: Position | None = strawberry.field(description="The change that ended it; null: it is current.")
    closed: bool = strawberry.field(description="Whether this version says that the thing is gone.")
    valid_from: DateTimeText | None = strawberry.field(
        description="When it began to hold outside, where that is known."
    )
    valid_to: DateTimeText | None
    masked: list[str] = strawberry.field(description="The fields that are withheld from you.")
    properties: list[PropertyValue]


def version_of(entity: Stored) -> EntityVersion:
    """A stored version as GraphQL shows it."""
    return EntityVersion(
        version=Long(entity.version),
        since=Position(entity.since),
        until=None if entity.until is None else Position(entity.until),
        closed=entity.closed,
        valid_from=None if entity.valid_from is None else DateTimeText(entity.valid_from),
        valid_to=None if entity.valid_to is None else DateTimeText(entity.valid_to),
        masked=sorted(graphql_field(name) for name in entity.masked),
        properties=[
            PropertyValue(name=graphql_field(name), value=JSON(plain_json(value)))
            for name, value in sorted(entity.properties.items())
        ],
    )


def property_named(cls: Class, shown: str) -> str:
    """The property of a class that a GraphQL field name means; BadRequestError where there is none."""
    for name in cls.properties:
        if shown in (name, graphql_field(name)):
            return name
    known = ", ".join(sorted(graphql_field(name) for name in cls.properties)) or "none"
    raise BadRequestError(f"{cls.name} has no property {shown[:80]!r}; it has {known}")


def past_size(first: int) -> int:
    """A `first` argument of history or changes within its bounds."""
    if not 1 <= first <= PAST_MAX:
        raise BadRequestError(f"first: {first} is outside 1 to {PAST_MAX}; ask for a number within")
    return first


@strawberry.interface(description="Anything with a global id.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque; the same thing keeps it for ever.")

    @staticmethod
    def resolve_type(obj: Any, _info: Any, _abstract: Any) -> str:
        """The GraphQL type of a Row."""
        return str(obj.type)


async def _history(self: Any, info: Info[Operation, None], first: int = 20) -> list[EntityVersion]:
    size = past_size(first)
    found = await info.context.call(info.context.reader.history, self.entity.id)
    told = list(reversed(found[-size:]))
    for entity in told:
        info.context.readings.note_all(entity)
    return [version_of(entity) for entity in told]


async def _changes(self: Any, info: Info[Operation, None], first: int = 20) -> list[Change]:
    found = await info.context.call(info.context.reader.changes_of, self.entity.id, past_size(first))
    return [describe(change) for change in found]


async def _why(self: Any, info: Info[Operation, None], property: str | None = None, depth: int = 10) -> Why:
    cls = info.context.platform.ontology.cls(self.entity.cls)
    name = None if property is None else property_named(cls, property)
    return await explain(info.context, self.entity.id, name, depth)


@strawberry.interface(description="A thing of the shared graph, in one version.")
class Entity(Node):
    class_: str = strawberry.field(name="class", description="Its class in the ontology.")
    version: Long = strawberry.field(description="Counts from 1.")
    since: Position = strawberry.field(description="The change that made this version.")
    masked: list[str] = strawberry.field(description="The fields whose values are withheld from you; they are null.")

    history = strawberry.field(resolver=_history, description="Its newest versions, newest first.")
    changes = strawberry.field(
        resolver=_changes, description="The newest changes of it and of its relations, newest first."
    )
    why = strawberry.field(
        resolver=_why, description="Why it, or one property of it, is so: records, rules, people and models."
    )
