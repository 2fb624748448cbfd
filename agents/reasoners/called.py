"""A plain agent that only acts when a workflow calls it: a function with a name, a department and what it may propose.

Invariant: it wakes on nothing, so no change of the graph sets it going. Holds no state.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity


@dataclass(frozen=True, slots=True)
class Called:
    """Port `agents.agent.Agent` over `think(entity, context)`, which yields drafts."""

    name: str
    department: str
    capabilities: tuple[str, ...]
    think: Callable[[Entity, Context], Iterable[Draft]]
    version: str = "1.0"
    priority: int = 10
    wakes: tuple[Wake, ...] = ()

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Think about the entity that the workflow named."""
        del change
        return tuple(self.think(entity, context))
