"""An example's project in a test: copied, its data generated, set up and filled; time is set, work is done in this thread.

`counting` can make the n-th commit the last of a life: whatever comes after it is refused, as to a process that was killed.
"""

import importlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import count, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from coordination.runs.engine import Engine
from coordination.runs.parking import AWAITED
from coordination.workflow.validation import load
from governance.approvals import Answer, approve
from governance.decide import decide
from governance.principals import Principal, load_principal
from governance.verdict import Request, Resource
from kg.model import Entity, Op, Where
from kg.values import Value
from tests.flows.desk import ROOT, Desk
from tests.parts import ManualClock

#: Longer than any lease, so that whoever died is taken over.
LEASES_SECONDS = 400.0
#: Each clock gives ids of its own.
_SEEDS = count(100)
WAITING = ("waiting_approval", "conflicted")
#: What an operation with an amount says of it.
MONEY = {"amount": Decimal("1.00"), "currency": "EUR"}


class KilledError(BaseException):
    """The process is gone."""


class Office(Desk):
    """A desk with a clock that is set, and people who answer."""

    def __init__(self, project: Path, home: Path, clock: ManualClock) -> None:
        self.clock = clock
        with patch("api.bootstrap.SystemClock", lambda: clock), patch("api.project.SystemClock", lambda: clock):
            super().__init__(project, home)
        self.project = project

    @property
    def engine(self) -> Engine:
        engine: Engine = self.runtime.engine
        return engine

    def start(self, input: Any, *, by: str = "root", id: str = "", document: str = "workflow.yaml") -> str:
        """Register the project's workflow and start it; the run's id."""
        found = load(
            (self.project / document).read_text("utf-8"), document, registered=set(self.engine.workflows.functions)
        )
        who = load_principal(self.platform.store, f'User::"{by}"')
        return self.engine.start(self.engine.register(found, who), input, who.uid, id=id)

    def play(self, input: Any, **more: Any) -> str:
        """Start and do all that can be done now; the run's id."""
        run = self.start(input, **more)
        self.settle()
        return run

    def later(self, seconds: float) -> None:
        """Let time pass and do what is due."""
        self.clock.advance(seconds)
        self.runtime.reconcile()
        self.settle()

    def state(self, run: str) -> str:
        return str(self.engine.run(run).state)

    def output(self, run: str) -> Any:
        found = self.engine.run(run)
        assert found.state == "completed", (found.state, found.error, self.steps(run))
        return self.engine.output(run)

    def steps(self, run: str) -> list[tuple[str, str]]:
        """Tasks with their states, in the order in which they last changed."""
        found = self.platform.store.find("Step", [Where("run", Op.EQ, run)], first=1_000).items
        return [(str(step["task"]), str(step["state"])) for step in sorted(found, key=lambda step: step.since)]

    def all(self, cls: str, **where: Any) -> list[Entity]:
        conditions = [Where(name, Op.EQ, value) for name, value in where.items()]
        return list(self.platform.store.find(cls, conditions, first=900).items)

    def open(self) -> list[Entity]:
        """The decisions that wait for people now."""
        store = self.platform.store
        asked = [row.key for row in store.scan(AWAITED, first=100)]
        found = [entity for entity in store.get(asked).values() if entity.cls == "Decision"]
        for proposal in store.find("Proposal", [Where("state", Op.IN, WAITING)], first=100).items:
            edges = store.expand([proposal.id], "decidedBy", first=20)[proposal.id]
            waiting = [edge.entity for edge in edges if edge.entity["outcome"] == "needs_approval"]
            found += [max(waiting, key=lambda decision: decision.since)] if waiting else []
        return sorted(found, key=lambda decision: decision.since)

    def answer(self, user: str, answer: Answer = "approve", comment: str = "") -> list[Entity]:
        """A user gives this answer to all that waits, and what follows is done; what was open before."""
        asked = self.open()
        who = load_principal(self.platform.store, f'User::"{user}"')
        for decision in asked:
            approve(self.platform.store, self.clock, self.platform.rules(), decision.id, who, answer, comment)
        self.settle()
        return asked

    def permitted(
        self, agents: Sequence[str], operations: Sequence[str], classes: Sequence[str], **money: Value
    ) -> set[str]:
        """Of all agents, operations and classes together, those that no rule and no silence denies: "agent operation class"."""
        rules = self.platform.rules()
        found = set()
        for agent, operation, cls in product(agents, operations, classes):
            who = Principal("Agent", agent)
            asked = Request(who, "apply", Resource(cls, "new"), {"operation": operation, **MONEY, **money})
            if decide(asked, rules).outcome != "deny":
                found.add(f"{agent} {operation} {cls}")
        return found


def filled(name: str, folder: Path) -> tuple[Path, Path]:
    """A copy of an example with generated data, and a home in which it is set up and ingested."""
    project, home = folder / name, folder / "home"
    shutil.copytree(ROOT / "examples" / name, project, ignore=shutil.ignore_patterns("__pycache__", ".noesis", "data"))
    importlib.import_module(f"examples.{name}.generate").generate(project / "data")
    office = Office(project, home, ManualClock(seed=next(_SEEDS)))
    office.ingest()
    office.platform.close()
    return project, home


def rewritten(made: tuple[Path, Path], folder: Path, name: str, change: Callable[[str], str]) -> tuple[Path, Path]:
    """The same home with a copy of the project in which one file is another."""
    project = folder / f"with-{name}"
    shutil.copytree(made[0], project)
    file = project / name
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    return project, made[1]


@contextmanager
def opened(project: Path, home: Path, clock: ManualClock | None = None) -> Iterator[Office]:
    """The project in its home, closed at the end."""
    office = Office(project, home, clock or ManualClock(seed=next(_SEEDS)))
    try:
        yield office
    finally:
        office.platform.close()


@contextmanager
def spare(made: tuple[Path, Path], folder: Path) -> Iterator[Office]:
    """An office over a copy of a home that was filled."""
    home = folder / "copy"
    shutil.copytree(made[1], home)
    with opened(made[0], home) as office:
        yield office


@contextmanager
def counting(office: Office, last: int | None = None) -> Iterator[list[int]]:
    """How many commits are made; the one with number `last` is the last that this office makes."""
    store, real, made = office.platform.store, office.platform.store.commit, [0]

    def commit(*args: Any, **kwargs: Any) -> Any:
        if last is not None and made[0] >= last:
            raise KilledError
        done = real(*args, **kwargs)
        made[0] += 1
        if made[0] == last:
            raise KilledError
        return done

    with patch.object(store, "commit", commit):
        yield made


def killed_often(
    made: tuple[Path, Path],
    folder: Path,
    drive: Callable[[Office], None],
    check: Callable[[Office], None],
    kills: int = 4,
) -> None:
    """Drive again and again, each time killed after another commit, evenly spread, and taken up by a new process.

    `drive` may be called again at any point of what it does.
    """
    with spare(made, folder) as office, counting(office) as whole:
        drive(office)
        check(office)
    for kill in range(kills):
        home, clock = folder / f"killed-{kill}", ManualClock(seed=next(_SEEDS))
        shutil.copytree(made[1], home)
        last = 1 + kill * (whole[0] - 1) // kills
        with opened(made[0], home, clock) as office, pytest.raises(KilledError), counting(office, last):
            drive(office)
        clock.advance(LEASES_SECONDS)
        with opened(made[0], home, clock) as office:
            office.later(LEASES_SECONDS)
            drive(office)
            check(office)
