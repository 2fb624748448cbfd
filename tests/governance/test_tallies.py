"""Counted reads: by the rule that permitted them, in its window and group; never personal, labelled, an agent's or under glass."""

from collections.abc import Sequence
from typing import Any

import pytest

from governance import tallies
from governance.breakglass import carried, open_glass
from governance.errors import RuleError
from governance.principals import Principal, load_principal
from governance.readings import Readings, recorded
from governance.rulebook import RuleBook
from governance.statement import parse_rule
from governance.view import GovernedView
from kg.model import Cause, Entity, Put
from kg.store import GraphStore
from tests.governance.conftest import EVERY_STORE
from tests.governance.world import agent, book, ontology, user
from tests.parts import ManualClock

READ = 'permit(principal, action == Action::"read", resource is Product)'
RULES = (
    f'@id("managers") @readings("1h by role, class") {READ} when {{ principal in Role::"purchasing-manager" }};',
    f'@id("cheap") @readings("1d by principal, purpose, channel") {READ} when {{ resource has stock && resource.stock < 10 }};',
    '@id("customers") @readings("5m") permit(principal, action == Action::"read", resource is Customer);',
    '@id("pii") permit(principal, action == Action::"read", resource == Label::"pii");',
    '@id("plain") permit(principal, action == Action::"read", resource is Order);',
)


@pytest.fixture(name="rules")
def _rules() -> RuleBook:
    return book(*RULES)


@pytest.fixture(name="stock")
def _stock(people: GraphStore, clock: ManualClock) -> GraphStore:
    puts = [Put(f"p{n}", "Product", {"stock": n}) for n in range(20)]
    puts += [Put("c1", "Customer", {"region": "north", "phone": "+49 1"}), Put("o1", "Order", {"open": True})]
    people.commit(puts, Cause(clock.id(), "ingest", "t"))
    return people


def read(
    store: GraphStore, clock: ManualClock, rules: RuleBook, who: Principal, ids: Sequence[str], *names: str
) -> Sequence[Entity | None]:
    """One operation that is told these properties of these entities, as GraphQL tells them."""
    view = GovernedView(who, rules, ontology())
    readings = Readings(ontology(), who, view, "graphql")
    seen = view.see(list(store.get(ids).values()))
    for entity in seen:
        if entity is not None:
            readings.note_row(entity)
            readings.note(entity, *names)
    readings.commit(store, clock)
    return seen


def counts(store: GraphStore) -> dict[tuple[Any, ...], tuple[Any, Any]]:
    found = store.find(tallies.CLASS, first=100).items
    names = ("rule", "principal", "roles", "ofClass", "purpose", "channel")
    return {
        tuple(one.get(name) for name in names if name in one.properties): (one["operationCount"], one["entityCount"])
        for one in found
    }


def anna(store: GraphStore) -> Principal:
    return load_principal(store, 'User::"anna"')


