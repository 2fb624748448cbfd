"""Changes: the log of the graph as GraphQL shows it, one page after a position, each with who did it.

Invariant: only what `Reader.changes` let through is shown; a change names who made it and the kind of activity, while the
words of the reason are left to `why`, which knows what may be quoted.
"""

import enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry import Info

from api.errors import BadRequestError
from api.graphql.ids import global_id
from api.graphql.operations import Operation
from api.graphql.scalars import DateTimeText, Long, Position
from kg.model import Change as Logged
from kg.ontology.names import graphql_field

if TYPE_CHECKING:
    from api.graphql.entities import Entity

#: An entity is described by changes and a change leads to entities, so the type is named before it is made.
ENTITY: Any = Annotated["Entity", strawberry.lazy("api.graphql.entities")] | None


@strawberry.enum(description="What a change did.")
class ChangeKind(enum.Enum):
    CREATED = "created"
    UPDATED = "updated"
    CLOSED = "closed"
    LINKED = "linked"
    UNLINKED = "unlinked"


async def _agent(self: Any, info: Info[Operation, None]) -> str | None:
    cause = await info.context.cause(self.logged.cause)
    return None if cause is None else cause.agent


async def _activity(self: Any, info: Info[Operation, None]) -> str | None:
    cause = await info.context.cause(self.logged.cause)
    return None if cause is None else cause.activity


async def _entity(self: Any, info: Info[Operation, None]) -> Any:
    return await info.context.row_of(self.logged.subject)


async def _target(self: Any, info: Info[Operation, None]) -> Any:
    return None if self.logged.target is None else await info.context.row_of(self.logged.target)


@strawberry.type(description="One row of the change log.")
class Change:
    logged: strawberry.Private[Logged]
    position: Position
    at: DateTimeText
    kind: ChangeKind
    class_: str = strawberry.field(name="class")
    subject: strawberry.ID = strawberry.field(description="The entity; for a relation, where it starts.")
    version: Long | None = strawberry.field(description="The version made; null for a relation.")
    changed: list[str] = strawberry.field(description="The fields that differ from the version before.")
    relation: str | None
    origin: str | None = strawberry.field(description="The source record.")
    cause: strawberry.ID = strawberry.field(description="The activity that made it; one cause may make many changes.")

    agent = strawberry.field(resolver=_agent, description="Who acted.")
    activity = strawberry.field(resolver=_activity, description="What was done.")
    entity = strawberry.field(
        resolver=_entity, graphql_type=ENTITY, description="The entity now, or as of the operation's @asOf; null: gone."
    )
    target = strawberry.field(resolver=_target, graphql_type=ENTITY, description="The far end of a relation.")


@strawberry.type(description="Changes in order, and how far the log was read; ask again after `position`.")
class Feed:
    changes: list[Change]
    position: Position


def check_written(place: int, end: int) -> None:
    """Raise where a position is beyond the log: it is of another graph, or of one that was put back from an older copy."""
    if place > end:
        raise BadRequestError(
            f"position {place} is not written yet; the log ends at {end}: if the graph was restored, read it again from 0"
        )


def describe(change: Logged) -> Change:
    """A logged change as GraphQL shows it."""
    return Change(
        logged=change,
        position=Position(change.position),
        at=DateTimeText(change.at),
        kind=ChangeKind(str(change.kind)),
        class_=change.cls,
        subject=strawberry.ID(global_id(change.cls, change.subject)),
        version=Long(change.version) if change.version else None,
        changed=[graphql_field(name) for name in change.changed],
        relation=None if change.relation is None else graphql_field(change.relation),
        origin=change.origin,
        cause=strawberry.ID(change.cause),
    )
