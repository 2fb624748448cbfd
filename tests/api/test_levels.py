"""Levels: a level of a query is one call to the store, however many rows it has."""

from collections import Counter
from dataclasses import replace
from typing import Any

from api.platform import Noesis
from kg.model import Link, Put
from kg.ontology import Ontology
from kg.stores.sqlite import SqliteStore
from tests.api import parts
from tests.api.client import Client
from tests.api.parts import company, customer, write
from tests.parts import ManualClock

READS = (
    "get",
    "find",
    "count",
    "expand",
    "relations",
    "history",
    "changes",
    "changes_of",
    "causes",
    "versions",
    "head",
)


class Counting:
    """A store that counts the reads that pass through it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        if name in READS:
            self.calls[name] += 1
        return getattr(self._store, name)


def counted(platform: Noesis) -> tuple[Client, Counting]:
    """A client whose reads of entities are counted (those of rules and people are not: they go to the store itself)."""
    store = Counting(platform.store)
    client = Client(replace(platform, store=store))  # type: ignore[arg-type]
    client.data("{ viewer { uid } }")
    return client, store


def test_three_levels_of_a_hundred_rows_are_three_calls(platform: Noesis) -> None:
    company(platform.store, platform.clock, customers=100, orders=1, lines=1)
    client, store = counted(platform)
    store.calls.clear()
    data = client.data(
        "{ customers(first: 100) { nodes { number orders(first: 5) { nodes { number lines(first: 5) { nodes { weight"
        " order { number } } } } } } } }"
    )
    rows = data["customers"]["nodes"]
    assert len(rows) == 100
    lines = [line for row in rows for order in row["orders"]["nodes"] for line in order["lines"]["nodes"]]
    assert len(lines) >= 100
    # find customers, expand orders, expand lines, expand order; the caller's own roles are read as well
    reads = store.calls - Counter(principal_reads(platform))
    assert reads.total() <= 4, reads


def principal_reads(platform: Noesis) -> dict[str, int]:
    """What knowing the local user costs, measured."""
    client, store = counted(platform)
    store.calls.clear()
    client.data("{ __typename }")
    return dict(store.calls)


def test_to_know_who_asks_and_by_which_rules_is_one_look_at_the_log(
    platform: Noesis, store: SqliteStore, clock: ManualClock, words: Ontology
) -> None:
    """Whatever reads are made for it, those of rules and people too, once nothing of them changed."""
    counting: Any = Counting(store)
    client = Client(parts.platform(counting, clock, words))
    client.data("{ customers { nodes { number } } }")
    counting.calls.clear()
    client.data("{ customers { nodes { number } } }")
    assert counting.calls == {"head": 1, "find": 1}
    keyed = Client(parts.platform(counting, clock, words), parts.key(platform, 'Service::"shop"'))
    keyed.data("{ customers { nodes { number } } }")
    counting.calls.clear()
    keyed.data("{ customers { nodes { number } } }")
    # The key itself is read each time.
    assert counting.calls == {"head": 1, "get": 1, "find": 1}


def test_who_waited_long_between_being_known_and_being_answered_is_answered_by_newer_rules(
    store: SqliteStore, clock: ManualClock, words: Ontology, platform: Noesis
) -> None:
    counting: Any = Counting(store)
    client = Client(parts.platform(counting, clock, words))
    client.data("{ __typename }")
    # Each look at the clock takes longer than what was read may serve.
    clock.monotonic = lambda: clock.advance(1.0) or ManualClock.monotonic(clock)  # type: ignore[method-assign,func-returns-value]
    counting.calls.clear()
    client.data("{ __typename }")
    assert counting.calls == {"head": 2}


def test_siblings_of_one_level_share_a_call(platform: Noesis) -> None:
    client, store = counted(platform)
    store.calls.clear()
    client.data('{ a: node(id: "customer0000") { id } b: node(id: "customer0001") { id } c: node(id: "x") { id } }')
    assert store.calls["get"] - principal_reads(platform).get("get", 0) == 1


def test_paging_through_a_shared_relation_name_is_bounded(platform: Noesis) -> None:
    """Tickets and visits reach a party by relations of their own; what is not asked for takes no place."""
    store, clock = platform.store, platform.clock
    write(store, clock, customer(50), *(Put(f"t{n:03}", "Ticket", {"subject": f"s{n}"}) for n in range(60)))
    write(store, clock, *(Link(f"t{n:03}", "about", "customer0050", exclusive=True) for n in range(60)))
    query = '{ customer(id: "customer0050") { tickets(first: 50) { nodes { subject } pageInfo { hasNextPage } } } }'
    found = Client(platform).data(query)["customer"]["tickets"]
    assert len(found["nodes"]) == 50
    assert found["pageInfo"]["hasNextPage"] is True
