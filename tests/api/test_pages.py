"""Pages: keyset cursors stay true while the list changes, and a wrong cursor is one clear error."""

import base64
import random
from pathlib import Path
from typing import Any

import pytest

from api.errors import BadRequestError
from api.graphql.cursors import open_cursor, seal
from api.platform import Noesis
from kg.model import Close, Cursor, Link, Put
from kg.store import PAGE_MAX
from tests.api import parts
from tests.api.client import Client
from tests.api.parts import customer, write
from tests.parts import ManualClock

PAGE = """query($after: String, $first: Int!, $order: CustomerOrderBy) {
  customers(first: $first, after: $after, orderBy: $order) {
    edges { cursor node { number } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def pages(client: Client, order: dict[str, str] | None, first: int = 3) -> Any:
    """One page after another, as a client asks for them."""
    after = None
    while True:
        page = client.data(PAGE, first=first, after=after, order=order)["customers"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        yield [edge["node"]["number"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        after = page["pageInfo"]["endCursor"]


@pytest.mark.parametrize(
    "order", [None, {"property": "number"}, {"property": "rating", "direction": "DESC"}, {"property": "limit"}]
)
def test_writes_between_pages_neither_skip_nor_repeat_what_stays(
    client: Client, platform: Noesis, order: dict[str, str] | None
) -> None:
    store, clock = platform.store, platform.clock
    write(store, clock, *(customer(n) for n in range(20)))
    chance, seen, staying = random.Random(5), [], {f"C-{n:04}" for n in range(20)}
    for number, page in enumerate(pages(client, order)):
        seen += page
        gone = f"customer{chance.randrange(20):04}"
        write(store, clock, Close(gone), customer(100 + number, number=f"A-{number}"))
        staying.discard(f"C-{gone[8:]}")
    assert len(seen) == len(set(seen))
    assert staying <= set(seen)


def test_pages_of_a_relation_are_stable_too(client: Client, platform: Noesis) -> None:
    store, clock = platform.store, platform.clock
    for n in range(10):
        write(store, clock, Put(f"o{n}", "Order", {"number": f"o{n}"}), Link(f"o{n}", "customer", "customer0000"))
    query = """query($after: String) { customer(id: "customer0000") {
      orders(first: 4, after: $after) { nodes { number } pageInfo { hasNextPage endCursor } } } }"""
    first = client.data(query, after=None)["customer"]["orders"]
    write(store, clock, Close("o1"), Put("o00", "Order", {"number": "o00"}), Link("o00", "customer", "customer0000"))
    second = client.data(query, after=first["pageInfo"]["endCursor"])["customer"]["orders"]
    third = client.data(query, after=second["pageInfo"]["endCursor"])["customer"]["orders"]
    numbers = [node["number"] for page in (first, second, third) for node in page["nodes"]]
    assert len(numbers) == len(set(numbers))
    assert {f"o{n}" for n in range(10)} - {"o1"} <= set(numbers)
    assert third["pageInfo"]["hasNextPage"] is False


SHARED = """@prefix e: <urn:example#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
e:Visit a owl:Class ; rdfs:label "Visit" . e:Call a owl:Class ; rdfs:label "Call" .
e:place a owl:ObjectProperty ; rdfs:domain e:Visit , e:Call ; rdfs:range e:Party ."""


def test_edges_of_another_class_take_no_place_on_a_page(tmp_path: Path, clock: ManualClock) -> None:
    words = parts.ontology({"extra.ttl": SHARED})
    store = parts.sqlite(tmp_path / "shared.db", words, clock)
    platform = parts.platform(store, clock, words)
    writes = [
        customer(0),
        *(Put(f"a{n:04}", "Call", {}) for n in range(300)),
        *(Put(f"b{n}", "Visit", {}) for n in range(5)),
    ]
    write(store, clock, *writes, *(Link(put.id, "place", "customer0000") for put in writes[1:]))
    query = """query($after: String) { customer(id: "customer0000") { visitPlace(first: 3, after: $after) {
      nodes { __typename id } pageInfo { hasNextPage endCursor } totalCount { count } } } }"""
    first = Client(platform).data(query)["customer"]["visitPlace"]
    second = Client(platform).data(query, after=first["pageInfo"]["endCursor"])["customer"]["visitPlace"]
    assert [len(first["nodes"]), len(second["nodes"])] == [3, 2]
    assert {node["__typename"] for node in first["nodes"] + second["nodes"]} == {"Visit"}
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert first["totalCount"] == {"count": 5}
    store.close()


def test_counts_are_bounded(client: Client, platform: Noesis) -> None:
    write(platform.store, platform.clock, *(Put(f"l{n:05}", "Line", {}) for n in range(PAGE_MAX + 5)))
    assert client.data("{ lines(first: 1) { totalCount { count exact text } } }")["lines"]["totalCount"] == {
        "count": PAGE_MAX,
        "exact": False,
        "text": "1,000+",
    }
    links = [Link(f"l{n:05}", "order", "order0000x0000", exclusive=True) for n in range(PAGE_MAX + 5)]
    write(platform.store, platform.clock, *links)
    counted = client.data('{ order(id: "order0000x0000") { lines { totalCount { text } } } }')
    assert counted["order"]["lines"]["totalCount"] == {"text": "1,000+"}


@pytest.mark.parametrize("first", [0, -1, 501, 2**31 - 1])
def test_a_page_has_bounds(client: Client, first: int) -> None:
    code, message = client.refused("query($n: Int!) { customers(first: $n) { nodes { id } } }", n=first)
    assert code == "BAD_INPUT"
    assert "outside 1 to 500" in message


def test_a_garbled_cursor_is_one_clear_error(client: Client) -> None:
    good = client.data(PAGE, first=1)["customers"]["pageInfo"]["endCursor"]
    chance = random.Random(3)
    garbled = [
        "",
        "x",
        "null",
        "=",
        "é",
        good[:-1],
        good[1:],
        good + "A",
        "A" * 30_000,
        base64.b64encode(b"{}").decode(),
    ]
    for _ in range(100):
        place = chance.randrange(len(good))
        garbled.append(good[:place] + chance.choice("ABCabc012_-") + good[place + 1 :])
    for text in garbled:
        if text != good:
            code, message = client.refused(PAGE, first=1, after=text)
            assert code == "BAD_INPUT"
            assert message == "`after` is no cursor of this API; give an endCursor as an earlier page showed it"


def test_a_cursor_belongs_to_its_list_and_version() -> None:
    cursor = seal("Customer:name:False", Cursor("Ä", "id"))
    assert open_cursor("Customer:name:False", cursor) == Cursor("Ä", "id")
    with pytest.raises(BadRequestError, match="another list"):
        open_cursor("Customer:name:True", cursor)


def test_a_cursor_of_another_order_is_refused(client: Client) -> None:
    by_id = client.data(PAGE, first=1)["customers"]["pageInfo"]["endCursor"]
    code, message = client.refused(PAGE, first=1, after=by_id, order={"property": "name"})
    assert code == "BAD_INPUT"
    assert "another list or order" in message
