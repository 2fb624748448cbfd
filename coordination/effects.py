"""Effects: intent, act, receipt. The intent is committed with the allowing decision; then the effector acts; then the receipt.

Invariants: I3 one effect a proposal and one key an effect, so a repetition carries the same key; after a crash it is looked up, or
repeated with the key where the target honours it, else it is in doubt and a person says what happened. I7 the receipt is
written by whoever holds the work. Does not decide: `settling` made the intent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coordination.codec import derive
from coordination.effectors.effector import Effect, Effector, Receipt
from coordination.errors import GiveUp, RetryLater, StateError
from coordination.proposals import Proposal
from coordination.works import Work
from kg.clock import Clock
from kg.model import Cause, Entity, Input, Link, Put, Write
from kg.store import GraphStore
from kg.values import Ref, Value, canonical

EFFECT: Final = "Effect"
MOVES: Final[Mapping[str, frozenset[str]]] = {
    "intent": frozenset({"done", "failed", "in_doubt"}),
    "in_doubt": frozenset({"done", "failed"}),
    "done": frozenset(),
    "failed": frozenset(),
}
#: What becomes of the proposal with its effect.
_PROPOSAL_STATE: Final = {"done": "applied", "failed": "failed", "in_doubt": "in_doubt"}
RECEIPT_MAX: Final = 10_000


def effect_id(proposal: Proposal) -> str:
    """The id of a proposal's one effect."""
    return derive("effect", proposal.id)


def key_of(proposal: Proposal) -> str:
    """The idempotency key: it follows from proposal and operation, so every repetition carries the same."""
    return derive("key", proposal.id, proposal.text("operation"))


def intention(proposal: Proposal, state: str = "intent", **more: Value) -> tuple[Write, ...]:
    """The writes that record the intent of an effect (or, for the graph, the effect as done)."""
    id = effect_id(proposal)
    properties: dict[str, Value] = {
        "operation": proposal.text("operation"),
        "target": Ref(proposal.text("target")),
        "effector": proposal.text("effector"),
        "idempotencyKey": key_of(proposal),
        "agent": proposal.text("agent"),
        "status": state,
        **more,
    }
    if proposal.text("department"):
        properties["department"] = proposal.text("department")
    return Put(id, EFFECT, properties), Link(id, "performs", proposal.id)


