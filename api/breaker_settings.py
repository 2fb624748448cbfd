"""Settings of circuit breakers: the tables ``[[breakers]]`` of noesis.toml, and what they declare.

Invariant: an unknown key is refused, and so is a rate beyond 1. Trips nothing.
"""

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coordination.breakers import Breaker


class BreakerTable(BaseModel):
    """What pauses an agent: more than `limit` of its ended proposals within `seconds`, or for cost more than that amount."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    measure: Literal["errors", "denials", "cost"]
    """errors: failed or in doubt; denials: denied or rejected; cost: the amounts of what was applied."""
    limit: Decimal = Field(ge=0)
    """A rate from 0 to 1; for cost an amount."""
    seconds: int = Field(3_600, ge=1, le=86_400)
    """The span of time that counts."""
    agent: str = "*"
    """An agent's name; *: each."""
    at_least: int = Field(5, ge=1, le=500)
    """Proposals that must have ended before a rate counts."""
    tells: str = "admin"
    """The role that is told."""

    @model_validator(mode="after")
    def _rate(self) -> "BreakerTable":
        if self.measure != "cost" and self.limit > 1:
            raise ValueError("the limit of a rate is 0 to 1, e.g. 0.5")
        return self

    def declared(self) -> Breaker:
        """The breaker that this table declares."""
        return Breaker(self.measure, self.limit, self.seconds, self.agent, self.at_least, self.tells)
