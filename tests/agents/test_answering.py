"""Asking an agent: what it may read, what its answer must be, and that the same asking gives the same."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from agents.acting import Loaded, LocalActing
from agents.context import Context
from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError, HeldError, RetryLater
from coordination.wakes import Wake
from kg.errors import StoreError
from kg.model import Cause, Input, Put
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock, OpenView

ASKED = Assignment("run:r/0/1", "how many orders?", {"customer": "c1"})


@dataclass(frozen=True)
class Counter:
    """Answers with what it is told to."""

    reply: Callable[[Assignment, Context], Any]
    name: str = "counter"
    version: str = "1"
    department: str = "sales"
    capabilities: tuple[str, ...] = ()
    wakes: tuple[Wake, ...] = ()
    priority: int = 0

    def act(self, *_: Any) -> tuple[()]:
        return ()

    def answer(self, assignment: Assignment, context: Context) -> Any:
        return self.reply(assignment, context)


class Mute(Counter):
    """Has no way to answer."""

    def __getattribute__(self, name: str) -> Any:
        if name == "answer":
            raise AttributeError(name)
        return super().__getattribute__(name)


def ask(reply: Any, kind: type[Counter] = Counter, name: str = "counter") -> Any:
    store = DictStore(FreeSchema(), ManualClock())
    store.commit([Put("c1", "Customer", {"orders": 3})], Cause("1", "ingest", 'Service::"ingest"'))
    acting = LocalActing(store, {"counter": Loaded(kind(reply), "d")}, lambda _: OpenView())
    return acting.ask(name, ASKED, store.head().position)


def reads(assignment: Assignment, context: Context) -> Answer:
    found = context.get(assignment.data["customer"])
    assert found is not None
    return Answer(
        {"orders": found["orders"], "id": context.new_id()}, context.evidence(found), Decimal("0.8"), Decimal(2)
    )


def test_the_answer_and_what_it_rests_on() -> None:
    answer, record = ask(reads)
    assert answer.output["orders"] == 3
    assert answer.evidence == record.read == (Input("c1", 1),)
    assert record.position == 1
    assert ask(reads) == (answer, record), "the same asking gives the same ids and the same record"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("three", "answered with str; let it return an Answer"),
        (Answer(1, (Input("c9", 1),)), "cites c9@1, which it did not read"),
        (Answer(1, confidence=Decimal(2)), "gave '2' as confidence; give a Decimal from 0 to 1"),
        (Answer(1, confidence=Decimal("nan")), "as confidence"),
        (Answer(1, cost=Decimal(-1)), "gave '-1' as cost; give a Decimal of 0 or more"),
        (Answer({1, 2}), "is no JSON"),
        (Answer(float("nan")), "is no JSON"),
        (Answer("x" * 1_000_001), "1,000,003 characters"),
    ],
)
def test_an_answer_that_is_none_is_one_clear_sentence(given: Any, said: str) -> None:
    with pytest.raises(AnswerError, match="agent 'counter'") as error:
        ask(lambda *_: given)
    assert said in str(error.value)


def test_what_the_agent_raises_is_its_own_and_what_the_store_raises_is_not() -> None:
    def raising(error: BaseException) -> Any:
        def reply(*_: Any) -> Any:
            raise error

        return reply

    with pytest.raises(AnswerError, match="raised KeyError"):
        ask(raising(KeyError("x")))
    with pytest.raises(AnswerError, match="raised SystemExit"):
        ask(raising(SystemExit(3)))
    with pytest.raises(StoreError):
        ask(raising(StoreError()))
    with pytest.raises(RetryLater):
        ask(raising(RetryLater("busy")))
    with pytest.raises(HeldError):
        ask(raising(HeldError("a budget that waits")))


def test_who_answers_no_tasks_says_so() -> None:
    with pytest.raises(AnswerError, match="answers no tasks"):
        ask(None, Mute)
    with pytest.raises(AnswerError, match="no agent is called 'other'"):
        ask(reads, name="other")
