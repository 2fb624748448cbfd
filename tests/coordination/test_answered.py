"""What people answered holds up to the very commit that begins: a no that comes in between, a voice that counts no more."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from governance import approvals
from governance.approvals import HEARD, sweep
from governance.delegations import delegate, end
from governance.people import ensure_principal, import_people
from governance.peoplefile import read_people
from governance.principals import Principal, load_principal
from governance.rules import load_rules
from kg.model import Put
from tests.coordination.plant import AUTHOR, RULES, Plant, ontology, plant

CONFIGURE = '@id("conf") permit(principal in Role::"managers", action == Action::"configure", resource);'
ANSWER = '@id("anyone") permit(principal, action == Action::"approve", resource);'


@pytest.fixture
def asked(on_both: None) -> Plant:
    """An order of 4,500 that waits for one manager; anna and carla are managers, ben is none."""
    del on_both
    p = plant(rules=(*RULES, CONFIGURE, ANSWER))
    ensure_principal(p.store, p.clock, "User", "carla", AUTHOR, roles=["managers"])
    p.product("p", stock=9)
    p.run()
    assert p.one()["state"] == "waiting_approval"
    return p


def just_before_it_begins(p: Plant, monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> list[object]:
    commit, done = p.store.commit, list[object]()

    def late(writes: Sequence[object], *more: object, **named: object) -> object:
        if not done and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            done.append(True)
            deed()
        return commit(writes, *more, **named)

    monkeypatch.setattr(p.store, "commit", late)
    return done


def lend(p: Plant, giver: str, to: str) -> Any:
    rules, now = load_rules(p.store, ontology()), p.clock.now()
    anna = load_principal(p.store, 'User::"anna"')
    uids = (f'User::"{name}"' for name in (giver, to))
    return delegate(p.store, p.clock, rules, anna, *uids, ("managers",), now, now + timedelta(days=1), "vacation")


def bare(p: Plant, name: str) -> None:
    import_people(p.store, p.clock, read_people(f"users:\n  - {{name: {name}}}\n", "people.yaml"), AUTHOR)


def test_a_no_that_was_taken_before_it_begins_ends_it(asked: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """I4: whoever was told that their no is on record does not see it happen all the same."""
    id = asked.one().id
    asked.answer(id, "anna")
    done = just_before_it_begins(asked, monkeypatch, lambda: asked.answer(id, "carla", "reject"))
    asked.run()
    assert done
    assert asked.one()["state"] == "rejected"
    assert not asked.store.find("PurchaseOrder").items


def test_a_voice_that_counts_no_more_when_it_begins_is_not_counted(
    asked: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = asked.one().id
    asked.answer(id, "anna")
    done = just_before_it_begins(asked, monkeypatch, lambda: bare(asked, "anna"))
    asked.run()
    assert done
    assert asked.one()["state"] == "waiting_approval"
    asked.answer(id, "carla")
    asked.run()
    assert asked.one()["state"] == "applied"


@pytest.mark.parametrize("what", ["the delegation ends", "the giver loses the role"])
def test_a_lent_role_that_is_gone_when_it_begins_is_not_counted(
    asked: Plant, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    id = asked.one().id
    lent = lend(asked, "carla", "ben")
    asked.answer(id, "ben")
    rules, carla = load_rules(asked.store, ontology()), load_principal(asked.store, 'User::"carla"')

    def deed() -> None:
        if what == "the delegation ends":
            end(asked.store, asked.clock, rules, carla, lent.id, "back early")
        else:
            bare(asked, "carla")

    done = just_before_it_begins(asked, monkeypatch, deed)
    asked.clock.advance(1)
    asked.run()
    assert done
    assert asked.one()["state"] == "waiting_approval"
    assert not asked.store.find("PurchaseOrder").items


def test_nothing_is_kept_of_the_hearing_when_it_is_over(asked: Plant) -> None:
    asked.answer(asked.one().id, "anna")
    assert len(asked.store.scan(HEARD)) == 1
    asked.run()
    assert asked.one()["state"] == "applied"
    assert asked.store.scan(HEARD) == []
    p = asked
    p.product("q", stock=9)
    p.run()
    (other,) = p.proposals("waiting_approval")
    p.answer(other.id, "anna", "reject")
    p.run()
    assert (sweep(p.store, p.clock), len(p.store.scan(HEARD))) == (0, 1)
    p.clock.advance(400 * 86_400)
    assert (sweep(p.store, p.clock), p.store.scan(HEARD)) == (1, [])


def test_what_an_approval_rests_on_is_named(asked: Plant) -> None:
    lent = lend(asked, "carla", "ben")
    asked.answer(asked.one().id, "ben")
    (decision,) = asked.decisions(asked.one().id)
    (given,) = approvals.given(asked.store, asked.clock, decision.id)
    people: list[Principal] = [load_principal(asked.store, f'User::"{name}"') for name in ("ben", "carla")]
    assert set(given.held) == {*((str(one.entity), one.version) for one in people), (lent.id, lent.version)}
