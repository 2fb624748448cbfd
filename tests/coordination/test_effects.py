"""Outside effects: intent, act, receipt; repeated with the key, looked up, or in doubt."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from coordination.bounds import Bounds
from coordination.dispatch import Dispatch
from coordination.effectors.effector import Effect, Receipt
from coordination.errors import EffectorError, GiveUp, RetryLater, StateError
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Put
from kg.store import GraphStore
from tests.coordination.plant import Plant, Telling, card, plant


def notify(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("notice.send", entity.id, effector="telling", payload={"to": entity.id})]


def noticing(telling: Telling, **bounds: int) -> Plant:
    cards = [card("teller", Wake("Ticket", on=frozenset({"created"})))]
    return plant(cards, {"teller": notify}, effectors=[telling], bounds=Bounds(**bounds))


def ticket(p: Plant) -> None:
    p.put(Put("t", "Ticket", {}))


def effect(p: Plant) -> Entity:
    (found,) = p.store.find("Effect").items
    return found  # type: ignore[no-any-return]


def test_intent_before_act_and_receipt_after() -> None:
    states: list[str] = []
    telling = Telling(before=lambda: states.append(str(effect(p)["status"])))
    p = noticing(telling)
    ticket(p)
    p.run()
    assert states == ["intent"]
    assert effect(p)["status"] == "done"
    assert effect(p)["reference"] == f"ref-{telling.told[0]}"
    assert telling.told == [effect(p)["idempotencyKey"]]
    assert p.one()["state"] == "applied"


def test_not_now_is_tried_again_with_the_same_key() -> None:
    telling = Telling(faults=[RetryLater("busy"), RetryLater("busy", 60)])
    p = noticing(telling)
    ticket(p)
    p.run()
    p.later(1)
    p.later(1)
    assert telling.told == [], "the target asked for a minute"
    p.later(60)
    assert len(telling.told) == 1
    assert effect(p)["status"] == "done"


def test_never_fails_at_once() -> None:
    p = noticing(Telling(faults=[GiveUp("no such address")]))
    ticket(p)
    p.run()
    assert effect(p)["status"] == "failed"
    assert p.one()["state"] == "failed"
    assert p.one()["reason"] == "no such address"


def test_tries_are_bounded() -> None:
    telling = Telling(faults=[RetryLater("busy")] * 50)
    p = noticing(telling, attempts_max=3)
    ticket(p)
    p.run()
    for _ in range(10):
        p.later()
    assert len(telling.faults) == 47
    assert effect(p)["status"] == "failed", "it surely did not happen"
    assert "given up after 3 tries: busy" in str(p.one()["reason"])
    assert [work.task for work in p.runtime.failures()] == ["effect"]


def test_unclear_answers_to_the_end_leave_it_in_doubt() -> None:
    p = noticing(Telling(faults=[EffectorError("no answer")] * 50), attempts_max=3)
    ticket(p)
    p.run()
    for _ in range(10):
        p.later()
    assert effect(p)["status"] == "in_doubt"
    assert p.one()["state"] == "in_doubt"


def test_without_a_key_an_unclear_answer_is_in_doubt_at_once_and_a_person_says() -> None:
    telling = Telling(idempotent=False, faults=[EffectorError("no answer")])
    p = noticing(telling)
    ticket(p)
    p.run()
    assert p.one()["state"] == "in_doubt"
    p.later()
    assert telling.told == []
    p.runtime.resolve(effect(p).id, True, 'User::"anna"', "they have it")
    assert (effect(p)["status"], p.one()["state"]) == ("done", "applied")
    with pytest.raises(StateError, match="not in doubt"):
        p.runtime.resolve(effect(p).id, False, 'User::"anna"', "or not")


class Gone(BaseException):
    """The process ends here."""


def dying(telling: Telling, when: str) -> Plant:
    """A plant whose first act ends the process, before or after it took effect."""
    moments = iter([True])

    def die() -> None:
        if next(moments, False):
            raise Gone

    setattr(telling, when, die)
    p = noticing(telling)
    ticket(p)
    with pytest.raises(Gone):
        p.run()
    p.queue.clear()
    return p


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_it_is_repeated_with_the_same_key(when: str) -> None:
    """I3: the target that honours keys acts once."""
    telling = Telling()
    p = dying(telling, when)
    p.later(1)
    assert effect(p)["status"] == "intent", "somebody may still be at it"
    p.later(Bounds().work_lease_seconds)
    assert len(telling.told) == 1
    assert effect(p)["status"] == "done"


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_a_target_that_can_be_asked_is_asked(when: str) -> None:
    telling = Telling(idempotent=False, can_look_up=True)
    p = dying(telling, when)
    p.later()
    assert len(telling.told) == 1
    assert effect(p)["status"] == "done"


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_without_key_nobody_repeats(when: str) -> None:
    telling = Telling(idempotent=False)
    p = dying(telling, when)
    told = len(telling.told)
    p.later()
    p.later()
    assert len(telling.told) == told
    assert p.one()["state"] == "in_doubt"
    assert "nobody knows" in str(p.one()["reason"])


@pytest.mark.usefixtures("on_both")
def test_two_workers_at_one_effect_write_one_receipt() -> None:
    """I7: the worker whose claim was taken over while it acted writes nothing."""
    telling = Telling()
    p = noticing(telling)
    inner: list[int] = []

    def overtaken() -> None:
        if not inner:
            inner.append(1)
            p.clock.advance(Bounds().work_lease_seconds + 1)
            p.runtime.handle(f"effect:{effect(p).id}")

    telling.after = overtaken
    ticket(p)
    p.run()
    assert len(telling.told) == 1
    versions = p.store.history(effect(p).id)
    assert [v["status"] for v in versions] == ["intent", "done"]


@pytest.mark.parametrize("keyed", [True, False])
def test_who_changes_the_proposal_meanwhile_has_nobody_act_again(keyed: bool) -> None:
    """I3: that something else was written does not mean that nothing happened."""
    telling = Telling(idempotent=keyed)
    p = noticing(telling)
    telling.after = lambda: p.put(Put(p.one().id, "Proposal", {"reason": f"seen {len(telling.told)} times"}))
    ticket(p)
    p.run()
    for _ in range(3):
        p.later(60)
    assert len(telling.told) == 1
    assert (effect(p)["status"], p.one()["state"]) == ("done", "applied")


def test_an_unknown_effector_fails_with_the_remedy() -> None:
    p = noticing(Telling(kind="other"))
    ticket(p)
    p.run()
    assert p.one()["state"] == "failed"
    assert "no effector is called 'telling'" in str(p.one()["reason"])


def test_failed_work_can_be_taken_up_again() -> None:
    p = plant(acts={"buyer": lambda *_: 1 / 0}, bounds=Bounds(attempts_max=2))  # type: ignore[dict-item]
    p.product("p", stock=1)
    p.run()
    for _ in range(4):
        p.later()
    (failure,) = p.runtime.failures()
    assert "ZeroDivisionError" in failure.reason
    p.runtime.retry(failure.id)
    p.run()
    assert not p.runtime.failures()
    with pytest.raises(StateError, match="no failed work"):
        p.runtime.retry("act:nobody:p:1")


def test_waits_grow_and_differ() -> None:
    dispatch = plant().runtime.dispatch
    waits = [[Dispatch._backoff(dispatch, attempts) for _ in range(20)] for attempts in (1, 2, 5, 50)]
    for lower, higher, longest in zip(waits, waits[1:], (0.5, 1.0, 8.0), strict=False):
        assert len(set(lower)) > 10
        assert max(lower) <= longest
        assert sum(lower) < sum(higher)
    assert max(waits[-1]) <= Bounds().backoff_max_seconds


def test_an_undeclared_operation_and_a_boundless_draft_are_refused() -> None:
    p = plant([card("buyer", Wake("Product"), operations=("order.create",))], {"buyer": notify})
    p.product("p", stock=1)
    p.run()
    (failure,) = p.runtime.failures()
    assert "does not declare" in failure.reason
    assert not p.proposals()


def test_no_proposal_copies_personal_data() -> None:
    """I14: what is erased from the entity must not live on in a proposal about it."""
    draft = Draft("mail.set", "c", (Put("c", "Customer", {"email": "anna@example.com"}),))
    p = plant([card("clerk", Wake("Customer"))], {"clerk": lambda *_: [draft]})
    p.put(Put("c", "Customer", {}))
    p.run()
    (failure,) = p.runtime.failures()
    assert "would write the personal email" in failure.reason
    assert "anna" not in failure.reason
    assert not p.proposals()


def test_work_of_an_agent_that_is_gone_waits_for_a_person() -> None:
    p = plant()
    p.product("p", stock=1)
    p.runtime.pump()
    acts = p.runtime.dispatch.tasks["act"]
    tasks = {"act": replace(acts, acting=replace(p.runtime.acting, cards={}))}  # type: ignore[type-var]
    for id in p.queue:
        replace(p.runtime.dispatch, tasks=tasks).handle(id)
    (failure,) = p.runtime.failures()
    assert "no agent is called buyer" in failure.reason


def test_the_double_is_an_effector() -> None:
    given: Effect = Effect("e", "k", "o", "t", "p", {}, plant().clock.now())
    assert Telling().act(given) == Receipt("ref-k", {"status": 200})
