"""A slice decides as the whole set: over generated rules and requests, decision, determining rules and errors agree."""

import json
import random

import pytest

from governance import attributes, cedar
from governance.cedar import Uid
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.verdict import Answer, Request
from tests.governance import generated
from tests.governance.world import book


def whole(rules: RuleBook, link: Principal, request: Request, satisfied: tuple[str, ...]) -> Answer:
    """The answer of the whole set to the whole resource: no slice, no choice of attributes."""
    policies = cedar.policy_set({s.id: s.policy for s in rules.statements})
    context = attributes.record(request.context) | {"satisfied": sorted(satisfied)}
    if request.principal.on_behalf_of is not None:
        context["onBehalfOf"] = request.principal.on_behalf_of.uid
    department = rules.departments.get(request.resource.cls)
    groups = [("Role", name) for name in sorted(link.roles)] + [
        ("Department", name) for name in sorted(link.departments)
    ]
    entities = [
        {
            "uid": {"type": link.kind, "id": link.id},
            "attrs": {},
            "parents": [{"type": kind, "id": name} for kind, name in groups],
        },
        {
            "uid": {"type": request.resource.cls, "id": request.resource.id},
            "attrs": attributes.record(request.resource.properties),
            "parents": [{"type": "Department", "id": department}] if department else [],
        },
    ]
    resource = Uid(request.resource.cls, request.resource.id)
    return cedar.authorize(
        policies, Uid(link.kind, link.id), request.action, resource, json.dumps(context), json.dumps(entities)
    )


def test_slices_decide_as_the_whole_set_in_3000_random_requests() -> None:
    seen: dict[str, int] = {}
    for seed in range(30):
        r = random.Random(seed)
        rules = book(*(generated.rule_text(r, n) for n in range(40)))
        for _ in range(100):
            request = generated.request(r)
            satisfied = tuple(sorted(r.sample(("q0", "q1", "q2", "x"), r.randrange(3))))
            for link in request.principal.chain():
                expected = whole(rules, link, request, satisfied)
                assert rules.evaluate(link, request, satisfied) == expected, (seed, request)
                seen[expected.decision] = seen.get(expected.decision, 0) + 1
                seen["errors"] = seen.get("errors", 0) + bool(expected.errors)
    # The generator is only worth something if it reaches every kind of answer.
    assert min(seen["Allow"], seen["Deny"], seen["errors"]) > 200, seen


def test_a_slice_leaves_most_rules_out() -> None:
    texts = [
        f'@id("r{n}") permit(principal in Role::"role{n % 10}", action == Action::"read", resource is Product);'
        for n in range(100)
    ]
    rules = book(*texts)
    assert rules.slice(Principal("User", "anna", frozenset({"role3"})), "read", "Product").size == 10
    assert rules.slice(Principal("User", "anna", frozenset({"role3"})), "read", "Order").size == 0


def test_the_cache_of_slices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.rulebook.SLICES_MAX", 3)
    rules = book(
        '@id("a") permit(principal in Role::"x", action, resource);',
        '@id("b") permit(principal == User::"u1", action, resource);',
    )
    for cls in generated.CLASSES * 2:
        assert rules.slice(Principal("User", "u1"), "read", cls).size == 1
    assert len(rules._slices) <= 3
