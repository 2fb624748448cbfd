"""Mutations: what a person may change from outside: answer a decision, stop and resume, hand in one record.

Invariant: none writes by itself. Each goes through the function of governance or ingest that decides, records and commits, as the
authenticated principal; a refusal is part of the payload, with a code, and the decision that refused is on record.
"""

from typing import Annotated, Any

import strawberry
from strawberry import Info

from api.graphql.changes import ENTITY
from api.graphql.editing import Editing
from api.graphql.emergencies import Emergencies
from api.graphql.ids import entity_id
from api.graphql.operations import Operation
from api.graphql.payloads import UserError, attempt
from api.graphql.records import take_record
from api.graphql.scalars import JSON, DateTimeText, Position
from governance.approvals import Answer, Answered, approve
from governance.controls import Acknowledgement, change

REASON_MAX = 2_000


@strawberry.type(description="Approvers still missing.")
class MissingApprovers:
    requirement: str
    role: str
    count: int


@strawberry.type(description="What an answer to a decision led to.")
class AnswerPayload:
    row: strawberry.Private[Any] = None
    met: bool = strawberry.field(
        default=False, description="Whether all that was asked for is there; the proposal is then decided again."
    )
    missing: list[MissingApprovers] = strawberry.field(default_factory=list)
    repeated: bool = strawberry.field(default=False, description="You had answered so before.")
    errors: list[UserError] = strawberry.field(default_factory=list)
    approval = strawberry.field(
        resolver=lambda self: self.row, graphql_type=ENTITY, description="The answer on record."
    )


@strawberry.type(description="That a control is set.")
class ControlPayload:
    rows: strawberry.Private[Any] = ()
    scope: str | None = None
    state: str | None = None
    position: Position | None = strawberry.field(default=None, description="From here on it holds.")
    at: DateTimeText | None = None
    more: bool = strawberry.field(default=False, description="Whether more effects were on their way than are listed.")
    errors: list[UserError] = strawberry.field(default_factory=list)
    in_flight = strawberry.field(
        resolver=lambda self: list(self.rows),
        graphql_type=list[ENTITY],
        description="Effects that had begun when it was set, and so are not stopped; null where you may not see one.",
    )


@strawberry.type(description="What became of a record that was handed in.")
class RecordPayload:
    row: strawberry.Private[Any] = None
    outcome: str | None = strawberry.field(
        default=None, description="created, updated or unchanged; always updated where the caller may not read it."
    )
    position: Position | None = strawberry.field(
        default=None, description="The last change it made; null: none, or not to be told."
    )
    errors: list[UserError] = strawberry.field(default_factory=list)
    entity = strawberry.field(resolver=lambda self: self.row, graphql_type=ENTITY)


async def _answer(operation: Operation, decision: str, answer: Answer, comment: str) -> AnswerPayload:
    platform = operation.platform

    def act() -> Answered:
        return approve(
            platform.store, platform.clock, platform.rules(), entity_id(decision), operation.principal, answer, comment
        )

    async def done() -> AnswerPayload:
        answered = await operation.call(act)
        await operation.open()
        missing = [
            MissingApprovers(requirement=name, role=role, count=count)
            for name, places in answered.missing.items()
            for role, count in places.items()
        ]
        row = await operation.row_of(answered.approval)
        return AnswerPayload(row=row, met=answered.met, missing=missing, repeated=answered.repeated)

    return await attempt(operation, done, lambda errors: AnswerPayload(errors=errors))


async def _approve(info: Info[Operation, None], decision: strawberry.ID, comment: str = "") -> AnswerPayload:
    return await _answer(info.context, decision, "approve", comment)


async def _reject(info: Info[Operation, None], decision: strawberry.ID, comment: str = "") -> AnswerPayload:
    return await _answer(info.context, decision, "reject", comment)


async def _control(
    operation: Operation, scope: str, state: str, reason: str, per_minute: int | None = None
) -> ControlPayload:
    platform = operation.platform

    def control() -> Acknowledgement:
        return change(
            platform.store, platform.clock, operation.principal, scope, state, reason[:REASON_MAX],
            per_minute=per_minute, rules=platform.rules(),
        )  # fmt: skip

    async def done() -> ControlPayload:
        told = await operation.call(control)
        await operation.open()
        rows = [await operation.row_of(intent.id) for intent in told.intents]
        return ControlPayload(
            rows=rows,
            scope=told.scope,
            state=told.state,
            position=Position(told.position),
            at=DateTimeText(told.at),
            more=told.more,
        )

    return await attempt(operation, done, lambda errors: ControlPayload(errors=errors))


async def _stop(info: Info[Operation, None], reason: str, scope: str = "global") -> ControlPayload:
    return await _control(info.context, scope, "stop", reason)


async def _resume(info: Info[Operation, None], reason: str, scope: str = "global") -> ControlPayload:
    return await _control(info.context, scope, "run", reason)


async def _set_control(
    info: Info[Operation, None],
    state: Annotated[str, strawberry.argument(description="run, shadow, throttle, pause or stop.")],
    reason: str,
    scope: str = "global",
    per_minute: Annotated[
        int | None, strawberry.argument(description="Effects that may begin in any sixty seconds; with throttle only.")
    ] = None,
) -> ControlPayload:
    return await _control(info.context, scope, state, reason, per_minute)


async def _ingest(
    info: Info[Operation, None],
    class_: Annotated[str, strawberry.argument(name="class", description="A type such as Customer.")],
    properties: Annotated[JSON, strawberry.argument(description="Field names and values; null takes one away.")],
    origin: Annotated[str | None, strawberry.argument(description="The source record, for lineage.")] = None,
) -> RecordPayload:
    operation = info.context

    async def done() -> RecordPayload:
        taken = await operation.call(take_record, operation.platform, operation.principal, class_, properties, origin)
        await operation.open()
        return RecordPayload(
            row=await operation.row_of(taken.id),
            outcome=taken.outcome,
            position=None if taken.position is None else Position(taken.position),
        )

    return await attempt(operation, done, lambda errors: RecordPayload(errors=errors))


@strawberry.type
class Mutation(Editing, Emergencies):
    """What can be changed."""

    approve = strawberry.field(resolver=_approve, description="Say yes to a decision that asks for approval.")
    reject = strawberry.field(resolver=_reject, description="Say no to a decision that asks for approval.")
    stop = strawberry.field(
        resolver=_stop,
        description="Let no effect begin in a scope: global, or agent:, department:, workflow: or tool: with a name.",
    )
    resume = strawberry.field(resolver=_resume, description="Let a scope act again.")
    set_control = strawberry.field(
        resolver=_set_control,
        description="Bring a scope into a state: run, shadow (decided and recorded, nothing applied), throttle, pause or stop.",
    )
    ingest_record = strawberry.field(
        resolver=_ingest, description="Hand in one record; the same key again updates the same entity."
    )
