"""`@asOf`: one operation reads the graph as it was at one position or time.

The directive stands on the operation, so it is said once and holds for every field below: ``query @asOf(position: 120) { … }``.
Invariant: a position that is not written yet is refused, since it would answer with what later commits bring.
"""

from datetime import datetime
from typing import Annotated, Any

import strawberry
from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, get_directive_values
from graphql import get_variable_values as coerced
from strawberry.directive import DirectiveLocation

from api.errors import BadRequestError
from api.graphql.operations import Operation
from api.graphql.scalars import DateTimeText, Position

NAME = "asOf"


def _unused(
    position: Annotated[Position | None, strawberry.argument(description="The last change to see.")] = None,
    time: Annotated[DateTimeText | None, strawberry.argument(description="Changes committed until then.")] = None,
) -> None:
    """The directive acts on the operation, never on a field."""
    del position, time


def directive() -> Any:
    """The definition of `@asOf`."""
    return strawberry.directive(
        locations=[DirectiveLocation.QUERY],
        name=NAME,
        description="Read the graph as of a position or a time; relations, lists and lineage of the operation agree.",
    )(_unused)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    found = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    named = [part for part in found if name is None or (part.name is not None and part.name.value == name)]
    return named[0] if named else None


def asked(
    schema: GraphQLSchema, document: DocumentNode, name: str | None, variables: dict[str, Any]
) -> dict[str, Any] | None:
    """The arguments of the operation's `@asOf`, None where it has none; raises GraphQLError for wrong variables."""
    node, definition = _operation(document, name), schema.get_directive(NAME)
    if node is None or definition is None or not any(d.name.value == NAME for d in node.directives or ()):
        return None
    values: Any = coerced(schema, node.variable_definitions or (), variables)
    if isinstance(values, list):
        error: GraphQLError = values[0]
        raise error
    return get_directive_values(definition, node, values)


async def position_of(operation: Operation, given: dict[str, Any]) -> int:
    """The position that the arguments of `@asOf` mean."""
    position: int | None = given.get("position")
    time: datetime | None = given.get("time")
    if (position is None) == (time is None):
        raise BadRequestError("@asOf needs a position or a time, and not both; give one")
    store = operation.platform.store
    if time is not None:
        return await operation.call(store.position_at, time)
    head = await operation.call(store.head)
    if position is not None and position > head.position:
        raise BadRequestError(f"position {position} is not written yet; the log ends at {head.position}")
    return position or 0
