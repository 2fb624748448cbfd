"""Effects: intent, act, receipt. The intent is committed with the allowing decision; then the effector acts; then the receipt.

Invariants: I3 one effect a proposal and one key an effect, so a repetition carries the same key; after a crash it is looked up, or
repeated with the key where the target honours it, else it is in doubt and a person says what happened. I7 the receipt is
written by whoever holds the work. Does not decide: `settling` made the intent.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coordination.codec import derive
from coordination.effectors.effector import Effect, Effector, Receipt, repeatable
from coordination.errors import GiveUp, RetryLater, StateError
from coordination.proposals import Proposal
from coordination.works import Work
from governance import budgets
from kg import tracing
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Entity, Input, Link, Put, Write
from kg.store import GraphStore
from kg.values import Json, Ref, Value, canonical

EFFECT: Final = "Effect"
MOVES: Final[Mapping[str, frozenset[str]]] = {
    "intent": frozenset({"done", "failed", "in_doubt", "simulated"}),
    "in_doubt": frozenset({"done", "failed"}),
    "done": frozenset({"compensating", "compensated"}),
    "compensating": frozenset({"compensated", "done"}),
    "compensated": frozenset(),
    "failed": frozenset(),
    "simulated": frozenset(),
}
#: What becomes of the proposal with its effect.
_PROPOSAL_STATE: Final = {"done": "applied", "failed": "failed", "in_doubt": "in_doubt", "simulated": "simulated"}
#: What becomes of an effect with the one that undoes it.
_ORIGINAL: Final = {"intent": "compensating", "done": "compensated", "failed": "done"}
#: Characters of a receipt: whatever an effector reads of an answer fits, however JSON escapes it.
RECEIPT_MAX: Final = 400_000
REFERENCE_MAX: Final = 10_000
#: Tries of one receipt that lost a race with others who wrote beside it.
TRIES_MAX: Final = 20


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
    properties |= {name: proposal.text(name) for name in ("department", "run") if proposal.text(name)}
    if proposal.sandbox:
        properties["simulated"] = True
    writes: list[Write] = [Put(id, EFFECT, properties), Link(id, "performs", proposal.id)]
    if proposal.text("undoes"):
        writes.append(Link(id, "compensates", proposal.text("undoes")))
    return tuple(writes)


def original(store: GraphStore, proposal: Proposal, state: str) -> tuple[list[Write], dict[str, int]]:
    """What the effect of this state means for the one that it undoes: the write, and the version that it expects."""
    id, new = proposal.text("undoes"), _ORIGINAL.get(state)
    if not id or new is None or proposal.sandbox:
        return [], {}
    entity = store.get([id])[id]
    # INVARIANT I3: an effect is undone once; a second undoing finds it compensating or compensated.
    if new not in MOVES[str(entity["status"])]:
        raise StateError(f"effect {id} is {entity['status']} and cannot become {new}; read it again")
    return [Put(id, EFFECT, {"status": new})], {id: entity.version}


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
        effect = effect_of(self.store, entity, proposal)
        if proposal.sandbox:
            return self._receipt(work, entity, proposal, effector.simulate(effect), "simulated")
        repeated = work.attempts > 1 or work.taken or work.unsure
        if repeated and effector.can_look_up:
            receipt = effector.look_up(effect)
            return self._receipt(work, entity, proposal, receipt or effector.act(effect))
        if not repeatable(effector, effect) and (work.taken or work.unsure):
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
            if repeatable(effector, effect) or effector.can_look_up:
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

    def _receipt(
        self, work: Work, entity: Entity, proposal: Proposal, receipt: Receipt, state: str = "done"
    ) -> Sequence[str]:
        detail = receipt_text(receipt.detail)
        self._end(work.done(), entity, proposal, state, receipt=detail, reference=receipt.reference[:REFERENCE_MAX])
        return ()

    def _end(self, work: Work, entity: Entity, proposal: Proposal, state: str, **more: Value) -> None:
        """Commit how the effect ended: what happened outside is known by now, so a lost race is run again, not the effect."""
        for _ in range(TRIES_MAX):
            try:
                self._put(work, entity, proposal, state, more)
                return
            except ConflictError as error:
                if work.id in error.found:
                    raise
            entity, proposal = read(self.store, work.subject)
        # No ConflictError: whoever gave the work out would take it for a race before the act, and have it done again.
        raise StateError(f"effect {entity.id} changed each time its end was written; see who writes it")

    def _put(self, work: Work, entity: Entity, proposal: Proposal, state: str, more: Mapping[str, Value]) -> None:
        writes = ending(entity, proposal, state, more)
        undone, versions = original(self.store, proposal, state)
        cause = _cause(self.clock, f"effect.{state}", f'Agent::"{proposal.text("agent")}"', entity, proposal)
        # INVARIANT I7: whoever lost the claim, or came second to the effect, writes no receipt.
        expects = {**versions, entity.id: entity.version, proposal.id: proposal.version}
        rows = budgets.settling(self.store, entity.id, state)
        self.store.commit([*writes, *undone], cause, expects, [work.write(), *rows])
        tracing.count(tracing.EFFECTS, status=state)


def receipt_text(detail: Mapping[str, Json]) -> str:
    """A receipt's detail as canonical JSON within RECEIPT_MAX; of a larger one its size and digest."""
    text = canonical(dict(detail))
    if len(text) <= RECEIPT_MAX:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    kept = {name: value for name, value in detail.items() if isinstance(value, int | bool)}
    return canonical({**kept, "truncated": True, "characters": len(text), "sha256": digest})


def effect_of(store: GraphStore, entity: Entity, proposal: Proposal) -> Effect:
    """An effect as its effector sees it."""
    (made,) = store.versions([(entity.id, 1)]).values()
    changes = store.changes(made.since - 1, 1)
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
    state = "done" if happened else "failed"
    writes = ending(entity, proposal, state, {"reason": comment})
    undone, versions = original(store, proposal, state)
    cause = _cause(clock, "effect.resolve", principal, entity, proposal, comment)
    expects = {**versions, entity.id: entity.version, proposal.id: proposal.version}
    store.commit([*writes, *undone], cause, expects, budgets.settling(store, id, state))


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