@dataclass(frozen=True, slots=True)
class Effects:
    """The task that performs outside effects."""

    store: GraphStore
    clock: Clock
    effectors: Mapping[str, Effector]

    def run(self, work: Work) -> Sequence[str]:
        """Act on an intended effect and commit the receipt."""
        entity, proposal = read(self.store, work.subject)
        if entity["status"] != "intent":
            self.store.commit([], None, state=[work.done().write()])
            return ()
        effector = self.effectors.get(proposal.text("effector"))
        if effector is None:
            raise GiveUp(f"no effector is called {proposal.text('effector')!r}; configure it, then propose again")
        effect = self._effect(entity, proposal)
        repeated = work.attempts > 1
        if repeated and effector.can_look_up:
            receipt = effector.look_up(effect)
            return self._receipt(work, entity, proposal, receipt or effector.act(effect))
        if not effector.idempotent and (work.taken or work.unsure):
            return self._doubt(
                work, entity, proposal, "the try before ended without an answer, and the target knows no key"
            )
        return self._try(work, entity, proposal, effector, effect)

    def _try(self, work: Work, entity: Entity, proposal: Proposal, effector: Effector, effect: Effect) -> Sequence[str]:
        try:
            receipt = effector.act(effect)
        except (RetryLater, GiveUp):
            raise
        except Exception as error:
            if effector.idempotent or effector.can_look_up:
                raise
            return self._doubt(work, entity, proposal, f"{type(error).__name__}: {error}")
        return self._receipt(work, entity, proposal, receipt)

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Fail the effect, or leave it in doubt where a try ended without a clear answer."""
        entity, proposal = read(self.store, work.subject)
        if entity["status"] != "intent":
            self.store.commit([], None, state=[work.done().write()])
            return ()
        state = "in_doubt" if work.unsure or work.taken else "failed"
        self._end(work.failed(reason), entity, proposal, state, reason=reason)
        return ()

    def _doubt(self, work: Work, entity: Entity, proposal: Proposal, why: str) -> Sequence[str]:
        reason = f"nobody knows whether it happened ({why}); ask the target, then say so"
        self._end(work.done(), entity, proposal, "in_doubt", reason=reason)
        return ()

    def _receipt(self, work: Work, entity: Entity, proposal: Proposal, receipt: Receipt) -> Sequence[str]:
        detail = canonical(dict(receipt.detail))[:RECEIPT_MAX]
        self._end(work.done(), entity, proposal, "done", receipt=detail, reference=receipt.reference)
        return ()

    def _end(self, work: Work, entity: Entity, proposal: Proposal, state: str, **more: Value) -> None:
        writes = ending(entity, proposal, state, more)
        cause = _cause(self.clock, f"effect.{state}", f'Agent::"{proposal.text("agent")}"', entity, proposal)
        # INVARIANT I7: whoever lost the claim, or came second to the effect, writes no receipt.
        expects = {entity.id: entity.version, proposal.id: proposal.version}
        self.store.commit(writes, cause, expects, [work.write()])

    def _effect(self, entity: Entity, proposal: Proposal) -> Effect:
        (made,) = self.store.versions([(entity.id, 1)]).values()
        changes = self.store.changes(made.since - 1, 1)
        return Effect(
            entity.id,
            str(entity["idempotencyKey"]),
            proposal.text("operation"),
            proposal.text("target"),
            proposal.id,
            proposal.payload,
            changes[0].at,
        )


def read(store: GraphStore, id: str) -> tuple[Entity, Proposal]:
    """An effect and its proposal; raises GiveUp where there is none."""
    entity = store.get([id]).get(id)
    edges = store.expand([id], "performs", first=1)[id]
    if entity is None or not edges:
        raise GiveUp(f"there is no effect {id}")
    return entity, Proposal(edges[0].entity)


def ending(entity: Entity, proposal: Proposal, state: str, more: Mapping[str, Value]) -> list[Write]:
    """The writes that end an effect and move its proposal along; raises StateError where MOVES does not allow it."""
    current = str(entity["status"])
    # INVARIANT I3: an effect that is done has no follower.
    if state not in MOVES[current]:
        raise StateError(f"effect {entity.id} is {current} and cannot become {state}; read it again")
    present = {name: value for name, value in more.items() if value != ""}
    return [
        Put(entity.id, EFFECT, {"status": state, **present}),
        proposal.move(_PROPOSAL_STATE[state], str(more.get("reason", ""))),
    ]


def resolve(store: GraphStore, clock: Clock, id: str, happened: bool, principal: str, comment: str) -> None:
    """Record what a person found out about an effect in doubt; raises StateError where it is not in doubt."""
    entity, proposal = read(store, id)
    if entity["status"] != "in_doubt":
        raise StateError(f"effect {id} is {entity['status']}, not in doubt; there is nothing to resolve")
    writes = ending(entity, proposal, "done" if happened else "failed", {"reason": comment})
    cause = _cause(clock, "effect.resolve", principal, entity, proposal, comment)
    store.commit(writes, cause, {entity.id: entity.version, proposal.id: proposal.version})


def _cause(clock: Clock, activity: str, who: str, entity: Entity, proposal: Proposal, reason: str = "") -> Cause:
    inputs = (Input(entity.id, entity.version), Input(proposal.id, proposal.version))
    return Cause(
        clock.id(),
        activity,
        who,
        reason,
        inputs=inputs,
        attributes={"depth": proposal.number("depth"), "proposal": proposal.id},
    )
