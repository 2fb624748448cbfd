"""Ours: one cell of the crash matrix is one run whose effect is hit at one boundary, recovered, and counted where it happens.

A cell is `once` (it happened once, and the record says so), `in doubt` (the target knows no key: it happened at most once, and the
record says that nobody knows), `DOUBLED`, `LOST`, or `BROKEN` where the trial itself failed. Processes are real: they are killed
with SIGKILL or stopped with SIGSTOP.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.crash import lives, outside
from benchmarks.crash.lives import AUTHOR, EFFECTS, Job, document, opened
from coordination.runs.definitions import Definitions
from kg.clock import SystemClock
from kg.model import Entity, Op, Where
from kg.store import GraphStore
from tests.coordination.plant import RULES, ontology, populate
from tests.runs.works import STARTERS_MAY
from tests.services import redis
from tests.services.graph import empty
from tests.services.server import Server, stop

BOUNDARIES: Final = (
    "before effect",
    "after effect, before receipt",
    "in commit",
    "in recovery",
    "in compensation",
    "two recoverers at once",
    "broker lost",
    "lease expired while paused",
)
#: From the best to the worst.
VERDICTS: Final = ("once", "in doubt", "DOUBLED", "LOST", "BROKEN")
#: Delays, in seconds, after which a process is killed while its commit is under way.
DURING: Final = (0.0001, 0.0006, 0.002)
SAID_SECONDS_MAX: Final = 90.0
#: Trials of a cell that no process was hit in: on a slow machine an effect may be in doubt by itself, its answer too late.
MISSED_MAX: Final = 3
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["benchmarks.crash.lives"])


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one effect at one boundary: how often it happened, what the record says, how many processes died."""

    system: str
    store: str
    effect: str
    boundary: str
    happened: int
    recorded: str
    verdict: str
    killed: int


class MissedError(RuntimeError):
    """A life worked to its end without coming to its point, so nothing was tried."""


class Life:
    """One worker process."""

    def __init__(self, job: Job) -> None:
        self.pipe, far = _PROCESSES.Pipe()
        self.process = _PROCESSES.Process(target=lives.live, args=(job, far), daemon=True)
        self.process.start()
        far.close()

    def said(self) -> str:
        """Where it is now: "here", "late", "done", or empty where it is dead."""
        if not self.pipe.poll(SAID_SECONDS_MAX):
            raise RuntimeError("a process neither got to its point nor ended; look at what it waits for")
        try:
            return str(self.pipe.recv())
        except EOFError:
            return ""

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()

    def signal(self, number: int) -> None:
        """SIGSTOP or SIGCONT."""
        os.kill(self.process.pid or 0, number)


@dataclass
class Trial:
    """One run through one boundary."""

    job: Job
    killed: int = 0
    inside: int = 0
    open: list[Life] = field(default_factory=list)

    def life(self, point: str = "", **more: Any) -> Life:
        """A process that is hit at this point."""
        made = Life(replace(self.job, point=point, **more))
        self.open.append(made)
        return made

    def dies(self, point: str, **more: Any) -> None:
        """A life that is killed at its point; one that never gets there works to its end."""
        life = self.life(point, **more)
        said = life.said()
        if said in ("here", "late", ""):
            self.inside += said == ""
            life.kill()
            self.killed += 1
        elif said != "done":
            raise RuntimeError(said)

    def ends(self, **more: Any) -> None:
        """A life that works to the end."""
        self.done(self.life(**more))

    @staticmethod
    def here(life: Life) -> None:
        """Wait until a life is at its point."""
        said = life.said()
        if said == "done":
            raise MissedError("it worked to its end and never came to its point")
        if said != "here":
            raise RuntimeError(f"it never got to its effect: {said}")

    @staticmethod
    def done(life: Life) -> None:
        """Wait for the end of a life."""
        said = life.said()
        if said != "done":
            raise RuntimeError(said or "a process died by itself")
        life.process.join()


