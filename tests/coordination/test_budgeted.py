"""Budgets at the gate: an effect reserves before it begins, and what no longer fits waits, is denied or asks."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from coordination.errors import EffectorError, GiveUp
from coordination.proposals import Draft
from coordination.wakes import Wake
from governance import budgets
from governance.budgeting import define
from governance.principals import Principal
from kg.model import Change, Entity, Put, State
from kg.store import GraphStore
from tests.coordination.plant import Plant, Telling, card, low, plant, reorder

ADMIN = Principal("User", "root")


def limit(p: Plant, scope: str, unit: str, amount: int | str, **more: Any) -> None:
    define(p.store, p.clock, ADMIN, scope, unit, Decimal(amount), **more)


def used(p: Plant, scope: str, unit: str) -> Decimal:
    (budget,) = budgets.over(p.store, [scope], [unit])
    return budgets.usage(p.store, p.clock.now(), budget)[0]


def falls(p: Plant, *ids: str, stock: int = 1) -> None:
    for id in ids:
        p.product(id, stock=stock)
        p.run()


def states(p: Plant) -> list[str]:
    return sorted(str(x["state"]) for x in p.proposals())


def test_calls_and_money_are_spent_by_effects() -> None:
    p = plant()
    limit(p, "agent:buyer", "calls", 5)
    limit(p, "global", "money:EUR", 5_000)
    limit(p, "global", "money:USD", 0)
    falls(p, "a", "b")
    assert states(p) == ["applied", "applied"]
    assert (used(p, "agent:buyer", "calls"), used(p, "global", "money:EUR")) == (2, 1_000)


def test_what_is_out_waits_and_goes_on_when_the_budget_is_raised() -> None:
    p = plant()
    limit(p, "agent:buyer", "calls", 1)
    falls(p, "a", "b")
    assert states(p) == ["applied", "proposed"]
    p.later(120)
    assert states(p) == ["applied", "proposed"]
    limit(p, "agent:buyer", "calls", 2)
    p.run()
    assert states(p) == ["applied", "applied"]
    assert used(p, "agent:buyer", "calls") == 2


def test_what_is_out_waits_for_the_next_window() -> None:
    p = plant()
    limit(p, "agent:buyer", "calls", 1, window="hour")
    falls(p, "a", "b")
    p.later(3_601)
    assert states(p) == ["applied", "applied"]


def test_what_is_out_is_denied_and_the_decision_names_the_budget() -> None:
    p = plant()
    limit(p, "agent:buyer", "money:EUR", 400, when_out="degrade")
    falls(p, "a")
    assert states(p) == ["denied"]
    (decision,) = p.decisions(p.one().id)
    assert decision["reason"] == "budget money:EUR of agent:buyer has 400 left, 500 is asked for"
    assert f"{budgets.budget_id('agent:buyer', 'money:EUR')}@1" in decision["used"]  # type: ignore[operator]


def test_what_is_out_asks_and_a_person_grants_just_that() -> None:
    p = plant()
    limit(p, "agent:buyer", "calls", 1, when_out="ask", approvers={"managers": 1})
    falls(p, "a", "b")
    assert states(p) == ["applied", "waiting_approval"]
    (waiting,) = p.proposals("waiting_approval")
    assert p.decisions(waiting.id)[-1]["required"] == ("budget calls of agent:buyer=managers:1",)
    p.answer(waiting.id)
    p.run()
    assert states(p) == ["applied", "applied"]
    (budget,) = budgets.over(p.store, ["agent:buyer"], ["calls"])
    assert budgets.usage(p.store, p.clock.now(), budget) == (2, 1)
    falls(p, "c")
    assert states(p) == ["applied", "applied", "waiting_approval"], "it was granted once"


def test_a_tool_has_a_budget_of_its_own() -> None:
    """So many messages, whoever sends them; what needs no such tool counts for nothing."""
    cards = [card("teller", Wake("Ticket", on=frozenset({"created"}))), card("buyer", Wake("Product", condition=low))]
    p = plant(cards, {"teller": tell, "buyer": reorder}, effectors=[Telling()])
    limit(p, "tool:telling", "calls", 1)
    falls(p, "a", "b")
    for id in ("t1", "t2"):
        p.put(Put(id, "Ticket", {}))
    p.run()
    assert [str(x["operation"]) for x in p.proposals("proposed")] == ["notice.send"]
    assert used(p, "tool:telling", "calls") == 1
    assert len(p.proposals("applied")) == 3


@pytest.mark.parametrize("busy", [1, 3])
def test_what_surely_did_not_happen_fails_though_its_budget_is_used_meanwhile(busy: int) -> None:
    """The refund lost its race: it is made anew, the effect is neither in doubt nor left for the lease to run out."""
    telling = Telling(faults=[GiveUp("no such address")], idempotent=False)
    p = plant([card("teller", Wake("Ticket"))], {"teller": tell}, effectors=[telling])
    limit(p, "global", "calls", 10)
    state, spent = p.store.state, list[str]()

    def meanwhile(kind: str, keys: Sequence[str]) -> dict[str, State]:
        found = state(kind, keys)
        if kind == budgets.USED and len(spent) < busy:
            spent.append(kind)
            p.store.state = state
            budgets.reserve(p.store, p.clock, f"other{len(spent)}", ["global"], {"calls": Decimal(1)})
            p.store.state = meanwhile
        return found

    telling.before = lambda: setattr(p.store, "state", meanwhile)
    p.put(Put("t", "Ticket", {}))
    p.run()
    p.store.state = state
    assert states(p) == ["failed"]
    assert used(p, "global", "calls") == busy


def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("notice.send", entity.id, effector="telling", payload={"to": entity.id})]


@pytest.mark.parametrize(
    ("fault", "status", "left"),
    [(None, "done", 1), (GiveUp("no"), "failed", 0), (EffectorError("no answer"), "in_doubt", 1)],
)
def test_an_outside_effect_settles_what_it_reserved(fault: Exception | None, status: str, left: int) -> None:
    """Refunded where it surely did not happen; in doubt it stays reserved until a person says."""
    telling = Telling(idempotent=False, faults=[fault] if fault else [])
    cards = [card("teller", Wake("Ticket", on=frozenset({"created"})))]
    p = plant(cards, {"teller": tell}, effectors=[telling])
    limit(p, "agent:teller", "calls", 1)
    p.put(Put("t", "Ticket", {}))
    p.run()
    (effect,) = p.store.find("Effect").items
    assert effect["status"] == status
    assert used(p, "agent:teller", "calls") == left
    assert len(p.store.scan(budgets.RESERVED)) == (1 if status == "in_doubt" else 0)
    if status == "in_doubt":
        p.runtime.resolve(effect.id, False, 'User::"anna"', "they have nothing")
        assert used(p, "agent:teller", "calls") == 0


@pytest.mark.usefixtures("on_both")
def test_a_budget_set_between_decision_and_commit_holds() -> None:
    p = plant()
    p.product("p", stock=1)
    p.runtime.pump()
    gate = type(p.runtime.dispatch.tasks["settle"].gate)  # type: ignore[attr-defined]
    judged, lowered = gate.judge, []

    def judge(self: Any, *args: Any) -> Any:
        if not lowered:
            lowered.append(limit(p, "global", "calls", 0))
        return judged(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "judge", judge)
        p.run()
    assert states(p) == ["proposed"]


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("before", [0, 1], ids=["none used yet", "one used before"])
def test_what_another_reserves_between_the_look_and_the_commit_is_counted(
    monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """I12: an effect reserves at the revision that was read, so what is left goes to one of two."""
    p = plant()
    limit(p, "agent:buyer", "calls", 1 + before)
    commit, others = p.store.commit, []

    def elsewhere(n: int) -> None:
        budgets.reserve(p.store, p.clock, f"other-{n}", ["agent:buyer"], {"calls": Decimal(1)})

    def late(writes: Sequence[object], *more: object, **named: object) -> object:
        if not others and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            others.append(True)
            elsewhere(before)
        return commit(writes, *more, **named)

    for n in range(before):
        elsewhere(n)
    monkeypatch.setattr(p.store, "commit", late)
    falls(p, "a")
    assert others
    assert states(p) == ["proposed"]
    assert used(p, "agent:buyer", "calls") == 1 + before


def test_a_sandbox_spends_nothing() -> None:
    draft = Draft("notice.send", "t", effector="telling", payload={"to": "t"}, sandbox=True)
    p = plant([card("teller", Wake("Ticket"))], {"teller": lambda *_: [draft]}, effectors=[Telling()])
    limit(p, "global", "calls", 0)
    p.put(Put("t", "Ticket", {}))
    p.run()
    assert states(p) == ["simulated"]
