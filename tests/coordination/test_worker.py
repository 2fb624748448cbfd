"""The embedded worker with real threads, store and committer: from a source's commit to the effect, and a clean stop."""

import threading
from pathlib import Path

import pytest

from coordination.bounds import Bounds
from coordination.brokers import Carrier, carrier
from coordination.runtime import Runtime
from coordination.wakes import Wake
from coordination.worker import Worker
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import RULES, Scripted, card, low, ontology, populate, reorder

#: Room for a busy machine; whoever waits goes on as soon as it holds.
SECONDS_MAX = 120


class House:
    """One process at work over an SQLite file."""

    def __init__(self, path: Path, bounds: Bounds, *, lose: int = 0) -> None:
        self.clock = SystemClock()
        self.store = Committer(SqliteStore(path / "graph.db", ontology(), self.clock, durable=False))
        self.cards = {"buyer": card("buyer", Wake("Product", properties=("stock",), condition=low))}
        acting = Scripted(self.store, self.cards, {"buyer": reorder})
        self.lose = lose
        self.runtime = Runtime(self.store, self.clock, ontology(), acting, (), self._enqueue, bounds)
        self.carrier: Carrier = carrier(self.runtime.handle, threads=2)
        self.worker = Worker(self.runtime, self.carrier, interval_seconds=0.2)
        self.committed = threading.Condition()
        self.store.on_commit(self.worker.notify)
        self.store.on_commit(self._tell)

    def _enqueue(self, id: str) -> None:
        if self.lose:
            self.lose -= 1
        else:
            self.carrier.enqueue(id)

    def _tell(self, position: int) -> None:
        with self.committed:
            self.committed.notify_all()

    def fall(self, id: str) -> None:
        cause = Cause(self.clock.id(), "ingest", 'Service::"ingest"')
        self.store.commit([Put(id, "Product", {"stock": 1})], cause)

    def orders(self, count: int) -> None:
        """Wait until so many orders are there."""
        with self.committed:
            assert self.committed.wait_for(lambda: self.store.count("PurchaseOrder") >= count, timeout=SECONDS_MAX)

    def stop(self) -> None:
        self.worker.stop()
        self.store.close()


@pytest.mark.parametrize("lose", [0, 5], ids=["all messages", "five messages lost"])
def test_commits_wake_the_worker_and_lost_messages_cost_time_only(tmp_path: Path, lose: int) -> None:
    house = House(tmp_path, Bounds(resend_seconds=0.1), lose=lose)
    populate(house.store, house.clock, ["buyer"], RULES)
    house.worker.start()
    for n in range(10):
        house.fall(f"p{n}")
    house.orders(10)
    house.stop()
    assert not [t.name for t in threading.enumerate() if t.name == "noesis-worker"]


def test_another_process_goes_on_where_one_stopped(tmp_path: Path) -> None:
    first = House(tmp_path, Bounds())
    populate(first.store, first.clock, ["buyer"], RULES)
    first.fall("p")
    first.runtime.pump()
    first.carrier.broker.flush_all()
    first.stop()
    second = House(tmp_path, Bounds())
    second.worker.start()
    second.orders(1)
    second.stop()
