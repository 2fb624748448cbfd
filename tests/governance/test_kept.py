"""What is kept of who asks: it serves as long as nothing of it changed, and never a moment longer."""

import random
from typing import Any

import pytest

from governance import kept as module
from governance.breakglass import carried, open_glass
from governance.errors import PrincipalError
from governance.kept import kept
from governance.principals import Principal, load_principal
from kg.model import Cause, Close, Entity, Link, Put, Unlink, Write
from kg.store import GraphStore
from tests.governance.test_breakglass import RULES
from tests.governance.world import book
from tests.parts import ManualClock


class Counting:
    """A store that counts what is asked of it, and before whose `find` something may happen once."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self.asked: list[str] = []
        self.happens: Any = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.asked.append(name)
            answer = found(*args, **kwargs)
            happens, self.happens = (None, self.happens) if name != "find" else (self.happens, None)
            if happens is not None:
                happens()
            return answer

        return counted


def commit(store: GraphStore, clock: ManualClock, *writes: Write) -> None:
    store.commit(writes, Cause(clock.id(), "test", "Service"))


def asked(store: GraphStore, uid: str) -> Principal | str:
    try:
        return load_principal(store, uid)
    except PrincipalError as error:
        return str(error)


def asked_with_what_is_kept(store: GraphStore, uid: str) -> Principal | str:
    try:
        return load_principal(store, uid, end=store.head())
    except PrincipalError as error:
        return str(error)


def entities(store: GraphStore, cls: str) -> list[Entity]:
    return list(store.find(cls).items)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_what_is_kept_is_what_a_fresh_read_gives(
    people: GraphStore, clock: ManualClock, seed: int
) -> None:
    r = random.Random(seed)
    names = ["anna", "ben", "carl", "nobody", "later"]
    uids = [f'User::"{name}"' for name in names] + ['Agent::"replenishment"']
    for step in range(60):
        users, roles = entities(people, "User"), entities(people, "Role")
        user, role = r.choice(users), r.choice(roles)
        commit(
            people,
            clock,
            r.choice(
                (
                    Link(user.id, "hasRole", role.id),
                    Unlink(user.id, "hasRole", role.id),
                    Put(user.id, "User", {"disabled": r.random() < 0.3}),
                    Put(user.id, "User", {"name": r.choice(names)}),
                    Put(role.id, "Role", {"name": f"role-{step}"}),
                    Put(f"user-{step}", "User", {"name": r.choice(names), "label": "x"}),
                    Close(user.id) if len(users) > 3 else Put(f"p{step}", "Product", {}),
                    Put(f"p{step}", "Product", {}),
                )
            ),
        )
        for uid in uids:
            fresh, held = asked(people, uid), asked_with_what_is_kept(people, uid)
            assert held == fresh
            if isinstance(fresh, Principal) and isinstance(held, Principal):
                assert held.version == fresh.version


def test_what_has_nothing_to_do_with_it_costs_a_look_at_the_log_only(people: GraphStore, clock: ManualClock) -> None:
    store: Any = Counting(people)
    first = load_principal(store, 'User::"anna"', end=store.head())
    commit(people, clock, Put("p1", "Product", {}))
    store.asked.clear()
    assert load_principal(store, 'User::"anna"', end=store.head()) == first
    assert store.asked == ["head", "changes"]
    store.asked.clear()
    assert load_principal(store, 'User::"anna"', end=store.head()) == first
    assert store.asked == ["head"]


def test_an_answer_that_others_passed_meanwhile_is_not_kept(people: GraphStore, clock: ManualClock) -> None:
    store: Any = Counting(people)
    anna = load_principal(people, 'User::"anna"')

    def passed() -> None:
        commit(people, clock, Put(str(anna.entity), "User", {"disabled": True}))
        # Somebody else looks through the log up to that change, and holds something of their own.
        load_principal(store, 'User::"ben"', end=store.head())

    load_principal(store, 'User::"carl"', end=store.head())
    store.happens = passed
    assert load_principal(store, 'User::"anna"', end=store.head()).entity == anna.entity
    with pytest.raises(PrincipalError, match="disabled"):
        load_principal(store, 'User::"anna"', end=store.head())


def test_too_much_to_look_through_forgets_all(
    people: GraphStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCAN_MAX", 3)
    store: Any = Counting(people)
    before = load_principal(store, 'User::"anna"', end=store.head())
    commit(people, clock, *(Put(f"p{n}", "Product", {}) for n in range(4)))
    store.asked.clear()
    assert load_principal(store, 'User::"anna"', end=store.head()) == before
    assert "find" in store.asked
    assert "changes" not in store.asked


def test_what_is_kept_is_bounded(people: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MAX", 5)
    end = people.head()
    for n in range(12):
        assert kept(people, end, ("k", n), (), lambda n=n: (n, ())) == n  # type: ignore[misc]
    assert len(module._STORES[people].answers) <= 5


def test_an_opening_is_found_however_long_there_was_none(people: GraphStore, clock: ManualClock) -> None:
    dora = load_principal(people, 'User::"dora"')
    for _ in range(2):
        assert carried(people, clock, dora).break_glass == ""
    opening = open_glass(people, clock, book(*RULES), dora, "the warehouse is on fire", 10)
    assert carried(people, clock, dora).break_glass == opening.id
    clock.advance(11 * 60)
    assert carried(people, clock, dora).break_glass == ""
