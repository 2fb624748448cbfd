"""Metering: budgets around every question to a language model, for any agent and any model.

Invariant I12: what a question may use at most is reserved before it is asked, and settled by what the answer says it used; one
that ends in an error, or in a crash, counts as used in full, since nobody knows. Prices are not known here: it meters calls, tokens
and seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agents.errors import ModelBudgetError
from agents.models.model import Answer
from coordination.acting import NOWHERE, Within
from coordination.errors import HeldError
from governance import budgets
from governance.errors import BudgetError
from kg.clock import Clock
from kg.store import GraphStore

#: Seconds that one question may take, its repairs included.
SECONDS_MAX: Final = 180


@dataclass(frozen=True, slots=True)
class ModelMeter:
    """Port `agents.models.model.Meter`; `tokens_max` is the model's own bound for one question."""

    store: GraphStore
    clock: Clock
    tokens_max: int
    department_of: Callable[[str], str]

    def ask(self, agent: str, call: Callable[[], Answer], within: Within = NOWHERE) -> Answer:
        """Ask within the budgets: one that waits or asks holds the agent's work, one that degrades raises ModelBudgetError."""
        id, began = self.clock.id(), self.clock.monotonic()
        wants = {"calls": Decimal(1), "tokens": Decimal(self.tokens_max), "seconds": Decimal(SECONDS_MAX)}
        lying = budgets.scopes(agent, self.department_of(agent), within.run, within.workflow)
        try:
            budgets.reserve(self.store, self.clock, id, lying, wants)
        except BudgetError as error:
            if error.when_out == "degrade":
                raise ModelBudgetError(str(error)) from error
            raise HeldError(str(error)) from error
        try:
            answer = call()
        except BaseException:
            budgets.settle(self.store, id)
            raise
        seconds = min(Decimal(SECONDS_MAX), round(Decimal(self.clock.monotonic() - began), 4))
        tokens = Decimal(answer.tokens_in + answer.tokens_out)
        budgets.settle(self.store, id, {"calls": Decimal(1), "tokens": tokens, "seconds": seconds})
        return answer
