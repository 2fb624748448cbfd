"""Starting: a run, its first strand and the work that drives it, in one commit.

Invariant I3: the cause of a start follows from the run's id, so starting the same id twice starts it once; the same id with another
workflow or input is refused. Drives nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from coordination.codec import derive
from coordination.errors import StateError
from coordination.gate import RESERVED
from coordination.runs import mailbox, rows, runs
from coordination.runs.definitions import Definitions
from coordination.workflow.plan import Plan
from coordination.workflow.strand import Strand
from coordination.works import Work, micros
from kg.clock import Clock
from kg.errors import CauseReusedError, ConflictError
from kg.model import ABSENT, Cause, Put, StateWrite
from kg.payloads import PAYLOAD_MAX, sound, text_of
from kg.store import GraphStore, Request
from kg.values import Json, Ref, Value

#: Characters of an id that a caller chooses.
ID_MAX: Final = 200
#: Starts that go into one transaction.
STARTS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be started: workflow entity, input, who, for whom, and where it comes from."""

    run: str
    workflow: str
    input: Json
    by: str
    on_behalf_of: str = ""
    parent: str = ""
    waiting: str = ""
    depth: int = 0
    sandbox: bool = False
    more: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """The writes and rows of a start, and the ids of the work it makes."""

    put: Put
    rows: Sequence[StateWrite]
    work: str


def work_of(run: str, strand: str, because: object) -> Work:
    """Work that advances a strand; `because` makes each wake its own."""
    return Work(f"run:{run}/{strand}:{because}", "run", rows.key(run, strand))


def made(store: GraphStore, clock: Clock, plan: Plan, order: Order) -> Made:
    """What starts a run, to be committed expecting it absent."""
    document = plan.document
    now = micros(clock.now())
    held, payloads = runs.kept(order.run, "input", order.input)
    properties: dict[str, Value] = {
        "workflow": Ref(order.workflow),
        "called": document.key,
        "state": runs.RUNNING,
        "startedBy": order.by,
        "began": runs.instant(now),
        **held,
        **order.more,
    }
    optional: dict[str, Value] = {
        "onBehalfOf": order.on_behalf_of,
        "parent": Ref(order.parent),
        "depth": order.depth,
        "sandbox": order.sandbox,
    }
    properties |= {name: value for name, value in optional.items() if value}
    strand = Strand(order.run, data=order.input)
    if order.waiting:
        strand.wait = None
    work = work_of(order.run, strand.id, "start")
    row = rows.Rows(store, order.run).write(strand)
    return Made(
        Put(order.run, runs.RUN, properties), [*payloads, *row, mailbox.made(order.run), work.first(now)], work.id
    )


@dataclass(frozen=True, slots=True)
class _Prepared:
    order: Order
    new: Made
    cause: Cause

    @property
    def request(self) -> Request:
        return Request([self.new.put], self.cause, {self.order.run: ABSENT}, self.new.rows)


def start(store: GraphStore, clock: Clock, definitions: Definitions, order: Order) -> list[str]:
    """Start a run, or find it started; the ids of the work to send. StateError where the id belongs to another start."""
    return _settled(store, _prepared(store, clock, definitions, order))


def start_each(
    store: GraphStore, clock: Clock, definitions: Definitions, orders: Sequence[Order]
) -> tuple[list[str], list[StateError]]:
    """Start many runs in few transactions, each as `start` does: the ids of the work to send, and whose id was taken.

    StateError, and nothing started, where one of the orders cannot be.
    """
    prepared = [_prepared(store, clock, definitions, order) for order in orders]
    follow: list[str] = []
    refused: list[StateError] = []
    for first in range(0, len(prepared), STARTS_MAX):
        some = prepared[first : first + STARTS_MAX]
        for item, outcome in zip(some, store.commit_many([item.request for item in some]), strict=True):
            if not isinstance(outcome, Exception):
                follow.append(item.new.work)
                continue
            if not isinstance(outcome, (ConflictError, CauseReusedError)):
                raise outcome
            try:
                follow += _settled(store, item)
            except StateError as error:
                refused.append(error)
    return follow, refused


def _prepared(store: GraphStore, clock: Clock, definitions: Definitions, order: Order) -> _Prepared:
    if not order.run or len(order.run) > ID_MAX or "/" in order.run or not order.run.isprintable():
        raise StateError(
            f"the id {order.run[:40]!r} of a run must have 1 to {ID_MAX} printable characters and no slash"
        )
    if order.run.startswith(RESERVED):
        # A run that took the id of a switch would be read as one, and nobody could ever set it.
        raise StateError(f"the id {order.run[:40]!r} is made by the platform from a name; choose another")
    if len(sound(order.input, "the input")) > PAYLOAD_MAX:
        raise StateError(f"the input is larger than {PAYLOAD_MAX:,} characters; keep it outside and name it")
    plan = definitions.plan(order.workflow)
    new = made(store, clock, plan, order)
    forked = [str(order.more[name]) for name in ("forkedFrom", "forkedAt") if name in order.more]
    # INVARIANT I5: for whom it acts is a part of it: one's own order does not find a run that acts for somebody else.
    behalf = [f"for {order.on_behalf_of}"] if order.on_behalf_of else []
    content = derive(order.workflow, text_of(order.input), order.by, order.sandbox, *forked, *behalf)
    cause = Cause(
        derive("start", order.run), "run.start", order.by, on_behalf_of=order.on_behalf_of or None,
        attributes={"depth": order.depth, "run": order.run, "content": content},
    )  # fmt: skip
    return _Prepared(order, new, cause)


def _settled(store: GraphStore, item: _Prepared) -> list[str]:
    # The moment of starting is no part of what makes two starts the same, so the cause is found before it is committed again.
    before = store.causes([item.cause.id]).get(item.cause.id)
    if before is None:
        try:
            store.commit([item.new.put], item.cause, {item.order.run: ABSENT}, item.new.rows)
            return [item.new.work]
        except (ConflictError, CauseReusedError):
            before = store.causes([item.cause.id]).get(item.cause.id)
    if before is None or before.attributes.get("content") != item.cause.attributes["content"]:
        raise StateError(
            f"the id {item.order.run!r} is taken by another start; choose a new one, or start it with the same input"
        )
    return []
