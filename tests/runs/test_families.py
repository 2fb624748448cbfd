"""How many runs one run may start, itself and through those: the bound holds with many workers, restarts and whatever is lost."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from coordination.runs import families
from coordination.runs.families import COUNT
from coordination.runs.retention import prune
from coordination.workflow.scope import Limits
from kg.errors import ConflictError
from kg.model import Commit, Op, State, Where
from kg.store import Request
from kg.stores.sqlite import SqliteStore
from kg.values import Ref
from tests.coordination.plant import ontology
from tests.runs.works import ANNA, Works, works

CHILD = "{workflow: {namespace: test, name: %s, version: latest}}"
#: Starts so many runs one after another, waiting for each or for none.
LOOP = (
    "do: [{f: {for: {in: '${ [range(%d)] }'}, do: [{r: {run: {await: %s, "
    "workflow: {namespace: test, name: %s, version: latest}}}}]}}]"
)
DONE = "do: [{s: {set: {x: 1}}}]"
NEIGHBOUR = "do: [{w: {wait: {seconds: 5}}}, {r: {run: {workflow: {namespace: test, name: done, version: latest}}}}]"


def bounded(here: Works, count: int) -> None:
    here.engine.driving.limits = replace(here.engine.driving.limits, runs_started_max=count, runs_deep_max=4)


def children(here: Works, run: str) -> int:
    """How many runs a run started itself."""
    return len(here.store.find("Run", [Where("parent", Op.EQ, Ref(run))], first=1_000).items)


def counted(here: Works, run: str) -> int:
    return sum(int(row.value["started"]) for row in here.store.scan(COUNT, prefix=f"{run}/", first=1_000))


def made(here: Works) -> int:
    """How many runs there are that another started."""
    return len(here.store.find("Run", [Where("parent", Op.PRESENT)], first=1_000).items)


def test_the_default_is_ten_thousand() -> None:
    assert Limits().runs_started_max == 10_000


@pytest.mark.parametrize("awaited", ["true", "false"])
@pytest.mark.parametrize("bound", [1, 5, 21])
def test_a_run_starts_as_many_as_it_may_and_no_more(awaited: str, bound: int) -> None:
    with works() as here:
        bounded(here, bound)
        here.register("done", DONE)
        neighbour = here.start(NEIGHBOUR, {}, name="neighbour")
        exact = here.start(LOOP % (bound, awaited, "done"), {}, name="exact")
        assert here.run(exact).state == "completed"
        run = here.start(LOOP % (bound + 4, awaited, "done"), {}, name="more")
        error = here.run(run).error
        assert (here.run(run).state, error["type"].rpartition("/")[2], error["status"]) == ("faulted", "runtime", 500)
        assert f"run {run} started {bound} runs, itself and through those, the bound of one run" in error["detail"]
        assert error["instance"].endswith("/r")
        assert children(here, run) == counted(here, run) == bound
        here.later(6)
        assert here.run(neighbour).state == "completed", "another run has a count of its own"


def test_a_workflow_may_catch_it_and_go_on() -> None:
    with works() as here:
        bounded(here, 2)
        here.register("done", DONE)
        inner = (LOOP % (9, "false", "done")).removeprefix("do: ")
        catch = "{errors: {with: {status: 500}}, as: found, do: [{kept: {set: '${ $found.detail }'}}]}"
        run = here.start(f"do: [{{t: {{try: {inner}, catch: {catch}}}}}]", {})
        assert "started 2 runs" in here.output(run)


def test_runs_that_start_each_other_count_against_the_first() -> None:
    with works() as here:
        bounded(here, 30)
        here.register("pong", LOOP % (3, "true", "ping"))
        one = here.engine.start(here.register("ping", LOOP % (3, "false", "pong")), {}, ANNA)
        here.drain()
        assert made(here) == counted(here, one) == 30
        depths = {entity.get("depth", 0) for entity in here.store.find("Run", first=1_000).items}
        assert max(depths) > 2
        other = here.engine.start(here.register("other", LOOP % (3, "true", "done")), {}, ANNA)
        here.register("done", DONE)
        here.drain()
        assert here.run(other).state == "completed"
        assert counted(here, other) == 3
        roots = {row.key.split("/")[0] for row in here.store.scan(COUNT, first=1_000)}
        assert roots == {one, other}


def test_branches_count_together() -> None:
    with works() as here:
        bounded(here, 20)
        here.register("done", DONE)
        inner = (LOOP % (5, "true", "done")).removeprefix("do: ")
        branches = ", ".join(f"{{b{n}: {{do: {inner}}}}}" for n in range(6))
        run = here.start(f"do: [{{f: {{fork: {{branches: [{branches}]}}}}}}]", {})
        assert here.run(run).state == "faulted"
        assert children(here, run) == counted(here, run) == 20


def test_the_count_outlives_the_process(tmp_path: Path) -> None:
    def store(clock: Any) -> SqliteStore:
        return SqliteStore(tmp_path / "graph.db", ontology(), clock, durable=False)

    two = (LOOP % (2, "true", "done")).removeprefix("do: ")
    text = (
        f"do: [{{a: {{do: {two}}}}}, {{w: {{listen: {{to: {{one: {{with: {{type: go}}}}}}}}}}}}, {{b: {{do: {two}}}}}]"
    )
    with works(store=store) as here:
        here.register("done", DONE)
        run = here.start(text, {}, id="root")
        assert here.run(run).state == "waiting"
    with works(store=store, rules=(), seed=8) as here:
        bounded(here, 3)
        here.clock.advance(600)
        here.engine.signal(run, here.event("go", 1))
        here.drain()
        assert here.run(run).state == "faulted"
        assert children(here, run) == counted(here, run) == 3
        # A person who orders another try takes up the same count, and the same start again is no other.
        here.engine.retry(run, ANNA)
        here.start(text, {}, id="root")
        assert here.run(run).state == "faulted"
        assert children(here, run) == counted(here, run) == 3


def test_two_that_take_the_last_place_at_once_do_not_both_get_it(tmp_path: Path) -> None:
    count = 4
    together = threading.Barrier(count)
    read: set[int] = set()
    lost: list[ConflictError] = []

    class Told(SqliteStore):
        """A store in which all look at the count before anybody commits."""

        def state(self, kind: str, keys: Sequence[str]) -> dict[str, State]:
            found = super().state(kind, keys)
            if kind == COUNT and threading.get_ident() not in read:
                read.add(threading.get_ident())
                together.wait(30)
            return found

        def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
            outcomes = super().commit_many(requests)
            lost.extend(one for one in outcomes if isinstance(one, ConflictError))
            return outcomes

    branches = ", ".join(f"{{b{n}: {{run: {{await: false, {(CHILD % 'done')[1:]}}}}}" for n in range(count))
    with works(store=lambda clock: Told(tmp_path / "graph.db", ontology(), clock, durable=False)) as here:
        bounded(here, 2)
        here.register("done", DONE)
        flow = here.register("flow", f"do: [{{f: {{fork: {{branches: [{branches}]}}}}}}]")
        run = here.engine.start(flow, {}, ANNA)
        here.runtime.handle(here.queue.popleft())
        assert len(here.queue) == count
        threads = [threading.Thread(target=here.runtime.handle, args=(here.queue.popleft(),)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert lost
        here.drain()
        assert children(here, run) == counted(here, run) == 2
        assert "started 2 runs" in here.run(run).error["detail"]


def test_a_start_whose_commit_is_lost_is_not_counted_and_done_again_counts_once(tmp_path: Path) -> None:
    fails = [2]

    class Failing(SqliteStore):
        """A store that loses the first commits of a count: one before, one after it is kept."""

        def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
            if fails[0] and any(row.kind == COUNT for request in requests for row in request.state):
                fails[0] -= 1
                if not fails[0]:
                    super().commit_many(requests)
                raise OSError("the connection is lost")
            return super().commit_many(requests)

    with works(store=lambda clock: Failing(tmp_path / "graph.db", ontology(), clock, durable=False)) as here:
        bounded(here, 1)
        here.register("done", DONE)
        run = here.start(f"do: [{{r: {{run: {CHILD % 'done'}}}}}]", {})
        for _ in range(4):
            here.later(400)
        assert here.run(run).state == "completed"
        assert not fails[0]
        assert children(here, run) == counted(here, run) == 1


def test_one_worker_alone_meets_nobody(tmp_path: Path) -> None:
    lost: list[Exception] = []

    class Told(SqliteStore):
        """A store that tells of commits that were refused."""

        def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
            outcomes = super().commit_many(requests)
            lost.extend(one for one in outcomes if isinstance(one, Exception))
            return outcomes

    with works(store=lambda clock: Told(tmp_path / "graph.db", ontology(), clock, durable=False)) as here:
        here.register("done", DONE)
        inner = (LOOP % (70, "false", "done")).removeprefix("do: ")
        run = here.start(f"do: [{{a: {{do: {inner}}}}}, {{w: {{wait: {{seconds: 1}}}}}}, {{b: {{do: {inner}}}}}]", {})
        here.later(2)
        assert here.run(run).state == "completed"
        assert counted(here, run) == 140
        assert not lost


def test_strands_begin_with_shares_of_their_own() -> None:
    """Of many that start at once few meet in one row; with one row for all each would lose against all before it."""
    with works() as here:
        here.register("done", DONE)
        branches = ", ".join(f"{{b{n}: {{run: {CHILD % 'done'}}}}}" for n in range(200))
        run = here.start(f"do: [{{f: {{fork: {{branches: [{branches}]}}}}}}]", {})
        shares = [int(row.value["started"]) for row in here.store.scan(COUNT, prefix=f"{run}/", first=1_000)]
        assert sum(shares) == 200
        assert len(shares) == families.SHARES
        assert max(shares) < 30


def test_a_count_is_dropped_once_nobody_of_the_family_can_start_more() -> None:
    with works() as here:
        here.register("done", DONE)
        here.register("grandchild", "do: [{l: {listen: {to: {one: {with: {type: go}}}}}}]")
        here.register("child", f"do: [{{r: {{run: {{await: false, {(CHILD % 'grandchild')[1:]}}}}}]")
        run = here.start(f"do: [{{r: {{run: {{await: false, {(CHILD % 'child')[1:]}}}}}]", {})
        assert here.run(run).state == "completed"
        assert counted(here, run) == 2
        here.clock.advance(86_400)
        prune(here.store, here.clock.now())
        assert counted(here, run) == 2, "the grandchild goes on"
        (grandchild,) = here.store.find("Run", [Where("state", Op.EQ, "waiting")]).items
        here.engine.signal(grandchild.id, here.event("go"))
        here.drain()
        prune(here.store, here.clock.now() - timedelta(seconds=1))
        assert counted(here, run) == 2, "it ended too lately"
        here.clock.advance(10)
        prune(here.store, here.clock.now())
        assert not here.store.scan(COUNT, first=10)
