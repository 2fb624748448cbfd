"""Budgets: reserve, settle, refund; I12 whatever runs at once and whoever dies in between."""

import multiprocessing
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance import budgets
from governance.budgeting import budgets as every
from governance.budgeting import define
from governance.errors import BudgetError
from governance.principals import Principal
from kg.clock import SystemClock
from kg.committer import Committer
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import ontology
from tests.oracles.graph import DictStore
from tests.parts import ManualClock
from tests.services.graph import fresh, open_store
from tests.services.server import Server, running

ADMIN = Principal("User", "root")
D = Decimal
Open = Callable[[Path], GraphStore]


def dictionary(_: Path) -> GraphStore:
    return DictStore(ontology(), ManualClock())


def sqlite(folder: Path) -> GraphStore:
    return SqliteStore(folder / "graph.db", ontology(), SystemClock(), durable=False)


def neo4j(folder: Path) -> GraphStore:
    return fresh(folder, ontology(), SystemClock())


def again(opening: Open, folder: Path) -> GraphStore:
    """A second store on the same graph, as another process has."""
    return open_store(ontology(), SystemClock()) if opening is neo4j else sqlite(folder)


def used(store: GraphStore, clock: Any, scope: str = "agent:a", unit: str = "calls") -> Decimal:
    (budget,) = budgets.over(store, [scope], [unit])
    return budgets.usage(store, clock.now(), budget)[0]


def test_reserve_settle_refund_and_the_rest_goes_back() -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "tokens", D(100))
    lying = budgets.scopes(agent="a")
    budgets.reserve(store, clock, "r1", lying, {"tokens": D(80)})
    budgets.reserve(store, clock, "r1", lying, {"tokens": D(80)})
    with pytest.raises(BudgetError, match="tokens of agent:a has 20 left, 30 is asked for"):
        budgets.reserve(store, clock, "r2", lying, {"tokens": D(30)})
    with pytest.raises(BudgetError):
        budgets.reserve(store, clock, "r3", lying, {"tokens": D("20.0001")})
    budgets.settle(store, "r1", {"tokens": D(50)})
    budgets.settle(store, "r1", {"tokens": D(0)})
    assert used(store, clock, unit="tokens") == 50, "settled once"
    budgets.reserve(store, clock, "r2", lying, {"tokens": D(30)})
    budgets.refund(store, "r2")
    assert used(store, clock, unit="tokens") == 50


def test_what_people_granted_lasts_and_is_no_more_than_that() -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "calls", D(10))
    budget = budgets.over(store, ["agent:a"], ["calls"])

    def plan(id: str, amount: int, grant: bool = False) -> budgets.Plan:
        made = budgets.plan(store, clock.now(), id, budget, {"calls": D(amount)}, grant=grant)
        if made.rows:
            store.commit([], None, state=made.rows)
        return made

    plan("r1", 8)
    plan("r2", 7, grant=True)
    assert budgets.usage(store, clock.now(), budget[0]) == (15, 5)
    plan("r3", 1, grant=True)
    assert budgets.usage(store, clock.now(), budget[0]) == (16, 6), (
        "one more is granted, what was granted before is not again"
    )
    assert plan("r4", 1).reason == "budget calls of agent:a has 0 left, 1 is asked for"
    budgets.refund(store, "r2")
    assert budgets.usage(store, clock.now(), budget[0]) == (9, 6)
    assert plan("r5", 8).refused is not None
    assert plan("r6", 7).refused is None


def test_a_limit_that_was_lowered_below_what_is_used_leaves_nothing() -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "calls", D(10))
    budgets.reserve(store, clock, "r1", ["agent:a"], {"calls": D(8)})
    define(store, clock, ADMIN, "agent:a", "calls", D(5))
    with pytest.raises(BudgetError, match="has 0 left"):
        budgets.reserve(store, clock, "r2", ["agent:a"], {"calls": D(1)})


def test_every_scope_counts_and_one_that_is_out_takes_from_none() -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    for scope, limit in (("global", 10), ("department:sales", 3), ("agent:a", 5), ("run:r", 9)):
        define(store, clock, ADMIN, scope, "calls", D(limit))
    lying = budgets.scopes("a", "sales", "r", "w.flow", "smtp")[:4]
    assert budgets.scopes("a", "sales", "r", "w.flow", "smtp")[4:] == ("workflow:w.flow", "tool:smtp")
    for n in range(3):
        budgets.reserve(store, clock, f"r{n}", lying, {"calls": D(1)})
    with pytest.raises(BudgetError, match="department:sales"):
        budgets.reserve(store, clock, "r9", lying, {"calls": D(1)})
    assert [used(store, clock, scope) for scope in lying] == [3, 3, 3, 3]
    budgets.reserve(store, clock, "r8", budgets.scopes("b", "other"), {"calls": D(1)})
    assert used(store, clock, "global") == 4


@pytest.mark.parametrize(
    ("window", "seconds"), [("minute", 61), ("hour", 3_601), ("day", 86_401), ("month", 32 * 86_400)]
)
def test_a_window_begins_anew_by_the_calendar(window: str, seconds: float) -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "calls", D(1), window=window)
    lying = budgets.scopes("a")
    budgets.reserve(store, clock, "r1", lying, {"calls": D(1)})
    with pytest.raises(BudgetError):
        budgets.reserve(store, clock, "r2", lying, {"calls": D(1)})
    clock.advance(seconds)
    budgets.reserve(store, clock, "r2", lying, {"calls": D(1)})
    budgets.refund(store, "r1")
    with pytest.raises(BudgetError):
        budgets.reserve(store, clock, "r3", lying, {"calls": D(1)})


