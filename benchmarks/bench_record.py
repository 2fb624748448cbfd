"""A decision with its stored record at 1,000 rules: 32 callers decide and commit, beside raw cedarpy without a record."""

import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.bench_decide import RAW_REQUESTS, RULES, _book, _raw, _requests, _times_ms
from benchmarks.result import Result, within
from governance import decisions
from governance.decide import decide
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema

CALLERS = 32
DECISIONS_EACH = 250
#: Decisions that end one after the other, over which a time is spread.
WINDOW = 64


def run() -> list[Result]:
    """What one decision costs while 32 callers decide at once: the time between ends, spread over windows."""
    r = random.Random(12)
    rules = _book(r)
    requests, raw = _requests(r, CALLERS * DECISIONS_EACH), _raw(rules)
    floor = _times_ms(raw, requests[:RAW_REQUESTS])
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        store = SqliteStore(Path(folder) / "graph.db", FreeSchema(), clock)
        written = [Put(f"rule{n}", "Rule", {"name": f"r{n}"}) for n in range(RULES)]
        written += [Put(request.resource.id, request.resource.cls, {"stock": 1}) for request in requests]
        store.commit(written, Cause(clock.id(), "setup", "Service::bench"))
        for request in requests[: len(requests) // 4]:
            decide(request, rules)
        committer = Committer(store)
        ends: list[list[int]] = [[] for _ in range(CALLERS)]

        def caller(number: int) -> None:
            for request in requests[number::CALLERS]:
                start = time.perf_counter_ns()
                verdict = decide(request, rules)
                id = clock.id()
                latency = (time.perf_counter_ns() - start) // 1_000
                writes = decisions.record(id, request, verdict, latency=latency)
                committer.commit(writes, Cause(clock.id(), "decide", request.principal.uid))
                ends[number].append(time.perf_counter_ns())

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
        begin = time.perf_counter_ns()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count("Decision", at_most=10**6) == len(requests)
        committer.close()
    moments = [begin, *sorted(end for several in ends for end in several)]
    each = [(moments[n + WINDOW] - moments[n]) / WINDOW / 1e6 for n in range(0, len(moments) - WINDOW, WINDOW)]
    peer = "raw cedarpy, whole set, no record"
    p50, p99 = statistics.median(each), statistics.quantiles(each, n=100)[98]
    return [
        within("decision with its stored record, 32 callers, p50", p50, "ms a decision", 0.6, peer, floor[0]),
        within("decision with its stored record, 32 callers, p99", p99, "ms a decision", 1, peer, floor[1]),
    ]


if __name__ == "__main__":
    for result in run():
        print(result)
