"""What people are told of personal and labelled values is on record: who, what for, of whom, by which rules, never the value."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.platform import Noesis
from governance import tallies
from governance.people import ensure_principal
from governance.principals import Principal
from governance.readings import CLASS, SUBJECTS_MAX, Readings, readings_of, recorded
from governance.rules import add, find_rule
from kg.errors import StoreFullError
from kg.model import Entity
from kg.reader import Reader
from tests.api.client import Client
from tests.api.parts import SYSTEM, customer, key, write
from tests.parts import ManualClock


@pytest.fixture
def anna(platform: Noesis) -> Client:
    """One who may read everything, and says what for."""
    ensure_principal(platform.store, platform.clock, "User", "reader", SYSTEM, roles=["staff"])
    client = Client(platform, key(platform, 'User::"reader"'))
    client.http.headers["Noesis-Purpose"] = "open-ticket"
    return client


def on_record(platform: Noesis) -> list[Entity]:
    return list(platform.store.find(CLASS, first=1_000).items)


def test_a_personal_value_that_is_told_is_on_record_without_the_value(platform: Noesis, anna: Client) -> None:
    anna.data('{ customer(id: "customer0000") { name email } }')
    (reading,) = on_record(platform)
    assert reading["principal"] == 'User::"reader"'
    assert (reading["told"], reading["subjects"]) == (("Customer.email",), ("customer0000@1",))
    assert (reading["purpose"], reading["channel"], reading["subjectCount"]) == ("open-ticket", "graphql", 1)
    [rule] = [str(one).rpartition("@")[0] for one in reading["rules"]]  # type: ignore[union-attr]
    assert platform.store.get([rule])[rule]["name"] == "staff-read"
    [cause] = platform.store.causes([c.cause for c in platform.store.changes_of(reading.id)]).values()
    assert (cause.activity, cause.agent) == ("read", 'User::"reader"')
    assert "c0@example.org" not in json.dumps({k: str(v) for k, v in reading.properties.items()})


def test_what_is_not_asked_for_or_masked_leaves_no_record(platform: Noesis, anna: Client) -> None:
    anna.data("{ customers { nodes { name rating } } }")
    shop = Client(platform, key(platform, 'Service::"shop"'))
    assert shop.data('{ customer(id: "customer0000") { email } }')["customer"]["email"] is None
    assert on_record(platform) == []


@pytest.mark.parametrize(
    "query",
    [
        '{ customers(where: { email: { prefix: "c" } }) { nodes { number } } }',
        "{ customers(orderBy: { property: email }) { nodes { number } } }",
        "{ customers { nodes { history { properties { value } } } } }",
        '{ why(id: "customer0000") { text } }',
        '{ node(id: "customer0000") { ... on Customer { shown: email } } }',
    ],
)
def test_every_road_that_tells_it_is_on_record(platform: Noesis, anna: Client, query: str) -> None:
    anna.data(query)
    told = [set(reading["told"]) for reading in on_record(platform)]  # type: ignore[arg-type]
    assert told
    assert all("Customer.email" in names for names in told)


def test_one_operation_makes_one_record_however_many_rows(platform: Noesis, anna: Client) -> None:
    anna.data("{ a: customers { nodes { email } } b: customers { nodes { email } } }")
    (reading,) = on_record(platform)
    assert reading["subjectCount"] == 3


def test_a_reading_that_cannot_be_recorded_is_not_answered(
    platform: Noesis, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StoreFullError

    monkeypatch.setattr(Readings, "commit", full)
    answer = anna.post('{ customer(id: "customer0000") { email } }').json()
    assert answer.get("data") is None
    assert answer["errors"]
    assert "example.org" not in json.dumps(answer)
    assert anna.data('{ customer(id: "customer0000") { name } }')["customer"]["name"]


def test_beyond_a_thousand_subjects_the_digest_covers_the_rest(platform: Noesis) -> None:
    reader = Principal("User", "reader")
    readings = Readings(platform.ontology, reader, platform.view(reader), "graphql")
    puts = [customer(place + 5_000) for place in range(SUBJECTS_MAX + 5)]
    for start in range(0, len(puts), 500):
        write(platform.store, platform.clock, *puts[start : start + 500])
    for start in range(0, len(puts), 500):
        ids = [put.id for put in puts[start : start + 500]]
        for entity in platform.store.get(ids).values():
            readings.note_all(entity)
    readings.commit(platform.store, platform.clock)
    readings.commit(platform.store, platform.clock)
    (reading,) = on_record(platform)
    assert reading["subjectCount"] == SUBJECTS_MAX + 5
    assert len(reading["subjects"]) == SUBJECTS_MAX  # type: ignore[arg-type]
    assert len(str(reading["subjectDigest"])) == 64


def test_what_an_agent_reads_is_on_record_with_its_context_and_not_here(platform: Noesis) -> None:
    agent = Principal("Agent", "reader")
    readings = Readings(platform.ontology, agent, platform.view(agent), "graphql")
    readings.note_all(platform.store.get(["customer0000"])["customer0000"])
    assert not readings.pending


def test_who_read_it_is_one_question_and_governed_itself(platform: Noesis, anna: Client, tmp_path: Path) -> None:
    anna.data('{ customer(id: "customer0001") { email } }')
    anna.data('{ customer(id: "customer0000") { email } }')
    root = Principal("Service", "setup", roles=frozenset({"admin"}))
    asking = Reader(platform.store, platform.view(root))
    assert [one["subjects"] for one in readings_of(asking, "customer0001", 10)] == [("customer0001@1",)]
    nobody = Principal("User", "nobody")
    assert readings_of(Reader(platform.store, platform.view(nobody)), "customer0001", 10) == []


def test_a_command_records_before_it_goes_on(platform: Noesis) -> None:
    add(
        platform.store,
        platform.clock,
        platform.ontology,
        '@id("all") permit(principal, action, resource);',
        SYSTEM,
        "t",
    )
    who = Principal("User", "reader", purpose="audit")
    view = recorded(platform.view(who), platform.ontology, who, platform.store, platform.clock)
    seen = view.see(list(platform.store.get(["customer0000", "customer0001"]).values()))
    assert [one["email"] for one in seen if one is not None] == ["c0@example.org", "c1@example.org"]
    (reading,) = on_record(platform)
    assert (reading["channel"], reading["subjectCount"], reading["purpose"]) == ("cli", 2, "audit")
    view.see(list(platform.store.get(["customer0000"]).values()))
    assert len(on_record(platform)) == 1, "what was told once in a command is told again without another record"


def test_a_list_is_counted_by_the_rule_that_permitted_it(platform: Noesis, clock: ManualClock) -> None:
    ensure_principal(platform.store, platform.clock, "User", "carl", SYSTEM, roles=["carls"])
    rule = '@id("carls") @readings("1h by role, class") permit(principal in Role::"carls", action == Action::"read", resource);'
    add(platform.store, platform.clock, platform.ontology, rule, SYSTEM, "a test needs it")
    carl = Client(platform, key(platform, 'User::"carl"'))
    before = platform.store.head().position
    for _ in range(2):
        carl.data("{ customers { nodes { name orders { nodes { number } } } } }")
    # Told whole in one row and without its address in another: the first is single, and not counted beside.
    carl.data('{ customer(id: "customer0000") { name email } }')
    assert platform.store.head().position == before + 1
    assert [r["told"] for r in on_record(platform)] == [("Customer.email",)]
    clock.advance(3600)
    assert tallies.close(platform.store, platform.clock) == 2
    found = Client(platform).data(
        "{ readingTallies { nodes { rule roles ofClass operationCount entityCount principal } } }"
    )["readingTallies"]["nodes"]
    told = {
        one["ofClass"]: (one["operationCount"], one["entityCount"], one["roles"], one["principal"]) for one in found
    }
    assert told == {"Customer": (2, 6, ["carls"], None), "Order": (2, 12, ["carls"], None)}
    assert {one["rule"] for one in found} == {f"{find_rule(platform.store, 'carls').id}@1"}  # type: ignore[union-attr]
