"""The crash matrix of `make crash-matrix`: every boundary and effect on SQLite; on Neo4j every boundary with one effect each."""

from itertools import cycle
from pathlib import Path

import pytest

from benchmarks.crash import matrix
from benchmarks.crash.__main__ import table, wrong
from benchmarks.crash.lives import EFFECTS
from benchmarks.crash.matrix import BOUNDARIES, Cell, verdict
from tests.services.server import running

LOST = "broker lost"


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_happens_twice_on_sqlite(tmp_path: Path) -> None:
    boundaries = [boundary for boundary in BOUNDARIES if boundary != LOST]
    cells = matrix.embedded(tmp_path, boundaries)
    assert {(cell.effect, cell.boundary) for cell in cells} == {(e, b) for e in EFFECTS for b in boundaries}
    assert not wrong(cells), table(cells, {})
    assert all(cell.killed or cell.boundary == "lease expired while paused" for cell in cells)
    unsure = [cell for cell in cells if cell.effect == "webhook without key" and cell.boundary != "in commit"]
    assert all(cell.verdict == "in doubt" for cell in unsure), table(cells, {})


@pytest.mark.slow
def test_a_broker_that_is_lost_with_its_messages_and_the_worker_loses_nothing(tmp_path: Path) -> None:
    running("redis")
    cells = matrix.embedded(tmp_path, [LOST])
    assert len(cells) == len(EFFECTS)
    assert not wrong(cells), table(cells, {})


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_happens_twice_on_neo4j(tmp_path: Path) -> None:
    chosen = list(zip(cycle(EFFECTS), BOUNDARIES, strict=False))
    cells = matrix.on_server(tmp_path, running("neo4j"), chosen)
    assert len(cells) == len(BOUNDARIES)
    assert not wrong(cells), table(cells, {})


@pytest.mark.slow
def test_a_trial_that_hit_no_process_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boundary, tries = "before effect", 0
    hits = matrix.TRIALS[boundary]

    def misses_once(trial: matrix.Trial) -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            return hits(trial)
        # Its effect needs no such point, so that it works to its end.
        return matrix.Trial.here(trial.life("never"))

    monkeypatch.setitem(matrix.TRIALS, boundary, misses_once)
    monkeypatch.setattr(matrix, "EFFECTS", ("sql",))
    (cell,) = matrix.embedded(tmp_path, [boundary])
    assert (tries, cell.verdict, cell.happened, cell.killed) == (2, "once", 1, 1)


def test_what_is_counted_decides() -> None:
    assert verdict("sql", 1, "done, run completed") == "once"
    assert verdict("sql", 2, "done, run completed") == "DOUBLED"
    assert verdict("sql", 0, "done, run completed") == "LOST"
    assert verdict("sql", 1, "in_doubt, run waiting") == "LOST"
    assert verdict("webhook without key", 1, "in_doubt, run waiting") == "in doubt"
    assert verdict("webhook without key", 2, "in_doubt, run waiting") == "DOUBLED"
    bad = Cell("noesis", "sqlite", "sql", "in commit", 2, "", "DOUBLED", 1)
    assert wrong([bad]) == [bad]
    assert "DOUBLED (2)" in table([bad], {})
