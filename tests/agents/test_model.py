"""The model adapter and the LLM agent against a real local HTTP server: structure, limits, masking, errors."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import BaseModel, Field

from agents.acting import Loaded, LocalActing
from agents.context import Context
from agents.errors import ModelError, ModelOffError
from agents.masking import MASK, leaving, mask_text
from agents.models.model import Answer, Question
from agents.models.openai import OpenAIModel
from agents.reasoners.llm import LlmAgent
from api.listening import Listening
from api.metrics import Metrics
from api.tracer import Tracer, make_provider
from coordination.acting import NOWHERE, Within
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg import tracing
from kg.model import Cause, Change, Entity, Put
from kg.ontology import load
from tests.agents.openai_server import openai_server
from tests.oracles.graph import DictStore
from tests.parts import ManualClock, OpenView

ONTOLOGY = """
@prefix n: <urn:noesis:ns#> .
@prefix : <urn:example:> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Ticket a owl:Class .
:subject a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string .
:requester a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string ; n:sensitivity "pii" ; n:personal true .
:team a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string .
"""


class Choice(BaseModel):
    team: str
    confidence: float = Field(ge=0, le=1)
    reason: str


def propose(output: BaseModel, entity: Entity, context: Context) -> list[Draft]:
    assert isinstance(output, Choice)
    return [
        Draft(
            "ticket.route",
            entity.id,
            (Put(entity.id, "Ticket", {"team": output.team}),),
            rationale=output.reason,
            evidence=context.evidence(entity),
            confidence=Decimal(str(output.confidence)),
        )
    ]


ROUTER = LlmAgent(
    name="llm-router",
    version="1",
    department="support",
    capabilities=("ticket.route",),
    wakes=(Wake("Ticket"),),
    instructions="Choose the team.",
    output=Choice,
    gather=lambda entity, context: (),
    propose=propose,
)


def ticket(store: DictStore, **more: str) -> tuple[Change, Entity]:
    properties = {
        "subject": "Pump leaks, call +49 89 1234567 or joe@acme.example",
        "requester": "joe@acme.example",
        **more,
    }
    store.commit([Put("t1", "Ticket", properties)], Cause("c1", "ingest", 'Service::"ingest"'))
    return store.changes(0)[0], store.get(["t1"])["t1"]


def acting(store: DictStore, model: OpenAIModel | None) -> LocalActing:
    ontology = load({"test": ONTOLOGY})
    return LocalActing(
        store, {"llm-router": Loaded(ROUTER, "d")}, lambda name: OpenView(), None, model, leaving(ontology)
    )


def test_an_answer_becomes_a_draft_and_its_call_is_on_record() -> None:
    store = DictStore(load({"test": ONTOLOGY}), ManualClock())
    change, entity = ticket(store)
    with openai_server([{"team": "technical", "confidence": 0.9, "reason": "a leak"}]) as (url, seen):
        drafts, context = acting(store, OpenAIModel(url, "small")).act("llm-router", change, entity, 1)
    assert [draft.writes for draft in drafts] == [(Put("t1", "Ticket", {"team": "technical"}),)]
    assert context.model["model"] == "small"
    assert context.model["calls"][0]["tokensIn"] == 11
    assert len(seen) == 1


class Metered:
    """A Meter that lets everything pass and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, agent: str, call: Callable[[], Answer], within: Within = NOWHERE) -> Answer:
        self.asked.append(agent)
        return call()


@pytest.mark.parametrize("meter", [None, Metered()], ids=["unmetered", "metered"])
def test_the_span_of_a_question_holds_the_call_and_what_it_used(meter: Metered | None) -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tracing.install(Listening(Metrics(), Tracer(make_provider(1.0, SimpleSpanProcessor(exporter)))))
    try:
        store = DictStore(load({"test": ONTOLOGY}), ManualClock())
        change, entity = ticket(store)
        with openai_server([{"team": "technical", "confidence": 0.9, "reason": "x"}]) as (url, _):
            replace(acting(store, OpenAIModel(url, "small")), meter=meter).act("llm-router", change, entity, 1)
    finally:
        tracing.install(None)
    (span,) = [span for span in exporter.get_finished_spans() if span.name == f"{tracing.ASK} small"]
    assert span.attributes["gen_ai.usage.input_tokens"] == 11
    assert span.end_time - span.start_time > 500_000, "nanoseconds: it spans the call, not a moment before it"
    assert meter is None or meter.asked == ["llm-router"]


def test_personal_data_never_reaches_the_model() -> None:
    store = DictStore(load({"test": ONTOLOGY}), ManualClock())
    change, entity = ticket(store)
    with openai_server([{"team": "technical", "confidence": 0.9, "reason": "x"}]) as (url, seen):
        acting(store, OpenAIModel(url, "small")).act("llm-router", change, entity, 1)
    sent = json.dumps(seen)
    assert "joe@acme" not in sent
    assert "1234567" not in sent
    assert "Pump leaks" in sent
    assert MASK in sent


def test_an_unsure_answer_proposes_nothing() -> None:
    store = DictStore(load({"test": ONTOLOGY}), ManualClock())
    change, entity = ticket(store)
    with openai_server([{"team": "technical", "confidence": 0.2, "reason": "?"}]) as (url, _):
        drafts, _ = acting(store, OpenAIModel(url, "small")).act("llm-router", change, entity, 1)
    assert drafts == ()


def test_an_answer_that_does_not_fit_is_repaired_within_the_bound_or_is_a_clear_error() -> None:
    question = Question("Choose.", "{}", Choice)
    wrong = {"team": "t", "confidence": 7, "reason": "r"}
    with openai_server([wrong, {"team": "t", "confidence": 1, "reason": "r"}]) as (url, seen):
        answer = OpenAIModel(url, "small").ask(question)
    assert (answer.requests, len(seen)) == (2, 2)
    with openai_server([wrong]) as (url, seen), pytest.raises(ModelError, match="no usable answer"):
        OpenAIModel(url, "small").ask(question)
    assert len(seen) <= 3


def test_a_server_that_is_gone_or_refuses_is_one_sentence() -> None:
    question = Question("Choose.", "{}", Choice)
    with openai_server([{}], status=401) as (url, _), pytest.raises(ModelError, match="small"):
        OpenAIModel(url, "small").ask(question)
    with pytest.raises(ModelError, match="small"):
        OpenAIModel("http://127.0.0.1:9/v1", "small", timeout_s=2).ask(question)


def test_without_a_model_the_agent_is_not_offered_and_asking_says_what_to_set() -> None:
    store = DictStore(load({"test": ONTOLOGY}), ManualClock())
    change, entity = ticket(store)
    without = acting(store, None)
    assert "llm-router" not in without.agents()
    with pytest.raises(ModelOffError, match="NOESIS_LLM_URL"):
        without.act("llm-router", change, entity, 1)


def test_patterns_in_free_text_are_masked() -> None:
    text = "IBAN DE89 3704 0044 0532 0130 00, mail a.b@c.example, ring +49 (0)89 123456; order SO-004711 stays"
    masked = mask_text(text)
    assert "3704" not in masked
    assert "@" not in masked
    assert "123456" not in masked
    assert "SO-004711" in masked
