"""The contract of port View, over every adapter: what holds whatever the rules are."""

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from governance.principals import parse_uid
from governance.readings import recorded
from governance.view import GovernedView
from kg.model import Entity
from kg.view import View
from tests.governance import generated
from tests.governance.world import book, ontology
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

SEEDS = range(20)


def governed(r: random.Random) -> View:
    rules = book(*(generated.rule_text(r, n) for n in range(15)))
    return GovernedView(generated.principal(r), rules, ontology())


def noting(r: random.Random) -> View:
    """A NotingView that puts on record what it lets through."""
    rules = book(*(generated.rule_text(r, n) for n in range(15)))
    principal, clock = generated.principal(r), ManualClock()
    view = GovernedView(principal, rules, ontology())
    return recorded(view, ontology(), principal, DictStore(ontology(), clock), clock)


@pytest.fixture(name="make", params=[governed, noting], ids=["GovernedView", "NotingView"])
def _make(request: pytest.FixtureRequest) -> Callable[[random.Random], View]:
    made: Callable[[random.Random], View] = request.param
    return made


def rows(r: random.Random) -> list[Entity]:
    return [replace(generated.entity(r, f"e{n % 7}"), since=n) for n in range(40)]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_seen_is_aligned_and_adds_nothing(make: Callable[[random.Random], View], seed: int) -> None:
    r = random.Random(seed)
    view, given = make(r), rows(r)
    before = copy.deepcopy(given)
    seen = view.see(given)
    assert given == before
    assert len(seen) == len(given)
    for row, shown in zip(given, seen, strict=True):
        if shown is not None:
            assert (shown.id, shown.cls, shown.version, shown.since) == (row.id, row.cls, row.version, row.since)
            assert shown.properties.items() <= row.properties.items()
            assert not shown.masked & shown.properties.keys()
            assert row.masked <= shown.masked


@pytest.mark.parametrize("seed", SEEDS)
def test_neither_order_nor_company_nor_repetition_matters(make: Callable[[random.Random], View], seed: int) -> None:
    r = random.Random(seed)
    view, given = make(r), rows(r)
    seen = view.see(given)
    assert view.see(given[::-1]) == seen[::-1]
    assert [shown for row in given for shown in view.see([row])] == seen
    assert view.see([]) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_masked_does_not_tell_whether_it_was_there(make: Callable[[random.Random], View], seed: int) -> None:
    r = random.Random(seed)
    view, given = make(r), rows(r)
    masks: dict[str, set[frozenset[str]]] = {}
    for shown in view.see(given):
        if shown is not None:
            masks.setdefault(shown.cls, set()).add(shown.masked)
    assert all(len(found) == 1 for found in masks.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_leave_out_none_that_is_seen(make: Callable[[random.Random], View], seed: int) -> None:
    r = random.Random(seed)
    view, given = make(r), rows(r)
    names = [*generated.CLASSES, "Vanished"]
    readable = view.classes(names)
    assert readable == [name for name in names if name in readable]
    assert {shown.cls for shown in view.see(given) if shown is not None} <= set(readable)
    assert "Vanished" not in readable


def test_the_principal_is_named_as_rules_name_it(make: Callable[[random.Random], View]) -> None:
    assert parse_uid(make(random.Random(1)).principal)
