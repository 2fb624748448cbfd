"""Queries: every class is asked for by name, with its relations both ways, as of now or then."""

import json
from decimal import Decimal

import pytest

from api.platform import Noesis
from kg.model import Link, Put, Unlink
from tests.api.client import Client
from tests.api.parts import write


def test_every_scalar_is_answered_in_its_own_form(client: Client, platform: Noesis) -> None:
    from datetime import UTC, date, datetime, timedelta

    order = {"number": "O-x", "placed": datetime(2026, 1, 2, 3, tzinfo=UTC), "promised": timedelta(days=1, hours=2)}
    write(
        platform.store,
        platform.clock,
        Put("cx", "Customer", {"number": "x", "since_day": date(2026, 1, 31), "rating": 2**53 - 1}),
        Put("ox", "Order", {**order, "paid": True}),
        Put("lx", "Line", {"weight": Decimal("0.5")}),
        Put("tx", "Ticket", {"tags": ("a", "b")}),
    )
    data = client.data(
        '{ customer(id: "cx") { sinceDay rating limit { amount } } order(id: "ox") { placed promised paid }'
        ' line(id: "lx") { weight } ticket(id: "tx") { tags } }'
    )
    assert data["customer"] == {"sinceDay": "2026-01-31", "rating": 2**53 - 1, "limit": None}
    assert data["order"] == {"placed": "2026-01-02T03:00:00.000000Z", "promised": "P1DT2H", "paid": True}
    assert data["line"] == {"weight": "0.5"}
    assert data["ticket"] == {"tags": ["a", "b"]}


def test_relations_are_followed_both_ways(client: Client) -> None:
    data = client.data(
        '{ customer(key: { number: "C-0001" }) { orders { nodes { number customer { number }'
        " lines { nodes { order { number } } } } } } }"
    )
    orders = data["customer"]["orders"]["nodes"]
    assert [order["number"] for order in orders] == ["O-1-0", "O-1-1"]
    assert all(order["customer"] == {"number": "C-0001"} for order in orders)
    assert all(line["order"]["number"] == order["number"] for order in orders for line in order["lines"]["nodes"])


def test_a_class_with_subclasses_is_an_interface(client: Client, platform: Noesis) -> None:
    write(
        platform.store,
        platform.clock,
        Put("s1", "Supplier", {"name": "Mill"}),
        Put("p1", "Party", {"name": "Somebody"}),
        Put("t1", "Ticket", {"subject": "late"}),
        Link("t1", "about", "s1"),
    )
    nodes = client.data("{ parties(first: 9) { nodes { __typename name ... on Customer { number } } } }")["parties"][
        "nodes"
    ]
    assert {"__typename": "Supplier", "name": "Mill"} in nodes
    assert {"__typename": "PlainParty", "name": "Somebody"} in nodes
    assert {"__typename": "Customer", "name": "Customer 1", "number": "C-0001"} in nodes
    ticket = client.data('{ ticket(id: "t1") { about { __typename tickets { nodes { subject } } } } }')["ticket"]
    assert ticket == {"about": {"__typename": "Supplier", "tickets": {"nodes": [{"subject": "late"}]}}}


def test_global_ids_lead_back_and_plain_ids_are_taken_too(client: Client) -> None:
    id = client.data('{ customer(id: "customer0000") { id } }')["customer"]["id"]
    query = "query($id: ID!) { node(id: $id) { id ... on Customer { number version class } } }"
    found = client.data(query, id=id)["node"]
    assert found == {"id": id, "number": "C-0000", "version": 1, "class": "Customer"}
    assert client.data(query, id="customer0000")["node"] == found
    for nothing in ("nothing", "bm9lc2lz", "???", id[:-3]):
        assert client.data(query, id=nothing)["node"] is None
    assert client.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[id, "no"])["nodes"] == [{"id": id}, None]
    assert client.data('{ order(id: "customer0000") { number } }')["order"] is None


