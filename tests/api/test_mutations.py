"""Mutations act as the caller and go through governance; a refusal is part of the payload and on record."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from api.platform import Noesis
from governance.decisions import record
from governance.people import ensure_principal
from governance.principals import load_principal
from governance.rules import add
from governance.verdict import Request, Requirement, Resource, Verdict
from kg.model import Cause, Op, Where
from tests.api import parts
from tests.api.client import Client
from tests.api.parts import SYSTEM, key
from tests.parts import ManualClock

ANSWER = """mutation($id: ID!, $comment: String! = "") { %s(decision: $id, comment: $comment) {
  met repeated missing { requirement role count } approval { id ... on Approval { answer comment principal } }
  errors { code message } } }"""
RECORD = """mutation($class: String!, $p: JSON!) { ingestRecord(class: $class, properties: $p, origin: "crm/7") {
  outcome position entity { id version ... on Customer { number name rating limit { amount currency } } }
  errors { code message } } }"""


def waiting(platform: Noesis, by: str = 'User::"anna"') -> str:
    """A decision that asks an admin for approval of what somebody proposed."""
    request = Request(
        load_principal(platform.store, by), "apply", Resource("Order", "new"), {"operation": "order.create"}
    )
    verdict = Verdict("needs_approval", required=(Requirement("big", {"admin": 1}),), reason="needs approval: big")
    writes = record("decision1", request, verdict)
    platform.store.commit(writes, Cause("decided", "decide", by, "test"))
    return "decision1"


def test_an_approval_is_committed_as_the_caller(client: Client, platform: Noesis) -> None:
    id = waiting(platform)
    found = client.data(ANSWER % "approve", id=id, comment="fine")["approve"]
    assert found["errors"] == []
    assert (found["met"], found["missing"], found["repeated"]) == (True, [], False)
    approval = found["approval"]
    assert (approval["answer"], approval["comment"], approval["principal"]) == ("approve", "fine", 'User::"local"')
    again = client.data(ANSWER % "approve", id=id, comment="fine")["approve"]
    assert (again["repeated"], again["approval"]["id"]) == (True, approval["id"])
    listed = client.data('{ decision(id: "decision1") { outcome approvals { nodes { answer } } } }')["decision"]
    assert listed == {"outcome": "needs_approval", "approvals": {"nodes": [{"answer": "approve"}]}}


def test_global_ids_name_decisions_too(client: Client, platform: Noesis) -> None:
    waiting(platform)
    shown = client.data("{ decisions { nodes { id outcome } } }")["decisions"]["nodes"][0]
    assert client.data(ANSWER % "reject", id=shown["id"])["reject"]["approval"]["answer"] == "reject"
    other = client.data(ANSWER % "approve", id=shown["id"])["approve"]
    assert other["errors"][0]["code"] == "CONFLICT"


def test_nobody_approves_an_own_proposal(client: Client, platform: Noesis) -> None:
    id = waiting(platform, by='User::"local"')
    before = platform.store.head().position
    found = client.data(ANSWER % "approve", id=id)["approve"]
    assert found["approval"] is None
    assert found["errors"][0]["code"] == "FORBIDDEN"
    assert platform.store.head().position > before, "the refusal is on record"


def test_who_may_not_approve_is_told_so_and_it_is_on_record(platform: Noesis) -> None:
    id = waiting(platform, by='User::"local"')
    anna = Client(platform, key(platform, 'User::"anna"'))
    found = anna.data(ANSWER % "approve", id=id)["approve"]
    assert found["errors"][0]["code"] == "FORBIDDEN"
    denied = Client(platform).data('{ decisions(where: { outcome: { eq: "deny" } }) { nodes { action principal } } }')
    assert denied["decisions"]["nodes"] == [{"action": "approve", "principal": 'User::"anna"'}]


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_unknown_decisions_are_not_found(client: Client, answer: str) -> None:
    for id in ("nope", "customer0000"):
        [error] = client.data(ANSWER % answer, id=id)[answer]["errors"]
        assert error["code"] == "NOT_FOUND", id


def test_stop_and_resume_are_acknowledged(client: Client, platform: Noesis) -> None:
    query = """mutation { %s(scope: "agent:replenishment", reason: "drill") {
      scope state position at more inFlight { id } errors { code message } } }"""
    stopped = client.data(query % "stop")["stop"]
    assert (stopped["scope"], stopped["state"], stopped["errors"]) == ("agent:replenishment", "stop", [])
    assert stopped["position"] == platform.store.head().position
    assert client.data("{ controls { nodes { scope state setBy } } }")["controls"]["nodes"] == [
        {"scope": "agent:replenishment", "state": "stop", "setBy": 'User::"local"'}
    ]
    assert client.data(query % "resume")["resume"]["state"] == "run"
    wrong = client.data('mutation { stop(scope: "planet", reason: "x") { errors { code } } }')["stop"]
    assert wrong["errors"] == [{"code": "BAD_INPUT"}]


def test_who_may_not_stop_changes_nothing(platform: Noesis) -> None:
    anna = Client(platform, key(platform, 'User::"anna"'))
    found = anna.data('mutation { stop(reason: "x") { state errors { code } } }')["stop"]
    assert found == {"state": None, "errors": [{"code": "FORBIDDEN"}]}
    assert Client(platform).data("{ controls { nodes { state } } }")["controls"]["nodes"] == []


def test_a_record_is_created_updated_and_left_alone(client: Client, platform: Noesis) -> None:
    given = {"number": "N-1", "name": "New", "limit": {"amount": "12.50", "currency": "EUR"}, "rating": 3}
    made = client.data(RECORD, **{"class": "Customer", "p": given})["ingestRecord"]
    assert made["errors"] == []
    assert made["outcome"] == "created"
    assert made["entity"]["limit"] == {"amount": "12.5", "currency": "EUR"}
    position = platform.store.head().position
    assert client.data(RECORD, **{"class": "Customer", "p": given})["ingestRecord"]["outcome"] == "unchanged"
    assert platform.store.head().position == position, "the same record again changes nothing"
    changed = client.data(RECORD, **{"class": "Customer", "p": {"number": "N-1", "rating": 4, "name": None}})[
        "ingestRecord"
    ]
    assert (changed["outcome"], changed["entity"]["version"]) == ("updated", 2)
    assert (changed["entity"]["rating"], changed["entity"]["name"]) == (4, None)
    assert changed["entity"]["id"] == made["entity"]["id"]
    why = client.data('{ customer(key: { number: "N-1" }) { why(property: "rating") { text } } }')["customer"]["why"][
        "text"
    ]
    assert "crm/7" in why
    assert 'User::"local"' in why


def test_records_are_decided_and_refusals_recorded(platform: Noesis) -> None:
    anna = Client(platform, key(platform, 'User::"anna"'))
    before = platform.store.count("Customer")
    found = anna.data(RECORD, **{"class": "Customer", "p": {"number": "N-2"}})["ingestRecord"]
    assert found["errors"][0]["code"] == "FORBIDDEN"
    assert platform.store.count("Customer") == before
    denied = Client(platform).data(
        '{ decisions(where: { outcome: { eq: "deny" } }) { nodes { operation targetClass } } }'
    )
    assert denied["decisions"]["nodes"] == [{"operation": "ingest_record", "targetClass": "Customer"}]


def test_a_bad_record_is_one_clear_sentence(client: Client, platform: Noesis) -> None:
    position = platform.store.head().position
    for cls, given, said in (
        ("Nope", {}, "no class"),
        ("Rule", {"name": "x", "text": "permit(principal, action, resource);"}, "belongs to the platform"),
        ("Approval", {"answer": "approve"}, "belongs to the platform"),
        ("Line", {"weight": "1"}, "has no key"),
        ("Customer", {"name": "x"}, "number is missing"),
        ("Customer", {"number": " "}, "empty"),
        ("Customer", {"number": "1", "nope": 1}, "has no property"),
        ("Customer", {"number": "1", "rating": 1.5}, "no Long"),
        ("Customer", {"number": "1", "rating": 2**53}, "no Long"),
        ("Customer", {"number": "1", "rating": True}, "no Long"),
        ("Customer", {"number": 7}, "no string"),
        ("Customer", {"number": "1", "limit": "12 EUR"}, "money is written as"),
        ("Customer", {"number": "1", "limit": {"amount": "NaN", "currency": "EUR"}}, "finite"),
        ("Customer", {"number": "1", "limit": {"amount": "1", "currency": "euro"}}, "currency"),
        ("Customer", {"number": "1", "sinceDay": "31.01.2026"}, "no Date"),
        ("Customer", [], "no object"),
    ):
        found = client.data(RECORD, **{"class": cls, "p": given})["ingestRecord"]
        assert found["outcome"] is None, given
        assert found["errors"][0]["code"] in {"BAD_INPUT", "FORBIDDEN"}
        assert said in found["errors"][0]["message"], found
        assert "\n" not in found["errors"][0]["message"]
    assert platform.store.head().position == position


def test_who_may_not_read_a_record_is_not_told_that_it_was_the_same(platform: Noesis) -> None:
    ensure_principal(platform.store, platform.clock, "Service", "feeder", SYSTEM, roles=["feed"])
    rule = '@id("feed") permit(principal in Role::"feed", action == Action::"apply", resource is Customer);'
    add(platform.store, platform.clock, platform.ontology, rule, SYSTEM, "a feed that reads nothing")
    feeder = Client(platform, key(platform, 'Service::"feeder"'))

    def hand_in(rating: int) -> Any:
        return feeder.data(RECORD, **{"class": "Customer", "p": {"number": "F-9", "rating": rating}})["ingestRecord"]

    assert hand_in(2)["outcome"] == "created"
    version = platform.store.find("Customer", [Where("number", Op.EQ, "F-9")], first=1).items[0].version
    decided = platform.store.count("Decision")
    same, other = hand_in(2), hand_in(3)
    assert same == other
    assert (same["outcome"], same["position"], same["entity"], same["errors"]) == ("updated", None, None, [])
    (now,) = platform.store.find("Customer", [Where("number", Op.EQ, "F-9")], first=1).items
    assert (now.version, now["rating"]) == (version + 2, 3)
    assert platform.store.count("Decision") == decided + 2, "each try is on record"


def test_a_masked_value_is_not_guessed_by_versions_changes_or_positions(platform: Noesis) -> None:
    ensure_principal(platform.store, platform.clock, "Service", "feeder", SYSTEM, roles=["feed"])
    for rule in (
        '@id("feed") permit(principal in Role::"feed", action in [Action::"apply", Action::"read"], resource is Customer);',
        '@id("no-pii") forbid(principal in Role::"feed", action == Action::"read", resource == Label::"pii");',
    ):
        add(platform.store, platform.clock, platform.ontology, rule, SYSTEM, "a feed that reads no pii")
    feeder = Client(platform, key(platform, 'Service::"feeder"'))

    def guess(email: str) -> tuple[Any, ...]:
        before = platform.store.head().position
        given = {"class": "Customer", "p": {"number": "F-9", "email": email}}
        told = feeder.data(RECORD, **given)["ingestRecord"]
        asked = '{ customers(where: {number: {eq: "F-9"}}) { nodes { version email changes(first: 50) { kind changed } } } }'
        (row,) = feeder.data(asked)["customers"]["nodes"]
        assert row["email"] is None
        version = row.pop("version")
        return told["outcome"], told["position"], row, version, platform.store.head().position - before

    assert guess("her@example.org")[0] == "created"
    same, other, again = guess("her@example.org"), guess("him@example.org"), guess("him@example.org")
    assert [one[3] for one in (same, other, again)] == [2, 3, 4]
    assert same[:3] + same[4:] == other[:3] + other[4:] == again[:3] + again[4:]


def test_a_key_of_a_hidden_entity_of_another_class_is_told_to_nobody_without_a_right(
    tmp_path: Path, clock: ManualClock
) -> None:
    below = (
        "@prefix e: <urn:example#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . "
        "e:KeyAccount a <http://www.w3.org/2002/07/owl#Class> ; rdfs:subClassOf e:Customer ."
    )
    words = parts.ontology({"below.ttl": below})
    store = parts.sqlite(tmp_path / "below.db", words, clock)
    platform = parts.platform(store, clock, words)
    for name in ("guest", "feeder"):
        ensure_principal(store, clock, "Service", name, SYSTEM, roles=["feed"] if name == "feeder" else [])
    rule = '@id("feed") permit(principal in Role::"feed", action == Action::"apply", resource is Customer);'
    for text in (rule, rule.replace("feed", "feed2", 1).replace("is Customer", "is KeyAccount")):
        add(store, clock, words, text, SYSTEM, "test")
    admin, guest, feeder = (
        Client(platform, key(platform, uid)) for uid in ('User::"local"', 'Service::"guest"', 'Service::"feeder"')
    )

    def hand_in(client: Client, cls: str, number: str) -> Any:
        return client.data(RECORD, **{"class": cls, "p": {"number": number}})["ingestRecord"]

    assert hand_in(admin, "KeyAccount", "K-1")["outcome"] == "created"
    decided = store.count("Decision")
    taken, free = (hand_in(guest, "Customer", number) for number in ("K-1", "K-2"))
    assert taken == free
    assert taken["errors"][0]["code"] == "FORBIDDEN"
    assert store.count("Decision") == decided + 2, "each try is on record"
    said = [hand_in(client, "Customer", "K-1")["errors"][0] for client in (admin, feeder)]
    assert [one["code"] for one in said] == ["BAD_INPUT"] * 2
    assert ["a KeyAccount" in one["message"] for one in said] == [True, False]
    assert store.count("Decision") == decided + 4
    store.close()


def test_a_rule_can_bound_records(platform: Noesis) -> None:
    ensure_principal(platform.store, platform.clock, "Service", "feeder", SYSTEM, roles=["feed"])
    rule = (
        '@id("feed") permit(principal in Role::"feed", action == Action::"apply", resource is Customer)'
        ' when { context.operation == "ingest_record" && resource has rating && resource.rating < 3 };'
    )
    add(platform.store, platform.clock, platform.ontology, rule, SYSTEM, "bounded feed")
    feeder = Client(platform, key(platform, 'Service::"feeder"'))
    low = feeder.data(RECORD, **{"class": "Customer", "p": {"number": "F-1", "rating": 2}})["ingestRecord"]
    high = feeder.data(RECORD, **{"class": "Customer", "p": {"number": "F-2", "rating": 3}})["ingestRecord"]
    assert (low["outcome"], low["entity"]) == ("created", None), "it may write what it may not read"
    assert high["errors"][0]["code"] == "FORBIDDEN"
    raised = feeder.data(RECORD, **{"class": "Customer", "p": {"number": "F-1", "rating": 5}})["ingestRecord"]
    assert raised["errors"][0]["code"] == "FORBIDDEN", "a change is decided on what the entity would become"
    assert Decimal(platform.store.count("Customer")) == 4
