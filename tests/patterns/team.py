"""A team for the tests of patterns: scripted agents, a store that can die at any commit, and a run that is brought to its end.

Everything is real but the agents' answers and the clock. `same_after_crashes` kills the process at every commit of a run, before
and after it, starts another over the same graph, and wants the same output.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from coordination.acting import Answer, Assignment
from coordination.bounds import Bounds
from coordination.effectors.effector import Effector
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.workflow.document import Document
from coordination.workflow.expressions import Expressions
from governance.approvals import approve
from governance.people import ensure_principal
from governance.principals import Principal, load_principal
from governance.rules import load_rules
from kg.model import Entity, Op, Put, Where
from tests.coordination.plant import AUTHOR, RULES, Act, Reply, Scripted, card, ontology, populate
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

ANNA = 'User::"anna"'
#: Starts the runs; may do what agents may, and approves nothing of it.
CLEO = 'User::"cleo"'
#: One child for the expressions of every test.
EXPRESSIONS = Expressions()
#: Commits that one run of a test may take.
COMMITS_MAX = 400


class KilledError(BaseException):
    """The process is gone."""


class Mortal:
    """A store whose process dies at a commit, before or after it happened; then nothing is answered any more."""

    def __init__(self, store: DictStore, at: int = 0, after: bool = False) -> None:
        self._store, self._at, self._after = store, at, after
        self.commits = 0
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        if self.dead:
            raise KilledError
        return getattr(self._store, name)

    def commit(self, *args: Any, **more: Any) -> Any:
        if self.dead:
            raise KilledError
        self.commits += 1
        self.dead = self.commits == self._at
        if self.dead and not self._after:
            raise KilledError
        made = self._store.commit(*args, **more)
        if self.dead:
            raise KilledError
        return made


@dataclass
class Team:
    """A runtime over a graph, driven by hand."""

    store: DictStore
    clock: ManualClock
    make: Callable[[Any, Callable[[str], None]], Runtime]
    author: Principal = AUTHOR
    replies: dict[str, Reply] = field(default_factory=dict)
    queue: deque[str] = field(default_factory=deque)
    mortal: Mortal = field(init=False)
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.live()

    def live(self, at: int = 0, after: bool = False) -> None:
        """Another process over the same graph; what was in the queue is lost."""
        self.queue.clear()
        self.mortal = Mortal(self.store, at, after)
        self.runtime = self.make(self.mortal, self.queue.append)

    def drain(self, rounds: int = 3_000) -> None:
        for _ in range(rounds):
            busy = self.runtime.pump() > 0
            while self.queue:
                # What is handled may leave a change to be read.
                busy = True
                self.runtime.handle(self.queue.popleft())
            if not busy:
                return
        raise AssertionError("it does not come to rest")

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.runtime.reconcile()
        self.drain()

    def start(self, document: Document, input: Any, id: str = "run") -> str:
        """Register, start, and drive as far as it goes now."""
        engine = self.runtime.engine
        run = engine.start(engine.register(document, AUTHOR, ("agents",)), input, CLEO, id=id)
        self.drain()
        return run

    def state(self, run: str = "run") -> str:
        return self.runtime.engine.run(run).state

    def output(self, run: str = "run") -> Any:
        found = self.runtime.engine.run(run)
        assert found.state == "completed", (found.state, found.error)
        return self.runtime.engine.output(run)

    def error(self, run: str = "run") -> dict[str, Any]:
        found = self.runtime.engine.run(run)
        assert found.state == "faulted", found.state
        return found.error

    def put(self, id: str, cls: str, **properties: Any) -> None:
        from kg.model import Cause

        self.store.commit([Put(id, cls, properties)], Cause(self.clock.id(), "ingest", 'Service::"ingest"'))

    def found(self, cls: str, **where: Any) -> list[Entity]:
        wanted = [Where(name, Op.EQ, value) for name, value in where.items()]
        return sorted(self.store.find(cls, wanted, first=1_000).items, key=lambda entity: (entity.since, entity.id))

    def decide(self, answer: Any = "approve", who: str = ANNA) -> Entity:
        """Answer the newest question to people; the recommendation that stood beside it."""
        asked = [d for d in self.found("Decision") if d["outcome"] == "needs_approval"][-1]
        rules = load_rules(self.store, ontology())
        approve(self.store, self.clock, rules, asked.id, load_principal(self.store, who), answer)
        self.drain()
        return next(r for r in self.found("Recommendation") if str(r["decision"]) == asked.id)


@contextmanager
def team(
    replies: Mapping[str, Reply] | None = None, *, acts: Mapping[str, Act] | None = None, rules: Sequence[str] = RULES,
    effectors: Sequence[Effector] = (), workflows: Workflows | None = None,
) -> Iterator[Team]:  # fmt: skip
    """Agents that answer (`replies`) or propose (`acts`) as scripted."""
    clock = ManualClock(seed=7)
    store = DictStore(ontology(), clock)
    told = dict(replies or {})
    names = dict.fromkeys([*(replies or {}), *(acts or {})])
    populate(store, clock, list(names), rules)
    ensure_principal(store, clock, "User", "cleo", AUTHOR, roles=["agents"])

    def make(seen: Any, send: Callable[[str], None]) -> Runtime:
        acting = Scripted(seen, {name: card(name) for name in names}, dict(acts or {}), told)
        given = replace(workflows or Workflows(), expressions=EXPRESSIONS)
        return Runtime(seen, clock, ontology(), acting, effectors, send, Bounds(attempts_max=50), workflows=given)

    yield Team(store, clock, make, replies=told)


def says(output: Any, confidence: str = "0.9", cost: str = "1") -> Reply:
    """An agent that always answers the same."""
    return lambda assignment: Answer(output, (), Decimal(confidence), Decimal(cost))


def answered(output: Any, confidence: str = "0.9", cost: str = "1") -> Answer:
    return Answer(output, (), Decimal(confidence), Decimal(cost))


def asked(log: list[Assignment], reply: Reply) -> Reply:
    """An agent that notes what it was asked."""

    def told(assignment: Assignment) -> Answer:
        log.append(assignment)
        return reply(assignment)

    return told


Make = Callable[[], Any]
Drive = Callable[[Team], None]


def rest(here: Team) -> None:
    """Let it come to its end, with whatever time that takes."""
    for _ in range(30):
        here.later(400)
        if here.runtime.engine.run("run").ended:
            return


def same_after_crashes(
    make: Make, document: Document, input: Any, *, drive: Drive = rest, check: Callable[[Team], None] = lambda here: None,
    every: int = 1, seen: Callable[[Any], Any] = lambda output: output,
) -> Any:  # fmt: skip
    """The output, which is the same whichever commit the process died at; `make` gives a new team."""
    with make() as here:
        here.start(document, input)
        drive(here)
        wanted = seen(here.output())
        check(here)
        total = here.mortal.commits
    assert 3 < total < COMMITS_MAX
    for at in range(2, total + 1, every):
        for after in (False, True):
            with make() as here:
                here.live(at, after)
                try:
                    here.start(document, input)
                    drive(here)
                except KilledError:
                    here.live()
                    here.start(document, input)
                    drive(here)
                assert seen(here.output()) == wanted, f"another output after dying at commit {at} ({after=})"
                check(here)
    return wanted
