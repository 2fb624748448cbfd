"""Metering: a question reserves before it is asked, and settles what it used; I12 for models."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from agents.errors import ModelBudgetError, ModelError
from agents.models.model import Answer
from api.metering import ModelMeter
from coordination.acting import Within
from coordination.errors import HeldError
from governance import budgets
from governance.budgeting import define
from governance.principals import Principal
from tests.coordination.plant import ontology
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

ADMIN = Principal("User", "root")


class Said(BaseModel):
    """An answer."""


ANSWER = Answer(Said(), "m", "p", 30, 12, 1)


def metered(limit: int, **more: Any) -> tuple[ModelMeter, Any]:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, "department:sales", "tokens", Decimal(limit), **more)
    (budget,) = budgets.over(store, ["department:sales"], ["tokens"])
    meter = ModelMeter(store, clock, 100, lambda name: "sales" if name == "seller" else "")
    return meter, lambda: budgets.usage(store, clock.now(), budget)[0]


def test_what_was_not_used_goes_back() -> None:
    meter, used = metered(150)
    seen: list[Decimal] = []

    def call() -> Answer:
        seen.append(used())
        return ANSWER

    assert meter.ask("seller", call) is ANSWER
    assert (seen, used()) == ([100], 42)
    meter.ask("seller", call)
    assert used() == 84
    with pytest.raises(HeldError, match="66 left, 100 is asked for"):
        meter.ask("seller", call)
    assert len(seen) == 2, "it was not asked"
    meter.ask("buyer", call)


@pytest.mark.parametrize("scope", ["run:r1", "workflow:sales.outreach"])
def test_budgets_of_the_run_and_its_workflow_bind_a_question(scope: str) -> None:
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    define(store, clock, ADMIN, scope, "tokens", Decimal(150))
    meter = ModelMeter(store, clock, 100, lambda name: "")
    within = Within("r1", "sales.outreach")
    meter.ask("seller", lambda: ANSWER, within)
    meter.ask("seller", lambda: ANSWER, within)
    with pytest.raises(HeldError, match="66 left, 100 is asked for"):
        meter.ask("seller", lambda: ANSWER, within)
    meter.ask("seller", lambda: ANSWER, Within("r2", "sales.other"))
    meter.ask("seller", lambda: ANSWER)


def test_a_question_that_fails_counts_in_full() -> None:
    meter, used = metered(150)

    def call() -> Answer:
        raise ModelError("no answer")

    with pytest.raises(ModelError):
        meter.ask("seller", call)
    assert used() == 100


def test_degrading_lets_the_agent_go_on_without() -> None:
    meter, _ = metered(50, when_out="degrade")
    with pytest.raises(ModelBudgetError):
        meter.ask("seller", lambda: ANSWER)
