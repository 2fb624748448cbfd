"""One trace runs from a GraphQL mutation over the broker to the commit of the effect; off it costs next to nothing."""

import gzip
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.graphql.schema import build_schema
from api.listening import Listening
from api.metrics import Metrics
from api.platform import Noesis
from api.settings import Settings
from api.tracer import CLOSE_SECONDS, Tracer, make_provider
from coordination.bounds import Bounds
from coordination.brokers import carrier
from coordination.runtime import Runtime
from coordination.wakes import Wake
from coordination.worker import Worker
from governance.people import ensure_principal
from governance.rules import add, load_rules
from governance.view import GovernedView
from kg import tracing
from kg.clock import SystemClock
from kg.committer import Committer
from kg.ontology import Ontology, load
from kg.stores.sqlite import SqliteStore
from tests.api.client import HERE
from tests.coordination.plant import AUTHOR, RULES, TURTLE, Scripted, card, low, populate, reorder
from tests.coordination.server import serving
from tests.services import server

MUTATION = """mutation Stock { ingestRecord(class: "Product", properties: {name: "bolt", stock: 1}, origin: "erp/1") {
  outcome errors { message } } }"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECONDS_MAX = 120


@pytest.fixture
def exporter() -> Iterator[Any]:
    """Whatever ends while the block lasts, in memory."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    made = InMemorySpanExporter()
    tracing.install(Listening(Metrics(), Tracer(make_provider(1.0, SimpleSpanProcessor(made)))))
    yield made
    tracing.install(None)


def words() -> Ontology:
    from api.texts import platform_texts

    keyed = TURTLE.replace("e:Product a owl:Class .", 'e:Product a owl:Class ; n:key "name" .')
    return load({**platform_texts(), "plant.ttl": keyed})


