"""Attacks on what happens: forged and replayed approvals, deputies, rules and agents that would remove their own trace."""

from collections.abc import Sequence
from typing import Any

import pytest

from coordination.outgoing import leaving
from coordination.proposals import Draft, Proposal
from coordination.wakes import Wake
from kg.model import Change, Close, Entity, Put, Write
from kg.store import GraphStore
from kg.values import canonical
from tests.coordination.plant import RULES, Act, Plant, Telling, card, plant


def acting(*drafts: Draft) -> dict[str, Act]:
    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return drafts

    return {"buyer": act}


def many(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def tried(*writes: Write, target: str = "p1") -> Plant:
    made = plant((card("buyer", Wake("Product")),), acting(Draft("tidy.up", target, writes)))
    made.product("p1", stock=3)
    made.run()
    return made


@pytest.mark.parametrize(
    "write",
    [
        Put("forged", "Approval", {"answer": "approve", "principal": 'User::"anna"'}),
        Put("forged", "Decision", {"outcome": "allow", "action": "apply", "principal": 'Agent::"buyer"'}),
        Put("mine", "Rule", {"name": "mine", "text": "permit(principal, action, resource);", "status": "active"}),
        Put("control-global", "Control", {"scope": "global", "state": "run"}),
    ],
    ids=["approval", "decision", "rule", "control"],
)
def test_no_agent_forges_a_record_of_the_platform(write: Put) -> None:
    made = tried(write)
    assert made.store.get([write.id]) == {}
    assert made.one()["state"] in ("denied", "failed")


def test_no_agent_removes_a_rule_or_the_decision_on_itself() -> None:
    made = plant()
    rules = made.store.find("Rule").items
    made.product("p1", stock=20)
    made.product("p1", stock=1)
    made.run()
    (decision, *_) = made.decisions(made.one().id)
    for victim in (rules[0].id, decision.id, "p1"):
        other = tried(Close(rules[0].id), Close(decision.id), target=victim if victim == "p1" else "p1")
        assert len(other.store.find("Rule").items) == len(RULES)
    assert made.store.get([decision.id])


def test_an_answer_to_one_proposal_opens_no_other() -> None:
    made = plant()
    for id in ("p1", "p2"):
        made.product(id, stock=20)
        made.product(id, stock=9)
    made.run()
    waiting = made.proposals("waiting_approval")
    assert len(waiting) == 2
    made.answer(waiting[0].id)
    made.later()
    assert sorted(p["state"] for p in made.proposals()) == ["applied", "waiting_approval"]
    made.later()
    assert len(made.proposals("waiting_approval")) == 1, "the answer is not used twice"


def test_a_rule_cannot_remove_the_trace_of_its_own_decision() -> None:
    made = plant()
    made.product("p1", stock=20)
    made.product("p1", stock=1)
    made.run()
    assert made.one()["state"] == "applied"
    (decision, *_) = made.decisions(made.one().id)
    named = [str(item).rpartition("@") for item in many(decision["rules"])]
    assert named
    for id, _, version in named:
        # The version that decided stays whatever becomes of the rule.
        made.put(Put(id, "Rule", {"text": "gone", "status": "retired"}))
        assert made.store.versions([(id, int(version))])[id, int(version)]["status"] == "active"
        assert made.store.history(id)[0].version == 1


def test_what_leaves_is_decided_on_where_it_goes_and_what_it_holds() -> None:
    dlp = (
        '@id("no-iban-out") forbid(principal, action == Action::"apply", resource) when { context has labels && '
        'context.labels.contains("iban") && context has host && !(context.host like "*.bank.example") };'
    )
    told: dict[str, str] = {}
    for host in ("evil.example", "api.bank.example"):
        payload = {"url": f"https://{host}/x", "body": {"to": "DE89 3704 0044 0532 0130 00"}}
        teller = Telling()
        draft = Draft("bank.tell", "p1", effector="telling", payload=payload)
        made = plant((card("buyer", Wake("Product")),), acting(draft), effectors=[teller], rules=(*RULES, dlp))
        made.product("p1", stock=3)
        made.run()
        told[host] = str(made.one()["state"])
        assert bool(teller.told) == (host == "api.bank.example")
        context = leaving(Proposal(made.one()))
        assert (context["host"], context["labels"]) == (host, ("iban",))
    assert told == {"evil.example": "denied", "api.bank.example": "applied"}


@pytest.mark.parametrize(
    ("effector", "payload", "host"),
    [
        ("smtp", {"to": "x@evil.example", "url": "https://api.bank.example/"}, None),
        ("openapi", {"document": "bank", "operation": "x", "url": "https://api.bank.example/"}, None),
        ("http", {"url": "https://EVIL.example./x"}, "evil.example"),
        ("http", {"url": "https://\uff45vil\u3002example/x"}, "evil.example"),
        ("http", {"url": "https://m\u00fcller.example/x"}, "xn--mller-kva.example"),
        ("http", {"url": "https://api.bank.example@evil.example/x"}, "evil.example"),
        ("webhook", {"server": "https://api.bank.example", "url": "https://evil.example/x"}, "evil.example"),
    ],
)
def test_the_host_is_where_it_goes_and_no_word_of_the_payload(
    effector: str, payload: dict[str, Any], host: str | None
) -> None:
    form = {"effector": effector, "payload": canonical(payload), "state": "proposed"}
    assert leaving(Proposal(Entity("q1", "Proposal", 1, form, 1))).get("host") == host


def test_a_break_in_a_text_hides_nothing_that_leaves() -> None:
    payload = canonical(
        {"url": "https://evil.example", "body": ["to\nDE89370400440532013000", {"call\t030 1234567": 1}]}
    )
    form = {"effector": "http", "payload": payload, "state": "proposed"}
    assert leaving(Proposal(Entity("q1", "Proposal", 1, form, 1)))["labels"] == ("iban", "phone")
