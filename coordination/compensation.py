"""Compensation: undoes effects in reverse order, each once. What undoes an effect is proposed, decided, recorded and performed like
any other effect, and linked to it by `compensates`.

Invariants: I3 the proposal that undoes an effect has an id that follows from compensation, place and try, and the effect itself
moves from done to compensated once, in the commit of the undoing. I4 nothing is undone without an allowing decision. It goes on
to the next effect only when the one before is undone; what cannot be undone, or was refused, waits as stuck for a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from coordination import effects, works
from coordination.codec import derive
from coordination.effectors.effector import Effector, Receipt
from coordination.effects import EFFECT, effect_of
from coordination.errors import GiveUp, RetryLater, StateError
from coordination.labels import labels_of
from coordination.proposals import GRAPH, PROPOSAL, Draft, Origin, Proposal, proposal_id, put
from coordination.undoing import undo_writes
from coordination.works import Work, micros
from kg.clock import Clock
from kg.errors import ConflictError, InputError
from kg.model import ABSENT, Cause, Change, Entity, Input, Put, StateWrite, Write
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Value

COMPENSATION: Final = "Compensation"
#: Effects that one compensation undoes.
EFFECTS_MAX: Final = 1_000
#: How often it looks again at an effect that is not at an end.
WAIT_SECONDS: Final = 30.0
REASON_MAX: Final = 2_000
#: States of a proposal that has ended well, and otherwise.
_UNDONE: Final = frozenset({"applied", "simulated"})
_ENDED: Final = frozenset({"denied", "rejected", "superseded", "expired", "failed"})

Next = Literal["again", "undone", "leave"]


def compensate(
    store: GraphStore, clock: Clock, effect_ids: Sequence[str], *,
    reason: str, principal: str, key: str = "", run: str = "", sandbox: bool = False,
) -> tuple[str, list[str]]:  # fmt: skip
    """Begin to undo effects, given in the order in which they happened; the compensation's id and the work to send.

    The same `key` begins once. Raises StateError where one of them is no effect.
    """
    there = store.get(list(effect_ids))
    strange = [id for id in effect_ids if id not in there or there[id].cls != EFFECT]
    if strange:
        raise StateError(f"there is no effect {strange[0][:80]!r}; take ids from `noesis effects list`")
    id, writes, rows = requested(
        clock, effect_ids, reason=reason, principal=principal, key=key, run=run, sandbox=sandbox
    )
    inputs = tuple(Input(entity.id, entity.version) for entity in there.values())
    try:
        store.commit(writes, Cause(clock.id(), "compensate", principal, reason, inputs=inputs), {id: ABSENT}, rows)
    except ConflictError:
        return id, []
    return id, [row.key for row in rows]


def requested(
    clock: Clock, effect_ids: Sequence[str], *,
    reason: str, principal: str, key: str = "", run: str = "", sandbox: bool = False,
) -> tuple[str, list[Write], list[StateWrite]]:  # fmt: skip
    """A compensation about to be committed, by whoever has more to say in that commit; it expects the id to be ABSENT."""
    if not effect_ids or len(effect_ids) > EFFECTS_MAX:
        raise StateError(f"a compensation undoes 1 to {EFFECTS_MAX:,} effects; give that many")
    id = derive("compensation", key) if key else clock.id()
    properties: dict[str, Value] = {
        "state": "running",
        "effects": tuple(reversed(effect_ids)),
        "next": 0,
        "tries": 0,
        "startedBy": principal,
        "reason": reason[:REASON_MAX],
        "run": run,
        "sandbox": sandbox,
    }
    kept = {name: value for name, value in properties.items() if value not in ("", False) or value == 0}
    kept = {name: value for name, value in kept.items() if value is not False}
    return id, [Put(id, COMPENSATION, kept)], [works.compensate(id).first(micros(clock.now()))]


def decide(store: GraphStore, clock: Clock, id: str, then: Next, principal: str, reason: str) -> list[str]:
    """Let a stuck compensation go on as a person says: try the effect again, take it as undone by hand, or leave it as it is."""
    found = store.get([id]).get(id)
    if found is None or found.cls != COMPENSATION or found["state"] != "stuck":
        raise StateError(f"compensation {id[:80]!r} is not stuck; there is nothing to decide")
    index, tries = _number(found, "next"), _number(found, "tries")
    place = {"tries": tries + 1} if then == "again" else {"next": index + 1, "tries": 0}
    writes: list[Write] = [Put(id, COMPENSATION, {"state": "running", "reason": reason[:REASON_MAX], **place})]
    expects = {id: found.version}
    effect = store.get([_effects(found)[index]]).get(_effects(found)[index])
    if then == "undone" and effect is not None and effect["status"] == "done":
        writes.append(Put(effect.id, EFFECT, {"status": "compensated", "reason": reason[:REASON_MAX]}))
        expects[effect.id] = effect.version
    work = works.compensate(id, found.version)
    cause = Cause(clock.id(), f"compensation.{then}", principal, reason, inputs=(Input(id, found.version),))
    store.commit(writes, cause, expects, [work.first(micros(clock.now()))])
    return [work.id]


def ended(change: Change, proposal: Entity) -> Sequence[Work]:
    """The work that an ended undoing leads to (a reaction of the feed)."""
    compensation, state = proposal.get("compensation"), proposal["state"]
    over = state in _UNDONE or state in _ENDED
    return [works.compensate(str(compensation), change.position)] if compensation and over else ()


@dataclass(frozen=True, slots=True)
class Compensations:
    """The task that takes a compensation one step on."""

    store: GraphStore
    clock: Clock
    ontology: Ontology
    effectors: Mapping[str, Effector]

    def run(self, work: Work) -> Sequence[str]:
        """Go over what is undone, and propose the next undoing, or end, or get stuck; one commit."""
        entity = self.store.get([work.subject]).get(work.subject)
        if entity is None or entity["state"] != "running":
            self.store.commit([], None, state=[work.done().write()])
            return ()
        index, tries, todo = _number(entity, "next"), _number(entity, "tries"), _effects(entity)
        while index < len(todo):
            made = self._made(entity, index, tries)
            state = made.state if made is not None else ""
            if made is not None and state in _ENDED:
                why = f"{made.text('operation')} was {state}: {made.text('reason')}"
                return self._stuck(work, entity, index, tries, why)
            effect, proposal = effects.read(self.store, todo[index])
            if state in _UNDONE or self._over(entity, effect):
                index, tries = index + 1, 0
                continue
            if state:
                return self._commit(work, entity, {"next": index, "tries": tries})
            return self._propose(work, entity, (index, tries), effect, proposal)
        return self._commit(work, entity, {"state": "done", "next": index, "tries": 0})

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Leave it to a person."""
        entity = self.store.get([work.subject]).get(work.subject)
        if entity is None or entity["state"] != "running":
            self.store.commit([], None, state=[work.failed(reason).write()])
            return ()
        return self._stuck(work, entity, _number(entity, "next"), _number(entity, "tries"), reason, failed=True)

    def _made(self, entity: Entity, index: int, tries: int) -> Proposal | None:
        id = _proposal(entity, index, tries)
        found = self.store.get([id]).get(id)
        return Proposal(found) if found is not None else None

    def _over(self, entity: Entity, effect: Entity) -> bool:
        """Whether there is nothing to undo of an effect; RetryLater where that is not known yet."""
        status = str(effect["status"])
        if status in ("intent", "in_doubt", "compensating"):
            raise RetryLater(f"effect {effect.id} is {status}; it is undone when it has ended", WAIT_SECONDS, False)
        return status in ("failed", "compensated") or (status == "simulated" and not entity.get("sandbox"))

    def _propose(
        self, work: Work, entity: Entity, place: tuple[int, int], effect: Entity, proposal: Proposal
    ) -> Sequence[str]:
        index, tries = place
        try:
            draft = self._draft(entity, effect, proposal)
            labels = labels_of(self.store, self.ontology, draft)
            made = put(draft, _origin(entity, effect, proposal), 0, labels)
        except (GiveUp, InputError) as error:
            return self._stuck(work, entity, index, tries, str(error))
        made = Put(_proposal(entity, index, tries), PROPOSAL, made.set)
        settle = works.settle(made.id).first(micros(self.clock.now()))
        # INVARIANT I3: one proposal a place and try, which is new.
        return self._commit(work, entity, {"next": index, "tries": tries}, [made], {made.id: ABSENT}, [settle])

    def _draft(self, entity: Entity, effect: Entity, proposal: Proposal) -> Draft:
        kind, target = proposal.text("effector"), proposal.text("target")
        rationale = f"undoes effect {effect.id}: {entity.get('reason', '')}"
        evidence = (Input(effect.id, effect.version),)
        expects = {effect.id: effect.version}
        if kind == GRAPH:
            if effect["status"] == "simulated":
                raise GiveUp("it was only simulated, so that there is nothing in the graph to undo")
            writes, versions = undo_writes(self.store, self.ontology, proposal, str(effect["reference"]))
            return Draft(
                f"{proposal.text('operation')}.undo", target, writes, rationale=rationale, evidence=evidence,
                expects={**expects, **versions},
            )  # fmt: skip
        effector = self.effectors.get(kind)
        if effector is None:
            raise GiveUp(f"no effector is called {kind!r}; configure it, then let it be tried again")
        undo = effector.compensation(effect_of(self.store, effect, proposal), Receipt(str(effect.get("reference", ""))))
        if undo is None:
            raise GiveUp(f"nothing is declared that undoes {proposal.text('operation')} by {kind}; undo it by hand")
        return Draft(
            undo.operation, target, effector=undo.effector, payload=undo.payload, rationale=rationale, evidence=evidence,
            expects=expects,
        )  # fmt: skip

    def _stuck(
        self, work: Work, entity: Entity, index: int, tries: int, why: str, failed: bool = False
    ) -> Sequence[str]:
        changed: dict[str, Value] = {"state": "stuck", "reason": why[:REASON_MAX], "next": index, "tries": tries}
        return self._commit(work, entity, changed, failed=why if failed else "")

    def _commit(
        self, work: Work, entity: Entity, changed: Mapping[str, Value], writes: Sequence[Write] = (),
        expects: Mapping[str, int] | None = None, follow: Sequence[StateWrite] = (), failed: str = "",
    ) -> Sequence[str]:  # fmt: skip
        inputs = (Input(entity.id, entity.version),)
        attributes = {"depth": self._depth(entity), "work": work.id}
        activity = f"compensation.{changed.get('state', 'step')}"
        cause = Cause(
            self.clock.id(), activity, 'Service::"coordination"', str(changed.get("reason", "")),
            str(entity["startedBy"]), inputs, attributes,
        )  # fmt: skip
        row = work.failed(failed) if failed else work.done()
        # INVARIANT I7: the compensation as it was looked at, and the claim still held.
        self.store.commit(
            [Put(entity.id, COMPENSATION, changed), *writes],
            cause,
            {**(expects or {}), entity.id: entity.version},
            [row.write(), *follow],
        )
        return [item.key for item in follow]

    def _depth(self, entity: Entity) -> int:
        _, proposal = effects.read(self.store, _effects(entity)[0])
        return proposal.number("depth") + 1


def _origin(entity: Entity, effect: Entity, proposal: Proposal) -> Origin:
    return Origin(
        proposal.text("agent"),
        proposal.text("agentVersion"),
        proposal.text("department") or None,
        entity.id,
        proposal.text("contextHash"),
        proposal.number("contextPosition"),
        proposal.number("depth") + 1,
        run=str(entity.get("run", "")),
        sandbox=bool(entity.get("sandbox", False)),
        undoes=effect.id,
        compensation=entity.id,
    )


def _proposal(entity: Entity, index: int, tries: int) -> str:
    return proposal_id(f"{entity.id}:{index}", tries)


def _effects(entity: Entity) -> tuple[str, ...]:
    return cast(tuple[str, ...], entity["effects"])


def _number(entity: Entity, name: str) -> int:
    return cast(int, entity.get(name, 0))
