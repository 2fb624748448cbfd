"""Governed calls: `agent` lets a named agent act or answer, `approve` asks people, `query` reads what the workflow's agent may see.

Invariants: an agent's proposals have ids that follow from the step, so acting again after a crash proposes nothing twice (I3);
whoever started the run never counts among those who approve it (I5 is the approvals' own).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from coordination.acting import Acting, ContextRecord
from coordination.codec import derive
from coordination.editing import latest
from coordination.errors import HeldError, RetryLater
from coordination.proposals import Draft
from coordination.runs.calls import Answer, Begun, Call
from coordination.runs.calls_asking import Asking
from coordination.runs.calls_outward import Outward, proposed
from coordination.runs.definitions import acts_as
from coordination.runs.parking import AWAITED
from coordination.runs.recommending import recommended, worded
from coordination.runs.rows import key
from coordination.starters import starter
from coordination.workflow.durations import microseconds
from coordination.workflow.faults import fault
from governance.approvals import answers, given
from governance.decisions import record, requirements
from governance.errors import PrincipalError
from governance.principals import load_principal
from governance.quorum import satisfied
from governance.verdict import Request, Requirement, Resource, Verdict
from kg.errors import ConflictError, InputError, NoesisError, StoreError
from kg.model import ABSENT, Entity, Op, Put, StateWrite, Where
from kg.reader import Reader
from kg.values import Json, encode_properties
from kg.view import View

#: Entities that one query gives at most.
QUERY_MAX: Final = 1_000
#: When an agent that a control stops is looked at again.
HELD_SECONDS: Final = 5.0
#: Why an agent may not begin anything now, None where it may.
Held = Callable[[str, str | None], str | None]
#: How long people may take to answer where the workflow names no time.
APPROVE_DEFAULT: Final = {"days": 7}


def free(agent: str, department: str | None) -> None:
    """The answer where nothing stops agents."""
    del agent, department


@dataclass(frozen=True, slots=True)
class AgentCall:
    """`call: agent`: with `entity` the agent acts, its proposals are settled, the output is what became of them; with `task`
    (and `context`, `check`) it answers. `among` names the agents that may be named. Whom a control stops does neither.
    """

    outward: Outward
    acting: Acting
    held: Held = free
    quick: bool = field(default=True, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Have the agent think, and propose what it hands in, or take its answer."""
        name = call.text("agent")
        store = self.outward.store
        card = self.acting.agents().get(name)
        among = call.arguments.get("among")
        if card is None or (isinstance(among, list) and name not in among):
            known = f"name one of {', '.join(map(str, among))}" if isinstance(among, list) else "load it, or correct it"
            raise fault("configuration", f"no agent is called {name[:80]!r} here; {known}")
        why = self.held(card.name, card.department)
        if why is not None:
            raise RetryLater(why, HELD_SECONDS, counted=False)
        if "task" in call.arguments:
            return Asking(store, self.acting).begin(call, card)
        id = call.text("entity")
        entity = store.get([id]).get(id)
        if entity is None:
            raise fault("runtime", f"there is no entity {id} for {name} to act on", status=404)
        drafts, context = self._act(call, name, entity)
        if not drafts:
            return {"output": {"proposals": []}}
        begun = proposed(
            self.outward, call, [replace(draft, sandbox=call.run.sandbox) for draft in drafts], context.model
        )
        named = [replace(write, set={**write.set, "agent": name}) for write in begun.writes if isinstance(write, Put)]
        return replace(begun, writes=named)

    def _act(self, call: Call, name: str, entity: Entity) -> tuple[tuple[Draft, ...], ContextRecord]:
        """What the agent hands in; what its own code raises is the specification's runtime error, as where it answers."""
        store = self.outward.store
        change = store.changes(entity.since - 1, 1)[0]
        try:
            return self.acting.act(name, change, entity, store.head().position, call.within)
        except (HeldError, RetryLater, StoreError, ConflictError, PrincipalError):
            raise
        except Exception as error:
            raise fault("runtime", f"agent {name} raised {type(error).__name__}: {error}", title="No Answer") from error

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """The answer; or what became of the proposals, once all of them ended."""
        if "answer" in handle:
            return Asking(self.outward.store, self.acting).look(call, handle["answer"])
        found = self.outward.store.get(handle["proposals"])
        settled = [latest(self.outward.store, found, id) for id in handle["proposals"]]
        if any(item.state not in _ENDED for item in settled):
            return None
        told = [
            {"id": item.id, "operation": item.text("operation"), "state": item.state, "reason": item.text("reason")}
            for item in settled
        ]
        return {"output": {"proposals": told}}

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing: what is proposed goes its way."""
        del call, handle
        return ()


_ENDED: Final = frozenset({"applied", "simulated", "denied", "superseded", "rejected", "expired", "failed"})


@dataclass(frozen=True, slots=True)
class ApproveCall:
    """`call: approve` with `approvers` (role: count), `summary` or `recommendation`, `timeout`: people decide; a no is the
    authorization error.
    """

    outward: Outward
    quick: bool = field(default=False, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Put the question on record."""
        approvers = call.arguments.get("approvers")
        if not isinstance(approvers, Mapping) or not approvers:
            raise fault("configuration", "`call: approve` needs `approvers`, roles with how many of each")
        try:
            counts = {str(role): int(count) for role, count in approvers.items()}
        except (TypeError, ValueError) as error:
            raise fault("configuration", f"`approvers` must be whole numbers by role: {error}") from error
        try:
            # INVARIANT I5: whoever started the run asks through it, so no identity of theirs answers.
            behalf = starter(self.outward.store, call.run.id)
            principal = load_principal(
                self.outward.store, f'Agent::"{acts_as(call.plan.document)}"', on_behalf_of=behalf
            )
        except PrincipalError as error:
            raise fault("authorization", str(error)) from error
        advice = call.arguments.get("recommendation")
        summary = str(call.arguments.get("summary") or f"step {call.reference} of run {call.run.id}")[:2_000]
        target = str(call.arguments.get("target") or call.step)
        found = self.outward.store.get([target]).get(target)
        resource: Entity | Resource = found or Resource("Step", target)
        length = microseconds(call.arguments.get("timeout") or APPROVE_DEFAULT)
        decision = derive("approve", call.key)
        more = [] if advice is None else [recommended(call, decision, advice)]
        if advice is not None and "summary" not in call.arguments:
            summary = worded(advice)
        verdict = Verdict("needs_approval", required=(Requirement("workflow", counts),), reason=summary)
        expires = self.outward.clock.now() + timedelta(microseconds=length)
        made = record(
            decision, Request(principal, "apply", resource, {"operation": "workflow.approve"}), verdict, expires=expires
        )
        waiting = StateWrite(AWAITED, decision, {"subject": key(call.run.id, call.strand)}, expect=ABSENT)
        return Begun({"decision": decision}, [*made, *more], [waiting], (), call.now + length)

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """Whether enough people approved, somebody rejected, or the time is over."""
        store, id = self.outward.store, handle["decision"]
        for rejection in answers(store, id, "reject"):
            comment = str(rejection.get("comment", ""))
            problem = fault(
                "authorization", f"rejected by {rejection['principal']}" + (f": {comment}" if comment else ""),
                title="Rejected", instance=call.reference,
            ).problem  # fmt: skip
            return {"problem": problem}
        decision = store.get([id])[id]
        known = decision.get("proposers", ())
        own = frozenset(map(str, known if isinstance(known, tuple) else ()))
        # INVARIANT I5: as the approvers are now, whatever they were when they answered.
        approved = [item for item in given(store, self.outward.clock, id) if not item.by.identities() & own]
        if all(satisfied(item, approved) for item in requirements(decision)):
            return {"output": {"approved": True, "by": sorted(item.by.uid for item in approved), "decision": id}}
        expires = decision.get("expires")
        if isinstance(expires, datetime) and expires <= self.outward.clock.now():
            return {"problem": fault("timeout", "nobody answered in time", instance=call.reference).problem}
        return None

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nobody waits for the answer any more."""
        del call
        return [StateWrite(AWAITED, handle["decision"], None)]


@dataclass(frozen=True, slots=True)
class QueryCall:
    """`call: query` with `class`, `where` (property: value), `first`, or `id`: entities as the workflow's agent may see them."""

    outward: Outward
    views: Callable[[str], View]
    quick: bool = field(default=True, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Read; what may not be seen is not there."""
        try:
            reader = Reader(self.outward.store, self.views(acts_as(call.plan.document)))
            if "id" in call.arguments:
                found = reader.get([call.text("id")])
                return {"output": _shown(next(iter(found.values()))) if found else None}
            first = min(int(call.arguments.get("first", 100)), QUERY_MAX)
            where = [Where(name, Op.EQ, value) for name, value in dict(call.arguments.get("where") or {}).items()]
            page = reader.find(call.text("class"), where, first=first)
        except (InputError, TypeError, ValueError) as error:
            raise fault("configuration", f"the query cannot be used: {error}") from error
        except NoesisError as error:
            raise fault("authorization", str(error)) from error
        return {"output": [_shown(entity) for entity in page.items]}

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """Nothing to look for: it was answered at once."""
        del call, handle
        return None

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing to tidy up."""
        del call, handle
        return ()


def _shown(entity: Entity) -> dict[str, Json]:
    return {"id": entity.id, "class": entity.cls, "version": entity.version, **encode_properties(entity.properties)}
