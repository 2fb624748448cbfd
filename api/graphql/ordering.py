"""Mutations over runs of workflows: start one, send it an event, give it an order.

Invariant: each goes through `api.orders`, which decides and records as the authenticated principal; a refusal is part of the
payload.
"""

from collections.abc import Callable
from typing import Annotated, Any

import strawberry
from strawberry import Info

from api import orders
from api.graphql.changes import ENTITY
from api.graphql.ids import entity_id
from api.graphql.mutations import REASON_MAX, Mutation
from api.graphql.operations import Operation
from api.graphql.payloads import UserError, attempt
from api.graphql.scalars import JSON
from governance.principals import Principal


@strawberry.type(description="What became of an order over a run.")
class RunPayload:
    row: strawberry.Private[Any] = None
    errors: list[UserError] = strawberry.field(default_factory=list)
    run = strawberry.field(
        resolver=lambda self: self.row,
        graphql_type=ENTITY,
        description="The run as it stands; null where you may not see it.",
    )


async def _answer(operation: Operation, act: Callable[[Principal], str]) -> RunPayload:
    async def done() -> RunPayload:
        run = await operation.call(act, operation.principal)
        await operation.open()
        return RunPayload(row=await operation.row_of(run))

    return await attempt(operation, done, lambda errors: RunPayload(errors=errors))


async def _start(
    info: Info[Operation, None],
    workflow: Annotated[str, strawberry.argument(description="NAMESPACE.NAME[:VERSION] of a registered workflow.")],
    input: JSON | None = None,
    id: Annotated[str, strawberry.argument(description="Id of the run; the same id starts it once.")] = "",
    dry_run: Annotated[bool, strawberry.argument(description="Simulate all outside effects.")] = False,
) -> RunPayload:
    platform = info.context.platform

    def act(who: Principal) -> str:
        orders.permitted(platform, who, "workflow.run", "Workflow", workflow)
        return orders.started(platform, who, orders.named(platform, workflow), input, id=id, sandbox=dry_run)

    return await _answer(info.context, act)


async def _signal(
    info: Info[Operation, None],
    run: strawberry.ID,
    type: Annotated[str, strawberry.argument(description="The event's type.")],
    data: JSON | None = None,
    source: str = "noesis:graphql",
    id: Annotated[str, strawberry.argument(description="The event's id; the same id is delivered once.")] = "",
) -> RunPayload:
    platform, run_id = info.context.platform, entity_id(run)

    def act(who: Principal) -> str:
        event = {"id": id or platform.clock.id(), "source": source, "type": type, "data": data}
        orders.signalled(platform, who, run_id, event)
        return run_id

    return await _answer(info.context, act)


async def _order(
    info: Info[Operation, None],
    run: strawberry.ID,
    order: Annotated[
        str,
        strawberry.argument(description="pause, resume, cancel, compensate, terminate, retry, or fork with `step`."),
    ],
    reason: str = "",
    step: Annotated[str, strawberry.argument(description="With fork: the step that the new run begins with.")] = "",
) -> RunPayload:
    platform, run_id = info.context.platform, entity_id(run)

    def act(who: Principal) -> str:
        if order == "fork":
            return orders.forked(platform, who, run_id, entity_id(step))
        orders.ordered(platform, who, run_id, order, reason[:REASON_MAX])
        return run_id

    return await _answer(info.context, act)


@strawberry.type(name="Mutation")
class Mutations(Mutation):
    """What can be changed, runs included."""

    start_run = strawberry.field(resolver=_start, description="Start a run of a registered workflow.")
    signal_run = strawberry.field(
        resolver=_signal, description="Send a CloudEvent to a run; it keeps until it is consumed."
    )
    control_run = strawberry.field(resolver=_order, description="Give a run an order.")
