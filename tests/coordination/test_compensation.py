"""Compensation: in reverse order, each once, decided like any other effect; what cannot be undone waits for a person."""

from collections.abc import Sequence
from typing import Any

import pytest

from coordination.bounds import Bounds
from coordination.compensation import compensate, decide
from coordination.errors import EffectorError, GiveUp, StateError
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Close, Direction, Entity, Put
from kg.store import GraphStore
from tests.coordination.plant import RULES, Plant, Telling, card, plant

ANNA = 'User::"anna"'
UNDO = {"operation": "notice.recall", "payload": {"recall": "{reference}", "of": ["{key}"]}}


def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    payload = {"to": entity.id, **({} if entity.get("note") == "no undo" else {"undo": UNDO})}
    return [Draft("notice.send", entity.id, effector="telling", payload=payload)]


def telling_plant(telling: Telling, rules: Sequence[str] = RULES, **bounds: Any) -> Plant:
    cards = [card("teller", Wake("Ticket", on=frozenset({"created"})))]
    return plant(cards, {"teller": tell}, effectors=[telling], rules=rules, bounds=Bounds(**bounds))


def done(p: Plant, *ids: str, **properties: Any) -> list[str]:
    """Effects of these tickets, in the order in which they happened."""
    for id in ids:
        p.put(Put(id, "Ticket", properties))
        p.run()
    effects = sorted(p.store.find("Effect").items, key=lambda effect: effect.since)
    assert [effect["status"] for effect in effects] == ["done"] * len(effects)
    return [effect.id for effect in effects]


def statuses(p: Plant, ids: Sequence[str]) -> list[Any]:
    there = p.store.get(ids)
    return [there[id]["status"] for id in ids]


def undoing(p: Plant) -> list[Entity]:
    return sorted((x for x in p.store.find("Proposal").items if x.get("undoes")), key=lambda x: x.since)


def start(p: Plant, ids: Sequence[str], **more: Any) -> str:
    id, made = compensate(p.store, p.clock, ids, reason="the order fell through", principal=ANNA, **more)
    p.queue.extend(made)
    p.run()
    return id


def state(p: Plant, id: str) -> tuple[Any, Any]:
    found = p.store.get([id])[id]
    return found["state"], found.get("reason")


def test_effects_are_undone_in_reverse_order_each_once_and_on_record() -> None:
    telling = Telling()
    p = telling_plant(telling)
    ids = done(p, "a", "b", "c")
    id = start(p, ids, key="run-1")
    assert state(p, id)[0] == "done"
    assert statuses(p, ids) == ["compensated"] * 3
    made = undoing(p)
    by_place = [x["undoes"] for x in sorted(made, key=lambda x: p.store.history(x.id)[0].since)]
    assert by_place == list(reversed(ids))
    assert [x["operation"] for x in made] == ["notice.recall"] * 3
    assert all(p.decisions(x.id)[0]["outcome"] == "allow" for x in made), "it passed the gate"
    assert len(telling.told) == 6
    for effect in ids:
        (edge,) = p.store.expand([effect], "compensates", Direction.IN)[effect]
        assert edge.entity["status"] == "done"
    again, work = compensate(p.store, p.clock, ids, reason="again", principal=ANNA, key="run-1")
    assert (again, work) == (id, [])
    start(p, ids)
    assert len(telling.told) == 6, "what is compensated is not undone again"


def test_reference_and_key_of_the_receipt_reach_the_undo() -> None:
    p = telling_plant(Telling())
    (id,) = done(p, "a")
    start(p, [id])
    (made,) = undoing(p)
    key = p.store.get([id])[id]["idempotencyKey"]
    assert str(made["payload"]) == f'{{"of":["{key}"],"recall":"ref-{key}"}}'


def test_a_failed_undo_goes_to_a_person_and_what_is_before_it_waits() -> None:
    telling = Telling()
    p = telling_plant(telling)
    ids = done(p, "a", "b")
    telling.faults = [GiveUp("the window is over")]
    id = start(p, ids)
    assert state(p, id) == ("stuck", "notice.recall was failed: the window is over")
    assert statuses(p, ids) == ["done", "done"], "the effect stands, and the one before it was not touched"
    p.queue.extend(decide(p.store, p.clock, id, "again", ANNA, "they opened it"))
    p.run()
    assert state(p, id)[0] == "done"
    assert statuses(p, ids) == ["compensated", "compensated"]
    with pytest.raises(StateError, match="not stuck"):
        decide(p.store, p.clock, id, "again", ANNA, "once more")


@pytest.mark.parametrize(("then", "status"), [("undone", "compensated"), ("leave", "done")])
def test_what_nothing_undoes_is_for_a_person(then: Any, status: str) -> None:
    p = telling_plant(Telling())
    ids = done(p, "a", note="no undo")
    id = start(p, ids)
    assert state(p, id)[0] == "stuck"
    assert "nothing is declared" in str(state(p, id)[1])
    p.queue.extend(decide(p.store, p.clock, id, then, ANNA, "called them"))
    p.run()
    assert state(p, id)[0] == "done"
    assert statuses(p, ids) == [status]


def test_a_rule_that_forbids_the_undo_holds_it_back() -> None:
    """I4: nothing is undone without a decision that allows it."""
    rules = (
        *RULES,
        '@id("no-recall") forbid(principal, action, resource) '
        'when { context has operation && context.operation == "notice.recall" };',
    )
    telling = Telling()
    p = telling_plant(telling, rules)
    ids = done(p, "a")
    id = start(p, ids)
    assert state(p, id)[0] == "stuck"
    assert "denied" in str(state(p, id)[1])
    assert len(telling.told) == 1
    assert statuses(p, ids) == ["done"]


