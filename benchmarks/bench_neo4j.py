"""Bars of the Neo4j store on a real server: callers grouped by the committer against commits one by one, and commits of batches."""

import statistics
import threading
import time

from benchmarks.result import Result, at_least
from benchmarks.shop import customer, schema
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause
from kg.stores.neo4j import Neo4jStore
from tests.services.graph import empty
from tests.services.server import Server, kept, start, stop

CALLERS = 32
COMMITS_EACH = 30
SINGLES = 60
ROUNDS = 5
BATCH = 1_000
BATCHES = 8
#: Commits of each size before the clock starts: the server compiles its queries and itself.
WARM = 3


def _store(server: Server) -> Neo4jStore:
    return Neo4jStore(server.url, schema(), SystemClock(), user=server.user, password=server.password)


def _cause(id: str) -> Cause:
    return Cause(id, "bench", 'Service::"bench"')


def _callers(server: Server) -> Result:
    empty(server)
    committer = Committer(_store(server))
    numbers = iter(range(10**9))

    def call(count: int) -> None:
        for _ in range(count):
            number = next(numbers)
            committer.commit([customer(number)], _cause(f"caller-{number}"))

    def together(each: int) -> float:
        threads = [threading.Thread(target=call, args=(each,)) for _ in range(CALLERS)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return CALLERS * each / (time.perf_counter() - start)

    together(WARM * 5)
    call(SINGLES)
    singles, groups = [], []
    # Turn by turn, so that a busy machine slows both alike.
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call(SINGLES)
        singles.append(SINGLES / (time.perf_counter() - start))
        groups.append(together(COMMITS_EACH))
    single, grouped = statistics.median(singles), statistics.median(groups)
    committer.close()
    peer = "the same commits one by one"
    ratio = grouped / single
    return Result(
        "Neo4j: 32 callers through the committer",
        grouped,
        "commits/s",
        peer,
        single,
        ratio,
        f">= 10 x {peer}",
        ratio >= 10,
    )


def _batched(server: Server) -> Result:
    empty(server)
    store = _store(server)
    batches = [
        [customer(n) for n in range(start, start + BATCH)] for start in range(0, BATCH * (BATCHES + WARM), BATCH)
    ]
    for number, batch in enumerate(batches[:WARM]):
        store.commit(batch, _cause(f"warm-{number}"))
    start = time.perf_counter()
    for number, batch in enumerate(batches[WARM:]):
        store.commit(batch, _cause(f"batch-{number}"))
    rate = BATCH * BATCHES / (time.perf_counter() - start)
    store.close()
    return at_least("Neo4j: governed commits of 1,000", rate, "records/s", 2_500)


def run() -> list[Result]:
    """Measure on the server that is kept up, or on one of its own."""
    up = kept("neo4j")
    server = up or start("neo4j")
    try:
        return [_callers(server), _batched(server)]
    finally:
        if up is None:
            stop(server)
