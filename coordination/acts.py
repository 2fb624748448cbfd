"""Acts: lets the woken agent think, and makes what it hands in proposals, in one commit with the work that settles them.

Invariant I3: proposals get their ids from the work and are expected not to exist, so acting again adds nothing; and an agent that
did not know what it proposed on the same target a moment ago acts again. What the agent read is on record with the cause. Decides
nothing and applies nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from coordination import latest, proposals, refusals, works
from coordination.acting import Acting, AgentCard, ContextRecord
from coordination.codec import derive
from coordination.errors import DraftError, GiveUp, HeldError, RetryLater
from coordination.exclusive import cause, fallback
from coordination.labels import labels_of
from coordination.proposals import Draft, Origin
from coordination.routing import Router
from coordination.works import Work, micros
from kg import tracing
from kg.clock import Clock
from kg.errors import ConflictError, InputError
from kg.model import ABSENT, Cause, Change, Entity, Input, Kind, Put, State
from kg.ontology import Ontology
from kg.store import GraphStore

DRAFTS_MAX: Final = 100
#: What the cause of an act names as used: the evidence, or, where an agent names none, the entity it acted on.
INPUTS_MAX: Final = 1_000

#: Why an act is done again.
OVERTAKEN: Final = "another act of this agent proposed on the same target meanwhile; it acts again on what is known now"

#: Why an agent may not act now, None where it may.
Held = Callable[[str, str | None], str | None]


@dataclass(frozen=True, slots=True)
class Acts:
    """The task that has an agent act."""

    store: GraphStore
    clock: Clock
    acting: Acting
    schema: Ontology
    held: Held
    router: Router | None = None

    def run(self, work: Work) -> Sequence[str]:
        """Act and commit the proposals; an agent that is paused or stopped acts later."""
        card = self.acting.agents().get(work.agent)
        if card is None:
            raise GiveUp(f"no agent is called {work.agent}; load it, then retry the work")
        why = self.held(card.name, card.department)
        if why is not None:
            raise HeldError(why)
        change = self.store.changes(work.position - 1, 1)[0]
        at = self.store.head().position
        entity = self._entity(work, change, at)
        if entity is None:
            self.store.commit([], None, state=[work.done().write()])
            return ()
        told = {
            "gen_ai.operation.name": tracing.ACT,
            "gen_ai.agent.name": card.name,
            "gen_ai.agent.version": card.version,
        }
        with tracing.span(f"{tracing.ACT} {card.name}", **told) as span:
            drafts, record = self.acting.act(card.name, change, entity, at)
            span.set("drafts", len(drafts))
        if not drafts:
            self.store.commit([], None, state=[work.done().write()])
            return ()
        return self._propose(work, card, entity, drafts, record)

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Give it to who stands in for the agent, else put it aside; nothing was proposed."""
        writes, instead = fallback(self.store, self.router, work, reason) if self.router is not None else ([], None)
        if instead is not None:
            row = instead.first(micros(self.clock.now()))
            self.store.commit(writes, cause(work), {}, [work.done().write(), row])
            return [instead.id]
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()

    def _entity(self, work: Work, change: Change, at: int) -> Entity | None:
        """The subject as it stands, or its closing version where that is what woke the agent."""
        entity = self.store.get([work.subject], at=at).get(work.subject)
        if entity is None and change.kind is Kind.CLOSED and change.subject == work.subject:
            return self.store.versions([(change.subject, change.version)]).get((change.subject, change.version))
        return entity

    def _propose(
        self, work: Work, card: AgentCard, entity: Entity, drafts: Sequence[Draft], record: ContextRecord
    ) -> Sequence[str]:
        try:
            known = refusals.withheld(self.store, self.clock, card.name, drafts)
            if known:
                return self._withhold(work, card, entity, drafts, record, known)
            puts = [
                proposals.put(
                    replace(draft, priority=draft.priority + card.priority),
                    _origin(work, card, record),
                    index,
                    labels_of(self.store, self.schema, draft, record.read),
                )
                for index, draft in enumerate(self._checked(card, drafts))
            ]
        except InputError as error:
            raise GiveUp(str(error)) from error
        return self._commit(
            work,
            card,
            {draft.target: put for draft, put in zip(drafts, puts, strict=True)},
            puts,
            _cause(work, card, entity, drafts, record),
            record.position,
        )

    def _commit(
        self, work: Work, card: AgentCard, last: Mapping[str, Put], puts: Sequence[Put], cause: Cause, at: int
    ) -> Sequence[str]:
        """Commit the proposals; raises RetryLater where the agent proposed on a target (`last`: its last one each) since `at`."""
        known = latest.read(self.store, card.name, list(last))
        if latest.unknown(self.store, known, at):
            raise RetryLater(OVERTAKEN, counted=False)
        now = micros(self.clock.now())
        settles = [works.settle(put.id, agent=card.name) for put in puts]
        rows = [work.done().write(), *(settle.first(now) for settle in settles)]
        try:
            # INVARIANT I3: ids follow from the work and must be new, so an act done twice proposes once.
            self.store.commit(
                puts, cause, {put.id: ABSENT for put in puts}, [*rows, *latest.writes(known, card.name, last, now)]
            )
        except ConflictError as error:
            if latest.moved(self.store, known, card.name, list(last)):
                raise RetryLater(OVERTAKEN, counted=False) from error
            raise
        return [settle.id for settle in settles]

    def _withhold(
        self, work: Work, card: AgentCard, entity: Entity, drafts: Sequence[Draft], record: ContextRecord,
        known: Mapping[int, State],
    ) -> Sequence[str]:  # fmt: skip
        """Propose what was not refused before; what was is counted, and its proposal of then stands for it."""
        self.store.commit([], None, state=refusals.counted(known))
        rest = [draft for index, draft in enumerate(drafts) if index not in known]
        if rest:
            return self._propose(work, card, entity, rest, record)
        self.store.commit([], None, state=[work.done().write()])
        return ()

    def _checked(self, card: AgentCard, drafts: Sequence[Draft]) -> Sequence[Draft]:
        if len(drafts) > DRAFTS_MAX:
            raise DraftError(f"{card.name} handed in {len(drafts):,} drafts at once; keep to {DRAFTS_MAX}")
        for draft in drafts:
            if card.capabilities and draft.operation not in card.capabilities:
                raise DraftError(
                    f"{card.name} proposes {draft.operation}, which it does not declare; add it to its capabilities"
                )
            for write in draft.writes:
                # INVARIANT I14: a proposal copies its writes, and a copy would outlive the erasing of a person.
                copied = sorted(set(write.set) & self.schema.personal(write.cls)) if isinstance(write, Put) else ()
                if copied:
                    raise DraftError(
                        f"{card.name} would write the personal {', '.join(copied)}; agents write no personal data, name the entity"
                    )
        return drafts


def _origin(work: Work, card: AgentCard, record: ContextRecord) -> Origin:
    return Origin(
        card.name, card.version, card.department, work.id, record.hash, record.position, work.depth + 1, record.model
    )


def _cause(work: Work, card: AgentCard, entity: Entity, drafts: Sequence[Draft], record: ContextRecord) -> Cause:
    used = proposals.inputs_of(drafts) or (Input(entity.id, entity.version),)
    return Cause(
        derive("act", work.id, work.revision),
        "propose",
        f'Agent::"{card.name}"',
        f"{card.name} was woken by change {work.position}",
        inputs=used[:INPUTS_MAX],
        attributes={
            "depth": work.depth + 1,
            "work": work.id,
            "agentVersion": card.version,
            "agentDigest": card.digest,
            "context": {
                "hash": record.hash,
                "position": record.position,
                "read": [[item.id, item.version] for item in record.read],
            },
        },
    )
