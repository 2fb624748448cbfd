"""What happens to a Neo4j store when the network, the server, the clock or the password fails it under load."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from kg.clock import Clock, SystemClock
from kg.committer import Committer
from kg.errors import NoesisError, StoreError
from kg.model import ABSENT, Cause, Commit, StateWrite
from kg.stores.neo4j import Neo4jStore
from tests.faults import test_neo4j
from tests.faults.proxy import CUT, HALF, PASS, Proxy
from tests.faults.test_neo4j import Killable
from tests.faults.writers import WRITES, writes
from tests.parts import FreeSchema, ManualClock
from tests.services.graph import empty, open_store
from tests.services.server import Server, running

#: What a caller waits before it tries a commit again.
PAUSE, PAUSE_SECONDS = threading.Event(), 0.1
PATIENCE = 6.0
killable = test_neo4j.killable


def cause(id: str) -> Cause:
    return Cause(id, "fault", "Service")


def port_of(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1])


@pytest.fixture
def server() -> Server:
    found = running("neo4j")
    open_store(FreeSchema(), SystemClock(), found).close()
    empty(found)
    return found


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    made = Proxy(port_of(server))
    yield made
    made.close()


def through(proxy: Proxy, server: Server, clock: Clock | None = None) -> Neo4jStore:
    """A store that reaches its server through the proxy."""
    between = replace(server, url=f"bolt://127.0.0.1:{proxy.port}")
    return open_store(FreeSchema(), clock or SystemClock(), between, patience=PATIENCE)


def persist(store: Neo4jStore | Committer, id: str, deadline: float) -> tuple[Commit, int]:
    """Commit with one cause id until it is acknowledged, as every caller of the platform does; and how often it was refused."""
    refusals: list[str] = []
    while time.monotonic() < deadline:
        try:
            return store.commit(writes(id, 1), cause(id)), len(refusals)
        except StoreError as error:
            refusals.append(str(error))
            PAUSE.wait(PAUSE_SECONDS)
    raise AssertionError(f"{id} was never acknowledged: {refusals[-1]}")


def holds(store: Neo4jStore | Committer, commits: dict[str, Commit]) -> None:
    """Nothing lost, nothing doubled, no gap (I2), a retry does nothing (I3), and the ledger verifies."""
    total = len(commits) * WRITES
    assert store.head().position == total
    assert [change.position for change in store.changes(0, total + 10)] == list(range(1, total + 1))
    assert sorted(commit.first for commit in commits.values()) == list(range(1, total + 1, WRITES))
    for id, commit in commits.items():
        assert {change.position for change in store.caused(id)} == set(range(commit.first, commit.last + 1))
    again = next(iter(commits))
    assert store.commit(writes(again, 1), cause(again)).repeated
    assert store.verify() == total


# -- the connection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("verdict", [CUT, HALF])
def test_a_connection_cut_at_any_message_of_a_commit_loses_and_doubles_nothing(
    server: Server, proxy: Proxy, way: str, verdict: str
) -> None:
    """The n-th piece of a commit, up or down, is the last that passes, for every n that a commit has."""
    store, commits = through(proxy, server), {}
    store.commit([], None, state=[StateWrite("count", "x", 0, expect=ABSENT)])
    for number in range(1, 13):
        left = number

        def judge(_: bytes) -> str:
            nonlocal left
            left -= 1
            return verdict if left == 0 else PASS

        setattr(proxy.faults, way, judge)
        id = f"{way}-{verdict}-{number}"
        commits[id], _ = persist(store, id, time.monotonic() + 60)
    holds(store, commits)
    store.close()


def test_a_slow_network_is_slow_and_right(server: Server, proxy: Proxy) -> None:
    store = through(proxy, server)
    proxy.faults.delay = 0.05
    commits = {f"slow-{n}": store.commit(writes(f"slow-{n}", 1), cause(f"slow-{n}")) for n in range(3)}
    proxy.faults.delay = 0.0
    holds(store, commits)
    store.close()


def test_a_server_out_of_reach_is_one_sentence_within_the_bound_and_comes_back(server: Server, proxy: Proxy) -> None:
    store = through(proxy, server)
    commits = {"before": store.commit(writes("before", 1), cause("before"))}
    proxy.faults.closed = True
    proxy.cut()
    start = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached; check that it runs and that store_url is right"):
        store.commit(writes("after", 1), cause("after"))
    with pytest.raises(StoreError, match="cannot be reached"):
        store.head()
    assert time.monotonic() - start < 6 * PATIENCE
    proxy.faults.closed = False
    commits["after"], _ = persist(store, "after", time.monotonic() + 30)
    holds(store, commits)
    store.close()


def test_a_compare_and_set_cut_after_it_was_done_is_not_refused_to_its_own_writer(server: Server, proxy: Proxy) -> None:
    """INVARIANT I7: whoever moved the row hears that it moved, although the answer was lost; nobody moves it twice."""
    store = through(proxy, server)
    store.commit([], None, state=[StateWrite("cursor", "x", 0, expect=ABSENT)])
    for revision in range(1, 10):
        left = revision

        def judge(_: bytes) -> str:
            nonlocal left
            left -= 1
            return CUT if left == 0 else PASS

        proxy.faults.down = judge
        try:
            store.commit([], None, state=[StateWrite("cursor", "x", revision, expect=revision)])
        except StoreError:
            # Its fate is unknown to nobody but the caller, who reads before it tries again.
            if store.state("cursor", ["x"])["x"].revision == revision:
                store.commit([], None, state=[StateWrite("cursor", "x", revision, expect=revision)])
        assert store.state("cursor", ["x"])["x"].revision == revision + 1
        assert store.state("cursor", ["x"])["x"].value == revision
    store.close()


# -- load ------------------------------------------------------------------------------------------------------------


def under_load(
    store: Neo4jStore | Committer, threads: int, each: int, trouble: Callable[[Callable[[int], None]], None]
) -> dict[str, Commit]:
    """What several threads got acknowledged while there was trouble; it may wait until so many commits are done."""
    commits: dict[str, Commit] = {}
    failed: list[BaseException] = []
    done = threading.Condition()
    deadline = time.monotonic() + 150

    def work(name: str) -> None:
        try:
            for number in range(each):
                made, _ = persist(store, f"{name}-{number}", deadline)
                with done:
                    commits[f"{name}-{number}"] = made
                    done.notify_all()
        except BaseException as error:
            failed.append(error)

    def wait(count: int) -> None:
        with done:
            assert done.wait_for(lambda: len(commits) >= count or failed, 120)

    crowd = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(threads)]
    for thread in crowd:
        thread.start()
    trouble(wait)
    for thread in crowd:
        thread.join()
    assert failed == []
    assert len(commits) == threads * each
    return commits


@pytest.mark.parametrize("grouped", [True, False])
def test_connections_cut_under_load(server: Server, proxy: Proxy, grouped: bool) -> None:
    raw = through(proxy, server)
    store = Committer(raw) if grouped else raw

    def trouble(wait: Callable[[int], None]) -> None:
        for count in range(4, 40, 4):
            wait(count)
            proxy.cut()

    holds(store, under_load(store, 4, 12, trouble))
    store.close()


@pytest.mark.parametrize("grouped", [True, False])
def test_a_server_killed_and_restarted_under_load(killable: Killable, grouped: bool) -> None:
    """Every acknowledged commit is there once; writers go on by themselves when the server is back."""
    empty(killable.server)
    raw = open_store(FreeSchema(), SystemClock(), killable.server)
    store = Committer(raw) if grouped else raw

    def trouble(wait: Callable[[int], None]) -> None:
        wait(10)
        killable.kill()
        killable.revive()
        wait(30)

    holds(store, under_load(store, 4, 12, trouble))
    store.close()


# -- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_or_ahead_keeps_the_order_of_time(server: Server) -> None:
    clock = ManualClock()
    store = open_store(FreeSchema(), clock, server)
    other = open_store(FreeSchema(), ManualClock(datetime(2030, 1, 1, tzinfo=UTC), seed=9), server)
    commits = {}
    for number, (jump, writer) in enumerate(
        [(0, store), (-86_400, store), (1, store), (0, other), (7 * 86_400, store)]
    ):
        clock.jump(jump)
        commits[f"c{number}"] = writer.commit(writes(f"c{number}", 1), cause(f"c{number}"))
    times = [commit.at for commit in commits.values()]
    assert times == sorted(times)
    assert times[0] == times[1]
    assert times[3] == times[4] == datetime(2030, 1, 1, tzinfo=UTC)
    assert store.position_at(times[1]) == 3 * WRITES if times[1] == times[2] else 2 * WRITES
    holds(store, commits)
    other.close()
    store.close()


# -- a cluster that changes its leader -------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["UNWIND", "SET h.turn", "COMMIT"])
@pytest.mark.parametrize(
    "code", ["Neo.ClientError.Cluster.NotALeader", "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
             "Neo.TransientError.General.DatabaseUnavailable"]
)  # fmt: skip
def test_a_leader_that_steps_down_in_mid_commit_is_followed(
    server: Server, code: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own refusal, hydrated by the driver as it comes from a cluster; the next try finds the new leader."""
    from neo4j._sync.work.transaction import ManagedTransaction, TransactionBase
    from neo4j.exceptions import Neo4jError

    store = open_store(FreeSchema(), SystemClock(), server)
    commits = {"one": store.commit(writes("one", 1), cause("one"))}
    run, commit = ManagedTransaction.run, cast("Callable[[Any], None]", TransactionBase._commit)
    left = 2

    def refuse() -> None:
        nonlocal left
        left -= 1
        raise Neo4jError._hydrate_neo4j(code=code, message="no longer the leader")

    def running_(tx: ManagedTransaction, text: str, *values: Any, **more: Any) -> object:
        if left and moment in text:
            refuse()
        return run(tx, text, *values, **more)

    def committing(tx: Any) -> None:
        if left and moment == "COMMIT":
            refuse()
        commit(tx)

    monkeypatch.setattr(ManagedTransaction, "run", running_)
    monkeypatch.setattr(TransactionBase, "_commit", committing)
    commits["two"] = store.commit(writes("two", 1), cause("two"))
    assert left == 0
    holds(store, commits)
    store.close()


