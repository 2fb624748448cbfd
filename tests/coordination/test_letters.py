"""Dead letters: what was put aside is taken up again or given up by a person, with who and why in the graph."""

from collections.abc import Sequence

import pytest

from coordination.bounds import Bounds
from coordination.errors import StateError
from coordination.proposals import Draft
from coordination.wakes import Wake
from tests.coordination.plant import Plant, card, plant


def failed() -> Plant:
    """A plant whose agent never manages."""

    def act(*_: object) -> Sequence[Draft]:
        raise ValueError("it cannot count")

    p = plant([card("counter", Wake("Product"))], {"counter": act}, bounds=Bounds(attempts_max=2))
    p.product("a", stock=1)
    p.run()
    for _ in range(3):
        p.later()
    return p


def test_what_failed_each_time_is_put_aside_with_the_reason() -> None:
    (letter,) = failed().runtime.failures()
    assert (letter.agent, letter.subject) == ("counter", "a")
    assert "it cannot count" in letter.reason


def test_retry_gives_it_all_its_tries_again() -> None:
    p = failed()
    (letter,) = p.runtime.failures()
    p.runtime.retry(letter.id)
    assert p.runtime.failures() == []
    p.run()
    for _ in range(3):
        p.later()
    assert [again.id for again in p.runtime.failures()] == [letter.id]


def test_drop_is_on_record_and_final() -> None:
    p = failed()
    (letter,) = p.runtime.failures()
    before = p.store.head().position
    p.runtime.drop(letter.id, 'User::"anna"', "the product is gone")
    assert p.runtime.failures() == []
    (cause,) = [c for c in p.store.causes(list(p.store._causes)).values() if c.activity == "work.drop"]
    assert (cause.agent, cause.reason) == ('User::"anna"', "the product is gone")
    assert cause.attributes["work"] == letter.id
    assert p.store.head().position == before
    for act in (p.runtime.retry, lambda work: p.runtime.drop(work, 'User::"anna"', "again")):
        with pytest.raises(StateError, match="no failed work"):
            act(letter.id)
    p.later()
    p.runtime.handle(letter.id)
    assert p.runtime.failures() == []
