"""kill -9 around each kind of effect: with a key or a look-up it happens once; without, it is in doubt and not repeated."""

import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from kg.clock import SystemClock
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests.coordination.effectors.parts import mailing
from tests.coordination.plant import ontology, populate
from tests.coordination.server import serving
from tests.faults import effect_lives

KEYED = ("http-keyed", "webhook", "sql", "file", "python-keyed")
KEYLESS = ("http-keyless", "smtp", "python-keyless")
#: More than a life gives itself, and room for its start.
SAID_SECONDS_MAX = effect_lives.SECONDS_MAX + 60
_FORKS = multiprocessing.get_context("forkserver")


class Life:
    """One worker process."""

    def __init__(self, folder: Path, kind: str, port: int, moment: str = "") -> None:
        self.pipe, far = _FORKS.Pipe()
        self.process = _FORKS.Process(target=effect_lives.live, args=(folder, kind, port, moment, far), daemon=True)
        self.process.start()
        far.close()

    def said(self) -> str:
        assert self.pipe.poll(SAID_SECONDS_MAX), "it neither got there nor ended"
        return str(self.pipe.recv())

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


class Target:
    """What is outside, and how often the effect happened there."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.kind, self.folder, self.port = kind, folder, 0
        self.count: Callable[[], int] = lambda: 0
        (folder / "told").mkdir()
        if kind.startswith(("http", "webhook")):
            server = stack.enter_context(serving())
            self.port = server.port
            # A target that honours the key acts once for each.
            once = list if kind == "http-keyless" else set
            self.count = lambda: len(once(got.headers["idempotency-key"] for got in server.got))
        elif kind == "smtp":
            mail = stack.enter_context(mailing())
            self.port, self.count = mail.port, lambda: len(mail.taken)
        elif kind == "sql":
            with closing(sqlite3.connect(folder / "erp.db")) as erp, erp:
                erp.execute("CREATE TABLE note (text TEXT)")
            self.count = self._notes
        elif kind == "file":
            self.count = lambda: int((folder / "root" / "a" / "b.txt").exists())
        elif kind == "python-keyed":
            self.count = lambda: len(list((folder / "told").iterdir()))
        else:
            calls = folder / "told" / "calls"
            self.count = lambda: len(calls.read_text().splitlines()) if calls.exists() else 0

    def _notes(self) -> int:
        with closing(sqlite3.connect(self.folder / "erp.db")) as erp:
            return int(erp.execute("SELECT count(*) FROM note").fetchone()[0])

    def life(self, moment: str = "") -> Life:
        return Life(self.folder, self.kind, self.port, moment)

    def status(self) -> str:
        store = SqliteStore(self.folder / "graph.db", ontology(), SystemClock())
        (effect,) = store.find("Effect").items
        (proposal,) = store.find("Proposal").items
        assert store.verify() == store.head().position
        assert len([v for v in store.history(effect.id) if v["status"] == "done"]) <= 1
        store.close()
        assert {"done": "applied", "in_doubt": "in_doubt"}[str(effect["status"])] == proposal["state"]
        return str(effect["status"])


@pytest.fixture(name="template", scope="module")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _FORKS.set_forkserver_preload(["tests.faults.effect_lives"])
    path = tmp_path_factory.mktemp("template") / "graph.db"
    clock = SystemClock()
    store = SqliteStore(path, ontology(), clock)
    populate(store, clock, ["teller"])
    store.commit([Put("t", "Ticket", {})], Cause(clock.id(), "ingest", 'Service::"ingest"'))
    store.close()
    return path


@pytest.fixture(name="make")
def _make(template: Path, tmp_path: Path) -> Iterator[Callable[[str], Target]]:
    with ExitStack() as stack:

        def make(kind: str) -> Target:
            shutil.copy(template, tmp_path / "graph.db")
            return Target(kind, tmp_path, stack)

        yield make


Make = Callable[[str], Target]


def killed(target: Target, moments: Sequence[str]) -> None:
    """One life after the other, each killed at its moment; the last one works to the end."""
    for moment in moments:
        life = target.life(moment)
        said = life.said()
        life.kill()
        if said == "done":
            return
        assert said == "here", said
    last = target.life()
    assert last.said() == "done"
    last.process.join()


MOMENTS = [
    ("before",),
    ("after",),
    ("after", "before"),
    ("before", "after"),
    ("after", "look up"),
    ("after", "looked up"),
]


@pytest.mark.slow
@pytest.mark.parametrize("moments", MOMENTS, ids=["-".join(moments) for moments in MOMENTS])
@pytest.mark.parametrize("kind", KEYED)
def test_with_a_key_or_a_look_up_it_happens_once(make: Make, kind: str, moments: Sequence[str]) -> None:
    target = make(kind)
    killed(target, moments)
    assert (target.status(), target.count()) == ("done", 1)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", KEYLESS)
def test_without_either_it_is_in_doubt_and_never_repeated(make: Make, kind: str, moment: str) -> None:
    target = make(kind)
    killed(target, (moment,))
    assert (target.status(), target.count()) == ("in_doubt", 0 if moment == "before" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KEYED, *KEYLESS])
def test_two_recoverers_at_once(make: Make, kind: str) -> None:
    target = make(kind)
    first = target.life("after")
    assert first.said() == "here"
    first.kill()
    both = [target.life(), target.life()]
    assert [life.said() for life in both] == ["done", "done"]
    assert (target.status(), target.count()) == ("done" if kind in KEYED else "in_doubt", 1)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", [*KEYED, *KEYLESS])
def test_a_lease_that_ends_while_its_holder_is_paused(make: Make, kind: str, moment: str) -> None:
    """The holder wakes up after another has finished: it may act late, but a target with keys acts once, and it writes nothing."""
    target = make(kind)
    paused = target.life(moment)
    assert paused.said() == "here"
    other = target.life()
    assert other.said() == "done"
    before = target.status()
    paused.pipe.send("go on")
    assert paused.said() == "done"
    assert target.status() == before == ("done" if kind in KEYED else "in_doubt")
    assert target.count() == 1
