"""Many at once, embedded, on files with fsync: 100,000 waiting timers of which some fall due, and 200 agents beside 5."""

import gc
import resource
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_feed import Flagging, Line
from benchmarks.result import Result, at_most, within
from benchmarks.works import Works, works_on_file
from coordination.acting import AgentCard
from coordination.wakes import Wake
from kg.model import Cause, Entity, Op, Put, StateWrite, Where
from kg.store import Request

TIMERS: Final = 100_000
DUE: Final = 1_000
#: Due timers a second, and seconds until the first: all of them have to be started by then.
DUE_A_SECOND: Final = 20
AHEAD_SECONDS: Final = 60
COPIED: Final = 500
THREADS: Final = 16
FEW: Final = 5
MANY: Final = 200
WARM: Final = 10
ROUNDS: Final = 200
_WAIT = """
document: {dsl: '1.0.3', namespace: bench, name: wait, version: '1.0.0'}
do:
  - pause: {wait: '${ .for }'}
  - on: {call: inc, with: {x: 1}}
"""


def _memory() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1_000_000


def _copies(made: Works, run: str, numbers: range) -> None:
    """Fill the store with waiting runs: the facts and machine rows of one that really waits, under other ids."""
    store: Any = made.store
    entity = store.get([run])[run]
    (step,) = store.find("Step", [Where("run", Op.EQ, run)], first=10).items
    found = [row for kind in ("strand", "mailbox", "work") for row in store.scan(kind, first=100) if run in row.key]
    for start in range(numbers.start, numbers.stop, COPIED):
        requests = []
        for number in range(start, min(start + COPIED, numbers.stop)):
            id = f"far-{number}"
            puts = [
                Put(id, "Run", dict(entity.properties)),
                Put(f"{id}-step", "Step", {**step.properties, "run": id}),
            ]
            rows = [_row(row, run, id) for row in found]
            requests.append(Request(puts, Cause(f"copy-{id}", "bench", 'Service::"bench"'), {}, rows))
        for outcome in store.commit_many(requests):
            if isinstance(outcome, Exception):
                raise outcome


def _row(row: Any, run: str, id: str) -> StateWrite:
    value = {**row.value, "subject": row.value["subject"].replace(run, id)} if row.kind == "work" else row.value
    return StateWrite(row.kind, row.key.replace(run, id), value, due=row.due)


def _timers() -> list[Result]:
    with tempfile.TemporaryDirectory() as name, works_on_file(Path(name), THREADS) as made:
        workflow = made.register(_WAIT)
        far = made.start(workflow, {"for": "P1D"})
        made.wait([far], "waiting")
        # SQLite fills its page cache, which has a bound of its own, with the first of them.
        _copies(made, far, range(TIMERS // 2))
        half = _memory()
        _copies(made, far, range(TIMERS // 2, TIMERS))
        wanted = {}
        for number in range(DUE):
            wait = AHEAD_SECONDS + number // DUE_A_SECOND
            wanted[made.start(workflow, {"for": f"PT{wait}S"})] = wait
        before = _memory()
        made.wait(list(wanted))
        after = _memory()
        late = sorted(_late(made, run, wait) for run, wait in wanted.items())
    return [
        within(f"lateness of {DUE:,} timers beside {TIMERS:,} waiting, p99", late[int(len(late) * 0.99)], "s", 1.0),
        at_most(f"memory with {TIMERS:,} waiting timers", before, "MB", "with half of them", half, 1.1),
        at_most(f"memory when {DUE:,} of them have run", after, "MB", "before", before, 1.1),
    ]


def _late(made: Works, run: str, seconds: float) -> float:
    """How long after it was due a run's wait ended."""
    found = made.store.find("Step", [Where("run", Op.EQ, run), Where("task", Op.EQ, "pause")], first=1).items
    began, ended = found[0]["began"], found[0]["ended"]
    if not isinstance(began, datetime) or not isinstance(ended, datetime):
        raise RuntimeError(f"run {run} keeps no times")
    return (ended - began).total_seconds() - seconds


class Crowd(Flagging):
    """So many agents that listen to one class; of each change one of them has something to say."""

    def __init__(self, count: int) -> None:
        def of(number: int) -> AgentCard:
            def mine(_: Entity | None, now: Entity | None) -> bool:
                stock = now["stock"] if now is not None else None
                return isinstance(stock, int) and stock % count == number

            wake = Wake("Product", properties=("stock",), condition=mine)
            return AgentCard(f"flagging-{number}", "1", None, (wake,))

        self._cards = {card.name: card for card in (of(number) for number in range(count))}


def _agents() -> list[Result]:
    with (
        tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two,
        closing(Line(Path(one), Crowd(FEW))) as few, closing(Line(Path(two), Crowd(MANY))) as many,
    ):  # fmt: skip
        taken: dict[int, list[float]] = {FEW: [], MANY: []}
        for number in range(WARM + ROUNDS):
            # Turn by turn, so that a busy machine slows both alike.
            for count, line in ((FEW, few), (MANY, many)):
                _, decided = line.one(number)
                if number >= WARM:
                    taken[count].append(decided)
    few95, many95 = (sorted(taken[count])[int(ROUNDS * 0.95)] for count in (FEW, MANY))
    return [at_most(f"change to decided effect, {MANY} agents, p95", many95, "ms", f"{FEW} agents", few95, 1.2)]


def run() -> list[Result]:
    """Measure both."""
    return [*_agents(), *_timers()]
