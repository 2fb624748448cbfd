"""Many simulated lives in one go, spread over the cores: `python -m tests.simulation.seeds --count 10000`.

Each seed decides one life of random workflows under a budget and a switch (I3, I4, I7, I11, I12), and one of agents'
proposals (I3, I4, I7). It goes on after a failure, names every seed that failed and how to run it alone; exit code 1 where one did.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coordination.workflow.expressions import Expressions
from tests.runs.simulated_random import lived
from tests.simulation.world import World

COUNT: Final = 10_000
#: Seeds that one process takes at a time, and seconds between two lines of progress.
TAKEN: Final = 5
TOLD_SECONDS: Final = 10.0
REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of life: how it is lived, and how a seed of it is run alone."""

    live: Callable[[int], object]
    alone: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed: for each family that failed the reason."""

    seed: int
    failed: Sequence[tuple[str, str]]


_expressions: list[Expressions] = []


def _run(seed: int) -> None:
    if not _expressions:
        # One child process for all expressions of this process; it ends with it.
        _expressions.append(Expressions())
    lived(seed, _expressions[0])


def _proposals(seed: int) -> None:
    world = World(seed)
    world.run()
    world.check()


FAMILIES: Final = {
    "runs": Family(_run, "RUN_SEED={seed} .venv/bin/python -m pytest tests/runs/test_seeds.py -k random_workflows"),
    "proposals": Family(_proposals, "NOESIS_SEED={seed} .venv/bin/python -m pytest tests/simulation/test_seeds.py"),
}


def one(task: tuple[int, Sequence[str]]) -> Outcome:
    """Live one seed in each of the families."""
    seed, names = task
    failed: list[tuple[str, str]] = []
    for name in names:
        try:
            FAMILIES[name].live(seed)
        except Exception as error:
            failed.append((name, f"{type(error).__name__}: {error}"[:REASON_MAX]))
    return Outcome(seed, failed)


def every(seeds: Sequence[int], names: Sequence[str], processes: int) -> Iterator[Outcome]:
    """The outcomes of these seeds as they come."""
    tasks = [(seed, names) for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(one, tasks, TAKEN)
        pool.close()
        pool.join()


def say(what: str) -> None:
    """Tell whoever watches."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def told(outcomes: Iterator[Outcome], count: int) -> list[Outcome]:
    """Say how far it is and what fails, while it goes; the outcomes that failed."""
    failed: list[Outcome] = []
    began = said = time.monotonic()
    for done, outcome in enumerate(outcomes, 1):
        if outcome.failed:
            failed.append(outcome)
        for name, reason in outcome.failed:
            say(f"seed {outcome.seed} of {name} fails: {reason}")
        now = time.monotonic()
        if now - said >= TOLD_SECONDS and done < count:
            said = now
            left = (now - began) / done * (count - done)
            say(f"{done:,} of {count:,} seeds, {len(failed)} failed, about {left / 60:.0f} min left")
    return failed


def main(arguments: Sequence[str]) -> int:
    """Run the seeds that were asked for, and sum up."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.seeds", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--only", choices=sorted(FAMILIES), help="one kind of life alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at a time")
    given = parser.parse_args(arguments)
    if given.count < 1 or given.first < 0 or given.processes < 1:
        parser.error("give a count and processes of 1 or more, and a first seed of 0 or more")
    names = [given.only] if given.only else list(FAMILIES)
    began = time.monotonic()
    failed = told(every(range(given.first, given.first + given.count), names, given.processes), given.count)
    for outcome in sorted(failed, key=lambda outcome: outcome.seed):
        for name, _ in outcome.failed:
            sys.stdout.write(f"run it alone: {FAMILIES[name].alone.format(seed=outcome.seed)}\n")
    last = given.first + given.count - 1
    took = time.monotonic() - began
    lived = f"{given.count:,} seeds ({given.first:,} to {last:,}) of {' and '.join(names)}"
    sys.stdout.write(f"{lived}: {len(failed)} failed, {took:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
