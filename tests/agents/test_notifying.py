"""The notifier proposes a notice to each person who is asked, to nobody who proposed, and none about its own notices."""

from collections.abc import Sequence
from typing import Any

from agents.context import Context
from agents.notifying import Notifier
from coordination.proposals import Draft, Proposal
from coordination.wakes import Wake
from governance.breakglass import open_glass
from governance.people import ensure_principal
from governance.principals import load_principal
from governance.rules import load_rules
from kg.reader import Reader
from tests.coordination.plant import AUTHOR, RULES, Plant, Telling, card, low, ontology, plant, reorder
from tests.kg.views import RuleView

OPEN = '@id("open") permit(principal, action == Action::"configure", resource is BreakGlass);'


def noticing(*rules: str, **people: str) -> tuple[Plant, Telling]:
    """A plant in which the notifier works, its notices kept by what stands for the effector."""
    telling = Telling(kind="notice")

    def notify(change: Any, entity: Any, store: Any, at: int) -> Sequence[Draft]:
        now = store.head().at
        return Notifier(("managers",)).act(change, entity, Context("w", "notices", at, now, Reader(store, RuleView())))

    cards = (card("buyer", Wake("Product", properties=("stock",), condition=low)), card("notices", *Notifier().wakes))
    acts = {"buyer": reorder, "notices": notify}
    p = plant(cards=cards, acts=acts, effectors=[telling], rules=(*RULES, OPEN, *rules))
    for name, role in people.items():
        ensure_principal(p.store, p.clock, "User", name, AUTHOR, roles=[role])
    return p, telling


def notices(p: Plant) -> list[Proposal]:
    return [Proposal(x) for x in p.proposals() if x["agent"] == "notices"]


def test_everybody_who_may_answer_is_told_once() -> None:
    p, telling = noticing(cara="managers", dan="clerks")
    p.product("p", stock=9)
    p.run()
    made = notices(p)
    assert sorted(str(x.payload["person"]) for x in made) == ['User::"anna"', 'User::"cara"']
    assert {x.state for x in made} == {"applied"}
    assert len(telling.told) == 2
    (asked,) = [d for d in p.store.find("Decision", first=100).items if d["outcome"] == "needs_approval"]
    assert {x.payload["decision"] for x in made} == {asked.id}


def test_no_notice_makes_another_even_where_notices_need_approval() -> None:
    ask = '@id("ask") @requires("n") @approvers("managers:1") '
    ask += 'forbid(principal == Agent::"notices", action == Action::"apply", resource);'
    p, telling = noticing(ask)
    p.product("p", stock=9)
    p.run()
    assert [x.state for x in notices(p)] == ["waiting_approval"]
    assert telling.told == []


def test_a_name_with_quotes_stays_one_name() -> None:
    p, _ = noticing()
    ensure_principal(p.store, p.clock, "User", 'o"hara', AUTHOR, roles=["managers"])
    p.product("p", stock=9)
    p.run()
    named = sorted(str(x.payload["person"]) for x in notices(p))
    assert named == ['User::"anna"', 'User::"o\\"hara"']
    assert load_principal(p.store, named[1]).id == 'o"hara'


def test_broken_glass_is_told_to_others_than_its_holder() -> None:
    p, telling = noticing(cara="managers")
    anna = load_principal(p.store, 'User::"anna"')
    glass = open_glass(p.store, p.clock, load_rules(p.store, ontology()), anna, "fire")
    p.run()
    (made,) = notices(p)
    assert dict(made.payload) == {"person": 'User::"cara"', "breakGlass": glass.id}
    assert len(telling.told) == 1
