"""Fibers: each piece of work gets its own result, commits go together, and nobody waits for what another does apart."""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kg.committer import Committer
from kg.errors import ConflictError, StoreError
from kg.fibers import Crew, StuckError, apart
from kg.model import ABSENT, Cause, Commit, Put
from kg.store import Request
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema, ManualClock

SECONDS = 30


class Counted:
    """A store that keeps how many requests each transaction held."""

    def __init__(self, inner: SqliteStore) -> None:
        self.inner, self.groups = inner, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
        self.groups.append(len(requests))
        return self.inner.commit_many(requests)


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    return Counted(SqliteStore(tmp_path / "graph.db", FreeSchema(), ManualClock(), durable=False))


@pytest.fixture
def committer(store: Counted) -> Iterator[Committer]:
    with closing(Committer(store)) as made:  # type: ignore[arg-type]
        yield made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as made:
        yield made


def put(committer: Committer, id: str, **expects: int) -> Commit:
    return committer.commit([Put(id, "Thing", {})], Cause(f"c-{id}", "test", "Service"), expects)


def until(true: Callable[[], bool]) -> None:
    """Return when something has become true."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def met(count: int) -> Callable[[], None]:
    """What each fiber calls first, so that none commits before all are there."""
    barrier = threading.Barrier(count, timeout=SECONDS)
    return lambda: apart(lambda: barrier.wait() and None)


def test_what_fibers_commit_at_once_is_one_transaction(
    committer: Committer, store: Counted, pool: ThreadPoolExecutor
) -> None:
    crew, free, entered = Crew(committer), threading.Event(), threading.Event()

    def first() -> None:
        entered.set()
        free.wait(SECONDS)

    held = pool.submit(crew.run, first)
    assert entered.wait(SECONDS)
    done = [pool.submit(crew.run, lambda n=n: put(committer, f"t{n}")) for n in range(8)]
    until(lambda: crew._hub is not None and len(crew._hub._coming) == 8)
    free.set()
    wait([held, *done])
    assert store.groups == [8]
    assert len(store.inner.get([f"t{n}" for n in range(8)])) == 8
    crew.close()


def test_each_gets_its_own_result(committer: Committer, store: Counted, pool: ThreadPoolExecutor) -> None:
    committer.commit([Put("there", "Thing", {})], Cause("before", "test", "Service"))
    crew, start = Crew(committer), met(3)

    def job(id: str) -> Commit:
        start()
        return put(committer, id, **{id: ABSENT})

    good, bad, fine = (pool.submit(crew.run, lambda name=name: job(name)) for name in ("one", "there", "two"))
    with pytest.raises(ConflictError):
        bad.result(SECONDS)
    assert good.result(SECONDS).last != fine.result(SECONDS).last
    assert set(store.inner.get(["one", "two"])) == {"one", "two"}
    crew.close()


def test_what_is_done_apart_is_done_by_who_brought_it_and_holds_up_nobody(
    committer: Committer, pool: ThreadPoolExecutor
) -> None:
    crew, free = Crew(committer), threading.Event()
    seen: dict[str, int] = {}

    def slow() -> str:
        seen["fiber"] = threading.get_ident()
        seen["errand"] = apart(lambda: free.wait(SECONDS) and threading.get_ident())
        put(committer, "slow")
        return "slow"

    def bring() -> str:
        seen["own"] = threading.get_ident()
        return crew.run(slow)

    late = pool.submit(bring)
    assert pool.submit(crew.run, lambda: put(committer, "quick").first).result(SECONDS) > 0
    assert not late.done()
    free.set()
    assert late.result(SECONDS) == "slow"
    assert seen["errand"] == seen["own"] != seen["fiber"]
    crew.close()


def test_what_is_raised_reaches_who_asked(committer: Committer) -> None:
    crew = Crew(committer)

    def broken() -> None:
        raise LookupError("apart")

    def job() -> str:
        with pytest.raises(LookupError):
            apart(broken)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        crew.run(job)
    with pytest.raises(SystemExit):
        crew.run(lambda: (_ for _ in ()).throw(SystemExit(3)))
    assert crew.run(lambda: "still there") == "still there"
    crew.close()


def test_context_goes_along(committer: Committer) -> None:
    crew, name = Crew(committer), contextvars.ContextVar("name", default="nobody")
    name.set("anna")

    def job() -> tuple[str, str]:
        own = name.get()
        name.set("ben")
        return own, apart(name.get)

    assert crew.run(job) == ("anna", "ben")
    assert name.get() == "anna"
    crew.close()


def test_work_in_work_is_done_where_it_is(committer: Committer) -> None:
    crew = Crew(committer)
    assert crew.run(lambda: crew.run(lambda: put(committer, "inner").first)) > 0
    crew.close()


def test_out_of_a_fiber_apart_is_a_plain_call() -> None:
    assert apart(threading.get_ident) == threading.get_ident()


def test_another_graphs_commits_go_by_themselves(committer: Committer, tmp_path: Path) -> None:
    crew = Crew(committer)
    with closing(Committer(SqliteStore(tmp_path / "other.db", FreeSchema(), ManualClock(), durable=False))) as other:
        assert crew.run(lambda: put(other, "elsewhere").first) == 1
    assert not committer.get(["elsewhere"])
    crew.close()


def test_no_more_than_the_bound_take_turns(committer: Committer, pool: ThreadPoolExecutor) -> None:
    crew, free = Crew(committer, members_max=2), threading.Event()
    here: list[int] = []
    two = threading.Semaphore(0)

    def job(n: int) -> int:
        here.append(n)
        two.release()
        apart(lambda: free.wait(SECONDS))
        return n

    done = [pool.submit(crew.run, lambda n=n: job(n)) for n in range(5)]
    assert all(two.acquire(timeout=SECONDS) for _ in range(2))
    assert len(here) == 2
    free.set()
    assert sorted(future.result(SECONDS) for future in done) == list(range(5))
    crew.close()


def test_who_is_caught_behind_a_turn_without_end_is_let_go_and_others_go_on(
    committer: Committer, pool: ThreadPoolExecutor
) -> None:
    crew, free, entered = Crew(committer, stuck_seconds=0.2), threading.Event(), threading.Event()

    def endless() -> None:
        entered.set()
        free.wait(SECONDS)
        put(committer, "late")

    stuck = pool.submit(crew.run, endless)
    assert entered.wait(SECONDS)
    behind = pool.submit(crew.run, lambda: put(committer, "behind"))
    caught: list[Future[Any]] = [stuck, behind]
    for future in caught:
        with pytest.raises(StuckError):
            future.result(SECONDS)
    assert crew.run(lambda: put(committer, "after").first) > 0
    assert not committer.get(["behind"]), "what never began is not begun when nobody waits for it"
    threads = [thread for thread in threading.enumerate() if thread.name == "fibers"]
    free.set()
    crew.close()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert set(committer.get(["behind", "late"])) == {"late"}


def test_an_errand_of_work_that_nobody_waits_for_fails(committer: Committer, pool: ThreadPoolExecutor) -> None:
    crew, free, entered = Crew(committer, stuck_seconds=0.2), threading.Event(), threading.Event()
    raised: list[str] = []

    def endless() -> None:
        entered.set()
        free.wait(SECONDS)
        try:
            apart(lambda: raised.append("done"))
        except StuckError as error:
            raised.append(type(error).__name__)

    stuck = pool.submit(crew.run, endless)
    assert entered.wait(SECONDS)
    with pytest.raises(StuckError):
        stuck.result(SECONDS)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "fibers"]
    free.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert raised == ["StuckError"]
    crew.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_of_fibers_that_broke_down_keeps_nobody_waiting(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(committer, stuck_seconds=0.2)

    def broken(several: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(committer, "commit_each", broken)
        with pytest.raises(StuckError):
            crew.run(lambda: put(committer, "lost"))
    assert crew.run(lambda: put(committer, "after").first) > 0
    crew.close()


def test_after_its_end_work_is_done_where_it_comes_from(committer: Committer) -> None:
    crew = Crew(committer)
    assert crew.run(threading.get_ident) != threading.get_ident()
    crew.close()
    assert crew.run(threading.get_ident) == threading.get_ident()
    crew.close()


def test_a_closed_graph_is_said_to_each(committer: Committer) -> None:
    crew = Crew(committer)

    def job() -> None:
        committer.close()
        put(committer, "late")

    with pytest.raises(StoreError):
        crew.run(job)
    crew.close()
