"""/healthz, /readyz and /metrics: each part with its state, in bounded time, and nothing for those who may not know."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from api.errors import BindingError
from api.health import Health
from api.listening import Listening
from api.metrics import Metrics
from api.platform import Noesis
from api.probes import Probes
from api.settings import Settings
from api.standing import rows
from coordination.brokerstate import ask
from coordination.errors import BrokerError
from kg import tracing
from kg.errors import SearchIndexError, StoreError
from tests.api import parts
from tests.api.client import Client
from tests.services import server

SECRET = "s3cret-w0rd"
#: How long a part that hangs does so: whoever waited for it would be seen to, also on a busy machine.
HANGING_SECONDS = 40.0


class Broken:
    """A part whose every call fails, or never returns, as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.freed = threading.Event()

    def __getattr__(self, name: str) -> object:
        def call(*_: object, **__: object) -> object:
            if self.error is None:
                self.freed.wait(HANGING_SECONDS)
                raise StoreError
            raise self.error

        return call


def settings(**more: object) -> Settings:
    return Settings(**{"ready_seconds_max": 20.0, **more})  # type: ignore[arg-type]


def samples(text: str) -> dict[str, float]:
    return {m[1]: float(m[2]) for m in re.finditer(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)}


def test_everything_there_is_ready_and_says_so(platform: Noesis) -> None:
    found = Client(platform).http.get("/readyz")
    assert found.status_code == 200
    parts_ = found.json()["parts"]
    assert set(parts_) == {"store", "broker", "index", "feed"}
    assert parts_["store"]["state"] == parts_["broker"]["state"] == "ok"
    assert parts_["index"]["state"] == "none"
    assert parts_["feed"]["behind"] == platform.store.head().position


def test_a_store_that_is_away_is_503_with_a_sentence_and_no_secret(platform: Noesis) -> None:
    broken = replace(platform, store=Broken(StoreError(f"no route to neo4j://u:{SECRET}@db")))  # type: ignore[arg-type]
    client = Client(platform)
    client.app = client.app
    found = Health(replace(broken, settings=settings())).look()
    assert not found.ready
    assert found.missing == ["store"]
    told = str(found.form())
    assert "The store cannot serve; run `noesis doctor`." in told
    assert SECRET not in told


def test_a_part_that_hangs_is_down_in_bounded_time_and_holds_one_thread(platform: Noesis) -> None:
    hanging = Broken()
    bounded = settings(ready_seconds_max=0.6)
    health = Health(replace(platform, settings=bounded, store=hanging))  # type: ignore[arg-type]
    began, before = time.monotonic(), threading.active_count()
    for _ in range(3):
        found = health.look()
        assert found.missing == ["store"]
    assert time.monotonic() - began < HANGING_SECONDS / 2
    assert threading.active_count() - before <= 4, "asked again and again, it takes no more threads"
    hanging.freed.set()
    health.close()


def test_who_asks_just_as_the_process_stops_is_told_so(platform: Noesis) -> None:
    health = Health(replace(platform, settings=settings()))
    health.close()
    found = health.look()
    assert not found.ready
    assert {part.reason for part in found.parts} == {"this process is ending"}