def before(job: Job) -> str:
    """The point right before the effect."""
    return "before apply" if job.effect == "graph" else "before act"


def after(job: Job) -> str:
    """The point right after it, before anything more is written."""
    return "after apply" if job.effect == "graph" else "after act"


def _simple(point: Callable[[Job], str]) -> Callable[[Trial], None]:
    def run(trial: Trial) -> None:
        trial.dies(point(trial.job))
        trial.ends()

    return run


def _in_commit(trial: Trial) -> None:
    """Once each in several runs, so that the timers hit different places of the commit."""
    name = "during apply" if trial.job.effect == "graph" else "during effect.done"
    trial.dies(name, during=trial.job.during)
    trial.ends()


def _in_recovery(trial: Trial) -> None:
    second = {"graph": "after apply", "sql": "looked up", "webhook": "after act"}
    trial.dies(before(trial.job) if trial.job.effect == "graph" else "after act")
    trial.dies(second.get(trial.job.effect, "before effect.in_doubt"))
    trial.ends()


def _in_compensation(trial: Trial) -> None:
    trial.ends()
    trial.dies(after(trial.job), compensate=True)
    trial.ends(compensate=True)


def _two(trial: Trial) -> None:
    trial.dies(before(trial.job) if trial.job.effect == "graph" else "after act")
    both = [trial.life(), trial.life()]
    for life in both:
        trial.done(life)


def _paused(trial: Trial) -> None:
    """The holder is stopped before it acts; another takes over and ends the run; then the first wakes up and acts late."""
    paused = trial.life(before(trial.job))
    trial.here(paused)
    paused.signal(signal.SIGSTOP)
    trial.ends()
    paused.signal(signal.SIGCONT)
    paused.pipe.send("go on")
    trial.done(paused)


def _broker_lost(trial: Trial) -> None:
    """The broker dies with its messages while a worker holds the step, and so does the worker; a new broker knows nothing."""
    with _redis(trial.job.folder / "first") as first:
        life = trial.life(after(trial.job), broker=first.url)
        trial.here(life)
        os.kill(first.pid, signal.SIGKILL)
        life.kill()
        trial.killed += 1
    with _redis(trial.job.folder / "second") as second:
        trial.ends(broker=second.url)


@contextmanager
def _redis(folder: Path) -> Iterator[Server]:
    server = redis.start(folder)
    try:
        yield server
    finally:
        stop(server)


TRIALS: Final[dict[str, Callable[[Trial], None]]] = dict(
    zip(
        BOUNDARIES,
        (_simple(before), _simple(after), _in_commit, _in_recovery, _in_compensation, _two, _broker_lost, _paused),
        strict=True,
    )
)


