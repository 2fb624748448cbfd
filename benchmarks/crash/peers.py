"""The peers under the same probe: their step has the effect, is hit at the same boundaries, and is recovered in their own way.

They live in an environment of their own, made on first use in the user's cache folder from the dependency group `peers` of
pyproject.toml, so what they need never meets what the product needs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.crash import outside
from benchmarks.crash.matrix import BOUNDARIES, DURING, VERDICTS, Cell
from tests.services.server import cache

HERE: Final = Path(__file__).resolve().parent
NAMES: Final = ("langgraph", "dbos")
EFFECTS: Final = ("sql", "webhook", "webhook without key")
SAID_SECONDS_MAX: Final = 90.0
#: What the peers have not.
NONE: Final = {
    "in compensation": "has none",
    "broker lost": "has no broker",
}


def environment() -> Path:
    """The interpreter of the peers' environment, made where it is not there or its requirements changed."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text("utf-8"))
    wanted = list(project["dependency-groups"]["peers"])
    folder = cache().parent / "peers"
    stamp, python = folder / "wanted.json", folder / "bin" / "python"
    if not (stamp.exists() and json.loads(stamp.read_text()) == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        if shutil.which("uv") is not None:
            commands = [["uv", "venv", "-q", "--python", sys.executable, str(folder)]]
            commands += [["uv", "pip", "install", "-q", "--python", str(python), *wanted]]
        else:
            commands = [[sys.executable, "-m", "venv", str(folder)]]
            commands += [[str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]]
        for command in commands:
            subprocess.run(command, check=True, timeout=600)
        stamp.write_text(json.dumps(wanted))
    return python


def version(python: Path, name: str) -> str:
    """The version of a peer as it says itself."""
    probe = str(HERE / "probes" / f"{name}_probe.py")
    return subprocess.run([python, probe], check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class Life:
    """One process of a peer."""

    def __init__(self, python: Path, name: str, job: dict[str, Any]) -> None:
        command = [str(python), str(HERE / "probes" / f"{name}_probe.py"), json.dumps(job)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def said(self) -> str:
        """Where it is now: "here", "done", or how it failed; empty where it is dead."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if (word := line.strip()) in ("here", "done", "ERROR"):
                return word
        return "" if self.process.wait(SAID_SECONDS_MAX) == -signal.SIGKILL else "failed"

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """Let it end."""
        self.process.communicate(timeout=SAID_SECONDS_MAX)


@dataclass
class Trial:
    """One run of a peer through one boundary."""

    python: Path
    name: str
    job: dict[str, Any]
    killed: int = 0
    failed: int = 0
    open: list[Life] = field(default_factory=list)

    def life(self, point: str = "") -> Life:
        """A process that is hit at this point."""
        made = Life(self.python, self.name, {**self.job, "point": point})
        self.open.append(made)
        return made

    def dies(self, point: str) -> None:
        """A life that is killed at its point."""
        life = self.life(point)
        said = life.said()
        self.killed += said in ("here", "")
        life.kill()

    def done(self, life: Life) -> None:
        """Wait for the end of a life; one that fails is counted."""
        self.failed += life.said() != "done"
        life.end()

    def ends(self) -> None:
        """A life that works to the end."""
        self.done(self.life())


def _dies(*points: str) -> Callable[[Trial], None]:
    def run(trial: Trial) -> None:
        for point in points:
            trial.dies(point)
        trial.ends()

    return run


def _two(trial: Trial) -> None:
    trial.dies("after act")
    both = [trial.life(), trial.life()]
    for life in both:
        trial.done(life)


def _paused(trial: Trial) -> None:
    paused = trial.life("before act")
    if paused.said() != "here":
        raise RuntimeError("it never got to its effect")
    os.kill(paused.process.pid, signal.SIGSTOP)
    trial.ends()
    os.kill(paused.process.pid, signal.SIGCONT)
    assert paused.process.stdin is not None
    paused.process.stdin.write("go on\n")
    paused.process.stdin.flush()
    trial.done(paused)


TRIALS: Final[dict[str, Callable[[Trial], None]]] = {
    "before effect": _dies("before act"),
    "after effect, before receipt": _dies("after act"),
    "in commit": _dies("during"),
    "in recovery": _dies("after act", "after act"),
    "two recoverers at once": _two,
    "lease expired while paused": _paused,
}


def cells(folder: Path, python: Path, name: str) -> list[Cell]:
    """Every cell of one peer, its effects side by side."""

    def column(effect: str) -> list[Cell]:
        own = folder / f"{name}-{effect.replace(' ', '-')}"
        own.mkdir()
        outside.database(own / "erp.db")
        return [_cell(own, python, name, effect, boundary, target) for boundary in BOUNDARIES]

    with outside.target() as target, ThreadPoolExecutor(len(EFFECTS)) as pool:
        return [cell for column_ in pool.map(column, EFFECTS) for cell in column_]


def _cell(folder: Path, python: Path, name: str, effect: str, boundary: str, target: outside.Target) -> Cell:
    if boundary in NONE:
        return Cell(name, "sqlite", effect, boundary, 0, NONE[boundary], "-", 0)
    delays = DURING if boundary == "in commit" else (0.0,)
    found: list[Cell] = []
    for delay in delays:
        run = f"{name}-{effect}-{boundary}-{delay}".replace(" ", "-").replace(",", "")
        job = {"folder": str(folder), "effect": effect, "run": run, "port": target.port, "during": delay}
        trial = Trial(python, name, job)
        try:
            TRIALS[boundary](trial)
        finally:
            for life in trial.open:
                if life.process.poll() is None:
                    life.kill()
        if effect == "sql":
            happened = outside.rows(folder / "erp.db", "note", run)
        else:
            happened = target.happened("/act", run, honours_key=effect == "webhook")
        verdict = "once" if happened == 1 else "DOUBLED" if happened > 1 else "LOST"
        recorded = f"{trial.failed} recoverers failed" if trial.failed else "completed"
        found.append(Cell(name, "sqlite", effect, boundary, happened, recorded, verdict, trial.killed))
    worst = max(found, key=lambda cell: VERDICTS.index(cell.verdict))
    return replace(worst, killed=sum(cell.killed for cell in found))