class Shop:
    """The API of a plant and, as another process has it, a worker: they share the store and the broker."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        clock, self.words = SystemClock(), words()
        self.store = Committer(SqliteStore(folder / "graph.db", self.words, clock, durable=False))
        populate(self.store, clock, ["buyer"], RULES, self.words)
        ensure_principal(self.store, clock, "User", "local", AUTHOR, roles=["admin"])
        text = '@id("admins") permit(principal in Role::"admin", action, resource);'
        add(self.store, clock, self.words, text, AUTHOR, "test")
        cards = {"buyer": card("buyer", Wake("Product", properties=("stock",), condition=low))}
        acting = Scripted(self.store, cards, {"buyer": reorder})

        def handle(work_id: str) -> None:
            runtime.handle(work_id)

        carried = carrier(handle, url, 2)
        runtime = Runtime(self.store, clock, self.words, acting, (), carried.enqueue, Bounds(), holder=clock.id())
        self.worker = Worker(runtime, carried, interval_seconds=0.2)
        self.committed = threading.Condition()
        self.store.on_commit(self.worker.notify)
        self.store.on_commit(self._tell)
        self.platform = Noesis(
            store=self.store,
            ontology=self.words,
            clock=clock,
            settings=Settings(),
            rules=lambda: load_rules(self.store, self.words),
            view=lambda principal, end=None: GovernedView(
                principal, load_rules(self.store, self.words, end=end), self.words
            ),
            authenticate=pytest.fail,
        )

    def _tell(self, _: int) -> None:
        with self.committed:
            self.committed.notify_all()

    def post(self, **headers: str) -> Any:
        from starlette.testclient import TestClient

        from api.app import create_app

        app = create_app(self.platform, build_schema(self.words, self.platform.settings))
        http = TestClient(app, base_url="http://127.0.0.1:8400", client=HERE)
        answer = http.post("/graphql", json={"query": MUTATION, "operationName": "Stock"}, headers=headers).json()
        assert answer["data"]["ingestRecord"]["errors"] == []
        return answer

    def ordered(self) -> None:
        with self.committed:
            assert self.committed.wait_for(lambda: self.store.count("PurchaseOrder") >= 1, SECONDS_MAX)

    def close(self) -> None:
        self.worker.stop()
        self.store.close()


@pytest.mark.parametrize("broker", [None, "redis", "rabbitmq"], ids=["embedded", "redis", "rabbitmq"])
def test_one_trace_runs_from_a_mutation_over_the_broker_to_the_effects_commit(
    tmp_path: Path, exporter: Any, broker: str | None
) -> None:
    shop = Shop(tmp_path, server.running(broker).url if broker is not None else None)
    shop.worker.start()
    shop.post(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    shop.ordered()
    shop.worker.stop()
    while shop.worker.runtime.pump():
        pass
    assert shop.store.scan(tracing.CARRIED) == [], "what carried the trace to the feed is gone"
    shop.close()
    spans = [span for span in exporter.get_finished_spans() if format(span.context.trace_id, "032x") == TRACE]
    below = {span.context.span_id: span for span in spans}
    names = [span.name for span in spans]
    asked = (
        tracing.OPERATION,
        tracing.COMMIT,
        tracing.FEED,
        tracing.SEND,
        tracing.PROCESS,
        tracing.HANDLE,
        tracing.DECIDE,
    )
    assert not [name for name in (*asked, f"{tracing.ACT} buyer") if name not in names]
    applied = next(s for s in spans if s.name == tracing.COMMIT and s.attributes["noesis.activity"] == "apply")
    chain, at = [], applied
    while at is not None:
        chain.append(at.name)
        at = below.get(at.parent.span_id) if at.parent is not None else None
    assert chain[0] == tracing.COMMIT
    assert chain[-1] == tracing.OPERATION, f"the effect's commit leads back to the mutation, not to {chain}"
    assert {tracing.HANDLE, tracing.FEED, tracing.PROCESS} <= set(chain)
    act = next(span for span in spans if span.name == f"{tracing.ACT} buyer")
    assert act.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert act.attributes["gen_ai.agent.name"] == "buyer"


def test_no_text_of_the_graph_and_of_errors_is_in_a_span(exporter: Any) -> None:
    with pytest.raises(ValueError, match="anna"), tracing.span("noesis.test", work="w1"):
        raise ValueError("anna@example.org owes 5 EUR")
    (span,) = exporter.get_finished_spans()
    assert span.attributes == {"noesis.work": "w1", "error.type": "ValueError"}
    assert not span.events
    assert span.status.description is None


def test_what_a_caller_does_not_want_kept_is_not_carried(exporter: Any) -> None:
    with tracing.span("noesis.test", f"00-{TRACE}-00f067aa0ba902b7-00"):
        assert tracing.carried() == ""
    with tracing.span("noesis.test", "00-nonsense"):
        assert tracing.carried() != ""
    assert len(exporter.get_finished_spans()) == 1


def test_while_nobody_listens_a_span_makes_nothing() -> None:
    tracing.install(None)
    first, second = (tracing.span("noesis.test", work=work, task="act") for work in "vw")
    assert first is second, "one that is there for all: what it costs is a call"
    with first as span:
        span.set("position", 1)
    assert not hasattr(first, "__dict__") or not vars(first)
    assert tracing.carried() == ""


def test_a_collector_gets_the_spans_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from api.watching import watched

    monkeypatch.setattr("api.watching.configure", lambda _: None)
    with serving() as collector:
        settings = Settings(otlp_url=f"http://{collector.host}", otlp_key="Basic k3y")  # type: ignore[arg-type]
        with watched(settings), tracing.span("noesis.test", work="w-4711"):
            assert tracing.carried().startswith("00-")
        (sent,) = collector.got
    assert sent.path == "/v1/traces"
    assert sent.headers["authorization"] == "Basic k3y"
    assert b"w-4711" in (gzip.decompress(sent.body) if sent.headers.get("content-encoding") == "gzip" else sent.body)
    assert not tracing.listening()


def test_a_collector_that_is_away_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from api.watching import watched

    monkeypatch.setattr("api.watching.configure", lambda _: None)
    with serving() as collector:
        gone = collector.host
    with watched(Settings(otlp_url=f"http://{gone}")):
        began = time.perf_counter()
        for _ in range(1_000):
            with tracing.span("noesis.test"):
                pass
        assert time.perf_counter() - began < 5
        began = time.perf_counter()
    assert time.perf_counter() - began < CLOSE_SECONDS + 5, "nor does the end of the process wait for it"