def test_what_a_crash_leaves_reserved_stays_used() -> None:
    """I12: nobody knows what was used, so all of it was; the sweep ends the reservation and gives nothing back."""
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "calls", D(2))
    budgets.reserve(store, clock, "lost", budgets.scopes("a"), {"calls": D(1)}, seconds=60)
    assert budgets.sweep(store, clock) == 0
    clock.advance(61)
    assert budgets.sweep(store, clock) == 1
    budgets.refund(store, "lost")
    assert used(store, clock) == 1
    assert not store.scan(budgets.RESERVED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "everything"}, {"unit": "euros"}, {"unit": "money:eur"}, {"limit": D(-1)}, {"limit": D("NaN")},
        {"limit": D("0.00001")}, {"window": "week"}, {"when_out": "explode"},
    ],
)  # fmt: skip
def test_a_budget_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    good: dict[str, Any] = {"scope": "agent:a", "unit": "calls", "limit": D(1), "window": "day", "when_out": "wait"}
    given_ = {**good, **wrong}
    with pytest.raises(BudgetError):
        define(store, clock, ADMIN, given_.pop("scope"), given_.pop("unit"), given_.pop("limit"), **given_)
    assert not every(store)


def test_a_budget_lowered_in_between_is_looked_at_again() -> None:
    """I12: the reservation expects the budgets as they were read."""
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "calls", D(5))

    class Lowering:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def state(self, kind: str, keys: Any) -> Any:
            if kind == budgets.USED and every(store)[0].limit == 5:
                define(store, clock, ADMIN, "agent:a", "calls", D(0))
            return store.state(kind, keys)

    with pytest.raises(BudgetError, match="has 0 left"):
        budgets.reserve(Lowering(), clock, "r", budgets.scopes("a"), {"calls": D(1)})  # type: ignore[arg-type]


Steps = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "refund", "crash"]), st.integers(0, 7), st.integers(0, 40))
)


@given(limit=st.integers(0, 100), steps=Steps)
@settings(max_examples=60)
def test_whatever_is_done_the_limit_holds_and_the_sum_is_right(limit: int, steps: Any) -> None:
    """I12 against a plain model: what is used is what was settled plus what is still reserved."""
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "agent:a", "tokens", D(limit))
    open_: dict[int, int] = {}
    spent = 0
    for what, id, amount in steps:
        if what == "reserve" and id not in open_:
            fits = spent + sum(open_.values()) + amount <= limit
            try:
                budgets.reserve(store, clock, str(id), budgets.scopes("a"), {"tokens": D(amount)}, seconds=60)
                assert fits
                open_[id] = amount
            except BudgetError:
                assert not fits
        elif what == "settle" and id in open_:
            part = min(amount, open_.pop(id))
            budgets.settle(store, str(id), {"tokens": D(part)})
            spent += part
        elif what == "refund":
            open_.pop(id, None)
            budgets.refund(store, str(id))
        elif what == "crash":
            clock.advance(61)
            budgets.sweep(store, clock)
            spent += sum(open_.values())
            open_.clear()
        assert used(store, clock, unit="tokens") == spent + sum(open_.values()) <= limit


@pytest.mark.parametrize("opening", [sqlite, neo4j])
def test_threads_at_once_never_overspend(tmp_path: Path, opening: Open) -> None:
    clock = SystemClock()
    store = Committer(opening(tmp_path))
    define(store, clock, ADMIN, "agent:a", "calls", D(25))
    taken: list[str] = []

    def take(n: int) -> None:
        for i in range(10):
            try:
                budgets.reserve(store, clock, f"{n}-{i}", budgets.scopes("a"), {"calls": D(1)})
            except BudgetError:
                continue
            if i % 3 == 0:
                budgets.refund(store, f"{n}-{i}")
            else:
                taken.append(f"{n}-{i}")

    threads = [threading.Thread(target=take, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = 25 - len(taken)
    assert 0 <= left == 25 - used(store, clock)
    # Whoever refunds last leaves room that nobody may be there to use any more; it is there, and no more than it.
    for n in range(left):
        budgets.reserve(store, clock, f"late-{n}", budgets.scopes("a"), {"calls": D(1)})
    with pytest.raises(BudgetError):
        budgets.reserve(store, clock, "beyond", budgets.scopes("a"), {"calls": D(1)})
    store.close()


def _process(folder: Path, server: Server | None, n: int, results: Any) -> None:
    # A process of its own would start a server of its own: it is told which one is meant.
    store = open_store(ontology(), SystemClock(), server) if server is not None else sqlite(folder)
    clock = SystemClock()
    won = 0
    for i in range(20):
        try:
            budgets.reserve(store, clock, f"{n}-{i}", budgets.scopes("a"), {"calls": D(1)}, seconds=0.0)
            won += 1
        except BudgetError:
            continue
    results.put(won)
    results.close()
    results.join_thread()
    store.close()


@pytest.mark.parametrize("opening", [sqlite, neo4j])
def test_processes_at_once_never_overspend(tmp_path: Path, opening: Open) -> None:
    clock = SystemClock()
    store = opening(tmp_path)
    define(store, clock, ADMIN, "agent:a", "calls", D(30))
    server = running("neo4j") if opening is neo4j else None
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_process, args=(tmp_path, server, n, results)) for n in range(3)]
    for process in processes:
        process.start()
    assert sum(results.get(timeout=60) for _ in processes) == 30
    for process in processes:
        process.join()
    assert budgets.sweep(store, clock) == 30, "nobody settled: the sweep ends what is left"
    assert used(store, clock) == 30
    store.close()
