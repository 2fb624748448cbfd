"""Port Effector: what carries an approved proposal out into the world. One adapter a kind of target.

Invariant: `act` is called only after the intent was committed, and says truthfully what it knows: a Receipt (it happened),
RetryLater (it surely did not, try again), GiveUp (it surely did not and never will), any other exception (nobody knows).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from kg.values import Json


@dataclass(frozen=True, slots=True)
class Effect:
    """What is to be done. `key` is the idempotency key: the same effect always has the same; `payload` is JSON."""

    id: str
    key: str
    operation: str
    target: str
    proposal: str
    payload: Mapping[str, Json]
    intended: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """That it happened: the target's own reference where it gave one, and what it answered, as bounded JSON."""

    reference: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)


class Effector(Protocol):
    """Performs effects of one kind."""

    @property
    def kind(self) -> str:
        """The name that drafts give as `effector`."""

    @property
    def idempotent(self) -> bool:
        """Whether the target honours the key, so that acting again with it does nothing twice."""

    @property
    def can_look_up(self) -> bool:
        """Whether the target can be asked by key if an effect happened."""

    def act(self, effect: Effect) -> Receipt:
        """Perform the effect within the effector's own deadline."""

    def look_up(self, effect: Effect) -> Receipt | None:
        """The receipt of an effect that happened, None where it surely did not; asked only where `can_look_up`."""
