"""The smallest change that turns a verdict: it does turn it, nothing smaller of its kind does, and hidden facts are left alone."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from governance.counterfactual import turn
from governance.decide import decide
from kg.values import Money
from tests.governance.world import agent, apply, book, product

MAY = '@id("may") permit(principal, action == Action::"apply", resource is Product);'
LOW = (
    '@id("low") forbid(principal, action == Action::"apply", resource is Product) '
    "when { resource has stock && resource.stock > 10 };"
)
BIG = (
    '@id("big") forbid(principal, action == Action::"apply", resource is Product) '
    'when { context has amount && context.amount.greaterThan(decimal("500.0")) };'
)
BOTH = (
    '@id("both") permit(principal, action == Action::"apply", resource is Product) '
    'when { resource has stock && resource.stock < 5 && context.operation == "order" };'
)


def test_one_fact_and_the_nearest_value() -> None:
    request, rules = apply(agent(), product(stock=40)), book(MAY, LOW)
    found = turn(request, rules, decide(request, rules))
    assert found is not None
    assert found.verdict.outcome == "allow"
    assert [str(fact) for fact in found.facts] == ["resource.stock 10 instead of 40"]


def test_an_amount_keeps_its_currency() -> None:
    request, rules = apply(agent(), product(stock=1), amount=Money(Decimal("900"), "EUR")), book(MAY, BIG)
    found = turn(request, rules, decide(request, rules))
    assert found is not None
    assert found.facts[0].wanted == Money(Decimal("500"), "EUR")


def test_two_facts_where_one_is_not_enough() -> None:
    request, rules = apply(agent(), product(stock=9), operation="gift"), book(BOTH)
    found = turn(request, rules, decide(request, rules))
    assert found is not None
    assert {fact.name for fact in found.facts} == {"stock", "operation"}


def test_a_rule_that_the_reader_may_not_see_gives_no_constant_away() -> None:
    request, rules = apply(agent(), product(stock=40)), book(MAY, LOW)
    low = frozenset(statement.id for statement in rules.statements if statement.effect == "forbid")
    assert len(low) == 1
    assert turn(request, rules, decide(request, rules), unread=low) is None


def test_what_the_reader_may_not_see_is_not_named() -> None:
    request, rules = apply(agent(), product(stock=40)), book(MAY, LOW)
    assert turn(request, rules, decide(request, rules), frozenset({"stock"})) is None


def test_nothing_small_turns_it() -> None:
    request = apply(agent(), product(stock=40))
    rules = book('@id("no") forbid(principal, action, resource);', MAY)
    assert turn(request, rules, decide(request, rules)) is None


@given(stock=st.integers(-50, 50), limit=st.integers(-40, 40), amount=st.decimals(0, 2_000, places=2))
def test_whatever_is_found_does_turn_it(stock: int, limit: int, amount: Decimal) -> None:
    rules = book(MAY, LOW.replace("10", str(limit)) if limit >= 0 else LOW.replace("10", f"({limit})"), BIG)
    request = apply(agent(), product(stock=stock), amount=Money(amount, "EUR"))
    verdict = decide(request, rules)
    found = turn(request, rules, verdict)
    if found is not None:
        assert found.verdict.outcome != verdict.outcome
        if verdict.outcome == "deny":
            assert found.verdict.outcome == "allow"
    if verdict.outcome == "deny" and (stock <= limit or amount <= 500):
        assert found is not None
        assert len(found.facts) == 1, "one fact is wrong, so one fact turns it"
