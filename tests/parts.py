"""Parts that many tests share: a clock one can set, a schema that allows everything, and a view that sees everything."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from kg.clock import opaque
from kg.model import Entity
from kg.values import Value


class ManualClock:
    """A Clock that stands still until told otherwise; ids and entropy come from a seed."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC), seed: int = 7) -> None:
        self._now = start
        self._monotonic = 0.0
        self._random = random.Random(seed)
        self._ids = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def id(self) -> str:
        self._ids += 1
        return opaque(self._ids, self._random.randbytes(10))

    def entropy(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock only, back or forth."""
        self._now += timedelta(seconds=seconds)


class FreeSchema:
    """A Schema that allows every class and relation; `personal`, `text` and `parents` can be set a class."""

    def __init__(
        self,
        personal: Mapping[str, frozenset[str]] | None = None,
        text: Mapping[str, tuple[str, ...]] | None = None,
        parents: Mapping[str, str] | None = None,
        check: Callable[[str, Mapping[str, Value]], None] | None = None,
        indexed: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._personal = dict(personal or {})
        self._text = dict(text or {})
        self._parents = dict(parents or {})
        self._check = check
        self._indexed = dict(indexed or {})

    def check(self, cls: str, properties: Mapping[str, Value]) -> None:
        if self._check is not None:
            self._check(cls, properties)

    def check_relation(self, source_cls: str, relation: str, target_cls: str | None) -> None:
        return None

    def personal(self, cls: str) -> frozenset[str]:
        return self._personal.get(cls, frozenset())

    def text(self, cls: str) -> tuple[str, ...]:
        return self._text.get(cls, ())

    def indexed(self, cls: str) -> tuple[str, ...]:
        return self._indexed.get(cls, ())

    def subclasses(self, cls: str) -> tuple[str, ...]:
        below = [cls]
        for name in below:
            below.extend(child for child, parent in self._parents.items() if parent == name and child not in below)
        return tuple(below)

    def superclasses(self, cls: str) -> tuple[str, ...]:
        above = [cls]
        for name in above:
            above.extend(parent for child, parent in self._parents.items() if child == name and parent not in above)
        return tuple(above)


class OpenView:
    """A View that hides nothing: for tests of parts that are not about seeing."""

    principal = 'User::"test"'

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        return list(entities)

    def classes(self, names: Sequence[str]) -> list[str]:
        return list(names)
