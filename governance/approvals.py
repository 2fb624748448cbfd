"""Approvals: a person's answer to a decision that asks for one, and which answers count now.

Invariants: I5, no identity of the proposing chain answers with "approve"; one person answers a decision once (I3: again is the
same). Whether the answers suffice for the proposal is decided anew by coordination; this says only whether they look complete.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from governance import delegations
from governance.decide import decide
from governance.decisions import record, requirements
from governance.delegations import Lent
from governance.errors import (
    AlreadyAnsweredError,
    ApprovalError,
    ApprovalExpiredError,
    DeniedError,
    NotWaitingError,
    PrincipalError,
    SelfApprovalError,
    UnknownDecisionError,
)
from governance.principals import Principal, load_principal
from governance.quorum import missing
from governance.rulebook import RuleBook
from governance.verdict import Approved, Request, Verdict
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Direction, Entity, Input, Link, Put, StateWrite, Write
from kg.store import PAGE_MAX, GraphStore
from kg.values import Value

CLASS: Final = "Approval"
#: Answers read for one decision.
APPROVALS_MAX: Final = 200
#: Kind of the state rows that change with each answer to a decision, as long as it may be answered.
HEARD: Final = "heard"
COMMENT_MAX: Final = 10_000
RETRIES_MAX: Final = 3
#: Proposals that one decision may be about, and their states in which no answer changes anything any more.
SUBJECTS_MAX: Final = 10
CLOSED: Final = frozenset(
    {"applying", "in_doubt", "applied", "simulated", "denied", "superseded", "rejected", "expired", "failed"}
)

Answer = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer led to. `missing` names the places still open, by requirement and role; `repeated`: it was there before."""

    approval: str
    answer: Answer
    met: bool
    missing: Mapping[str, Mapping[str, int]]
    repeated: bool = False


def approve(
    store: GraphStore, clock: Clock, rules: RuleBook, decision_id: str, principal: Principal, verdict: Answer, comment: str = "",
    *, expects: Mapping[str, int] | None = None, state: Sequence[StateWrite] = (),
) -> Answered:  # fmt: skip
    """Commit a person's answer, with the decision that allowed it; `expects` may hold the proposal's version, `state` rows beside.

    Raises DeniedError (recorded), SelfApprovalError (recorded), NotWaitingError (also where its proposal is settled),
    PrincipalError, and ConflictError where decision or proposal changed meanwhile.
    """
    if verdict not in {"approve", "reject"}:
        raise ApprovalError(f"an answer is approve or reject, not {str(verdict)[:40]!r}")
    if len(comment) > COMMENT_MAX:
        raise ApprovalError(f"a comment of {len(comment):,} characters exceeds {COMMENT_MAX:,}; shorten it")
    for link in principal.chain():
        load_principal(store, link.uid)
    decision = _waiting(store, clock, decision_id)
    given_ = delegations.lent(store, clock.now(), principal, _proposers(decision)) if verdict == "approve" else ()
    id = _approval_id(decision_id, principal)
    wanted = dict(expects or {})
    for _ in range(RETRIES_MAX):
        present = store.get([id]).get(id)
        if present is not None:
            _open(store, decision, answered=True)
            if present["answer"] != verdict:
                raise AlreadyAnsweredError
            return _answered(store, clock, decision, present, verdict, repeated=True)
        asking = delegations.widened(principal, given_)
        allowed = _decide(store, clock, rules, decision, asking, verdict)
        # Only after that: who may not answer is not told what became of the proposal.
        about = _open(store, decision, answered=False)
        try:
            writes = (*_writes(id, decision, asking, verdict, comment, given_), *allowed)
            held = {decision.id: decision.version, id: 0, **about, **wanted}
            rows = (*state, _heard(decision))
            store.commit(writes, _cause(clock, decision, principal, verdict, comment), held, rows)
        except ConflictError as error:
            if error.found.keys() <= {id, *about} - wanted.keys():
                continue
            raise
        return _answered(store, clock, decision, store.get([id])[id], verdict, repeated=False)
    raise ConflictError("the answer met another one at every try; read the decision again")


