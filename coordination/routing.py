"""Routing: which of the agents with a capability gets a task: by learned success, cost, latency, load and department.

Invariants: the choice follows from the task, the facts and the seed, so choosing again gives the same; it is on record with each
component of each score before its outcome is known. Scoring is pure, and a better component never lowers a score. Learning is
`learning`'s part. A choice allows nothing: what the agent proposes goes through the gate like any other.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from coordination.acting import AgentCard
from coordination.codec import derive
from kg.clock import Clock
from kg.model import Entity, Op, Put, Where
from kg.store import GraphStore
from kg.values import LIST_MAX, Json, Value, canonical

CLASS: Final = "Routing"
SKILL: Final = "Skill"
OPEN: Final = "open"
#: How long an open task counts as load, and at how many counting stops.
LOAD_SECONDS: Final = 3_600
LOAD_MAX: Final = 100
#: Agents that one choice weighs.
CANDIDATES_MAX: Final = 200
#: What ended badly; the agent that was chosen then is not chosen for the same step again while there is another.
BAD: Final = ("failed", "rejected", "denied", "expired", "overridden", "timeout")
#: Choices of one step that are looked at for that.
TRIED_MAX: Final = 100

Held = Callable[[str, str | None], str | None]


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each component counts; at `cost_half` units and `latency_half` seconds the component is a half.

    With `explore`, success is a sample of the posterior (Thompson), drawn by `seed`, task and agent; else its mean.
    """

    success: float = 0.5
    cost: float = 0.15
    latency: float = 0.1
    load: float = 0.15
    department: float = 0.1
    cost_half: float = 1.0
    latency_half: float = 10.0
    explore: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of an agent at a kind of task: Beta(1 + good, 1 + bad), and the seconds its tasks took together."""

    good: int = 0
    bad: int = 0
    seconds: float = 0.0

    @property
    def alpha(self) -> int:
        """The first parameter: good outcomes and one of the uniform prior."""
        return 1 + self.good

    @property
    def beta(self) -> int:
        """The second parameter: bad outcomes and one of the prior."""
        return 1 + self.bad

    @property
    def mean(self) -> float:
        """The expected share of good outcomes."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def deviation(self) -> float:
        """The standard deviation of that share."""
        total = self.alpha + self.beta
        return float((self.alpha * self.beta / (total**2 * (total + 1))) ** 0.5)

    def sample(self, seed: str) -> float:
        """A draw that follows from the seed."""
        return random.Random(seed).betavariate(self.alpha, self.beta)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be routed. `key` names it; `step` is what it is a try of, with the run, so that a retry goes elsewhere."""

    key: str
    capability: str
    department: str = ""
    run: str = ""
    step: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One candidate: each component from 0 to 1, and their weighted sum."""

    agent: str
    total: float
    components: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates, the best first, and those left out with the reason."""

    chain: tuple[Score, ...]
    out: Mapping[str, str] = field(default_factory=dict)


def routing_id(key: str) -> str:
    """The id of the choice for a task: one each."""
    return derive("routing", key)


def skill_id(agent: str, capability: str) -> str:
    """The id of what is known of an agent at a kind of task."""
    return "skill-" + derive(agent, capability)


def score(card: AgentCard, task: Task, known: Posterior, load: int, weights: Weights) -> Score:
    """The score of one candidate: the sum of weight times component."""
    tasks = known.good + known.bad
    # The declared latency counts as one task, so that what was measured soon weighs more.
    latency = (card.latency + known.seconds) / (1 + tasks)
    seed = f"{weights.seed}\x1f{task.key}\x1f{card.name}"
    components = {
        "success": known.sample(seed) if weights.explore else known.mean,
        "cost": 1 / (1 + float(card.cost) / weights.cost_half),
        "latency": 1 / (1 + latency / weights.latency_half),
        "load": 1 / (1 + load),
        "department": 1.0 if not task.department or card.department == task.department else 0.0,
    }
    total = sum(getattr(weights, name) * value for name, value in components.items())
    return Score(card.name, total, components)


def posterior(entity: Entity | None) -> Posterior:
    """What the fact says, the prior where there is none."""
    if entity is None:
        return Posterior()
    good, bad = (cast(int, entity.get(name, 0)) for name in ("good", "bad"))
    return Posterior(good, bad, float(cast(float, entity.get("seconds", 0))))


@dataclass(frozen=True, slots=True)
class Router:
    """Chooses; `held` says why an agent may not act now."""

    store: GraphStore
    clock: Clock
    held: Held
    weights: Weights = field(default_factory=Weights)

    def choose(self, task: Task, cards: Iterable[AgentCard]) -> Choice:
        """The candidates in order; a choice that is on record is given again as it was made."""
        known = self.store.get([routing_id(task.key)]).get(routing_id(task.key))
        if known is not None:
            return Choice(tuple(Score(str(name), 0.0) for name in cast(Sequence[str], known["chain"])))
        fit = sorted((card for card in cards if task.capability in card.capabilities), key=lambda card: card.name)
        out = {card.name: why for card in fit if (why := self.held(card.name, card.department)) is not None}
        usable = [card for card in fit[:CANDIDATES_MAX] if card.name not in out]
        tried = self._tried(task)
        if any(card.name not in tried for card in usable):
            out |= {card.name: f"was tried before: {tried[card.name]}" for card in usable if card.name in tried}
            usable = [card for card in usable if card.name not in tried]
        skills = self.store.get([skill_id(card.name, task.capability) for card in usable])
        scores = [
            score(
                card, task, posterior(skills.get(skill_id(card.name, task.capability))), self._load(card.name), self.weights
            )
            for card in usable
        ]  # fmt: skip
        return Choice(tuple(sorted(scores, key=lambda it: (-it.total, it.agent))), out)

    def record(self, task: Task, choice: Choice, agent: str, failed: Mapping[str, str]) -> Put:
        """The write that puts a choice on record: who got it, who failed before, every score by component."""
        scores: dict[str, Json] = {
            it.agent: {"total": round(it.total, 6), **{k: round(v, 6) for k, v in it.components.items()}}
            for it in choice.chain
        }
        values: dict[str, Value] = {
            "task": task.key,
            "capability": task.capability,
            "agent": agent,
            "state": OPEN,
            "chain": tuple(it.agent for it in choice.chain)[:LIST_MAX],
            "failed": tuple(f"{name}: {why}"[:500] for name, why in failed.items()),
            "scores": canonical({"scores": scores, "out": dict(choice.out), "department": task.department}),
            "began": self.clock.now(),
            "run": task.run,
            "place": task.step,
        }
        if task.until is not None:
            values["until"] = task.until
        return Put(
            routing_id(task.key), CLASS, {name: value for name, value in values.items() if value not in ("", ())}
        )

    def _load(self, agent: str) -> int:
        since = self.clock.now() - timedelta(seconds=LOAD_SECONDS)
        where = [Where("agent", Op.EQ, agent), Where("state", Op.EQ, OPEN), Where("began", Op.GT, since)]
        return self.store.count(CLASS, where, at_most=LOAD_MAX)

    def _tried(self, task: Task) -> dict[str, str]:
        if not task.run:
            return {}
        where = [Where("run", Op.EQ, task.run), Where("place", Op.EQ, task.step)]
        found: dict[str, str] = {}
        for entity in self.store.find(CLASS, where, first=TRIED_MAX).items:
            until = entity.get("until")
            late = entity["state"] == OPEN and isinstance(until, datetime) and until <= self.clock.now()
            if entity.get("agent") and (late or entity["state"] in BAD):
                found[str(entity["agent"])] = "timeout" if late else str(entity["state"])
            for text in cast(Sequence[str], entity.get("failed", ())):
                found[str(text).partition(": ")[0]] = "failed"
        return found
