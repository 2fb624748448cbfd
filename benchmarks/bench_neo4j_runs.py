"""Durable steps a second on a real Neo4j server, 200 runs at once, beside bare commits of the same server by as many callers."""

import threading
import time
from typing import Final

from benchmarks.bench_feed import ontology
from benchmarks.result import Result, at_least
from benchmarks.works import AUTHOR, Works, steps, works
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause, Put
from kg.stores.neo4j import Neo4jStore
from tests.services.graph import empty
from tests.services.server import Server, kept, start, stop

RUNS: Final = 200
STEPS: Final = 10
THREADS: Final = 64
WARM_RUNS: Final = 64
COMMITS_EACH: Final = 15
BAR: Final = 400


def _store(server: Server) -> Neo4jStore:
    return Neo4jStore(server.url, ontology(), SystemClock(), user=server.user, password=server.password)


def _together(made: Works, workflow: str, count: int) -> float:
    began = time.perf_counter()
    made.wait(made.start_each(workflow, [{"x": 0}] * count))
    return count * STEPS / (time.perf_counter() - began)


def _bare(server: Server) -> float:
    """Commits a second of one small entity each, by as many callers through the committer."""
    committer = Committer(_store(server))

    def call(caller: int) -> None:
        for number in range(COMMITS_EACH):
            id = f"bare-{caller}-{number}"
            committer.commit([Put(id, "Product", {"stock": number})], Cause(id, "bench", AUTHOR.uid))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    committer.close()
    return THREADS * COMMITS_EACH / seconds


def _measured(server: Server) -> list[Result]:
    empty(server)
    store = _store(server)
    with works(store, SystemClock(), THREADS) as made:
        workflow = made.register(steps("many", STEPS))
        # The server compiles its queries and itself.
        _together(made, workflow, WARM_RUNS)
        rate = _together(made, workflow, RUNS)
    name = f"bare commits, {THREADS} callers"
    return [at_least(f"Neo4j: {RUNS} runs at once", rate, "steps/s", BAR, name, _bare(server))]


def run() -> list[Result]:
    """Measure on the server that is kept up, or on one of its own."""
    up = kept("neo4j")
    server = up or start("neo4j")
    try:
        return _measured(server)
    finally:
        if up is None:
            stop(server)
