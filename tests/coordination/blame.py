"""Faults and who is to blame for them: a registry of small stories, each driven through the real runtime and then diagnosed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from agents.agent import Agent
from agents.answering import answer
from agents.context import Context
from coordination.acting import Answer, Assignment
from coordination.bounds import Bounds
from coordination.diagnosis import Diagnosis, diagnose
from coordination.effectors.effector import Effector
from coordination.runs.engine import Workflows
from tests.coordination.plant import RULES, Act, Reply, card
from tests.runs.works import STARTERS_MAY, Works, works

#: Longer than any lease or wait between tries.
LONG_SECONDS = 400.0


@dataclass(frozen=True, slots=True)
class Story:
    """What went wrong, who is to blame, and how it comes about: `tell` drives it and returns what is diagnosed."""

    name: str
    layer: str
    tell: Callable[[Works], str]
    agents: Mapping[str, Reply] = field(default_factory=dict)
    acts: Mapping[str, Act] = field(default_factory=dict)
    can: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    effectors: Sequence[Effector] = ()
    workflows: Workflows | None = None
    rules: Sequence[str] = (*RULES, STARTERS_MAY)
    tries: int = 2


STORIES: dict[str, Story] = {}
Tell = Callable[[Works], str]


def blames(layer: str, name: str, **more: Any) -> Callable[[Tell], Tell]:
    """Enter a story under its name."""

    def enter(tell: Tell) -> Tell:
        assert name not in STORIES, name
        STORIES[name] = Story(name, layer, tell, **more)
        return tell

    return enter


@contextmanager
def told(story: Story) -> Iterator[tuple[Works, str]]:
    """The runtime after the story, and the id of what is to be diagnosed."""
    names = dict.fromkeys([*story.agents, *story.acts, *story.can])
    cards = {name: card(name, operations=story.can.get(name, ())) for name in names}
    with works(
        story.workflows, effectors=story.effectors, cards=cards, acts=story.acts, rules=story.rules,
        bounds=Bounds(attempts_max=story.tries),
    ) as here:  # fmt: skip
        cast(Any, here.runtime.acting).replies.update(story.agents)
        yield here, story.tell(here)


def verdict(story: Story) -> Diagnosis:
    """What the product says of a story."""
    with told(story) as (here, id):
        return diagnose(here.store, id, here.clock.now())


def rest(here: Works, run: str, rounds: int = 12) -> str:
    """Let time pass until the run ended or the rounds are over; the run."""
    for _ in range(rounds):
        if here.run(run).ended:
            break
        here.later(LONG_SECONDS)
    return run


def thinks(what: Exception | Answer) -> Reply:
    """An agent whose code raises or answers so, as the platform takes it."""

    def method(assignment: Assignment, context: Context) -> Answer:
        if isinstance(what, Exception):
            raise what
        return what

    agent = SimpleNamespace(name="writer", answer=method)
    return lambda assignment: answer(cast(Agent, agent), assignment, cast(Context, SimpleNamespace(read=())))
