"""Port Acting: how coordination reaches the agents without knowing them. `agents.acting` implements it, bootstrap hands it in.

Invariant: `act` and `ask` read only through the agent's View at the given position, write nothing, and give the same for the
same arguments (a language model apart: its answers are part of the record). Coordination never calls an agent in another way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol

from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Input
from kg.values import Json


@dataclass(frozen=True, slots=True)
class AgentCard:
    """What an agent declares. `digest` identifies its code and settings; `capabilities` are the operations it may propose."""

    name: str
    version: str
    department: str | None
    wakes: tuple[Wake, ...]
    capabilities: tuple[str, ...] = ()
    priority: int = 0
    digest: str = ""
    #: What one task costs in the installation's own unit, and how many seconds it usually takes.
    cost: Decimal = Decimal(0)
    latency: float = 0.0
    #: Capabilities of which one task goes to one agent alone: of those that declare it so, the router's choice.
    exclusive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContextRecord:
    """What an act knew: hash over it, the position it was pinned to, every entity version read, and the model calls.

    `model` is JSON: names, revisions, prompt and answer digests, tokens; empty where no model was asked.
    """

    hash: str
    position: int
    read: tuple[Input, ...] = ()
    model: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Within:
    """The run, and the workflow as namespace.name, in which an agent thinks: budgets lie over both."""

    run: str = ""
    workflow: str = ""


#: Where an agent thinks that no run asked.
NOWHERE: Final = Within()


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an agent is asked: a task in words, and the JSON that goes along with it. `key` names the asking, once a step."""

    key: str
    text: str
    data: Json = None
    within: Within = NOWHERE


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent answers: JSON, the entity versions it rests on, how sure it is (0 to 1), what it cost in its own unit."""

    output: Json
    evidence: tuple[Input, ...] = ()
    confidence: Decimal = Decimal(1)
    cost: Decimal = Decimal(0)


class Acting(Protocol):
    """The agents of this installation."""

    def agents(self) -> Mapping[str, AgentCard]:
        """Every agent by name; the mapping is replaced, never changed, when agents are loaded anew."""

    def act(
        self, agent: str, change: Change, entity: Entity, at: int, within: Within = NOWHERE
    ) -> tuple[tuple[Draft, ...], ContextRecord]:
        """Let an agent act on an entity because of a change, its context pinned to position `at`.

        `entity` is the unmasked version at `at` (the closing one where it was closed); the implementation passes it
        through the agent's View before the agent sees it. (agent, change.position, entity.id) identifies the act: ids
        made in it derive from these. Raises RetryLater, GiveUp, or anything else, which counts as RetryLater; in a run
        all but RetryLater is the runtime error of the step.
        """

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        """Let an agent answer a task, what it reads pinned to position `at`; nothing follows from it but the answer.

        Raises AnswerError where the agent cannot answer or gave no usable answer, RetryLater where it may later.
        """
