"""Protocol Agent: what thinks. It reads its context and proposes; it never writes, and it imports no governance.

Invariant: `act` gives the same drafts for the same change, entity and context, so that acting again after a crash proposes
the same. An agent module exposes `AGENTS`, a tuple of agents; nothing registers itself.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from agents.context import Context
from coordination.acting import Answer, Assignment
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity


class Agent(Protocol):
    """A named, versioned specialist.

    `department` is the one it belongs to; `capabilities` are the operations it may propose; `priority` (higher wins)
    settles conflicts before confidence does.
    """

    @property
    def name(self) -> str:
        """Unique name, lower case with hyphens; the principal is ``Agent::"<name>"``."""

    @property
    def version(self) -> str:
        """Version of the agent's reasoning; recorded with each decision."""

    @property
    def department(self) -> str:
        """The department the agent works for."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The operations it may propose, e.g. ``purchase_order.create``."""

    @property
    def wakes(self) -> tuple[Wake, ...]:
        """What it senses."""

    @property
    def priority(self) -> int:
        """Weight of its proposals where two meet on one target."""

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """The proposals that follow from a change of an entity, none where nothing is to be done."""


class Answering(Protocol):
    """What an agent has besides, to be asked by workflows (`call: agent` with `task`)."""

    def answer(self, assignment: Assignment, context: Context) -> Answer:
        """The answer to a task; its evidence is among what the context gave."""


class Routable(Protocol):
    """What an agent may declare besides, so that tasks are routed to it (`call: agent` with `capability`) by more than its name."""

    @property
    def cost(self) -> Decimal:
        """What one task costs, in a unit of the installation's own; none: 0."""

    @property
    def latency(self) -> float:
        """Seconds that a task usually takes; what is measured soon weighs more; none: 0."""

    @property
    def exclusive(self) -> tuple[str, ...]:
        """Capabilities of which a task goes to one agent alone, chosen among those that declare it so; none: every one acts."""