def test_an_index_that_is_away_is_told_with_how_far_it_is_behind_and_stops_nothing(platform: Noesis) -> None:
    away = replace(platform, settings=settings(), index=Broken(SearchIndexError(f"at {SECRET}")))
    found = Health(away).look()
    assert found.ready
    index = next(part for part in found.parts if part.name == "index")
    assert index.state == "down"
    assert index.behind is not None
    assert 0 < index.behind <= platform.store.head().position
    assert "search uses the words in the store" in index.reason
    assert SECRET not in str(found.form())
    needed = replace(away, settings=settings(ready_needs=("store", "index")))
    assert Health(needed).look().missing == ["index"]
    metrics = Metrics()
    metrics.watch(lambda: rows(away))
    told = samples(metrics.text()[0].decode())
    assert told['noesis_up{part="index"}'] == 0
    assert told["noesis_index_lag_changes"] == index.behind


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """A server that says one thing to whoever connects, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    peer, _ = bound.accept()
                except OSError:
                    return
                with peer:
                    if answer is None:
                        ended.wait(HANGING_SECONDS)
                    else:
                        peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(bound.getsockname()[1])
        ended.set()
        bound.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 50, None])
def test_what_is_no_broker_is_told_in_one_sentence_in_bounded_time(scheme: str, answer: bytes | None) -> None:
    with listening(answer) as port:
        began = time.monotonic()
        with pytest.raises(BrokerError) as told:
            ask(f"{scheme}://user:{SECRET}@127.0.0.1:{port}", 0.5)
        assert time.monotonic() - began < HANGING_SECONDS / 2
    assert SECRET not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_broker_that_is_away_makes_a_worker_not_ready(platform: Noesis) -> None:
    with listening(b"") as port:
        pass
    away = settings(broker_url=f"redis://:{SECRET}@127.0.0.1:{port}/0")
    found = Health(replace(platform, settings=away)).look()
    assert found.missing == ["broker"]
    assert SECRET not in str(found.form())


@pytest.mark.parametrize(("name", "product"), [("redis", "Redis"), ("rabbitmq", "RabbitMQ")])
def test_a_real_broker_says_its_version_and_refuses_a_wrong_password(name: str, product: str) -> None:
    running = server.running(name)
    found = ask(running.url, 20.0)
    assert found.product == product
    assert re.match(r"\d+\.\d+", found.version)
    with pytest.raises(BrokerError, match="refuses the user or password"):
        # RabbitMQ answers a wrong password late on purpose.
        ask(running.url.replace(running.password, "wrong"), 20.0)


def test_metrics_count_and_time_what_happens(platform: Noesis) -> None:
    metrics = Metrics()
    metrics.watch(lambda: rows(platform))
    tracing.install(Listening(metrics))
    try:
        with tracing.span(tracing.HANDLE, work="w1", task="settle"):
            tracing.count(tracing.DECISIONS, verdict="deny")
        with pytest.raises(ValueError, match="x"), tracing.span(tracing.COMMIT):
            raise ValueError("x")
        named = {"gen_ai.request.model": "m"}
        with tracing.span(f"{tracing.ASK} m", **named) as span:
            span.set("gen_ai.usage.input_tokens", 7)
    finally:
        tracing.install(None)
    told = samples(metrics.text()[0].decode())
    assert told['noesis_step_seconds_count{task="settle"}'] == 1
    assert told['noesis_decisions_total{verdict="deny"}'] == 1
    assert told['noesis_failures_total{what="commit"}'] == 1
    assert told['noesis_model_tokens_total{direction="in",model="m"}'] == 7
    assert told["noesis_position"] == told["noesis_feed_lag_changes"] == platform.store.head().position
    assert told['noesis_up{part="store"}'] == 1
    assert told['noesis_work_open{queue="general"}'] == 0
    assert not [name for name in told if "w1" in name], "no id is a label"


def test_metrics_of_the_api_are_for_whoever_may_use_it(platform: Noesis) -> None:
    assert Client(platform).http.get("/metrics").status_code == 200, "from this machine, as the API itself"
    closed = replace(platform, settings=Settings(keyless=False, metrics_key=SECRET))  # type: ignore[arg-type]
    for sent, status in (
        (None, 401), ("wrong", 401), (parts.key(platform, 'User::"anna"'), 200), (SECRET, 200),
    ):  # fmt: skip
        answer = Client(closed, sent).http.get("/metrics")
        assert answer.status_code == status, sent
        assert ("noesis_up" in answer.text) == (status == 200)
    assert Client(platform, peer=("192.0.2.7", 5)).http.get("/metrics").status_code == 401


def test_a_worker_answers_at_a_port_of_its_own(platform: Noesis) -> None:
    chosen = settings(metrics_port=0, metrics_key=SECRET)
    probes = Probes(chosen, Metrics(), Health(replace(platform, settings=chosen)))
    port = probes.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            assert http.get("/healthz").json() == {"status": "ok"}
            assert http.get("/readyz").status_code == 200
            assert http.get("/metrics").status_code == 401
            found = http.get("/metrics", headers={"Authorization": f"Bearer {SECRET}"})
            assert found.status_code == 200
            assert "noesis_info" in found.text
            assert http.get("/graphql").status_code == 404
            assert http.post("/healthz").status_code == 501
    finally:
        probes.stop()


def test_metrics_are_not_opened_to_other_machines_without_a_key(platform: Noesis) -> None:
    open_ = settings(metrics_port=0, metrics_host="0.0.0.0")
    with pytest.raises(BindingError, match="set metrics_key"):
        Probes(open_, Metrics(), Health(platform)).start()
