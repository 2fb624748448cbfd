"""Resting: what is looked at when a strand goes no further: whether its fork is over, and whether anything of the run goes on.

Invariants: a branch whose fork is over goes no further, so nothing of it begins that nobody tidies up; a run of several strands is
waiting once none of them has work that is due or in hand. It reads only.
"""

from typing import Final

from coordination.runs import answers, runs
from coordination.runs.runs import Run
from coordination.workflow import machine_fork
from coordination.workflow.strand import Strand
from coordination.works import KIND as WORK
from coordination.works import READY, Work, of
from kg.store import PAGE_MAX, GraphStore

#: Rows that are looked at first: beside the strand that rests there is mostly one that does not.
NEAR: Final = 4
#: Pages of work of one run.
PAGES_MAX: Final = 100


def over(store: GraphStore, strand: Strand) -> bool:
    """Whether one of the forks that the strand is a branch of is decided, or gone."""
    if not strand.parent:
        return False
    parts = strand.id.split(".")
    keys = [f"{strand.run}/{'.'.join(parts[:length])}" for length in range(2, len(parts), 2)]
    found = store.state(answers.JOIN, keys)
    return any(key not in found or machine_fork.settled(found[key].value, found[key].value["compete"]) for key in keys)


def quiet(store: GraphStore, run: str, now: int, near: str) -> bool:
    """Whether no strand of the run has work that is due or in hand; what comes after the work `near` is looked at first."""
    prefix = f"run:{run}/"
    if any(_goes_on(of(row), now) for row in store.scan(WORK, prefix=prefix, after=near, first=NEAR)):
        return False
    after = ""
    for _ in range(PAGES_MAX):
        page = store.scan(WORK, prefix=prefix, after=after, first=PAGE_MAX)
        if any(_goes_on(of(row), now) for row in page):
            return False
        if len(page) < PAGE_MAX:
            return True
        after = page[-1].key
    return False


def _goes_on(work: Work, now: int) -> bool:
    """Whether it is more than a timer that is not due."""
    return work.state != READY or work.until <= now or work.attempts > 0 or work.held or bool(work.reason)


def moved(run: Run, strand: Strand) -> str | None:
    """Which state the run takes with a strand: with its first it waits where that does, and any other that goes on wakes it."""
    wait = strand.wait
    waits = wait is not None and wait["kind"] != "fork" and not (wait["kind"] == "call" and "handle" not in wait)
    if strand.parent and (waits or run.state != runs.WAITING):
        return None
    wanted = runs.WAITING if waits else runs.RUNNING
    return wanted if wanted != run.state else None