def _waiting(store: GraphStore, clock: Clock, decision_id: str) -> Entity:
    decision = store.get([decision_id]).get(decision_id)
    if decision is None or decision.cls != "Decision":
        raise UnknownDecisionError(f"there is no decision {decision_id[:80]!r}; look in the inbox")
    if decision["outcome"] != "needs_approval":
        raise NotWaitingError
    if _over(decision, clock.now()):
        raise ApprovalExpiredError
    return decision


def _open(store: GraphStore, decision: Entity, *, answered: bool) -> dict[str, int]:
    """The versions of the proposals that a decision is about; NotWaitingError where none of them can still be answered.

    Who answered before and asks again hears the same, except of what another proposal took the place of.
    """
    edges = store.expand([decision.id], "decidedBy", Direction.IN, first=SUBJECTS_MAX)[decision.id]
    shut = {"superseded"} if answered else CLOSED
    states = [str(edge.entity.get("state")) for edge in edges]
    if states and shut.issuperset(states):
        raise NotWaitingError(f"this decision is no longer open: its proposal is {states[0]}; look in the inbox")
    return {edge.entity.id: edge.entity.version for edge in edges}


def _over(entity: Entity, now: datetime) -> bool:
    expires = entity.get("expires")
    return isinstance(expires, datetime) and expires <= now


def _approval_id(decision_id: str, principal: Principal) -> str:
    """Made from decision and person, so that one person's answers meet in one entity."""
    digest = hashlib.sha256(f"{decision_id}\x1f{principal.responsible()}".encode()).hexdigest()
    return f"approval-{digest[:26]}"


def _decide(
    store: GraphStore, clock: Clock, rules: RuleBook, decision: Entity, principal: Principal, answer: Answer
) -> tuple[Write, ...]:
    """The record of the decision that this principal may answer; a refusal is recorded and raised."""
    names = ("operation", "amount", "currency")
    context: dict[str, Value] = {name: decision[name] for name in names if name in decision.properties}
    request = Request(principal, "approve", decision, {**context, "answer": answer})
    # INVARIANT I5: also the same natural person behind another identity, and whoever the proposer acts for.
    own = answer == "approve" and principal.identities() & _proposers(decision)
    verdict = Verdict("deny", reason="a proposer never approves its own proposal") if own else decide(request, rules)
    id = clock.id()
    writes = record(id, request, verdict, facts=(Input(decision.id, decision.version),))
    if verdict.allowed:
        return writes
    store.commit(writes, _cause(clock, decision, principal, answer, verdict.reason))
    if own:
        raise SelfApprovalError
    raise DeniedError(f"{principal.uid} may not {answer} this: {verdict.reason}", id)


def _proposers(decision: Entity) -> frozenset[str]:
    found = decision.get("proposers", ())
    return frozenset(map(str, found)) if isinstance(found, tuple) else frozenset()


def _cause(clock: Clock, decision: Entity, principal: Principal, answer: Answer, reason: str) -> Cause:
    behalf = principal.on_behalf_of.uid if principal.on_behalf_of is not None else None
    inputs = (Input(decision.id, decision.version),)
    return Cause(clock.id(), answer, principal.uid, reason, behalf, inputs)


def _writes(
    id: str, decision: Entity, principal: Principal, answer: Answer, comment: str, given: Sequence[Lent]
) -> tuple[Write, ...]:
    values: dict[str, Value] = {"answer": answer, "principal": principal.uid, "roles": tuple(sorted(principal.roles))}
    if principal.on_behalf_of is not None:
        values["onBehalfOf"] = principal.on_behalf_of.uid
    if given:
        values["delegations"] = tuple(item.id for item in given)
    if comment:
        values["comment"] = comment
    if "expires" in decision.properties:
        values["expires"] = decision["expires"]
    links = [Link(id, "wasInformedBy", decision.id)]
    if principal.entity is not None:
        links.append(Link(id, "wasAttributedTo", principal.entity))
    return (Put(id, CLASS, values), *links)