@EVERY_STORE
def test_each_rule_counts_its_own_rows_in_its_own_groups(
    stock: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    before = stock.head().position
    for _ in range(3):
        read(stock, clock, rules, anna(stock), [f"p{n}" for n in range(20)], "stock")
    read(stock, clock, rules, load_principal(stock, 'User::"carl"'), ["p1"], "stock")
    assert stock.head().position == before, "what is counted is no fact yet"
    assert tallies.close(stock, clock) == 0
    clock.advance(3600)
    assert tallies.close(stock, clock) == 2
    assert counts(stock) == {
        ("rule0@1", ("purchasing-manager",), "Product"): (3, 60),
        ("rule0@1", ("finance-manager", "purchasing-manager"), "Product"): (1, 1),
    }
    clock.advance(24 * 3600)
    tallies.close(stock, clock)
    assert counts(stock)["rule1@1", 'User::"anna"', "graphql"] == (3, 30)
    assert counts(stock)["rule1@1", 'User::"carl"', "graphql"] == (1, 1)
    assert tallies.close(stock, clock) == 0
    assert stock.scan(tallies.KIND) == [], "a closed window leaves no counts behind"


def test_personal_and_labelled_reads_stay_single(stock: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    read(stock, clock, rules, anna(stock), ["c1"], "phone")
    read(stock, clock, rules, anna(stock), ["c1"], "region")
    clock.advance(300)
    tallies.close(stock, clock)
    assert counts(stock) == {("rule2@1", 'User::"anna"', "Customer"): (1, 1)}
    (single,) = stock.find("Reading").items
    assert single["told"] == ("Customer.phone",)


def test_agents_services_and_who_acts_for_another_are_not_counted(
    stock: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    for who in (agent(), agent(on_behalf_of=anna(stock)), Principal("Service", "erp"), user("x", on_behalf_of=agent())):
        assert read(stock, clock, rules, who, ["p1", "c1"], "stock") != []
    assert stock.scan(tallies.KIND) == []


def test_a_rule_without_it_counts_nothing_and_a_denied_row_neither(
    stock: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    read(stock, clock, rules, user("x"), ["o1"], "open")
    assert read(stock, clock, rules, user("x"), ["p15"], "stock") == [None]
    assert stock.scan(tallies.KIND) == []


def test_under_break_glass_every_reading_is_single(stock: GraphStore, clock: ManualClock) -> None:
    rules = book(*RULES, '@id("open") permit(principal, action == Action::"configure", resource is BreakGlass);')
    glass = open_glass(stock, clock, rules, anna(stock), "fire")
    read(stock, clock, rules, carried(stock, clock, anna(stock)), ["p1"], "stock")
    assert stock.scan(tallies.KIND) == []
    (single,) = stock.find("Reading").items
    assert (single["told"], single["breakGlass"]) == (("Product.*", "Product.stock"), glass.id)


def test_a_command_is_counted_too(stock: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    who = anna(stock)
    view = recorded(GovernedView(who, rules, ontology()), ontology(), who, stock, clock)
    view.see(list(stock.get(["p1", "p2"]).values()))
    clock.advance(24 * 3600)
    tallies.close(stock, clock)
    assert counts(stock)["rule1@1", 'User::"anna"', "cli"] == (1, 2)


@EVERY_STORE
def test_closing_twice_and_a_late_reader_count_once_each(
    stock: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    read(stock, clock, rules, user("x"), ["c1"], "region")
    (row,) = stock.scan(tallies.KIND)
    clock.advance(300)
    stale = [row]
    assert tallies.close(stock, clock) == 1
    assert tallies._close(stock, clock, stale) == 0, "what another closed is not counted again"
    assert counts(stock) == {("rule2@1", 'User::"x"', "Customer"): (1, 1)}
    # Another process, whose commit came a moment after the window was closed.
    late = tallies._added(row.key, dict(row.value), None)
    stock.commit([], None, state=[late])
    assert tallies.close(stock, clock) == 1
    assert counts(stock) == {("rule2@1", 'User::"x"', "Customer"): (2, 2)}


def test_one_look_closes_many_pages_and_ends(
    stock: GraphStore, clock: ManualClock, rules: RuleBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "PAGE_MAX", 2)
    for name in "abcdefg":
        read(stock, clock, rules, user(name), ["c1"], "region")
    clock.advance(300)
    monkeypatch.setattr(tallies, "PAGES_MAX", 2)
    assert tallies.close(stock, clock) == 4, "a look is bounded"
    monkeypatch.setattr(tallies, "PAGES_MAX", 20)
    assert tallies.close(stock, clock) == 3
    assert len(counts(stock)) == 7
    assert stock.scan(tallies.KIND) == []


def test_readers_at_once_lose_no_count(stock: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    class Racing:
        """The store, in which each count meets another one first."""

        raced = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(stock, name)

        def commit(self, writes: Any, cause: Any, state: Any = ()) -> Any:
            if self.raced < 3:
                self.raced += 1
                # What another reader of the same group commits between our look and our commit.
                stock.commit([], None, state=state)
            return stock.commit(writes, cause, state=state)

    racing: Any = Racing()
    read(racing, clock, rules, user("x"), ["c1"], "region")
    clock.advance(300)
    tallies.close(stock, clock)
    ((operations, _),) = counts(stock).values()
    assert operations == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "not usable"),
        ("0h", "not usable"),
        ("32d", "not usable"),
        ("99999d", "not usable"),
        ("1h by", "not usable"),
        ("1h by planet", "not by 'planet'"),
        ("1h by class, class", "once"),
        ("1h by class; drop", "not usable"),
        ("1H", "not usable"),
        ("1h\n", "not usable"),
    ],
)
def test_what_is_no_window_is_refused(text: str, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        parse_rule(f'@id("r") @readings("{text}") permit(principal, action == Action::"read", resource);')


def test_it_belongs_on_a_permit_to_read() -> None:
    for rest in (
        'forbid(principal, action == Action::"read", resource);',
        'permit(principal, action == Action::"apply", resource);',
    ):
        with pytest.raises(RuleError, match="belongs on a permit to read"):
            parse_rule(f'@id("r") @readings("1h") {rest}')
    parse_rule('@id("r") @readings("31d by class") permit(principal, action, resource);')
