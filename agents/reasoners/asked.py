"""A plain agent that only answers when a workflow asks it: a function with a name and a department.

Invariant: it wakes on nothing and proposes nothing, so whatever it says, nothing follows but the answer. Holds no state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.context import Context
from coordination.acting import Answer, Assignment
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity


@dataclass(frozen=True, slots=True)
class Asked:
    """Ports `agents.agent.Agent` and `Answering` over `respond(assignment, context)`."""

    name: str
    department: str
    respond: Callable[[Assignment, Context], Answer]
    version: str = "1.0"
    capabilities: tuple[str, ...] = ()
    priority: int = 10
    wakes: tuple[Wake, ...] = ()

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Nothing: it has no capability to propose with."""
        del change, entity, context
        return ()

    def answer(self, assignment: Assignment, context: Context) -> Answer:
        """Respond to the task."""
        return self.respond(assignment, context)
