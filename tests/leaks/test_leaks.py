"""No road shows what the detail path denies, and no answer depends on what its reader may not see (I10)."""

from collections.abc import Iterator, Sequence

import pytest

from governance.view import GovernedView
from kg.model import Cursor, Entity, Order, Where
from kg.reader import Reader
from tests.leaks.run import ASKED, FRONT, run

#: Worlds tried here; `make leaks` tries 100,000 cases.
WORLDS = 15


def test_i10_whatever_is_asked_the_answer_does_not_depend_on_what_is_hidden() -> None:
    found = run(range(WORLDS))
    assert found.leaks == []
    assert found.cases == WORLDS * (ASKED + FRONT)
    assert found.told > WORLDS * FRONT / 2, "the front told next to nothing, so nothing was tried"
    assert found.values > WORLDS, "the twins hardly differ, so nothing was tried"


def test_the_trial_finds_a_mask_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(self: GovernedView, entities: Sequence[Entity]) -> list[Entity | None]:
        return [entity if self._see(entity) is not None else None for entity in entities]

    monkeypatch.setattr(GovernedView, "see", leaky)
    leaks = run(range(3)).leaks
    for road in ("_find", "_graphql_list", "_graphql_detail", "_graphql_index"):
        assert any(f" {road}:" in leak for leak in leaks), road


def test_the_trial_finds_a_filter_on_what_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(
        self: Reader, cls: str, where: Sequence[Where], order: Order | None, after: Cursor | None, size: int
    ) -> Iterator[Entity]:
        del after, size
        yield from (seen for seen in self._see(self._store.find(cls, where, order).items) if seen is not None)

    monkeypatch.setattr(Reader, "_scan", scan)
    leaks = run(range(12)).leaks
    assert any(" _find:" in leak for leak in leaks)
    assert any(" _graphql_list:" in leak for leak in leaks)
