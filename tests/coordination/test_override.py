"""Overrides: what was applied is reversed by a person with the right, on record, once, and undone by a compensation."""

import pytest

from coordination.errors import StateError
from coordination.override import override
from governance.errors import DeniedError
from governance.principals import load_principal
from governance.rules import load_rules
from kg.model import Direction, Op, Where
from tests.coordination.plant import RULES, Plant, number, ontology, plant

MAY = '@id("may-override") permit(principal in Role::"managers", action == Action::"configure", resource is Decision);'


def applied() -> tuple[Plant, str]:
    p = plant(rules=(*RULES, MAY))
    p.product("p", stock=1)
    p.run()
    assert p.one()["state"] == "applied"
    return p, p.decisions(p.one().id)[-1].id


def test_a_person_with_the_right_reverses_what_was_applied() -> None:
    p, decision = applied()
    anna, rules = load_principal(p.store, 'User::"anna"'), load_rules(p.store, ontology())
    done = override(p.store, p.clock, rules, anna, decision, "the supplier closed")
    p.queue.extend(done.follow)
    p.run()
    made = p.store.get([done.id])[done.id]
    assert (made["kind"], made["ofAgent"], made["ofOperation"]) == ("reverse", "buyer", "order.create")
    assert [e.entity.id for e in p.store.expand([done.id], "overrides")[done.id]] == [decision]
    assert p.store.get([done.compensation])[done.compensation]["state"] == "done"
    assert number(p.store.get(["p"])["p"], "onOrder") == 0
    assert not p.store.find("PurchaseOrder").items
    (mine,) = p.store.find("Decision", [Where("action", Op.EQ, "configure")]).items
    assert (mine["outcome"], mine["operation"], mine["target"]) == ("allow", "override", decision)
    assert p.store.get([decision])[decision].version == 1, "the first decision stays as it was"
    with pytest.raises(StateError, match="overridden before"):
        override(p.store, p.clock, rules, anna, decision, "again")


def test_without_the_right_it_is_refused_and_recorded() -> None:
    p, decision = applied()
    with pytest.raises(DeniedError, match="may not override"):
        override(
            p.store, p.clock, load_rules(p.store, ontology()), load_principal(p.store, 'User::"ben"'), decision, "no"
        )
    assert [d["outcome"] for d in p.store.find("Decision", [Where("operation", Op.EQ, "override")]).items] == ["deny"]
    assert not p.store.find("Override").items


def test_what_was_not_applied_cannot_be_overridden() -> None:
    p = plant(rules=(*RULES, MAY))
    p.product("p", stock=9)
    p.run()
    anna, rules = load_principal(p.store, 'User::"anna"'), load_rules(p.store, ontology())
    asked = p.decisions(p.one().id)[0].id
    for decision, reason, said in (
        (asked, "why", "waiting_approval; only what was applied"),
        ("nothing", "why", "there is no decision"),
        (asked, " ", "needs a reason"),
    ):
        with pytest.raises(StateError, match=said):
            override(p.store, p.clock, rules, anna, decision, reason)


def test_a_correction_is_on_record_and_undoes_nothing() -> None:
    p, decision = applied()
    anna = load_principal(p.store, 'User::"anna"')
    done = override(p.store, p.clock, load_rules(p.store, ontology()), anna, decision, "fewer units", "correct")
    p.run()
    assert (done.compensation, number(p.store.get(["p"])["p"], "onOrder")) == ("", 100)
    assert [e.entity.id for e in p.store.expand([decision], "overrides", Direction.IN)[decision]] == [done.id]
