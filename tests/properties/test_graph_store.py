"""Each store against the oracle (I9): random commits, conflicts, repeats, crashes, reopening, clock jumps, all reads."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from kg.errors import NoesisError
from kg.model import ABSENT, Cause, Commit, Direction, Input, StateWrite, Where, Write
from kg.store import GraphStore, Request
from kg.stores.sqlite import SqliteStore
from kg.values import Value
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock
from tests.properties import values
from tests.services.graph import empty, open_store
from tests.services.server import running


class Crash(BaseException):
    """The process dies here, as far as the store can tell."""


class Stores(RuleBasedStateMachine):
    """Both stores, fed alike, must answer alike."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clocks = (ManualClock(), ManualClock())
        self.crash_in = 0
        parts: dict[str, Any] = {
            "personal": {"Thing": frozenset({"p"})},
            "parents": {"Tool": "Thing"},
            "indexed": {"Thing": ("x",), "Tool": ("x", "p")},
        }
        self.schema = FreeSchema(**parts, check=self.check)
        self.oracle: GraphStore = DictStore(FreeSchema(**parts), self.clocks[0])
        self.store: GraphStore = self.open()
        self.done: list[Request] = []
        self.number = 0

    def check(self, cls: str, properties: Mapping[str, Value]) -> None:
        if self.crash_in:
            self.crash_in -= 1
            if not self.crash_in:
                raise Crash

    def open(self) -> GraphStore:
        return SqliteStore(self.folder / "graph.db", self.schema, self.clocks[1], durable=False)

    def teardown(self) -> None:
        try:
            self.same(lambda store: [store.history(id) for id in values.IDS])
            assert self.store.verify() == self.oracle.head().position
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def same(self, ask: Any) -> Any:
        """Ask both stores; answers and kinds of error must agree."""
        answers = []
        for store in (self.oracle, self.store):
            try:
                answers.append(ask(store))
            except NoesisError as error:
                answers.append((type(error), getattr(error, "found", None)))
        assert answers[1] == answers[0]
        return answers[0]

    def request(
        self, writes: Sequence[Write], right: bool, expect: Sequence[str], state: Sequence[StateWrite]
    ) -> Request:
        self.number += 1
        cause = Cause(f"c{self.number}", "test", 'Service::"test"', "why", None, (Input("a", 1),), {"n": self.number})
        found = {id: len(self.oracle.history(id)) + (0 if right else 1) for id in expect}
        return Request(writes, cause, found, state)

    requests = st.tuples(
        st.lists(values.writes, max_size=4),
        st.sampled_from([True] * 5 + [False]),
        st.lists(values.ids, max_size=1),
        st.lists(values.state_writes, max_size=2),
    )

    @initialize(parts=requests)
    def begin(self, parts: Any) -> None:
        self.commit(parts)

    @rule(parts=requests)
    def commit(self, parts: Any) -> None:
        self.send(self.request(*parts))

    def send(self, request: Request) -> None:
        answer = self.same(lambda store: store.commit(request.writes, request.cause, request.expects, request.state))
        if isinstance(answer, Commit):
            self.done.append(request)

    @rule(group=st.lists(requests, min_size=2, max_size=4), twice=st.booleans())
    def commit_many(self, group: Any, twice: bool) -> None:
        made = [self.request(*parts) for parts in group]
        if twice:
            made.append(made[0])

        def ask(store: GraphStore) -> list[Any]:
            return [one if isinstance(one, Commit) else type(one) for one in store.commit_many(made)]

        for request, answer in zip(made, self.same(ask), strict=True):
            if isinstance(answer, Commit):
                self.done.append(request)

    @rule(data=st.data(), other=st.booleans())
    def repeat(self, data: st.DataObject, other: bool) -> None:
        if self.done:
            before = data.draw(st.sampled_from(self.done))
            writes = [*before.writes, *data.draw(st.lists(values.puts, min_size=1))] if other else before.writes
            self.same(lambda store: store.commit(writes, before.cause, before.expects, before.state))

    @rule(state=st.lists(values.state_writes, max_size=3))
    def only_state(self, state: list[StateWrite]) -> None:
        self.same(lambda store: store.commit([], None, state=state))

    @rule(parts=requests, after=st.integers(1, 3))
    def crash(self, parts: Any, after: int) -> None:
        request = self.request(*parts)
        self.crash_in = after
        try:
            self.store.commit(request.writes, request.cause, request.expects, request.state)
        except Crash:
            self.crash_in = 0
            self.store.close()
            self.store = self.open()
            self.send(request)
        except NoesisError:
            self.crash_in = 0
            self.send(request)
        else:
            self.crash_in = 0
            self.oracle.commit(request.writes, request.cause, request.expects, request.state)
            self.send(request)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    @rule(seconds=st.sampled_from([-3600.0, -0.5, 0.25, 1.0, 60.0]))
    def jump(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.jump(seconds)

    def moment(self, data: st.DataObject) -> int | None:
        return data.draw(st.none() | st.integers(0, self.oracle.head().position + 1), "at")

    @rule(data=st.data())
    def log(self, data: st.DataObject) -> None:
        after = data.draw(st.integers(0, self.oracle.head().position + 1))
        size = data.draw(st.integers(1, 50))
        self.same(lambda store: (store.head().position, store.head().at))
        self.same(lambda store: store.changes(after, size))
        self.same(lambda store: [store.changes_of(id, size) for id in values.IDS])
        self.same(lambda store: [store.caused(f"c{n}", size) for n in range(self.number + 1)])
        self.same(lambda store: store.causes([f"c{n}" for n in range(self.number + 1)]))
        base = self.clocks[0].now()
        self.same(lambda store: [store.position_at(base + timedelta(seconds=s)) for s in (-4000, -60, -0.5, 0, 90)])

    @rule(data=st.data(), where=st.lists(values.conditions(), max_size=2), order=values.orders, size=st.integers(1, 3))
    def find(self, data: st.DataObject, where: list[Where], order: Any, size: int) -> None:
        at, cls = self.moment(data), data.draw(st.sampled_from([*values.CLASSES, "Nothing"]))

        def pages(store: GraphStore) -> list[Any]:
            found, after = [], None
            for _ in range(10):
                page = store.find(cls, where, order, after, size, at)
                found.append(page)
                after = page.next
                if after is None:
                    break
            return found

        self.same(pages)
        self.same(lambda store: (store.count(cls, where, at=at), store.count(cls, where, 1, at)))

    @rule(
        data=st.data(),
        where=st.lists(values.conditions(), max_size=1),
        direction=st.sampled_from(list(Direction)),
        first=st.integers(1, 3),
        after=st.none() | values.ids,
        relation=st.sampled_from(values.RELATIONS),
    )
    def along(
        self,
        data: st.DataObject,
        where: list[Where],
        direction: Direction,
        first: int,
        after: str | None,
        relation: str,
    ) -> None:
        at = self.moment(data)
        self.same(lambda store: store.expand(values.IDS, relation, direction, where, first, at, after))
        self.same(lambda store: store.relations(values.IDS, at, first))
        names = data.draw(st.lists(st.sampled_from(values.RELATIONS), max_size=1))
        for target in values.IDS:
            self.same(lambda store, t=target: store.paths("a", t, names, 4, 3, at))

    @rule(data=st.data())
    def entities(self, data: st.DataObject) -> None:
        at = self.moment(data)
        self.same(lambda store: store.get([*values.IDS, "none"], at))
        self.same(lambda store: [store.get([id], at) for id in values.IDS])
        self.same(lambda store: [store.history(id) for id in values.IDS])
        self.same(lambda store: store.versions([(id, n) for id in values.IDS for n in range(4)]))

    @rule(due=st.none() | st.integers(0, 3), prefix=st.sampled_from(["", "k", "k1"]), after=st.sampled_from(["", "k"]))
    def machine_rows(self, due: int | None, prefix: str, after: str) -> None:
        for kind in ("timer", "lease"):
            self.same(lambda store, kind=kind: store.state(kind, ["k", "k1", "m", "none"]))
            self.same(lambda store, kind=kind: store.scan(kind, prefix, after, due, 2))
            self.same(lambda store, kind=kind: store.scan(kind, first=9))

    @rule()
    def verify(self) -> None:
        assert self.store.verify() == self.oracle.head().position
        assert [position for position, _ in self.store.ledger()] == list(range(1, self.oracle.head().position + 1))


class ServerStores(Stores):
    """The same over a Neo4j server, each example on an empty graph."""

    def __init__(self) -> None:
        empty(running("neo4j"))
        super().__init__()

    def open(self) -> GraphStore:
        return open_store(self.schema, self.clocks[1])


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_neo4j_agrees_with_the_oracle() -> None:
    running("neo4j")
    # A server answers in milliseconds where a file takes microseconds, so there are fewer examples.
    few = settings(
        max_examples=10,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(ServerStores, settings=few)


assert ABSENT == 0
