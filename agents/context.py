"""Context: all that an agent may read while it acts. Read-only, governed, pinned to one position, recorded and hashed.

Invariant: everything passes the agent's View at the pinned position, and every entity version handed out is in `read`, so a
decision can name what was known. It is made for one act and does not outlive it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from agents.errors import ModelOffError
from agents.masking import Leaving
from agents.models.model import Answer, Meter, Model, Question
from coordination.acting import NOWHERE, Within
from kg import tracing
from kg.clock import text_of
from kg.model import Direction, Edge, Entity, Input, Order, Where
from kg.reader import Reader
from kg.search import Hit
from kg.values import Json, canonical

#: Entities one act may read; an agent that wants more reasons too widely for one decision.
READS_MAX = 20_000
#: Calls of a model in one act.
QUESTIONS_MAX = 8

Search = Callable[[str, Sequence[str], int], Sequence[Hit]]


class ContextBoundError(Exception):
    """An act read or asked more than its bound allows."""


@dataclass(slots=True)
class Context:
    """What one act of one agent sees. `now` is the commit time of `position`, never the wall clock."""

    work: str
    agent: str
    position: int
    now: datetime
    reader: Reader
    searching: Search | None = None
    model: Model | None = None
    leaving: Callable[[Entity], dict[str, Json]] | None = None
    meter: Meter | None = None
    within: Within = NOWHERE
    _read: dict[str, int] = field(default_factory=dict)
    _searches: list[str] = field(default_factory=list)
    _answers: list[Answer] = field(default_factory=list)
    _labelled: set[tuple[str, str]] = field(default_factory=set)
    _ids: int = 0

    def get(self, id: str) -> Entity | None:
        """The entity at the pinned position, or None where it is unknown, closed or hidden."""
        found = self.reader.get([id]).get(id)
        return self._note([found])[0] if found is not None else None

    def find(
        self, cls: str, where: Sequence[Where] = (), order: Order | None = None, first: int = 100
    ) -> tuple[Entity, ...]:
        """Up to `first` entities of a class that meet every condition."""
        return tuple(self._note(self.reader.find(cls, where, order, None, first).items))

    def expand(
        self, id: str, relation: str, direction: Direction = Direction.OUT, first: int = 100
    ) -> tuple[Edge, ...]:
        """The edges of that name from (or into) an entity, with the entities at their far ends."""
        edges = self.reader.expand([id], relation, direction, (), first)[id]
        self._note([edge.entity for edge in edges])
        return tuple(edges)

    def expand_many(
        self, ids: Sequence[str], relation: str, direction: Direction = Direction.OUT, first: int = 100
    ) -> dict[str, tuple[Edge, ...]]:
        """`expand` of several entities in one read."""
        found = self.reader.expand(list(ids), relation, direction, (), first)
        self._note([edge.entity for edges in found.values() for edge in edges])
        return {id: tuple(edges) for id, edges in found.items()}

    def history(self, id: str) -> tuple[Entity, ...]:
        """The versions of an entity up to the pinned position, oldest first."""
        return tuple(self._note([version for version in self.reader.history(id) if version.since <= self.position]))

    def search(self, text: str, classes: Sequence[str] = (), first: int = 10) -> tuple[Hit, ...]:
        """Entities near a text in meaning or words, best first; none where no search is wired."""
        if self.searching is None:
            return ()
        self._searches.append(text)
        hits = self.searching(text, classes, first)
        at_position = self.reader.get([hit.entity.id for hit in hits])
        kept = [hit for hit in hits if hit.entity.id in at_position]
        self._note([at_position[hit.entity.id] for hit in kept])
        return tuple(Hit(at_position[hit.entity.id], hit.score, hit.why) for hit in kept)

    def ask(self, question: Question) -> Answer:
        """Ask the configured model; the call is recorded. Raises ModelOffError where none is configured, ModelBudgetError
        where a budget is used up that says to go on without.
        """
        if self.model is None:
            raise ModelOffError
        if len(self._answers) >= QUESTIONS_MAX:
            raise ContextBoundError(f"one act may ask a model {QUESTIONS_MAX} times; split the work")
        if isinstance(self.leaving, Leaving):
            # INVARIANT: whatever the agent wrote into its question, labelled values and personal data stay here.
            question = self.leaving.question(self.agent, self.model.name, question, self._labelled)
        asked = {"gen_ai.operation.name": tracing.ASK, "gen_ai.request.model": self.model.name}
        with tracing.span(f"{tracing.ASK} {self.model.name}", **asked) as span:
            model = self.model
            call = partial(model.ask, question)
            answer = call() if self.meter is None else self.meter.ask(self.agent, call, self.within)
            span.set("gen_ai.response.model", answer.model)
            span.set("gen_ai.usage.input_tokens", answer.tokens_in)
            span.set("gen_ai.usage.output_tokens", answer.tokens_out)
        self._answers.append(answer)
        return answer

    def shown(self, entity: Entity) -> dict[str, Json]:
        """An entity as a model may see it: class and properties, personal and sensitive ones masked."""
        if self.leaving is None:
            raise ModelOffError
        return self.leaving(entity)

    def evidence(self, *entities: Entity | None) -> tuple[Input, ...]:
        """The versions of these entities, for a draft's evidence."""
        return tuple(dict.fromkeys(Input(entity.id, entity.version) for entity in entities if entity is not None))

    def new_id(self) -> str:
        """The next id for an entity this act wants to create; the same act gives the same ids again."""
        self._ids += 1
        digest = hashlib.sha256(f"{self.work}\x1f{self._ids}".encode()).digest()[:16]
        return text_of(digest)

    @property
    def read(self) -> tuple[Input, ...]:
        """Every entity version handed out so far, in order of id."""
        return tuple(Input(id, version) for id, version in sorted(self._read.items()))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every model answer of this act."""
        return tuple(self._answers)

    def digest(self) -> str:
        """SHA-256 over position, versions read, searches and answers: equal digests mean equal knowledge."""
        known = {
            "answers": [answer.digest for answer in self._answers],
            "position": self.position,
            "read": [[item.id, item.version] for item in self.read],
            "searches": self._searches,
        }
        return hashlib.sha256(canonical(known).encode()).hexdigest()

    def note(self, entity: Entity) -> None:
        """Record an entity version that was handed to the agent from outside the context."""
        self._note([entity])

    def _note(self, entities: Sequence[Entity]) -> list[Entity]:
        for entity in entities:
            self._read[entity.id] = entity.version
            if isinstance(self.leaving, Leaving):
                self._labelled |= self.leaving.labelled(entity)
        if len(self._read) > READS_MAX:
            raise ContextBoundError(f"one act may read {READS_MAX:,} entities; narrow the agent's conditions")
        return list(entities)
