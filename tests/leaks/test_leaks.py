"""No road shows what the detail path denies, and no answer depends on what its reader may not see (I10)."""

from collections.abc import Iterator, Sequence

import pytest

from governance.view import GovernedView
from kg.model import Cursor, Entity, Order, Where
from kg.reader import Reader
from tests.leaks.run import ASKED, run

#: Worlds tried here; `make leaks` tries 100,000 cases.
WORLDS = 25


def test_i10_whatever_is_asked_the_answer_does_not_depend_on_what_is_hidden() -> None:
    found = run(range(WORLDS))
    assert found.leaks == []
    assert found.cases == WORLDS * ASKED
    assert found.values > WORLDS, "the twins hardly differ, so nothing was tried"


def test_the_trial_finds_a_mask_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(self: GovernedView, entities: Sequence[Entity]) -> list[Entity | None]:
        return [entity if self._see(entity) is not None else None for entity in entities]

    monkeypatch.setattr(GovernedView, "see", leaky)
    assert run(range(3)).leaks


def test_the_trial_finds_a_filter_on_what_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(
        self: Reader, cls: str, where: Sequence[Where], order: Order | None, after: Cursor | None, size: int
    ) -> Iterator[Entity]:
        del after, size
        yield from (seen for seen in self._see(self._store.find(cls, where, order).items) if seen is not None)

    monkeypatch.setattr(Reader, "_scan", scan)
    assert run(range(12)).leaks