def _answered(
    store: GraphStore, clock: Clock, decision: Entity, approval: Entity, answer: Answer, *, repeated: bool
) -> Answered:
    approvals = given(store, clock, decision.id)
    open_ = {r.name: places for r in requirements(decision) if (places := missing(r, approvals))}
    rejected = bool(answers(store, decision.id, "reject"))
    return Answered(approval.id, answer, not open_ and not rejected, open_, repeated)


def answers(store: GraphStore, decision_id: str, answer: Answer) -> tuple[Entity, ...]:
    """The Approval entities of a decision with this answer, at most APPROVALS_MAX."""
    edges = store.expand([decision_id], "wasInformedBy", Direction.IN, first=APPROVALS_MAX)[decision_id]
    return tuple(e.entity for e in edges if e.entity.cls == CLASS and e.entity.get("answer") == answer)


def _heard(decision: Entity) -> StateWrite:
    expires = decision.get("expires")
    due = int(expires.timestamp() * 1_000_000) if isinstance(expires, datetime) else None
    return StateWrite(HEARD, decision.id, True, due=due)


def hearing(store: GraphStore, decisions: Sequence[str]) -> tuple[StateWrite, ...]:
    """The rows with which a commit ends the hearing of these decisions: it fails where an answer came after this was read."""
    there = store.state(HEARD, list(decisions)) if decisions else {}
    return tuple(StateWrite(HEARD, id, None, expect=there[id].revision if id in there else ABSENT) for id in decisions)


def sweep(store: GraphStore, clock: Clock) -> int:
    """Drop the rows of decisions that nobody may answer any more; how many."""
    rows = store.scan(HEARD, due=int(clock.now().timestamp() * 1_000_000), first=PAGE_MAX)
    if rows:
        store.commit([], None, state=[StateWrite(HEARD, row.key, None) for row in rows])
    return len(rows)


def given(store: GraphStore, clock: Clock, decision_id: str) -> tuple[Approved, ...]:
    """The approvals in force for a decision: not expired, by principals that still exist, with the roles they still have."""
    now = clock.now()
    found = []
    decision = store.get([decision_id]).get(decision_id)
    for approval in answers(store, decision_id, "approve"):
        if decision is not None and not _over(approval, now):
            try:
                principal = _approver(store, approval)
            except PrincipalError:
                continue
            lent = _lent(store, now, approval, principal, _proposers(decision))
            roles = tuple((item.by.responsible(), item.roles) for item in lent)
            held = _held(principal, lent)
            found.append(Approved(principal, approval.id, roles, _escalated(store, decision, approval), held))
    return tuple(found)


def _lent(
    store: GraphStore, now: datetime, approval: Entity, principal: Principal, proposers: frozenset[str]
) -> tuple[Lent, ...]:
    """The roles that an answer used of others, where those delegations are still in force."""
    used = approval.get("delegations", ())
    if not isinstance(used, tuple) or not used:
        return ()
    return tuple(item for item in delegations.lent(store, now, principal, proposers) if item.id in used)


def _held(principal: Principal, lent: Sequence[Lent]) -> tuple[tuple[str, int], ...]:
    # INVARIANT I4: versions read before the roles, so that what is taken or ended meanwhile makes the commit fail.
    links = [link for one in (principal, *(item.by for item in lent)) for link in one.chain()]
    people = [(link.entity, link.version) for link in links if link.entity is not None]
    return (*people, *((item.id, item.version) for item in lent))


def _escalated(store: GraphStore, decision: Entity, approval: Entity) -> frozenset[str]:
    """The requirements of a decision for which an answer came after their escalation."""
    asked = [item for item in requirements(decision) if item.escalate]
    if not asked:
        return frozenset()
    began, given_at = (store.changes(entity.since - 1, 1)[0].at for entity in (decision, approval))
    return frozenset(item.name for item in asked if (given_at - began).total_seconds() >= item.after)


def _approver(store: GraphStore, approval: Entity) -> Principal:
    behalf = approval.get("onBehalfOf")
    other = load_principal(store, str(behalf)) if behalf is not None else None
    principal = load_principal(store, str(approval["principal"]), on_behalf_of=other)
    then = approval.get("roles", ())
    held = frozenset(map(str, then)) if isinstance(then, tuple) else frozenset()
    return replace(principal, roles=principal.roles & held)