@pytest.mark.usefixtures("on_both")
def test_two_compensations_of_one_effect_undo_it_once() -> None:
    telling = Telling()
    p = telling_plant(telling)
    ids = done(p, "a")
    for key in ("one", "two"):
        _, made = compensate(p.store, p.clock, ids, reason="twice", principal=ANNA, key=key)
        p.queue.extend(made)
    p.run()
    p.later()
    assert len(telling.told) == 2
    assert statuses(p, ids) == ["compensated"]


@pytest.mark.usefixtures("on_both")
def test_an_effect_that_another_began_to_undo_before_the_commit_is_not_undone_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I3: the commit that begins an undoing expects the effect that it undoes as it was looked at."""
    telling = Telling()
    p = telling_plant(telling)
    (id,) = done(p, "a")
    commit, begun = p.store.commit, []

    def late(writes: Sequence[object], *more: object, **named: object) -> object:
        made = [write for write in writes if isinstance(write, Put) and write.cls == "Effect"]
        if not begun and any(write.id != id for write in made):
            begun.append(p.put(Put(id, "Effect", {"status": "compensating"})))
        return commit(writes, *more, **named)

    monkeypatch.setattr(p.store, "commit", late)
    start(p, [id])
    p.later()
    assert begun
    assert len(telling.told) == 1
    assert [effect.id for effect in p.store.find("Effect").items] == [id]


def test_an_undo_in_doubt_waits_for_a_person_and_then_goes_on() -> None:
    telling = Telling(idempotent=False)
    p = telling_plant(telling)
    ids = done(p, "a", "b")
    telling.faults = [EffectorError("no answer")]
    id = start(p, ids)
    assert state(p, id)[0] == "running"
    assert statuses(p, ids) == ["done", "compensating"]
    (made,) = [x for x in undoing(p) if x["state"] == "in_doubt"]
    (edge,) = p.store.expand([made.id], "performs", Direction.IN)[made.id]
    p.runtime.resolve(edge.entity.id, True, ANNA, "it was recalled")
    p.run()
    assert state(p, id)[0] == "done"
    assert statuses(p, ids) == ["compensated", "compensated"]


def test_what_is_in_doubt_is_undone_once_it_is_known() -> None:
    telling = Telling(idempotent=False, faults=[EffectorError("no answer")])
    p = telling_plant(telling)
    p.put(Put("a", "Ticket", {}))
    p.run()
    (effect,) = p.store.find("Effect").items
    id = start(p, [effect.id])
    assert state(p, id)[0] == "running"
    p.runtime.resolve(effect.id, True, ANNA, "it went out")
    p.later()
    assert statuses(p, [effect.id]) == ["compensated"]


def graph_plant(*drafts: Draft) -> Plant:
    return plant([card("clerk", Wake("Ticket", on=frozenset({"created"})))], {"clerk": lambda *_: drafts})


def changed(p: Plant, *writes: Any) -> str:
    p.put(Put("p", "Product", {"name": "bolt", "stock": 5}), Put("gone", "Product", {"name": "nut"}))
    p.put(Put("t", "Ticket", {}))
    p.run()
    (effect,) = p.store.find("Effect").items
    return effect.id


def test_a_graph_effect_is_taken_back_from_the_log() -> None:
    writes = (Put("p", "Product", {"stock": 9, "note": "new"}), Put("po", "PurchaseOrder", {"units": 1}), Close("gone"))
    p = graph_plant(Draft("stock.set", "p", writes))
    effect = changed(p)
    assert p.store.get(["p"])["p"]["stock"] == 9
    id = start(p, [effect])
    assert state(p, id)[0] == "done", state(p, id)
    assert dict(p.store.get(["p"])["p"].properties) == {"name": "bolt", "stock": 5}
    assert "po" not in p.store.get(["po"])
    assert dict(p.store.get(["gone"])["gone"].properties) == {"name": "nut"}
    assert p.store.get([effect])[effect]["status"] == "compensated"


def test_a_graph_effect_on_what_changed_since_is_for_a_person() -> None:
    p = graph_plant(Draft("stock.set", "p", (Put("p", "Product", {"stock": 9}),)))
    effect = changed(p)
    p.put(Put("p", "Product", {"stock": 3}))
    id = start(p, [effect])
    assert state(p, id)[0] == "stuck"
    assert "stock of p changed since" in str(state(p, id)[1])
    assert p.store.get(["p"])["p"]["stock"] == 3


def test_no_undo_copies_personal_data() -> None:
    p = graph_plant(Draft("customer.close", "c", (Close("c"),)))
    p.put(Put("c", "Customer", {"email": "anna@example.com"}))
    effect = changed(p)
    id = start(p, [effect])
    assert "personal" in str(state(p, id)[1])
    assert not undoing(p)


def test_what_is_no_effect_is_refused() -> None:
    p = telling_plant(Telling())
    with pytest.raises(StateError, match="no effect 'nothing'"):
        compensate(p.store, p.clock, ["nothing"], reason="", principal=ANNA)
    with pytest.raises(StateError, match="1 to 1,000"):
        compensate(p.store, p.clock, [], reason="", principal=ANNA)


def test_the_work_of_an_undoing_goes_after_its_retention() -> None:
    telling = Telling()
    p = telling_plant(telling, retention_seconds=60.0)
    p.runtime.compensate(done(p, "a", "b"), "no more", ANNA)
    p.run()
    assert [item["state"] for item in p.store.find("Compensation").items] == ["done"]
    ids = [row.key for row in p.store.scan("work", first=1_000)]
    assert any(id.startswith("compensate:") for id in ids)
    for _ in range(3):
        p.later(600)
    assert p.store.scan("work", first=1_000) == []
    before = p.store.head().position
    for id in ids:
        p.runtime.handle(id)
    assert p.store.head().position == before
