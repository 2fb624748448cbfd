"""An Agent whose judgement comes from a model: gather entities, ask, check, propose.

Invariant: only what `Context.shown` lets through reaches the prompt, and only drafts whose evidence was read are proposed.
The agent acts only where a model is configured; the platform runs whole without one.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel

from agents.context import Context
from agents.models.model import Question
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity

#: Entities shown to a model in one question, and characters of material.
ENTITIES_MAX = 50
MATERIAL_MAX = 60_000

Gather = Callable[[Entity, Context], Sequence[Entity]]
Propose = Callable[[BaseModel, Entity, Context], Sequence[Draft]]


@dataclass(frozen=True, slots=True)
class LlmAgent:
    """Declares what to gather, what to ask and how an answer becomes drafts."""

    name: str
    version: str
    department: str
    capabilities: tuple[str, ...]
    wakes: tuple[Wake, ...]
    instructions: str
    output: type[BaseModel]
    gather: Gather
    propose: Propose
    priority: int = 0
    confidence_min: Decimal = Decimal("0.5")
    needs_model: bool = True

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Ask about the gathered entities; drafts below `confidence_min` are dropped, so a poor answer proposes nothing."""
        gathered = [entity, *self.gather(entity, context)][:ENTITIES_MAX]
        material = json.dumps(
            {
                "change": {"kind": change.kind, "changed": change.changed},
                "entities": [context.shown(e) for e in gathered],
            },
            ensure_ascii=False,
            sort_keys=True,
        )
        answer = context.ask(Question(self.instructions, material[:MATERIAL_MAX], self.output))
        drafts = self.propose(answer.output, entity, context)
        return tuple(draft for draft in drafts if draft.confidence >= self.confidence_min)
