"""Mutations of break-glass: open it for oneself, close it, review another's.

Invariant: each goes through `governance.breakglass` as the authenticated principal, which decides, records and commits; whoever
asks can name nobody else to open it for. The list is the class's own root field.
"""

from collections.abc import Callable
from typing import Annotated, Any

import strawberry
import structlog
from strawberry import Info

from api.graphql.changes import ENTITY
from api.graphql.ids import entity_id
from api.graphql.operations import Operation
from api.graphql.payloads import UserError, attempt
from governance.breakglass import MINUTES, MINUTES_MAX, asked_after, close_glass, open_glass, review
from kg.model import Entity


@strawberry.type(description="What became of a break-glass.")
class BreakGlassPayload:
    row: strawberry.Private[Any] = None
    errors: list[UserError] = strawberry.field(default_factory=list)
    break_glass = strawberry.field(resolver=lambda self: self.row, graphql_type=ENTITY, description="It, as it is now.")


async def _act(operation: Operation, act: Callable[[], Entity]) -> BreakGlassPayload:
    async def done() -> BreakGlassPayload:
        made = await operation.call(act)
        await operation.again()
        return BreakGlassPayload(row=await operation.row_of(made.id))

    return await attempt(operation, done, lambda errors: BreakGlassPayload(errors=errors))


def _known(operation: Operation, id: str, activity: str) -> None:
    platform = operation.platform
    asked_after(platform.store, platform.clock, platform.rules(), operation.principal, operation.view, id, activity)


async def _open(
    info: Info[Operation, None],
    reason: str,
    minutes: Annotated[int, strawberry.argument(description=f"For how long, at most {MINUTES_MAX}.")] = MINUTES,
) -> BreakGlassPayload:
    operation, platform = info.context, info.context.platform

    def act() -> Entity:
        made = open_glass(platform.store, platform.clock, platform.rules(), operation.principal, reason, minutes)
        structlog.get_logger("noesis.breakglass").warning("break-glass opened", id=made.id, holder=made["holder"])
        return made

    return await _act(operation, act)


async def _close(info: Info[Operation, None], id: strawberry.ID, reason: str) -> BreakGlassPayload:
    operation, platform = info.context, info.context.platform

    def act() -> Entity:
        _known(operation, entity_id(id), "breakglass.close")
        return close_glass(platform.store, platform.clock, platform.rules(), operation.principal, entity_id(id), reason)

    return await _act(operation, act)


async def _review(
    info: Info[Operation, None],
    id: strawberry.ID,
    finding: Annotated[str, strawberry.argument(description="justified or unjustified.")],
    comment: str,
) -> BreakGlassPayload:
    operation, platform = info.context, info.context.platform

    def act() -> Entity:
        _known(operation, entity_id(id), "breakglass.review")
        return review(
            platform.store, platform.clock, platform.rules(), operation.principal, entity_id(id), finding, comment
        )

    return await _act(operation, act)


@strawberry.type
class Emergencies:
    """What people may do in an emergency, and about it."""

    open_break_glass = strawberry.field(
        resolver=_open, description="Open wider rights for yourself for a while; everybody sees it, another reviews it."
    )
    close_break_glass = strawberry.field(resolver=_close, description="End a break-glass before its time.")
    review_break_glass = strawberry.field(
        resolver=_review, description="Say of a break-glass that is over, and not yours, whether it was justified."
    )
