"""I11 with processes and threads under load, on a file and on a Neo4j server: after an acknowledged stop no intent commits."""

from pathlib import Path

import pytest

from governance.controls import change, stop
from kg.model import Kind
from tests.coordination.plant import AUTHOR
from tests.faults.crew import Crew, crew
from tests.services.server import running

PROCESSES = 3


def begun(made: Crew) -> list[int]:
    """The positions at which effects began."""
    found, after = [], 0
    while page := made.store.changes(after):
        found += [c.position for c in page if c.cls == "Effect" and c.kind is Kind.CREATED]
        after = page[-1].position
    return found


@pytest.mark.slow
@pytest.mark.parametrize("place", ["sqlite", "neo4j"])
@pytest.mark.parametrize("state", ["stop", "pause"])
def test_i11_processes_under_load_begin_nothing_after_the_acknowledgement(
    tmp_path: Path, place: str, state: str
) -> None:
    with crew(tmp_path, None, running("neo4j") if place == "neo4j" else None) as made:
        for number in range(PROCESSES):
            made.start(f"w{number}")
        made.add(products=12, tickets=12)
        made.until(lambda: len(begun(made)) >= 6, "some effects began")
        told = change(made.store, made.clock, AUTHOR, "global", state, "alarm")
        made.add(products=3, tickets=3)
        position = made.store.head().position
        # The feed is read on while nothing may begin: the work of what was added after the stop is there, and waits.
        made.until(
            lambda: any(key.startswith("act:") and row == "ready" for key, row, _ in made.left()), "work is held"
        )
        made.until(lambda: all(e["status"] == "done" for e in made.store.find("Effect", first=1_000).items), "receipts")
        after = begun(made)
        assert max(after) <= told.position <= position
        assert {e.id for e in told.intents} <= {e.id for e in made.store.find("Effect", first=1_000).items}
        change(made.store, made.clock, AUTHOR, "global", "run", "over")
        made.until(made.done, "everything that waited went on")
        assert len(begun(made)) > len(after)
        made.check()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["sqlite", "neo4j"])
def test_a_throttle_is_exact_among_processes(tmp_path: Path, place: str) -> None:
    with crew(tmp_path, None, running("neo4j") if place == "neo4j" else None) as made:
        change(made.store, made.clock, AUTHOR, "global", "throttle", "slowly", per_minute=5)
        for number in range(PROCESSES):
            made.start(f"w{number}")
        made.add(products=6, tickets=6)
        made.until(lambda: len(begun(made)) >= 5, "five effects began")
        made.until(lambda: sum("begin a minute" in why for _, _, why in made.left()) >= 7, "the others wait")
        assert len(begun(made)) == 5
        stop(made.store, made.clock, AUTHOR, "global", "enough")
        assert len(begun(made)) == 5
