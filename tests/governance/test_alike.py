"""Values that no rule tells apart share a decision: over random comparisons and values, a list shows what each row alone would."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance import decide as deciding
from governance import view as viewing
from governance.decide import Request, decide
from governance.rulebook import RuleBook
from governance.view import GovernedView
from kg.model import Entity
from kg.values import DECIMAL_MAX, INTEGER_MAX, Money
from tests.governance.world import book, ontology, user

REGIONS = ("N", "S", "", "n", "Ö")
STOCKS = (-3, -1, 0, 1, 2, 3, 4, INTEGER_MAX)
RATES = (*(Decimal(text) for text in ("-0.5", "0", "0.4999", "0.5", "0.5001", "1")), DECIMAL_MAX)
DUES = tuple(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n) for n in range(-2, 3))
#: What no store holds and Cedar does not take, or takes for another type.
ODD: dict[str, tuple[Any, ...]] = {
    "region": ("N\n", "\ud800", "N\x00"),
    "stock": (INTEGER_MAX + 1, True, Decimal(1)),
    "rate": (Decimal("1.00005"), Decimal("NaN"), DECIMAL_MAX + 1, 1),
}


def condition(r: random.Random) -> str:
    """One comparison, or a reading that is none."""
    number, sign = r.randrange(-2, 5), r.choice(("==", "!=", "<", "<=", ">", ">="))
    rate, way = r.choice(("-0.5", "0.5", "1.0")), r.choice(("lessThan", "lessThanOrEqual", "greaterThan"))
    return r.choice(
        (
            f"resource.stock {sign} {number}",
            f"{number} {sign} resource.stock",
            f"resource has stock && resource.stock {sign} {number}",
            "resource has stock",
            f'resource.rate.{way}(decimal("{rate}"))',
            f'decimal("{rate}").{way}(resource.rate)',
            f'resource.rate == decimal("{rate}")',
            f'resource.region == "{r.choice("NSÖ")}"',
            f'resource.region != "{r.choice("NSÖ")}"',
            f'resource.region == {r.choice(("true", "1"))}',
            'resource.region like "*N*"',
            f"resource.due {sign} {1767225600000 + r.randrange(-1, 2)}",
            f'resource.total.{way}(decimal("{rate}"))',
            'resource.totalCurrency == "EUR"',
            "resource.open",
            "resource.open == true",
            "resource.open == resource.open",
            "resource.stock == resource.stock",
            f"[resource.stock, {number}].contains({number})",
            f'{{stock: resource.stock}}.stock {sign} {number}',
            f"resource.stock + 1 {sign} {number}",
        )
    )  # fmt: skip


def guarded(r: random.Random) -> str:
    """A condition, asked mostly where the attributes are there."""
    text = condition(r)
    read = [name for name in ("stock", "rate", "region", "due", "totalCurrency", "open") if f"resource.{name}" in text]
    read += ["total"] if "resource.total." in text else []
    guard = " && ".join(f"resource has {name}" for name in read) if r.random() < 0.95 else ""
    return f"{guard} && ({text})" if guard else text


def rules(r: random.Random) -> RuleBook:
    texts = []
    for n in range(r.randrange(2, 8)):
        left, right = guarded(r), guarded(r)
        when = r.choice((left, f"({left}) && ({right})", f"({left}) || ({right})", f"!({left})"))
        texts.append(
            f'@id("r{n}") {r.choice(("permit", "permit", "forbid"))}(principal, action, resource) when {{ {when} }};'
        )
    return book('@id("all") permit(principal, action, resource);', *texts)


def row(r: random.Random, n: int) -> Entity:
    values: dict[str, Any] = {
        "stock": r.choice(STOCKS),
        "rate": r.choice(RATES),
        "region": r.choice(REGIONS),
        "due": r.choice(DUES),
        "open": r.choice((True, False)),
        "total": Money(r.choice(RATES), r.choice(("EUR", "USD"))),
    }
    cls = r.choice(("Product", "Order", "Customer"))
    odd = r.choice(sorted(ODD))
    if r.random() < 0.05:
        values[odd] = r.choice(ODD[odd])
    kept = {name: value for name, value in values.items() if name in ontology().classes[cls].properties}
    return Entity(f"e{n}", cls, 1, {name: value for name, value in kept.items() if r.random() < 0.8}, n)


def test_a_list_shows_what_each_row_alone_would() -> None:
    shown = 0
    for seed in range(150):
        r = random.Random(seed)
        held, reader = rules(r), user("anna", "staff")
        rows = [row(r, n) for n in range(60)]
        seen = GovernedView(reader, held, ontology()).see(rows)
        for entity, result in zip(rows, seen, strict=True):
            assert (result is not None) == decide(Request(reader, "read", entity), held).allowed, (seed, entity)
            shown += result is not None
    assert 1_000 < shown < 8_000, shown


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    asked: list[Request] = []

    def counting(request: Request, held: RuleBook) -> Any:
        asked.append(request)
        return deciding.decide(request, held)

    monkeypatch.setattr(viewing, "decide", counting)
    return asked


def test_a_thousand_amounts_are_as_many_decisions_as_the_rules_have_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    held = book(
        '@id("r") permit(principal, action == Action::"read", resource is Order);',
        '@id("big") forbid(principal, action == Action::"read", resource is Order) '
        'when { resource has total && resource.totalCurrency == "EUR" && resource.total.greaterThan(decimal("500.0")) };',
    )
    asked = counted(monkeypatch)
    rows = [Entity(f"o{n}", "Order", 1, {"total": Money(Decimal(n), "EUR")}, n) for n in range(1_000)]
    seen = GovernedView(user("anna"), held, ontology()).see(rows)
    assert sum(one is not None for one in seen) == 501
    # Below, on and above the one literal; the labels of the class are decided apart.
    assert len([request for request in asked if request.resource.cls == "Order"]) == 3


def test_what_is_read_in_another_way_is_told_apart_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    held = book(
        '@id("r") permit(principal, action == Action::"read", resource is Customer) when { resource.region like "N*" };'
    )
    asked = counted(monkeypatch)
    rows = [Entity(f"c{n}", "Customer", 1, {"region": f"{'NS'[n % 2]}{n // 4}"}, n) for n in range(100)]
    seen = GovernedView(user("anna"), held, ontology()).see(rows)
    assert [one is not None for one in seen] == [n % 2 == 0 for n in range(100)]
    assert len([request for request in asked if request.resource.cls == "Customer"]) == 50


def test_a_version_that_differs_in_nothing_read_is_not_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    held = book(
        '@id("r") permit(principal, action == Action::"read", resource is Product) when { resource has stock };'
    )
    asked = counted(monkeypatch)
    one = Entity("p", "Product", 1, {"stock": 1}, 1)
    GovernedView(user("anna"), held, ontology()).see(
        [one, replace(one, version=2, properties={"stock": 2, "rate": Decimal(1)})]
    )
    assert len([request for request in asked if request.resource.cls == "Product"]) == 1
