"""Draft, what an agent hands in, and Proposal, what it becomes: an entity with a table of states.

Invariant: a proposal's content never changes after it was made; only `state`, `reason` and `decision` do, along MOVES. Nothing
here decides or writes: it turns drafts into writes and entities back into what they mean.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType
from typing import Final, cast

from coordination.codec import derive, form_of, text_of, writes_of
from coordination.errors import DraftError, StateError
from kg.model import Entity, Input, Put, Write
from kg.values import STRING_MAX, Json, Money, Ref, Scalar, Value, canonical

PROPOSAL: Final = "Proposal"
#: Bounds of one draft.
WRITES_MAX = 1_000
EVIDENCE_MAX = 1_000
#: The graph effector needs no other system: decision, effect and writes are one commit.
GRAPH: Final = "graph"

#: Which state may follow which. A state with no followers is an end.
MOVES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "proposed": frozenset(
            {
                "superseded",
                "conflicted",
                "denied",
                # An edit of what somebody rejected at the same moment.
                "rejected",
                "waiting_approval",
                "approved",
                "applying",
                "applied",
                "simulated",
                "expired",
                "failed",
            }
        ),
        "conflicted": frozenset(
            {
                "superseded",
                "rejected",
                "denied",
                "waiting_approval",
                "approved",
                "applying",
                "applied",
                "simulated",
                "expired",
                "failed",
            }
        ),
        "waiting_approval": frozenset(
            {"superseded", "rejected", "denied", "approved", "applying", "applied", "simulated", "expired", "failed"}
        ),
        "approved": frozenset(
            {"superseded", "denied", "waiting_approval", "applying", "applied", "simulated", "expired", "failed"}
        ),
        "applying": frozenset({"applied", "simulated", "failed", "in_doubt"}),
        "in_doubt": frozenset({"applied", "failed"}),
        "applied": frozenset(),
        "simulated": frozenset(),
        "denied": frozenset(),
        "superseded": frozenset(),
        "rejected": frozenset(),
        "expired": frozenset(),
        "failed": frozenset(),
    }
)
#: States in which a proposal still wants its target, so that another one may conflict with it.
OPEN: Final = ("applying", "approved", "conflicted", "proposed", "waiting_approval")


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal as an agent hands it in. `target` is the entity it is about, and the key on which proposals conflict.

    `writes` are committed as one when effector is ``graph``; any other effector acts on `payload` (JSON). `confidence` is 0 to 1.
    `expects` names entity versions that must still hold when it is applied, else it expires. `compatible` names operations
    that may be open on the same target beside it. With `sandbox` nothing leaves: what it would have done is recorded.
    """

    operation: str
    target: str
    writes: tuple[Write, ...] = ()
    effector: str = GRAPH
    payload: Mapping[str, Json] = field(default_factory=dict)
    rationale: str = ""
    evidence: tuple[Input, ...] = ()
    confidence: Decimal = Decimal(1)
    priority: int = 0
    amount: Money | None = None
    alternatives: tuple[str, ...] = ()
    expects: Mapping[str, int] = field(default_factory=dict)
    compatible: tuple[str, ...] = ()
    sandbox: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a draft comes from: the agent's name and version, the work it acted in, its context and the depth of causes.

    `run` is the run it belongs to, `sandbox` says that nothing of it may leave; `undoes` and `compensation` name what it undoes.
    """

    agent: str
    version: str
    department: str | None
    work: str
    context_hash: str
    position: int
    depth: int
    model: Mapping[str, Json] = field(default_factory=dict)
    run: str = ""
    sandbox: bool = False
    undoes: str = ""
    compensation: str = ""


def proposal_id(work: str, index: int) -> str:
    """The id of the n-th proposal of a piece of work: acting again gives the same."""
    return derive("proposal", work, index)


def put(draft: Draft, origin: Origin, index: int, labels: Sequence[str] = ()) -> Put:
    """The write that makes a draft a proposal; `labels` (label@class) guard what it repeats. Raises DraftError beyond a bound."""
    _check(draft)
    properties: dict[str, Value] = {
        "agent": origin.agent,
        "agentVersion": origin.version,
        "operation": draft.operation,
        "target": Ref(draft.target),
        "effector": draft.effector,
        "state": "proposed",
        "rationale": draft.rationale,
        "confidence": draft.confidence.quantize(Decimal("0.0001"), ROUND_HALF_EVEN),
        "priority": draft.priority,
        "work": origin.work,
        "contextHash": origin.context_hash,
        "contextPosition": origin.position,
        "depth": origin.depth,
        "intent": intent(draft),
    }
    optional: dict[str, Value] = {
        "writes": text_of(draft.writes) if draft.writes else "",
        "payload": canonical(dict(draft.payload)) if draft.payload else "",
        "evidence": tuple(f"{item.id}@{item.version}" for item in draft.evidence),
        "alternatives": draft.alternatives,
        "compatible": draft.compatible,
        "labels": tuple(labels),
        "expects": canonical(dict(draft.expects)) if draft.expects else "",
        "model": canonical(dict(origin.model)) if origin.model else "",
        "department": origin.department or "",
        "run": origin.run,
        "sandbox": draft.sandbox or origin.sandbox,
        "undoes": Ref(origin.undoes),
        "compensation": Ref(origin.compensation),
    }
    properties |= {name: value for name, value in optional.items() if value}
    if draft.amount is not None:
        properties["amount"] = draft.amount
    return Put(proposal_id(origin.work, index), PROPOSAL, properties)


def _check(draft: Draft) -> None:
    if not draft.operation or not draft.target:
        raise DraftError("a draft needs an operation and a target; name both")
    if not draft.confidence.is_finite() or not 0 <= draft.confidence <= 1:
        raise DraftError(f"confidence {draft.confidence} of {draft.operation} is not between 0 and 1; scale it")
    if len(draft.writes) > WRITES_MAX or len(draft.evidence) > EVIDENCE_MAX:
        raise DraftError(
            f"{draft.operation} has {len(draft.writes):,} writes and {len(draft.evidence):,} items of evidence; "
            f"keep to {WRITES_MAX:,} and {EVIDENCE_MAX:,} by making several drafts"
        )
    if draft.effector == GRAPH and not draft.writes:
        raise DraftError(
            f"{draft.operation} would change nothing; give writes, or name the effector that acts on the payload"
        )
    if draft.effector != GRAPH and draft.writes:
        raise DraftError(
            f"{draft.operation} has writes that effector {draft.effector!r} cannot commit; use effector 'graph'"
        )
    if len(draft.rationale) > STRING_MAX // 10:
        raise DraftError(f"the rationale of {draft.operation} is too long; keep it to {STRING_MAX // 10:,} characters")


def intent(draft: Draft) -> str:
    """What a draft wants, without the ids it made up: equal digests are the same proposal made twice."""
    made = {write.id for write in draft.writes if isinstance(write, Put)} - {draft.target}
    names = {id: f"#{number}" for number, id in enumerate(sorted(made, key=[_id(w) for w in draft.writes].index))}
    form = [
        draft.operation,
        draft.target,
        draft.effector,
        dict(draft.payload),
        None if draft.amount is None else [str(draft.amount.amount), draft.amount.currency],
        [_renamed(form_of(write), names) for write in draft.writes],
    ]
    return derive("intent", canonical(form))


def _id(write: Write) -> str:
    return write.id if isinstance(write, Put) else ""


def _renamed(form: Json, names: Mapping[str, str]) -> Json:
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in form.items()}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal as it stands in the graph."""

    entity: Entity
    #: Whether a control lets nothing of it leave now; the next move puts that on record.
    shadow: bool = False

    @property
    def id(self) -> str:
        return self.entity.id

    @property
    def version(self) -> int:
        return self.entity.version

    def text(self, name: str) -> str:
        """A text property, empty where it is absent."""
        value = self.entity.get(name, "")
        return str(value)

    def number(self, name: str) -> int:
        """A whole-number property, 0 where it is absent."""
        return cast(int, self.entity.get(name, 0))

    @property
    def state(self) -> str:
        return self.text("state")

    @property
    def sandbox(self) -> bool:
        """Whether nothing of it may leave."""
        return self.shadow or bool(self.entity.get("sandbox", False))

    @property
    def confidence(self) -> Decimal:
        return cast(Decimal, self.entity.get("confidence", Decimal(1)))

    @property
    def amount(self) -> Money | None:
        return cast("Money | None", self.entity.get("amount"))

    @property
    def writes(self) -> tuple[Write, ...]:
        text = self.text("writes")
        return writes_of(text) if text else ()

    @property
    def payload(self) -> Mapping[str, Json]:
        text = self.text("payload")
        return dict(json.loads(text)) if text else {}

    @property
    def expects(self) -> dict[str, int]:
        text = self.text("expects")
        return dict(json.loads(text)) if text else {}

    @property
    def evidence(self) -> tuple[Input, ...]:
        """The entity versions it rests on."""
        return tuple(
            Input(id, int(version)) for id, _, version in (item.rpartition("@") for item in self.texts("evidence"))
        )

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, empty where it is absent."""
        return tuple(str(item) for item in cast(tuple[Scalar, ...], self.entity.get(name, ())))

    def move(self, state: str, reason: str = "", **more: Value) -> Put:
        """The write that takes the proposal to another state; raises StateError where MOVES does not allow it."""
        # INVARIANT I3: an ended proposal has no follower, so nothing can apply it twice.
        if state != self.state and state not in MOVES[self.state]:
            raise StateError(f"proposal {self.id} is {self.state} and cannot become {state}; read it again")
        changed: dict[str, Value] = {"state": state, **({"sandbox": True} if self.shadow else {}), **more}
        if reason:
            changed["reason"] = reason
        return Put(self.id, PROPOSAL, changed)


def inputs_of(proposals: Sequence[Draft]) -> tuple[Input, ...]:
    """The evidence of several drafts, each version once, in order."""
    return tuple(dict.fromkeys(item for draft in proposals for item in draft.evidence))
