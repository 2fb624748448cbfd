"""Editing: a person changes what a waiting proposal would do. What comes of it is a new proposal, derived from the first, which is
superseded with the reason; it is decided anew by the rules of that moment.

Invariants: a proposal's content never changes; I5 whoever edits stands behind the new one beside its agent, so both must be allowed
it and no identity of either approves it; what the first asked of people the new one asks too (`coordination.gate`). Approvals of
the first count for nothing; what was rejected is not edited. Only values change, not the target, the operation, the effector or
which entities are written, and an amount only together with what it is the amount of. Applies nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from coordination import proposals, works
from coordination.codec import derive
from coordination.errors import StateError, UnknownSubjectError
from coordination.labels import labels_of
from coordination.proposals import GRAPH, PROPOSAL, Draft, Origin, Proposal
from coordination.works import micros
from governance.approvals import answers
from governance.decide import decide
from governance.decisions import record
from governance.errors import DeniedError
from governance.principals import Principal, load_principal
from governance.rulebook import RuleBook
from governance.verdict import Request
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Direction, Entity, Input, Link, Put, StateWrite, Write
from kg.ontology import Ontology
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json, Money, Ref, Value

REASON_MAX: Final = 2_000
#: Times one proposal may be edited in a row, and people who may stand behind one.
EDITS_MAX: Final = 10
EDITORS_MAX: Final = 3
#: The state in which a proposal may be edited.
EDITABLE: Final = "waiting_approval"


@dataclass(frozen=True, slots=True)
class Edit:
    """What changes: values of the entities that the proposal writes (None takes one away), members of its payload, its amount."""

    values: Mapping[str, Mapping[str, Value | None]] = field(default_factory=dict)
    payload: Mapping[str, Json] = field(default_factory=dict)
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """The new proposal, the one it takes the place of, and the work to send."""

    proposal: str
    first: str
    follow: tuple[str, ...] = ()


def waiting(store: GraphStore, decision_id: str) -> tuple[Entity, Proposal]:
    """The decision and the proposal that waits for its answer; StateError where there is none to edit."""
    decision = store.get([decision_id]).get(decision_id)
    if decision is None or decision.cls != "Decision":
        raise UnknownSubjectError(f"there is no decision {decision_id[:80]!r}; take ids from `noesis inbox`")
    edges = store.expand([decision.id], "decidedBy", Direction.IN, first=1)[decision.id]
    if not edges:
        raise StateError(f"decision {decision.id} is about no proposal; only what an agent proposed is edited")
    proposal = Proposal(edges[0].entity)
    if proposal.state != EDITABLE or decision.get("outcome") != "needs_approval":
        raise StateError(
            f"the proposal of decision {decision.id} is {proposal.state}; edit one that waits for approval"
        )
    if proposal.text("undoes"):
        raise StateError(f"proposal {proposal.id} undoes an effect as it was; it is approved or rejected, not edited")
    return decision, proposal


def _open(store: GraphStore, clock: Clock, first: Proposal) -> None:
    """StateError where the proposal was rejected or its time to be answered is over, though it does not say so yet."""
    asked = [edge.entity for edge in store.expand([first.id], "decidedBy", first=PAGE_MAX)[first.id]]
    for decision in asked:
        for rejection in answers(store, decision.id, "reject"):
            raise StateError(f"proposal {first.id} was rejected by {rejection['principal']}; let it be made anew")
    ends = [end for one in sorted(asked, key=lambda one: one.since) if isinstance(end := one.get("expires"), datetime)]
    if ends and ends[-1] <= clock.now():
        raise StateError(f"proposal {first.id} was not answered by {ends[-1]:%Y-%m-%d %H:%M} UTC; let it be made anew")


def edit(
    store: GraphStore, clock: Clock, ontology: Ontology, rules: RuleBook, principal: Principal, decision_id: str,
    wanted: Edit, reason: str,
) -> Edited:  # fmt: skip
    """Put an edited proposal in the place of the one that a decision asks people about.

    Decided as action ``approve`` with answer ``edit`` on the decision (DeniedError, recorded). Raises StateError where nothing
    waits, nothing would change or a bound is passed, and DraftError where the result is no proposal.
    """
    if not reason.strip() or len(reason) > REASON_MAX:
        raise StateError(f"an edit needs a reason of 1 to {REASON_MAX:,} characters; say why")
    for link in principal.chain():
        # Who cannot stand behind the new proposal would take the first one along.
        load_principal(store, link.uid)
    decision, first = waiting(store, decision_id)
    _open(store, clock, first)
    put = _revised(store, ontology, first, principal, wanted)
    writes, allowed = _decided(clock, rules, principal, decision, first)
    behalf = principal.on_behalf_of.uid if principal.on_behalf_of is not None else None
    inputs = (Input(decision.id, decision.version), Input(first.id, first.version))
    cause = Cause(clock.id(), "proposal.edit", principal.uid, reason, behalf, inputs)
    if allowed is not None:
        store.commit(writes, cause)
        raise allowed
    settle = works.settle(put.id, agent=first.text("agent"))
    said = f"edited by {principal.uid} into {put.id}: {reason}"
    all_: list[Write] = [
        *writes,
        Put(put.id, put.cls, {**put.set, "editReason": reason}),
        Link(put.id, "wasRevisionOf", first.id, {"version": first.version}),
        first.move("superseded", said, revisedBy=Ref(put.id)),
    ]
    rows: list[StateWrite] = [settle.first(micros(clock.now()))]
    try:
        store.commit(all_, cause, {first.id: first.version, decision.id: decision.version, put.id: ABSENT}, rows)
    except ConflictError as error:
        raise ConflictError("the proposal was changed meanwhile; look at it and edit it again", error.found) from None
    return Edited(put.id, first.id, (settle.id,))


def latest(store: GraphStore, found: Mapping[str, Entity], id: str) -> Proposal:
    """The proposal that stands for one now: itself, or the last edit of it."""
    proposal = Proposal(found[id])
    for _ in range(EDITS_MAX):
        after = proposal.text("revisedBy")
        if not after:
            break
        proposal = Proposal(store.get([after])[after])
    return proposal


def _decided(
    clock: Clock, rules: RuleBook, principal: Principal, decision: Entity, first: Proposal
) -> tuple[Sequence[Write], DeniedError | None]:
    """The record of the decision that this principal may edit, and the refusal where it may not."""
    names = ("operation", "amount", "currency")
    context: dict[str, Value] = {name: decision[name] for name in names if name in decision.properties}
    request = Request(principal, "approve", decision, {**context, "answer": "edit"})
    verdict, id = decide(request, rules), clock.id()
    facts = (Input(decision.id, decision.version), Input(first.id, first.version))
    refused = None
    if not verdict.allowed:
        refused = DeniedError(f"{principal.uid} may not edit this: {verdict.reason}", id)
    return record(id, request, verdict, facts=facts), refused


def _revised(store: GraphStore, ontology: Ontology, first: Proposal, principal: Principal, wanted: Edit) -> Put:
    """The write that makes the new proposal."""
    edits = first.number("edits") + 1
    editors = tuple(dict.fromkeys((*first.texts("editors"), *(link.uid for link in principal.chain()))))
    if edits > EDITS_MAX or len(editors) > EDITORS_MAX:
        raise StateError(
            f"a proposal is edited {EDITS_MAX} times and by {EDITORS_MAX} at most; reject it and let it be made anew"
        )
    draft = Draft(
        first.text("operation"),
        first.text("target"),
        _written(first, wanted),
        first.text("effector"),
        _paid(first, wanted),
        first.text("rationale"),
        first.evidence,
        first.confidence,
        first.number("priority"),
        first.amount if wanted.amount is None else wanted.amount,
        first.texts("alternatives"),
        first.expects,
        first.texts("compatible"),
        first.sandbox,
    )
    _priced(first, draft, wanted.amount)
    model = first.text("model")
    origin = Origin(
        first.text("agent"), first.text("agentVersion"), first.text("department") or None, first.text("work"),
        first.text("contextHash"), first.number("contextPosition"), first.number("depth"),
        dict(json.loads(model)) if model else {}, first.text("run"), first.sandbox,
        compensation=first.text("compensation"),
    )  # fmt: skip
    labels = tuple(sorted({*first.texts("labels"), *labels_of(store, ontology, draft)}))
    put = proposals.put(draft, origin, 0, labels)
    more: dict[str, Value] = {"editors": editors, "edits": edits}
    if first.texts("partners"):
        more["partners"] = first.texts("partners")
    return Put(derive("edited proposal", first.id, first.version, put.set["intent"]), PROPOSAL, {**put.set, **more})


def _priced(first: Proposal, draft: Draft, amount: Money | None) -> None:
    """StateError where nothing changes, or an amount without what it is the amount of, or that without saying the amount."""
    same = draft.writes == first.writes and dict(draft.payload) == dict(first.payload)
    if same and draft.amount == first.amount:
        raise StateError("the edit changes nothing; approve the proposal as it is, or say what is to be otherwise")
    if same:
        raise StateError(
            "an amount is not edited alone: it says what the writes or the payload come to; edit those too"
        )
    if amount is None and first.amount is not None:
        raise StateError("say the amount too, also where it stays: it is what the edited proposal comes to")
    if amount is not None and amount.amount < 0:
        raise StateError(f"an amount is not negative, as {amount.amount} is; say what the proposal comes to")


def _written(first: Proposal, wanted: Edit) -> tuple[Write, ...]:
    if wanted.values and first.text("effector") != GRAPH:
        raise StateError(f"the proposal is carried out by {first.text('effector')}; edit its payload, not values")
    known = {write.id: write for write in first.writes if isinstance(write, Put)}
    for id in wanted.values:
        if id not in known:
            raise StateError(
                f"the proposal writes no entity {id[:80]!r}; it writes {', '.join(sorted(known)) or 'none'}"
            )
    return tuple(
        _put(write, wanted.values.get(write.id, {})) if isinstance(write, Put) else write for write in first.writes
    )


def _put(write: Put, values: Mapping[str, Value | None]) -> Put:
    given = {name: value for name, value in values.items() if value is not None}
    gone = frozenset(values) - given.keys()
    kept = {name: value for name, value in write.set.items() if name not in gone}
    return replace(write, set={**kept, **given}, unset=(write.unset - given.keys()) | gone)


def _paid(first: Proposal, wanted: Edit) -> Mapping[str, Json]:
    if wanted.payload and first.text("effector") == GRAPH:
        raise StateError("the proposal changes the graph itself and has no payload; edit values of what it writes")
    merged = {**first.payload, **wanted.payload}
    return {name: value for name, value in merged.items() if value is not None}
