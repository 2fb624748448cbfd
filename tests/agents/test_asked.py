"""Agents that only answer: a function, or a model behind one; whatever they say, they propose nothing."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from agents.acting import Loaded, LocalActing
from agents.models.model import Answer as Told
from agents.models.model import Question
from agents.reasoners.asked import Asked
from agents.reasoners.llm_asked import LlmAsked
from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from kg.model import Cause, Put
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock, OpenView

ASKED = Assignment("run:r/0/1", "how many orders?", {"customer": "c1"})


class Counted(BaseModel):
    """What the model says."""

    orders: int
    confidence: float


class Provider:
    """A model that says three, rather surely."""

    name = "small"

    def __init__(self) -> None:
        self.questions: list[Question] = []

    def ask(self, question: Question) -> Told:
        self.questions.append(question)
        return Told(Counted(orders=3, confidence=0.75), "small", question.digest, 20, 5, 1)


def acting(agent: Any, model: Any = None) -> tuple[LocalActing, DictStore]:
    store = DictStore(FreeSchema(), ManualClock())
    store.commit([Put("c1", "Customer", {"orders": 3})], Cause("1", "ingest", 'Service::"ingest"'))
    shown = lambda entity: {"id": entity.id, "orders": entity["orders"]}  # noqa: E731
    return LocalActing(store, {agent.name: Loaded(agent, "d")}, lambda _: OpenView(), None, model, shown), store


def test_a_function_answers_and_proposes_nothing() -> None:
    agent = Asked("counter", "sales", lambda asked, context: Answer({"of": context.get(asked.data["customer"]).id}))  # type: ignore[union-attr]
    local, store = acting(agent)
    assert local.ask("counter", ASKED, 1)[0].output == {"of": "c1"}
    assert local.act("counter", store.changes(0, 1)[0], store.get(["c1"])["c1"], 1)[0] == ()


def test_a_model_answers_with_evidence_confidence_and_cost_and_proposes_nothing() -> None:
    agent = LlmAsked(
        "counter", "sales", "Count.", Counted, lambda asked, context: [context.get(asked.data["customer"])]
    )  # type: ignore[list-item]
    model = Provider()
    local, store = acting(agent, model)
    answer, record = local.ask("counter", ASKED, 1)
    assert (answer.output, answer.confidence, answer.cost) == ({"orders": 3}, Decimal("0.75"), Decimal(25))
    assert [item.id for item in answer.evidence] == ["c1"]
    assert record.model["model"] == "small"
    (question,) = model.questions
    assert question.instructions == "Count."
    assert "how many orders?" in question.material
    assert local.act("counter", store.changes(0, 1)[0], store.get(["c1"])["c1"], 1)[0] == ()


def test_a_model_that_is_not_there_is_no_answer() -> None:
    agent = LlmAsked("counter", "sales", "Count.", Counted, lambda *_: [])
    local, _ = acting(agent)
    assert local.agents() == {}
    with pytest.raises(AnswerError):
        local.ask("counter", ASKED, 1)
