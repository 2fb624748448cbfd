"""Brokers carry ids and nothing else; the global broker stays unset; what they lose comes again."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from coordination.brokers import QUEUE, Carrier, carrier
from coordination.errors import BrokerError
from kg.errors import StoreBusyError
from tests.coordination.plant import plant
from tests.services import ports, server

#: Room for a busy machine; whoever waits goes on as soon as it holds.
SECONDS_MAX = 60


def global_broker() -> object:
    from dramatiq import broker

    return broker.global_broker


def running(handle: Callable[[str], object], url: str | None = None, threads: int = 2) -> Carrier:
    made = carrier(handle, url, threads)
    made.start()
    return made


def test_real_threads_handle_ids_and_the_global_broker_stays_unset() -> None:
    got: list[tuple[str, str]] = []
    done = threading.Semaphore(0)

    def handle(id: str) -> None:
        got.append((id, threading.current_thread().name))
        done.release()

    made = running(handle)
    for n in range(20):
        made.enqueue(f"work-{n}")
    for _ in range(20):
        assert done.acquire(timeout=SECONDS_MAX)
    made.stop()
    assert {id for id, _ in got} == {f"work-{n}" for n in range(20)}
    assert threading.main_thread().name not in {name for _, name in got}
    assert global_broker() is None
    assert not [t for t in threading.enumerate() if "Worker" in type(t).__name__]


def test_a_message_is_an_id() -> None:
    made = carrier(lambda work: None)
    made.enqueue("act:buyer:p:7")
    (message,) = made.broker.queues[QUEUE].queue
    told = json.loads(message)
    assert told["args"] == ["act:buyer:p:7"]
    assert told["kwargs"] == {}
    assert told["options"] == {}


def test_there_is_no_middleware_that_interrupts_or_repeats() -> None:
    assert carrier(lambda work: None).broker.middleware == []


def test_a_store_that_is_busy_costs_a_message_and_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Semaphore(0)
    fails = iter([True])

    def handle(id: str) -> None:
        try:
            if next(fails, False):
                raise StoreBusyError
        finally:
            done.release()

    made = running(handle, threads=1)
    for _ in range(2):
        made.enqueue("w")
        assert done.acquire(timeout=SECONDS_MAX)
    made.stop()
    assert "was not handled" in caplog.text


def test_a_broker_that_is_away_costs_a_message(caplog: pytest.LogCaptureFixture) -> None:
    p = plant()

    def away(id: str) -> None:
        raise BrokerError("not there")

    taken, p.runtime.enqueue = p.runtime.enqueue, away
    p.product("p", stock=1)
    p.runtime.pump()
    assert "was not sent" in caplog.text
    p.runtime.enqueue = taken
    p.runtime.reconcile()
    p.run()
    assert p.one()["state"] == "applied"


def test_a_wrong_address_is_one_sentence() -> None:
    with pytest.raises(BrokerError, match="no broker address"):
        carrier(lambda work: None, "kafka://localhost")


@pytest.mark.parametrize("name", ["redis", "rabbitmq"])
def test_a_real_broker_carries_what_was_sent_before_the_worker_came(name: str) -> None:
    url = server.running(name).url
    done = threading.Event()
    sender = carrier(lambda work: None, url)
    sender.enqueue("w")
    assert sender.broker.middleware == []
    made = running(lambda work: done.set() if work == "w" else None, url)
    assert done.wait(SECONDS_MAX)
    made.stop()
    sender.stop()
    assert global_broker() is None


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_does_not_answer_is_one_error(scheme: str) -> None:
    with pytest.raises(BrokerError, match="the reconciler sends it again"):
        carrier(lambda work: None, f"{scheme}://127.0.0.1:{ports.free()}").enqueue("w")


@pytest.mark.parametrize(("more", "seconds"), [("", 10.0), ("?socket_timeout=3", 3.0)])
def test_a_redis_that_vanished_holds_no_thread_for_ever(more: str, seconds: float) -> None:
    made: Any = carrier(lambda work: None, f"redis://127.0.0.1:1/0{more}").broker
    given = made.client.connection_pool.connection_kwargs
    assert (given["socket_timeout"], given["socket_connect_timeout"]) == (seconds, 10.0)
