"""The schema: types of the ontology and of the platform put together, and how one operation of it is run.

Invariants: every operation gets an Operation of its own, opened with the rules of that moment, on HTTP and on sockets alike; it
ends within its time; every error that leaves is coded. Knows nothing of HTTP.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from api.errors import BadRequestError
from api.graphql.classes import ClassTypes
from api.graphql.codes import coded
from api.graphql.limits import limits
from api.graphql.operations import Operation
from api.graphql.ordering import Mutations
from api.graphql.roots import query_type
from api.graphql.rows import read_field
from api.graphql.scalars import scalar_map
from api.graphql.snapshots import asked, directive, position_of
from api.graphql.subscriptions import Subscription
from api.settings import Settings
from kg import tracing
from kg.errors import NoesisError
from kg.ontology.ontology import Ontology

#: Characters of an operation's name in a trace.
NAME_MAX = 100
#: What a subscription is told that asks for one answer.
ENDLESS = "a subscription has no single answer; send `Accept: text/event-stream`, or use a WebSocket"


class Opening(SchemaExtension):
    """Opens the operation when its document is known to be good, as of what `@asOf` says."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Take the View and the position before the first field is read."""
        context: Any = self.execution_context
        operation: Operation = context.context
        if context.operation_type is OperationType.SUBSCRIPTION:
            operation.endless()
        given = asked(context.schema._schema, context.graphql_document, context.operation_name, context.variables or {})
        # On a socket that was opened long ago the caller is known anew: its key may open nothing by now.
        await (operation.again() if operation.end is None else operation.open())
        if given is not None:
            await operation.open(await position_of(operation, given))
        yield


class Schema(strawberry.Schema):
    """A Strawberry schema whose operations are isolated, bounded in time, and coded in their errors."""

    seconds_max: float = 30.0

    def get_extensions(self, sync: bool = False) -> list[SchemaExtension]:
        """The extensions alone: the only directive acts on operations, so no field needs to look for one."""
        del sync
        return [extension() for extension in self.extensions]

    def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
        """Log nothing here: `codes` logs what is hidden, and the caller is told the rest."""

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Run one query or mutation to its end, within its time."""
        operation: Operation = context_value.fresh(operation_name)
        named = {"graphql.operation.name": str(operation_name or "")[:NAME_MAX]}
        try:
            async with asyncio.timeout(self.seconds_max):
                with tracing.span(tracing.OPERATION, operation.trace, **named):
                    result: ExecutionResult = await super().execute(
                        query,
                        variable_values,
                        operation,
                        root_value,
                        operation_name,
                        set(allowed_operation_types or OperationType) - {OperationType.SUBSCRIPTION},
                        operation_extensions,
                    )
                # INVARIANT: what was told of personal values is on record before the answer leaves.
                await operation.settle()
        except InvalidOperationTypeError as error:
            if error.operation_type is not OperationType.SUBSCRIPTION:
                raise
            told = BadRequestError(ENDLESS)
            result = PreExecutionError(data=None, errors=[GraphQLError("", original_error=told)])
        except (TimeoutError, NoesisError) as error:
            result = PreExecutionError(data=None, errors=[GraphQLError("", original_error=error)])
        _code(result, operation)
        return result

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> Any:
        """Run one operation and give its results as they come; an error ends it with a result that says so."""
        operation: Operation = context_value.fresh(operation_name)
        source: Any = await super().stream(
            query,
            variable_values,
            operation,
            root_value,
            operation_name,
            operation_extensions,
            allowed_operation_types,
        )
        return _streamed(source, operation, self.seconds_max)


async def _streamed(source: Any, operation: Operation, seconds: float) -> AsyncGenerator[Any, None]:
    try:
        async with aclosing(source):
            while True:
                # Not around the yield: a timeout belongs to the task that waits, which may change between results.
                async with asyncio.timeout(None if operation.lasting else seconds) as operation.deadline:
                    result = await anext(source, None)
                    await operation.settle()
                if result is None:
                    return
                _code(result, operation)
                yield result
    except Exception as error:
        cause = error if isinstance(error, GraphQLError) else GraphQLError("", original_error=error)
        last = PreExecutionError(data=None, errors=[cause])
        _code(last, operation)
        yield last


def _code(result: ExecutionResult, operation: Operation) -> None:
    if result.errors:
        result.errors = [coded(error, operation.platform.clock) for error in result.errors]


def build_schema(ontology: Ontology, settings: Settings) -> Schema:
    """The schema of an ontology; OntologyError where its names cannot be used."""
    types = ClassTypes(ontology, settings)
    schema = Schema(
        query=query_type(types),
        mutation=Mutations,
        subscription=Subscription,
        directives=[directive()],
        types=types.objects,
        extensions=[limits(settings), Opening],
        config=StrawberryConfig(
            default_resolver=read_field, scalar_map=scalar_map(), relay_max_results=settings.page_max
        ),
    )
    schema.seconds_max = settings.request_seconds_max
    return schema
