"""Turn: one claim of one strand by one worker: what was read, how far it may go, and what follows from it.

Invariant: nothing in it outlives the claim; what must last is in the strand's row and the work's. Drives nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coordination.runs import rows, runs
from coordination.runs.calls import Answer, Call
from coordination.runs.definitions import acts_as
from coordination.runs.families import Family
from coordination.runs.runs import Run
from coordination.workflow.scope import Setting
from coordination.workflow.strand import Strand
from coordination.works import Work
from kg.model import Cause
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one claim drives a strand before it hands it on, and how many tasks without calls share a commit.

    `one_by_one`: branches that end at once in this process wait for each other in threads. Off where a Scheduler decides which
    thread goes on: it would give the turn to one that waits for another.
    """

    tasks_a_commit: int = 32
    commits_a_claim: int = 256
    seconds_a_claim: float = 20.0
    race_tries_max: int = 20
    one_by_one: bool = True


@dataclass(slots=True)
class Claim:
    """The claim of one piece of work, renewed with every commit, and the ids of the work that follows."""

    work: Work
    follow: list[str] = field(default_factory=list)
    #: Quick calls by number: name, arguments and answer, until they are committed. A commit that lost a race asks nobody twice.
    answered: dict[int, tuple[str, Mapping[str, Json], Answer]] = field(default_factory=dict)
    #: Whether nobody else had the strand in hand when this claim first asked; whoever claims it later sees this one.
    alone: bool = False


@dataclass(slots=True)
class Turn:
    """One claim of one strand: the strand, its run, and what was read for both."""

    claim: Claim
    run: Run
    strand: Strand
    rows: rows.Rows
    setting: Setting
    before: Mapping[str, Any]
    commits: int = 0
    controls: Mapping[str, int] = field(default_factory=dict)
    #: The count of the runs that the next commit starts, where it starts any.
    family: Family | None = None

    @property
    def work(self) -> Work:
        """The work as it is claimed now."""
        return self.claim.work

    def call(self, wait: Mapping[str, Any], now: int) -> Call:
        """The call that the strand waits for."""
        strand, arguments = self.strand, wait.get("arguments") or {}
        step = runs.step_id(strand.run, strand.id, wait["n"])
        reference = strand.frames[-1]["p"]
        return Call(self.run, strand.id, wait["n"], step, reference, wait["call"], arguments, self.setting.plan, now)

    def cause(self, id: str) -> Cause:
        """Why what the turn commits is so: the workflow's agent took a step, for whoever the run is for."""
        run = self.run
        return Cause(
            id, "run.step", f'Agent::"{acts_as(self.setting.plan.document)}"',
            on_behalf_of=run.text("onBehalfOf") or run.text("startedBy") or None,
            attributes={"depth": run.depth, "run": run.id},
        )  # fmt: skip
