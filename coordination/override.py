"""Override: a person reverses or corrects what was decided and applied, by a decision with its reason, linked to the first.

Invariants: I4 what is undone is undone by a compensation, whose every effect is decided; the first decision stays as it was. One
override a decision. Routing learns from it: it names the agent and the operation. Undoes nothing itself.
"""

from dataclasses import dataclass
from typing import Final, Literal

from coordination import compensation, effects
from coordination.codec import derive
from coordination.errors import StateError
from coordination.proposals import Proposal
from governance.decide import decide
from governance.decisions import record
from governance.errors import DeniedError
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.verdict import Request
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Direction, Entity, Input, Link, Put, StateWrite, Write
from kg.store import GraphStore
from kg.values import Ref, Value

OVERRIDE: Final = "Override"
REASON_MAX: Final = 2_000
Kind = Literal["reverse", "correct"]


@dataclass(frozen=True, slots=True)
class Overridden:
    """The id of the override, of the compensation (empty where nothing is undone), and the work to send."""

    id: str
    compensation: str = ""
    follow: tuple[str, ...] = ()


def override(
    store: GraphStore,
    clock: Clock,
    rules: RuleBook,
    principal: Principal,
    decision_id: str,
    reason: str,
    kind: Kind = "reverse",
) -> Overridden:
    """Reverse an applied decision (its effect is compensated), or mark it as corrected (what corrects it is done elsewhere).

    Decided as action ``configure``, operation ``override``, on the decision (DeniedError, recorded). Raises StateError where
    nothing was applied or it was overridden before.
    """
    if not reason.strip():
        raise StateError("an override needs a reason; say why")
    decision = store.get([decision_id]).get(decision_id)
    if decision is None or decision.cls != "Decision":
        raise StateError(f"there is no decision {decision_id[:80]!r}; take ids from `noesis decisions`")
    proposal = _applied(store, decision)
    request = Request(principal, "configure", decision, {"operation": "override"})
    verdict = decide(request, rules)
    mine = clock.id()
    facts = (Input(decision.id, decision.version), Input(proposal.id, proposal.version))
    writes: list[Write] = [*record(mine, request, verdict, facts=facts)]
    cause = Cause(clock.id(), f"override.{kind}", principal.uid, reason[:REASON_MAX], inputs=facts)
    if not verdict.allowed:
        store.commit(writes, cause)
        raise DeniedError(f"{principal.uid} may not override this: {verdict.reason}", mine)
    id = derive("override", decision.id)
    values: dict[str, Value] = {
        "principal": principal.uid, "reason": reason[:REASON_MAX], "kind": kind,
        "ofAgent": proposal.text("agent"), "ofOperation": proposal.text("operation"),
    }  # fmt: skip
    undoing, rows = "", list[StateWrite]()
    if kind == "reverse":
        effect = effects.effect_id(proposal)
        undoing, undo, rows = compensation.requested(
            clock, [effect], reason=reason, principal=principal.uid, key=f"override:{decision.id}"
        )
        writes += undo
        values["compensation"] = Ref(undoing)
    writes += [Put(id, OVERRIDE, values), Link(id, "overrides", decision.id)]
    try:
        store.commit(writes, cause, {id: ABSENT, proposal.id: proposal.version}, rows)
    except ConflictError as error:
        if id in error.found:
            raise StateError(f"decision {decision.id} was overridden before; see `noesis why {id}`") from None
        raise
    return Overridden(id, undoing, tuple(row.key for row in rows))


def _applied(store: GraphStore, decision: Entity) -> Proposal:
    """The proposal that a decision let be applied; raises StateError where none was."""
    edges = store.expand([decision.id], "decidedBy", Direction.IN, first=1)[decision.id]
    proposal = Proposal(edges[0].entity) if edges else None
    if proposal is None or proposal.state != "applied" or decision["outcome"] != "allow":
        state = "is about no proposal" if proposal is None else f"led to a proposal that is {proposal.state}"
        raise StateError(f"decision {decision.id} {state}; only what was applied can be overridden")
    return proposal
