"""A language model behind `call: agent` with `task`: gather entities, ask once, answer with what the model's schema lets through.

Invariant: only what `Context.shown` lets through reaches the prompt, and it answers only: what follows from the answer is the
workflow's and the rules' affair, so a model that was talked into something proposes nothing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel

from agents.context import Context
from agents.models.model import Question
from agents.reasoners.llm import ENTITIES_MAX, MATERIAL_MAX
from coordination.acting import Answer, Assignment
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity

Gather = Callable[[Assignment, Context], Sequence[Entity]]


@dataclass(frozen=True, slots=True)
class LlmAsked:
    """Declares what to gather and what a good answer looks like; `gather` gives the entities that the task is about.

    A field `confidence` of the output is the answer's confidence and leaves the output; the cost is tokens.
    """

    name: str
    department: str
    instructions: str
    output: type[BaseModel]
    gather: Gather
    version: str = "1.0"
    capabilities: tuple[str, ...] = ()
    priority: int = 10
    wakes: tuple[Wake, ...] = ()
    needs_model: bool = True

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Nothing: it has no capability to propose with."""
        del change, entity, context
        return ()

    def answer(self, assignment: Assignment, context: Context) -> Answer:
        """Ask the model about the gathered entities and the data that goes along."""
        gathered = list(self.gather(assignment, context))[:ENTITIES_MAX]
        material = json.dumps(
            {
                "task": assignment.text,
                "data": assignment.data,
                "entities": [context.shown(entity) for entity in gathered],
            },
            ensure_ascii=False,
            sort_keys=True,
        )
        told = context.ask(Question(self.instructions, material[:MATERIAL_MAX], self.output))
        output = told.output.model_dump(mode="json")
        confidence = Decimal(str(output.pop("confidence", 1)))
        cost = Decimal(told.tokens_in + told.tokens_out)
        return Answer(output, context.evidence(*gathered), confidence, cost)
