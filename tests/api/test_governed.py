"""Every road of the API passes the caller's View: lists, counts, relations, search, history, changes, lineage, mutations."""

from pathlib import Path

import pytest

from api.platform import Noesis
from governance.rules import add
from kg.model import Link, Put
from tests.api.client import Client
from tests.api.parts import SYSTEM, customer, key, write

#: The shop may read customers, but none whose number begins with H-; it may not read pii, orders or tickets.
HIDDEN = "customer0777"


@pytest.fixture
def shop(platform: Noesis) -> Client:
    write(
        platform.store,
        platform.clock,
        customer(777, number="H-1", name="Hidden House", rating=4),
        Put("t1", "Ticket", {"subject": "secret matter"}),
        Link("t1", "about", "customer0000"),
    )
    return Client(platform, key(platform, 'Service::"shop"'))


def test_lists_and_counts_hide_what_the_detail_hides(shop: Client) -> None:
    assert shop.data(f'{{ customer(id: "{HIDDEN}") {{ name }} }}')["customer"] is None
    assert shop.data(f'{{ node(id: "{HIDDEN}") {{ id }} }}')["node"] is None
    assert shop.data('{ customer(key: { number: "H-1" }) { name } }')["customer"] is None
    listed = shop.data("{ customers { totalCount { count } nodes { number } } parties { nodes { id } } }")
    assert [node["number"] for node in listed["customers"]["nodes"]] == ["C-0000", "C-0001", "C-0002"]
    assert listed["customers"]["totalCount"]["count"] == 3
    assert len(listed["parties"]["nodes"]) == 3
    assert shop.data("{ orders { nodes { id } totalCount { count } } }")["orders"] == {
        "nodes": [],
        "totalCount": {"count": 0},
    }


def test_masked_properties_are_null_and_named(shop: Client) -> None:
    found = shop.data('{ customer(id: "customer0000") { name email masked history { masked properties { name } } } }')
    assert (found["customer"]["email"], found["customer"]["masked"]) == (None, ["email"])
    version = found["customer"]["history"][0]
    assert version["masked"] == ["email"]
    assert "email" not in [part["name"] for part in version["properties"]]


def test_a_masked_property_cannot_be_guessed_by_filter_or_order(shop: Client) -> None:
    for arguments in ('where: { email: { prefix: "c" } }', "where: { email: { present: true } }",
                      "orderBy: { property: email }"):  # fmt: skip
        assert shop.data(f"{{ customers({arguments}) {{ nodes {{ number }} }} }}")["customers"]["nodes"] == []


def test_relations_lead_nowhere_hidden(shop: Client) -> None:
    found = shop.data(
        '{ customer(id: "customer0000") { orders { nodes { id } totalCount { count } } tickets { nodes { id } } } }'
    )
    assert found["customer"]["orders"] == {"nodes": [], "totalCount": {"count": 0}}
    assert found["customer"]["tickets"] == {"nodes": []}


def test_search_finds_nothing_hidden(shop: Client) -> None:
    for text in ("Hidden House", "secret matter"):
        hits = shop.data("query($t: String!) { search(text: $t) { hits { entity { id class } } } }", t=text)["search"][
            "hits"
        ]
        assert {hit["entity"]["class"] for hit in hits} <= {"Customer"}
        assert all("H-1" not in str(hit) for hit in hits)


def test_the_change_log_tells_nothing_hidden(shop: Client, platform: Noesis) -> None:
    feed = shop.data(
        "{ changes(first: 1000) { position changes { class changed entity { ... on Customer { number } } } } }"
    )
    feed = feed["changes"]
    assert {change["class"] for change in feed["changes"]} == {"Customer"}
    assert all("email" not in change["changed"] for change in feed["changes"])
    assert {change["entity"]["number"] for change in feed["changes"]} == {"C-0000", "C-0001", "C-0002"}
    assert feed["position"] == platform.store.head().position


def test_lineage_withholds_and_hides(shop: Client) -> None:
    assert shop.data(f'{{ why(id: "{HIDDEN}") {{ text }} }}')["why"] is None
    found = shop.data('{ why(id: "customer0000") { text prov steps { details } } }')["why"]
    assert "c0@example.org" not in str(found)


def test_secrets_of_keys_have_no_field(shop: Client) -> None:
    sdl = shop.http.post("/graphql", json={"query": '{ __type(name: "ApiKey") { fields { name } } }'}).json()
    names = {field["name"] for field in sdl["data"]["__type"]["fields"]}
    assert {"hash", "salt"} & names == set()
    assert "subject" in names


def test_a_new_rule_holds_for_the_next_request(shop: Client, platform: Noesis) -> None:
    assert shop.data('{ customer(id: "customer0000") { name } }')["customer"]
    rule = '@id("shut") forbid(principal in Role::"sales", action == Action::"read", resource);'
    add(platform.store, platform.clock, platform.ontology, rule, SYSTEM, "shut")
    assert shop.data('{ customer(id: "customer0000") { name } }')["customer"] is None


def test_snapshots_are_seen_by_the_rules_of_now(shop: Client, platform: Noesis) -> None:
    position = platform.store.head().position
    past = f"query @asOf(position: {position}) {{ customers {{ nodes {{ number email }} }} }}"
    nodes = shop.data(past)["customers"]["nodes"]
    assert [node["number"] for node in nodes] == ["C-0000", "C-0001", "C-0002"]
    assert all(node["email"] is None for node in nodes)


def test_a_snapshot_does_not_show_what_is_hidden_now(shop: Client, platform: Noesis) -> None:
    position = platform.store.head().position
    write(platform.store, platform.clock, Put("customer0001", "Customer", {"number": "H-2"}))
    past = f'query @asOf(position: {position}) {{ customer(id: "customer0001") {{ name }} customers {{ nodes {{ number }} }} }}'
    found = shop.data(past)
    assert found["customer"] is None
    assert [node["number"] for node in found["customers"]["nodes"]] == ["C-0000", "C-0002"]


def test_nothing_under_graphql_reads_entities_from_the_store_itself() -> None:
    """Reads of entities go through the Reader; what else touches the store is listed here with its reason."""
    allowed = {
        "hops.py": {},
        "operations.py": {"causes", "head"},  # agent and activity only; how far the log goes
        "roots.py": {"head"},
        "snapshots.py": {"head", "position_at"},
        "subscriptions.py": {"head"},
        "records.py": {
            "get",
            "state",
            "commit",
        },  # the write path: it decides before it writes and answers through the View
    }
    import re

    folder = Path(__file__).resolve().parents[2] / "api" / "graphql"
    for path in folder.glob("*.py"):
        used = set(re.findall(r"\bstore\.(\w+)", path.read_text(encoding="utf-8"))) - {"use"}
        assert used <= set(allowed.get(path.name, {})), f"{path.name} uses {used}"
