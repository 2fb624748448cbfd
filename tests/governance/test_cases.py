"""Cases beside rules: the outcome that the author expects, values of every scalar type, and errors that name the line."""

import pytest

from governance.cases import read_cases, run_cases
from governance.errors import CaseError
from tests.governance.world import book, ontology

CASES = """
- name: an agent may order a little
  principal: {kind: Agent, id: replenishment, roles: [clerk]}
  action: apply
  resource: {class: Product, id: p1, properties: {stock: 3, rate: 1.5, tags: [a, b]}}
  context: {operation: purchase_order.create, effect: graph, amount: "10.0", confidence: 1, priority: 0}
  expect: allow
  rule: may
- name: not a lot
  principal: {kind: Agent, id: replenishment, on_behalf_of: {kind: User, id: anna}}
  action: apply
  resource: {class: Product}
  context: {amount: 6000}
  expect: needs_approval
- principal: {kind: User, id: anna, departments: [sales]}
  action: read
  resource: {class: Order, properties: {total: 9.50 EUR, open: true, due: 2026-01-31T09:00:00Z}}
  expect: allow
"""
RULES = (
    '@id("may") permit(principal, action == Action::"apply", resource is Product);',
    '@id("big") @requires("x") @approvers("m:1") forbid(principal, action, resource) '
    'when { context has amount && context.amount.greaterThan(decimal("5000.0")) };',
    '@id("read") permit(principal in Department::"sales", action == Action::"read", resource is Order) '
    'when { resource.totalCurrency == "EUR" && resource.open && resource.due == 1769850000000 };',
)


def test_cases_pass_and_fail_with_what_was_found() -> None:
    cases = read_cases(CASES, ontology())
    assert [result.passed for result in run_cases(cases, book(*RULES))] == [True, True, True]
    first, second, third = run_cases(cases, book(RULES[1], RULES[2]))
    assert [first.passed, second.passed, third.passed] == [False, False, True]
    assert (first.verdict.outcome, first.case.line, third.case.name) == ("deny", 2, "line 15")
    wrong_rule = read_cases(CASES.replace("rule: may", "rule: other"), ontology())
    assert not run_cases(wrong_rule, book(*RULES))[0].passed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("action: read", "action: raed", "line 16: action must be one of read,"),
        ("class: Order", "class: Ordr", "line 17: class 'Ordr' is not in the ontology"),
        ("expect: needs_approval", "expect: maybe", "line 14: expect must be one of"),
        ("{stock: 3,", "{stock: three,", "line 5: stock must be a whole number"),
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00", "due must be an instant with time zone"),
        ("9.50 EUR", "nine EUR", "total must be an amount"),
        ("open: true", "open: 1", "open must be true or false"),
        ("amount: 6000", "amout: 6000", "the context of apply has no field 'amout'"),
        ("tags: [a, b]", "tags: a", "tags must be a list"),
        ("kind: User", "kind: Human", "kind must be one of User, Agent, Service"),
        ("  expect: needs_approval", "", "a case needs the field 'expect'"),
    ],
)
def test_a_wrong_case_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    assert old in CASES
    with pytest.raises(CaseError) as caught:
        read_cases(CASES.replace(old, new), ontology())
    assert said in str(caught.value)
