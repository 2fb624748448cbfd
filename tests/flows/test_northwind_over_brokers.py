"""Northwind with its work done by two processes of `noesis work` over a real Redis and a real RabbitMQ: what comes of it is what
comes of one thread without a broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from coordination.brokers import carrier
from coordination.feed import CURSOR
from kg.store import GraphStore
from tests.flows.desk import Desk, need
from tests.flows.test_northwind import DATABASE, PROJECT
from tests.services.server import running

pytestmark = pytest.mark.slow

SECONDS_MAX = 300


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """All work done in this thread."""
    need(DATABASE)
    desk = Desk(PROJECT, tmp_path_factory.mktemp("alone"))
    desk.ingest()
    desk.settle()
    yield desk
    desk.platform.close()


def settled(store: GraphStore) -> bool:
    """Whether the feed is read to its end and no work is left but what waits for a person, whose time is up in days."""
    cursor = store.state(CURSOR[0], [CURSOR[1]]).get(CURSOR[1])
    open_work = store.scan("work", due=int((time.time() + SECONDS_MAX) * 1e6), first=1)
    return cursor is not None and not open_work and cursor.value == store.head().position


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """All work done by two processes, told of it over the broker."""
    need(DATABASE)
    home, url = tmp_path_factory.mktemp(request.param), running(request.param).url
    sender = carrier(lambda work: None, url)
    sender.broker.flush_all()
    sender.stop()
    desk = Desk(PROJECT, home)
    own = {"NOESIS_BROKER_URL": url, "NOESIS_HOME": str(home)}
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("NOESIS_")}, **own}
    work = ["--project", str(PROJECT), "work", "--processes", "2", "--threads", "2"]
    command = [sys.executable, "-m", "api.cli", *work]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as workers:
        try:
            desk.ingest()
            end = time.monotonic() + SECONDS_MAX
            while not settled(desk.platform.store):
                assert workers.poll() is None, "the workers ended"
                assert time.monotonic() < end, desk.platform.store.scan("work", due=2**53 - 1)
                time.sleep(0.1)
        finally:
            workers.send_signal(signal.SIGTERM)
            _, told = workers.communicate(timeout=60)
    assert workers.returncode == 0, told
    assert "Traceback" not in told
    yield desk
    desk.platform.close()


def told(desk: Desk) -> list[tuple[str, ...]]:
    """Each proposal with what became of it; its rationale names what it is for, whose id is another in each graph."""
    proposals = desk.proposals()
    assert len({(p.text("operation"), p.entity["target"]) for p in proposals}) == len(proposals)
    return sorted((p.text("operation"), p.state, str(p.amount), p.text("rationale")) for p in proposals)


def test_the_same_is_proposed_decided_and_applied(alone: Desk, shared: Desk) -> None:
    expected = told(alone)
    assert len(expected) > 50
    assert told(shared) == expected


def test_every_effect_is_there_once(alone: Desk, shared: Desk) -> None:
    def counted(desk: Desk) -> dict[str, int]:
        return {cls: desk.platform.store.count(cls, at_most=10_000) for cls in ("FollowUp", "PurchaseOrder", "Effect")}

    expected = counted(alone)
    assert expected["FollowUp"] == 37 + 21
    assert counted(shared) == expected


def test_the_ledger_holds(shared: Desk) -> None:
    store = shared.platform.store
    assert store.verify() == store.head().position