@pytest.mark.parametrize("id", ["", "x" * 501, "\ud800", "a\x00b", "a\nb"])
def test_what_cannot_be_an_id_is_refused(client: Client, id: str) -> None:
    body = json.dumps({"query": "query($id: ID!) { node(id: $id) { id } }", "variables": {"id": id}})
    answer = client.http.post("/graphql", content=body.encode(), headers={"content-type": "application/json"}).json()
    assert answer["errors"][0]["extensions"]["code"] == "BAD_INPUT"
    assert answer["errors"][0]["message"].startswith("an id is empty, too long or no text")


@pytest.mark.parametrize("text", ["\ud800", "\x00", "%", "'\"", "*", "NEAR(", "AND OR NOT", "x" * 100_000])
def test_hostile_texts_are_answered_or_refused_never_internal(client: Client, text: str) -> None:
    for query in (
        "query($t: String!) { customers(where: { name: { eq: $t } }) { nodes { id } } }",
        "query($t: String!) { customers(where: { name: { prefix: $t } }) { nodes { id } } }",
        "query($t: String!) { customer(key: { number: $t }) { id } }",
        "query($t: String!) { search(text: $t) { behind } }",
        "query($t: String!) { customers(after: $t) { nodes { id } } }",
        'mutation($t: JSON!) { ingestRecord(class: "Customer", properties: { number: "1", name: $t }) { errors { code } } }',
        "mutation($t: String!) { stop(reason: $t, scope: $t) { errors { code } } }",
    ):
        body = json.dumps({"query": query, "variables": {"t": text}})
        answer = client.http.post("/graphql", content=body.encode(), headers={"content-type": "application/json"})
        assert "INTERNAL" not in answer.text, query


def test_one_needs_an_id_or_a_key(client: Client) -> None:
    assert client.refused("{ customer { name } }") == (
        "BAD_INPUT",
        "customer needs an id or a key, and not both; give one",
    )


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ('{ number: { eq: "C-0001" } }', ["C-0001"]),
        ('{ number: { in: ["C-0002", "C-0000"] } }', ["C-0000", "C-0002"]),
        ('{ number: { prefix: "C-000" }, rating: { ge: 1, lt: 2 } }', ["C-0001"]),
        ('{ limit: { gt: { amount: "1000.5", currency: "EUR" } } }', ["C-0001", "C-0002"]),
        ('{ limit: { gt: { amount: "1", currency: "USD" } } }', []),
        ("{ sinceDay: { present: true } }", []),
        ("{ sinceDay: { present: false } }", ["C-0000", "C-0001", "C-0002"]),
        ('{ sinceDay: { ge: "2026-01-01" } }', []),
    ],
)
def test_typed_conditions(client: Client, where: str, numbers: list[str]) -> None:
    nodes = client.data(f"{{ customers(where: {where}) {{ nodes {{ number }} }} }}")["customers"]["nodes"]
    assert [node["number"] for node in nodes] == numbers


def test_a_null_condition_is_refused_rather_than_dropped(client: Client) -> None:
    query = "query($n: String) { customers(where: { number: { eq: $n } }) { nodes { number } } }"
    code, message = client.refused(query, n=None)
    assert code == "BAD_INPUT"
    assert "where.number.eq is null" in message
    assert client.refused("{ customers(where: { number: null }) { nodes { number } } }")[0] == "BAD_INPUT"


def test_conditions_hold_on_a_relation(client: Client) -> None:
    query = '{ customer(id: "customer0000") { orders(where: { paid: { eq: false } }) { nodes { number } totalCount { text } } } }'
    assert client.data(query)["customer"]["orders"] == {"nodes": [{"number": "O-0-1"}], "totalCount": {"text": "1"}}