def test_a_member_that_stays_read_only_is_one_sentence(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from neo4j._sync.work.transaction import ManagedTransaction
    from neo4j.exceptions import Neo4jError

    store = open_store(FreeSchema(), SystemClock(), server, patience=2)

    def refuse(*_: object, **__: object) -> None:
        code = "Neo.ClientError.Cluster.NotALeader"
        raise Neo4jError._hydrate_neo4j(code=code, message="no longer the leader")

    with monkeypatch.context() as patch:
        patch.setattr(ManagedTransaction, "run", refuse)
        with pytest.raises(NoesisError, match="may not write; use neo4j://"):
            store.commit(writes("one", 1), cause("one"))
    holds(store, {"one": store.commit(writes("one", 1), cause("one"))})
    store.close()


# -- the password ----------------------------------------------------------------------------------------------------


@contextmanager
def rotated(server: Server) -> Iterator[Server]:
    """The server with another password, until the end of the block."""
    from neo4j import GraphDatabase

    new = replace(server, password="another-password-9")
    change = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"
    with (
        GraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver,
        driver.session(database="system") as session,
    ):
        session.run(change, old=server.password, new=new.password).consume()
        try:
            yield new
        finally:
            # The connection from before: after wrong passwords the server takes no login for some seconds.
            session.run(change, old=new.password, new=server.password).consume()


def test_a_password_rotated_while_running(killable: Killable) -> None:
    """Open connections go on; a new one is refused in a sentence that names the setting; with the right one all is there."""
    empty(killable.server)
    proxy = Proxy(port_of(killable.server))
    store = through(proxy, killable.server)
    commits = {"one": store.commit(writes("one", 1), cause("one"))}
    with rotated(killable.server) as changed:
        again = open_store(FreeSchema(), SystemClock(), changed)
        commits["two"] = store.commit(writes("two", 1), cause("two"))
        proxy.cut()
        for ask in (lambda: store.commit(writes("three", 1), cause("three")), store.head):
            with pytest.raises(StoreError, match="set store_user and store_password") as refused:
                ask()
            assert killable.server.password not in str(refused.value)
        with pytest.raises(StoreError, match="store_password"):
            open_store(FreeSchema(), SystemClock(), killable.server)
        commits["three"] = again.commit(writes("three", 1), cause("three"))
        again.close()
    commits["four"], refusals = persist(store, "four", time.monotonic() + 30)
    assert refusals > 0
    holds(store, commits)
    store.close()
    proxy.close()
