"""I7 with real processes: one that is stopped (SIGSTOP) beyond its lease and goes on later writes nothing; of two one sends."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from coordination import works
from coordination.works import Work
from tests.faults.crew import DONE_SECONDS_MAX, Crew, crew
from tests.services.server import Server, running

STORES = ["sqlite", "neo4j"]
#: What the process was about to commit when it was stopped: as the reader of the feed, with a claim, after acting outside.
POINTS = ["before feed", "before propose", "before apply", "before effect.done"]


def graph(name: str) -> Server | None:
    return running("neo4j") if name == "neo4j" else None


def resume(made: Crew, name: str) -> None:
    """Let a stopped process go on, and end in order."""
    os.kill(made.processes[name].pid, signal.SIGCONT)
    made.until(lambda: "went on" in made.lines[name], "the stopped process goes on")
    made.end(name)
    made.until(lambda: "ended" in made.lines[name], "it ended in order")


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("point", POINTS)
def test_a_process_stopped_beyond_its_lease_writes_nothing_when_it_goes_on(
    tmp_path: Path, store: str, point: str
) -> None:
    with crew(tmp_path, None, graph(store)) as made:
        made.start("stopped", point, "SIGSTOP")
        # An act outside that its other thread was just about to do would be done late, and no fence can hold that up.
        made.add(tickets=0 if point == "before apply" else 1)
        made.until(lambda: made.stopped("stopped"), f"it stops {point}")
        made.start("heir")
        made.until(made.done, "the heir has done all")
        before = made.store.head()
        resume(made, "stopped")
        assert made.store.head() == before, "what it held back was refused"
        made.end("heir")
        made.check()


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_a_reconciler_stopped_beyond_its_lease_sends_nothing_more(tmp_path: Path, store: str) -> None:
    with crew(tmp_path, None, graph(store)) as made:
        # Work whose messages were lost with the process that made it.
        lost = made.start("lost", "after feed")
        made.add(products=2)
        assert lost.wait(DONE_SECONDS_MAX) == -signal.SIGKILL
        made.start("stopped", "before reconcile", "SIGSTOP")
        made.until(lambda: made.stopped("stopped"), "it stops before it notes what it sends")
        made.start("heir")
        made.until(made.done, "the heir has done all")
        resume(made, "stopped")
        made.end("heir")
        made.check()


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_of_two_reconcilers_at_once_one_sends_each_message(tmp_path: Path, store: str) -> None:
    count = 20

    def sent(made: Crew) -> Counter[str]:
        return Counter(line for lines in made.lines.values() for line in lines if line.startswith("sent"))

    with crew(tmp_path, None, graph(store), deaf=True) as made:
        left = [Work(f"left{n}", "settle", f"s{n}") for n in range(count)]
        made.store.commit([], None, state=works.new(made.store, made.clock, left))
        for name in ("one", "two"):
            made.start(name)
        made.until(lambda: len(sent(made)) == count, "each was sent")
        leader = "one" if "sent left0" in made.lines["one"] else "two"
        os.kill(made.processes[leader].pid, signal.SIGUSR1)
        made.until(lambda: made.stopped(leader), "the leader stops")
        made.until(lambda: min(sent(made).values()) >= 2, "the other sends them again in its time")
        os.kill(made.processes[leader].pid, signal.SIGCONT)
        for name in ("one", "two"):
            made.end(name)
        made.until(lambda: all("ended" in lines for lines in made.lines.values()), "both ended in order")
        # Each sending is noted at its row, so a message sent by both would show as one note too few.
        noted = {f"sent {row.key}": row.revision - 1 for row in made.store.scan(works.KIND, first=100)}
        assert dict(sent(made)) == noted