@dataclass
class Bench:
    """The graph and the world outside of one half of the matrix."""

    store: str
    folder: Path
    target: outside.Target
    server: str = ""

    def prepare(self) -> None:
        """People and rules; the workflows come with the runs."""
        clock = SystemClock()
        store = opened(self.folder, self.server, clock)
        populate(store, clock, [], (*RULES, STARTERS_MAY))
        for effect in EFFECTS:
            for hold in (False, True):
                Definitions(store, clock).register(
                    document(effect, hold=hold, port=self.target.port), AUTHOR, ("agents",)
                )
        store.close()
        outside.database(self.folder / "erp.db")

    def cell(self, effect: str, boundary: str) -> Cell:
        """Run one cell; "in commit" takes several runs, and the worst counts."""
        delays = DURING if boundary == "in commit" else (0.0,)
        found = [self._tried(effect, boundary, delay) for delay in delays]
        worst = max(found, key=lambda cell: VERDICTS.index(cell.verdict))
        return replace(worst, killed=sum(cell.killed for cell in found))

    def _tried(self, effect: str, boundary: str, delay: float) -> Cell:
        for again in range(MISSED_MAX):
            run = f"{effect}-{boundary}-{delay}-{again}".replace(" ", "-").replace(",", "")
            cell = self._trial(effect, boundary, delay, run + ("-hold" if boundary == "in compensation" else ""))
            if cell is not None:
                return cell
        return Cell("noesis", self.store, effect, boundary, 0, f"missed in {MISSED_MAX} trials", "BROKEN", 0)

    def _trial(self, effect: str, boundary: str, delay: float, run: str) -> Cell | None:
        """One run through the boundary; None where no process was hit and the record is right all the same."""
        trial = Trial(Job(self.folder, effect, run, self.target.port, self.server, during=delay))
        missed = False
        try:
            TRIALS[boundary](trial)
        except MissedError:
            missed = True
        except RuntimeError as error:
            return Cell("noesis", self.store, effect, boundary, 0, str(error)[:500], "BROKEN", trial.killed)
        finally:
            for life in trial.open:
                if life.process.is_alive():
                    life.kill()
        cell = self._judged(effect, boundary, run, trial.killed)
        return None if missed and cell.verdict in ("once", "in doubt") else cell

    def _judged(self, effect: str, boundary: str, run: str, killed: int) -> Cell:
        store = opened(self.folder, self.server, SystemClock())
        try:
            undone = boundary == "in compensation"
            happened = self._happened(store, effect, run, undone=undone)
            recorded = self._recorded(store, run, undone=undone)
            if not self.server and store.verify() != store.head().position:
                raise RuntimeError("the ledger does not verify")
        finally:
            store.close()
        return Cell(
            "noesis", self.store, effect, boundary, happened, recorded, verdict(effect, happened, recorded), killed
        )

    def _happened(self, store: GraphStore, effect: str, run: str, *, undone: bool) -> int:
        if effect == "graph":
            versions = store.history(f"{run}-note")
            # Undone, the note is gone: what counts is how often it was written and taken back.
            return len(versions) - 1 if undone else len(versions)
        if effect == "sql":
            return outside.rows(self.folder / "erp.db", "undone" if undone else "note", run)
        return self.target.happened("/undo" if undone else "/act", run, honours_key=effect == "webhook")

    @staticmethod
    def _recorded(store: GraphStore, run: str, *, undone: bool) -> str:
        effects: Sequence[Entity] = store.find("Effect", [Where("run", Op.EQ, run)], first=10).items
        states = sorted(str(effect["status"]) for effect in effects)
        made = store.get([run])[run]
        if undone:
            return "+".join(states)
        return f"{'+'.join(states)}, run {made['state']}"


def verdict(effect: str, happened: int, recorded: str) -> str:
    """What a cell shows."""
    if happened > 1:
        return "DOUBLED"
    doubted = "in_doubt" in recorded
    if effect == "webhook without key" and doubted:
        return "in doubt"
    settled = recorded in ("done, run completed", "compensated+done")
    return "once" if happened == 1 and settled else "LOST"


def embedded(folder: Path, boundaries: Sequence[str] = BOUNDARIES) -> list[Cell]:
    """The half on SQLite: a graph for each effect, side by side, since most of the time is waiting for leases."""

    def column(effect: str) -> list[Cell]:
        own = folder / effect.replace(" ", "-")
        own.mkdir()
        bench = Bench("sqlite", own, target)
        bench.prepare()
        return [bench.cell(effect, boundary) for boundary in boundaries]

    with outside.target() as target, ThreadPoolExecutor(len(EFFECTS)) as pool:
        return [cell for cells in pool.map(column, EFFECTS) for cell in cells]


def on_server(folder: Path, server: Server, chosen: Sequence[tuple[str, str]]) -> list[Cell]:
    """The half on a graph server, one cell (effect, boundary) after the other in one graph."""
    empty(server)
    with outside.target() as target:
        bench = Bench(server.name, folder, target, json.dumps(asdict(server)))
        bench.prepare()
        return [bench.cell(effect, boundary) for effect, boundary in chosen]


ontology()
