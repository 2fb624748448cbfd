"""From the stop command to its acknowledgement, embedded, while four processes begin effects as fast as they can; and I11 counted.

The command is the whole of `governance.controls.stop` with its decision on record: read, decide by 1,000 rules, commit with fsync,
list what is in flight. Begun after a stop is an effect whose first change lies between an acknowledgement and the next resume.
Beside it the same command with nobody at work.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.deciding import AUTHOR, deciding, fill, open_store, rule
from benchmarks.result import Result, within
from governance.controls import ensure, resume, stop
from governance.principals import load_principal
from governance.rules import BOOK, BOOK_CLASS, load_rules
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause, Kind, Put
from kg.ontology import Ontology

PROCESSES = 4
THREADS = 4
STOPS = 200
IDLE_STOPS = 50
#: How long the processes work between a resume and the next stop, and stand still after one.
WORK_SECONDS = 0.1
STILL_SECONDS = 0.02
#: Effects that were done before; what is in flight has to be found among them.
DONE = 20_000
BATCH = 1_000
BAR_MS = 50.0
OPERATE = '@id("operate") permit(principal in Role::"operators", action == Action::"control", resource is Control);'
Span = tuple[int, int]


def _past(store: Committer) -> None:
    for start in range(0, DONE, BATCH):
        values = {"operation": "reorder", "effector": "graph", "agent": "buyer"}
        for state in ("intent", "done"):
            puts = [
                Put(f"past{n}", "Effect", {**values, "idempotencyKey": f"past{n}", "status": state})
                for n in range(start, start + BATCH)
            ]
            store.commit(puts, Cause(f"past-{start}-{state}", "fill", AUTHOR.uid))


def _stops(
    store: Committer, words: Ontology, clock: SystemClock, times: int, work: float
) -> tuple[list[float], list[Span]]:
    """Milliseconds of each stop, and the positions of its acknowledgement and of the resume after it."""
    operator, taken, spans = load_principal(store, 'User::"operator"'), [], []
    for _ in range(times):
        time.sleep(work)
        started = time.perf_counter()
        told = stop(store, clock, operator, "global", "drill", rules=load_rules(store, words))
        taken.append((time.perf_counter() - started) * 1e3)
        time.sleep(STILL_SECONDS)
        spans.append((told.position, resume(store, clock, operator, "global", "over").position))
    return taken, spans


def _begun(store: Committer, after: int) -> list[int]:
    """The positions at which effects began."""
    found: list[int] = []
    while page := store.changes(after):
        found += [change.position for change in page if change.cls == "Effect" and change.kind is Kind.CREATED]
        after = page[-1].position
    return found


def run() -> list[Result]:
    """Stop an idle graph, then one under load."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, words, clock = open_store(folder)
        fill(store, clock)
        book = Put(BOOK, BOOK_CLASS, {"changedBy": "operate"})
        store.commit([rule("operate", OPERATE), book], Cause(clock.id(), "fill", AUTHOR.uid))
        ensure(store, clock, AUTHOR)
        _past(store)
        idle, _ = _stops(store, words, clock, IDLE_STOPS, 0.0)
        first = store.head().position
        with deciding(folder, PROCESSES, THREADS):
            began = time.perf_counter()
            taken, spans = _stops(store, words, clock, STOPS, WORK_SECONDS)
            seconds = time.perf_counter() - began
        effects = _begun(store, first)
        store.close()
    late = sum(start < position < end for position in effects for start, end in spans)
    if len(effects) < STOPS:
        raise SystemExit(f"the processes began only {len(effects)} effects; there was no load")
    p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    peer, floor = "nobody at work", statistics.quantiles(idle, n=100)[98]
    load = f"{len(effects) / seconds:,.0f} effects/s begun by {PROCESSES} processes"
    return [
        within(f"stop to acknowledgement, p50, {load}", p50, "ms", BAR_MS, peer, statistics.median(idle)),
        within("stop to acknowledgement, p99, the same", p99, "ms", BAR_MS, peer, floor),
        within(f"effects begun after {STOPS} stops", late, "effects", 0),
    ]


if __name__ == "__main__":
    for result in run():
        print(result)