def test_an_operation_reads_one_snapshot(client: Client, platform: Noesis) -> None:
    store, clock = platform.store, platform.clock
    before = store.head().position
    then = clock.now().isoformat()
    clock.advance(60)  # type: ignore[attr-defined]
    write(
        store,
        clock,
        Put("customer0000", "Customer", {"name": "Renamed"}),
        Unlink("order0000x0000", "customer"),
        Put("new", "Customer", {"number": "N"}),
    )
    body = "{ customers { totalCount { count } nodes { name orders { nodes { number } } } } }"
    now = client.data(body)["customers"]
    assert now["totalCount"]["count"] == 4
    assert now["nodes"][0] == {"name": "Renamed", "orders": {"nodes": [{"number": "O-0-1"}]}}
    for given in (f"position: {before}", f'time: "{then}"'):
        past = client.data(f"query @asOf({given}) {body}")["customers"]
        assert past["totalCount"]["count"] == 3
        assert past["nodes"][0]["name"] == "Customer 0"
        assert len(past["nodes"][0]["orders"]["nodes"]) == 2
    by_variable = client.data(f"query($at: Position) @asOf(position: $at) {body}", at=before)["customers"]
    assert by_variable["totalCount"]["count"] == 3


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ("@asOf", "needs a position or a time"),
        ('@asOf(position: 1, time: "2026-01-01T00:00:00Z")', "needs a position or a time"),
        ("@asOf(position: 9999999)", "is not written yet"),
        ("@asOf(position: -1)", "is no Position"),
        ('@asOf(time: "2026-01-01")', "is no DateTime"),
        ('@asOf(time: "0001-01-01T00:00:00+14:00")', "is no DateTime"),
        ('@asOf(time: "9999-12-31T23:59:59-14:00")', "is no DateTime"),
        ("@asOf(position: 1) @asOf(position: 2)", "can only be used once"),
    ],
)
def test_a_wrong_snapshot_is_one_clear_error(client: Client, directive: str, said: str) -> None:
    code, message = client.refused(f"query {directive} {{ customers {{ nodes {{ name }} }} }}")
    assert code == "BAD_INPUT"
    assert said in message


def test_versions_changes_and_reasons_of_an_entity(client: Client, platform: Noesis) -> None:
    write(platform.store, platform.clock, Put("customer0000", "Customer", {"rating": 4}), reason="rated by hand")
    found = client.data(
        '{ customer(id: "customer0000") { version history(first: 5) { version until properties { name value } }'
        " changes(first: 1) { kind changed agent activity position entity { id } }"
        ' why(property: "rating") { text steps { depth parent via kind } prov truncated } } }'
    )["customer"]
    assert [version["version"] for version in found["history"]] == [2, 1]
    assert {"name": "rating", "value": 4} in found["history"][0]["properties"]
    assert {"name": "limit", "value": {"amount": "1000", "currency": "EUR"}} in found["history"][1]["properties"]
    change = found["changes"][0]
    assert (change["kind"], change["changed"], change["agent"]) == ("UPDATED", ["rating"], 'Service::"ingest"')
    assert "rated by hand" in found["why"]["text"]
    assert found["why"]["steps"][0] == {"depth": 0, "parent": None, "via": "", "kind": "entity"}
    assert "entity" in found["why"]["prov"]
    assert client.refused('{ customer(id: "customer0000") { why(property: "nope") { text } } }')[0] == "BAD_INPUT"


def test_the_change_log_is_read_after_a_position(client: Client, platform: Noesis) -> None:
    head = client.data("{ head { position at root } }")["head"]
    assert len(head["root"]) == 64
    feed = client.data("query($p: Position!) { changes(after: $p, first: 2) { position changes { position } } }", p=3)[
        "changes"
    ]
    assert [change["position"] for change in feed["changes"]] == [4, 5]
    assert feed["position"] == 5
    rest = client.data("query($p: Position!) { changes(after: $p) { position changes { kind } } }", p=head["position"])
    assert rest["changes"] == {"position": head["position"], "changes": []}
    assert platform.store.head().position == head["position"]


def test_search_finds_and_refuses_the_past(client: Client) -> None:
    found = client.data(
        '{ search(text: "Customer 1", classes: ["Customer"]) { fallback hits { why entity { id class } } } }'
    )
    assert {hit["entity"]["class"] for hit in found["search"]["hits"]} == {"Customer"}
    assert found["search"]["fallback"]
    assert client.refused('query @asOf(position: 3) { search(text: "x") { behind } }')[0] == "BAD_INPUT"
    assert client.refused('{ search(text: "x", classes: ["Nope"]) { behind } }')[0] == "BAD_INPUT"
    assert client.refused('{ search(text: " ") { behind } }')[0] == "BAD_INPUT"
