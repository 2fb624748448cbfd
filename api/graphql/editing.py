"""The mutation that edits a waiting proposal: what comes of it is a new one, decided anew, that somebody else approves.

Invariant: it goes through `api.editing`, as the authenticated principal and within what that one may see.
"""

from typing import Annotated, Any

import strawberry
from strawberry import Info

from api.editing import edit_proposal
from api.graphql.changes import ENTITY
from api.graphql.ids import entity_id
from api.graphql.operations import Operation
from api.graphql.payloads import UserError, attempt
from api.graphql.scalars import JSON


@strawberry.type(description="What an edit led to.")
class EditPayload:
    row: strawberry.Private[Any] = None
    errors: list[UserError] = strawberry.field(default_factory=list)
    proposal = strawberry.field(
        resolver=lambda self: self.row, graphql_type=ENTITY, description="The new proposal; it is decided again."
    )


async def _edit(
    info: Info[Operation, None],
    decision: strawberry.ID,
    edit: Annotated[
        JSON,
        strawberry.argument(description="{values: {id: {property: value}}, payload: {…}, amount: {amount, currency}}"),
    ],
    reason: str,
) -> EditPayload:
    operation = info.context

    async def done() -> EditPayload:
        made = await operation.call(
            edit_proposal, operation.platform, operation.view, operation.principal, entity_id(decision), edit, reason
        )
        await operation.open()
        return EditPayload(row=await operation.row_of(made.proposal))

    return await attempt(operation, done, lambda errors: EditPayload(errors=errors))


@strawberry.type
class Editing:
    """How people change what is proposed."""

    edit_proposal = strawberry.field(
        resolver=_edit,
        description="Change what a proposal would do before it is approved: a new proposal, decided again, not by its editor.",
    )
