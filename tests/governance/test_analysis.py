"""What analysis finds: rules that never match, are shadowed or add nothing, departments without rules; else nothing."""

import pytest

from governance.analysis import analyse
from governance.decide import decide
from governance.rulebook import RuleBook
from tests.governance.world import agent, apply, book, product

PERMIT = '@id("may") permit(principal in Role::"clerk", action == Action::"apply", resource is Product) when { %s };'
HELD = {("Role", "clerk"), ("Department", "purchasing"), ("Department", "sales"), ("User", "anna")}
SALES = '@id("sales") permit(principal, action, resource in Department::"sales") when { context has amount };'


def kinds(rules: RuleBook) -> list[tuple[str, str]]:
    return [(finding.kind, finding.subject) for finding in analyse(rules, HELD)]


@pytest.mark.parametrize(
    "condition",
    [
        "resource has stock && resource.stock > 5 && resource.stock < 3",
        "resource has stock && resource.stock > 5 && resource.stock <= 5",
        'context.operation == "a" && context.operation == "b"',
        'context.operation == "a" && ["b", "c"].contains(context.operation)',
        'context.operation == "a" && context.operation != "a"',
        'context.confidence.greaterThan(decimal("0.9")) && context.confidence.lessThan(decimal("0.5"))',
        "resource has stock && resource.stock == 5 && 3 > resource.stock",
    ],
)
def test_conditions_that_contradict_each_other_never_match(condition: str) -> None:
    rules = book(PERMIT % condition, SALES)
    assert ("never", "may") in kinds(rules)
    for stock in range(8):
        for operation in "abc":
            request = apply(agent("x", "clerk"), product(stock=stock), operation=operation)
            assert decide(request, rules).outcome != "allow", "what is called impossible must be"


@pytest.mark.parametrize(
    "condition",
    [
        "resource has stock && resource.stock > 3 && resource.stock < 5",
        "resource has stock && (resource.stock > 5 || resource.stock < 3)",
        'context.operation == "a" && ["a", "c"].contains(context.operation)',
        'resource has tags && resource.tags.contains("a") && resource.tags.contains("b")',
    ],
)
def test_conditions_that_can_be_met_are_not_reported(condition: str) -> None:
    assert kinds(book(PERMIT % condition, SALES)) == []


def test_a_role_that_nobody_has() -> None:
    assert ("never", "may") in kinds(book((PERMIT % "true").replace("clerk", "nobody"), SALES))


def test_a_permit_that_a_wide_forbid_covers_is_shadowed() -> None:
    wide = '@id("no") forbid(principal, action == Action::"apply", resource is Product);'
    assert ("shadowed", "may") in kinds(book(PERMIT % "resource has stock", wide, SALES))
    soft = wide.replace("forbid", '@requires("x") @approvers("clerk:1") forbid')
    assert kinds(book(PERMIT % "resource has stock", soft, SALES)) == []


def test_a_permit_that_a_wider_one_covers_adds_nothing() -> None:
    wide = '@id("all") permit(principal, action, resource is Product);'
    assert ("redundant", "may") in kinds(book(PERMIT % "resource has stock", wide, SALES))
    twin = (PERMIT % "resource has stock").replace('"may"', '"twin"')
    assert ("redundant", "twin") in kinds(book(PERMIT % "resource has stock", twin, SALES))


def test_a_department_without_any_rule() -> None:
    assert kinds(book(PERMIT % "resource has stock")) == [("uncovered", "sales")]


def test_a_rule_that_does_not_compile_is_named() -> None:
    assert ("broken", "rule0") in kinds(
        book('@id("bad") permit(principal, action, resource) when { nonsense( };', SALES)
    )


@pytest.mark.parametrize(
    ("rule", "never"),
    [
        (PERMIT % "false", True),
        (PERMIT % "resource has stock && false", True),
        ((PERMIT % "true").replace("when", "unless"), True),
        ((PERMIT % "resource has stock || true").replace("when", "unless"), True),
        (PERMIT % "false || resource has stock", False),
        ((PERMIT % "resource has stock && true").replace("when", "unless"), False),
        (PERMIT % "true", False),
    ],
)
def test_a_condition_that_a_literal_ends(rule: str, never: bool) -> None:
    rules = book(rule, SALES)
    assert (("never", "may") in kinds(rules)) == never
    if never:
        for stock in range(8):
            assert decide(apply(agent("x", "clerk"), product(stock=stock)), rules).outcome != "allow"


def test_a_principal_that_is_not_there() -> None:
    rule = '@id("may") permit(principal == User::"%s", action == Action::"apply", resource is Product);'
    assert ("never", "may") in kinds(book(rule % "ghost", SALES))
    assert kinds(book(rule % "anna", SALES)) == []


def test_a_rule_that_shows_more_counts_or_advises_adds_something() -> None:
    label = 'permit(principal%s, action == Action::"read", resource == Label::"pii");'
    wide, narrow = (
        f'@id("wide") @mask("partial") {label % ""}',
        f'@id("narrow") {label % (" in Role::" + chr(34) + "clerk" + chr(34))}',
    )
    department = (
        '@id("dep") permit(principal, action, resource in Department::"purchasing") when { context has amount };'
    )
    assert kinds(book(wide, narrow, SALES, department)) == [], "the narrow one shows as it is what the wide one masks"
    assert ("redundant", "narrow") in kinds(book(wide.replace('@mask("partial") ', ""), narrow, SALES, department))
    every = '@id("every") permit(principal, action == Action::"read", resource is Product);'
    for more in ('@readings("1h")', '@advice("look twice")'):
        some = f'@id("some") {more} permit(principal in Role::"clerk", action == Action::"read", resource is Product);'
        assert kinds(book(every, some, SALES)) == []
    plain = '@id("some") permit(principal in Role::"clerk", action == Action::"read", resource is Product);'
    assert ("redundant", "some") in kinds(book(every, plain, SALES))
