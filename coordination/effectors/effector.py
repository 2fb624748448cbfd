"""Port Effector: what carries an approved proposal out into the world. One adapter a kind of target.

Invariant: `act` is called only after the intent was committed, and says truthfully what it knows: a Receipt (it happened),
RetryLater (it surely did not, try again), GiveUp (it surely did not and never will), any other exception (nobody knows).
Each kind declares whether it honours the key, can be asked by key, knows how an effect is undone, and what its sandbox twin says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

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


@dataclass(frozen=True, slots=True)
class Undo:
    """How an effect that happened is undone: another effect, proposed like any other."""

    operation: str
    effector: str
    payload: Mapping[str, Json]


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

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """The effect that undoes one that happened, None where nothing does."""

    def simulate(self, effect: Effect) -> Receipt:
        """The sandbox twin: what `act` would do, in the receipt's detail. Nothing leaves; GiveUp where `act` would refuse."""


@runtime_checkable
class Particular(Protocol):
    """An effector of which some effects may be repeated with their key and some may not."""

    def repeatable(self, effect: Effect) -> bool:
        """Whether the target honours the key of this very effect."""


def repeatable(effector: Effector, effect: Effect) -> bool:
    """Whether acting again with the key does nothing twice."""
    return effector.repeatable(effect) if isinstance(effector, Particular) else effector.idempotent
