"""Random rules, principals and resources under a seed, for differential tests. Rules may err and may match nothing."""

import random
from decimal import Decimal
from typing import Any

from governance.principals import Principal
from governance.verdict import Request, Resource
from kg.model import Entity
from kg.values import Money

ROLES = ("r0", "r1", 'r"2', "rolé3")
DEPARTMENTS = ("sales", "purchasing", "d'2")
NAMES = ("anna", "ben", 'c"arl\\', "dörte")
CLASSES = ("Product", "Order", "WebOrder", "Customer")
ACTIONS = ("read", "apply", "approve")


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _principal(r: random.Random) -> str:
    role, department = quoted(r.choice(ROLES)), quoted(r.choice(DEPARTMENTS))
    kind, name = r.choice(("User", "Agent", "Service")), quoted(r.choice(NAMES))
    return r.choice(
        (
            "principal",
            f"principal is {kind}",
            f"principal == {kind}::{name}",
            f"principal in {kind}::{name}",
            f"principal in Role::{role}",
            f"principal in Department::{department}",
            f"principal is {kind} in Role::{role}",
        )
    )


def _action(r: random.Random) -> str:
    one, two = r.sample(ACTIONS, 2)
    return r.choice(
        (
            "action",
            f'action == Action::"{one}"',
            f'action in [Action::"{one}", Action::"{two}"]',
            f'action in Action::"{one}"',
        )
    )


def _resource(r: random.Random) -> str:
    cls, department = r.choice(CLASSES), quoted(r.choice(DEPARTMENTS))
    return r.choice(
        (
            "resource",
            f"resource is {cls}",
            f"resource is {cls}",
            f'resource == {cls}::"e{r.randrange(4)}"',
            f'resource in {cls}::"e{r.randrange(4)}"',
            f"resource in Department::{department}",
            f"resource is {cls} in Department::{department}",
        )
    )


def _condition(r: random.Random, depth: int = 2) -> str:
    if depth and r.random() < 0.4:
        left, right = _condition(r, depth - 1), _condition(r, depth - 1)
        return r.choice(
            (f"({left} && {right})", f"({left} || {right})", f"!({left})", f"(if {left} then {right} else {left})")
        )
    role = quoted(r.choice(ROLES))
    return r.choice(
        (
            "true",
            f"resource.stock > {r.randrange(5)}",
            f"resource has stock && resource.stock > {r.randrange(5)}",
            f'resource has region && resource.region == "{r.choice("NSEW")}"',
            f'resource has region && resource.region like "*{r.choice("NSEW")}*"',
            f'resource has rate && resource.rate.lessThan(decimal("{r.randrange(4)}.5"))',
            'resource has total && resource.totalCurrency == "EUR"',
            'resource.tags.contains("a")',
            "resource.open",
            f'resource == Customer::"e{r.randrange(4)}"',
            f'[resource].contains(Product::"e{r.randrange(4)}")',
            '{Value: resource, Var: 1}.Value == Order::"e1"',
            "{Record: resource}.Record.stock > 1",
            "(if context.priority > 1 then resource else resource).open",
            "resource is Order",
            f"principal in Role::{role}",
            "resource in Department::" + quoted(r.choice(DEPARTMENTS)),
            f"context.priority > {r.randrange(3)}",
            'context.satisfied.contains("x")',
            'resource["region"] == principal',
        )
    )


def rule_text(r: random.Random, n: int) -> str:
    effect, soft = r.choice(("permit", "permit", "forbid")), ""
    if effect == "forbid" and r.random() < 0.5:
        soft = f'@requires("q{r.randrange(3)}") @approvers("m:{r.randrange(1, 3)}")'
    when = "".join(f" {r.choice(('when', 'unless'))} {{ {_condition(r)} }}" for _ in range(r.randrange(3)))
    return f'@id("rule-{n}") {soft} {effect}({_principal(r)}, {_action(r)}, {_resource(r)}){when};'


def principal(r: random.Random, depth: int = 1) -> Principal:
    roles = frozenset(r.sample(ROLES, r.randrange(3)))
    departments = frozenset(r.sample(DEPARTMENTS, r.randrange(2)))
    behalf = principal(r, depth - 1) if depth and r.random() < 0.2 else None
    return Principal(r.choice(("User", "Agent", "Service")), r.choice(NAMES), roles, departments, behalf)


def entity(r: random.Random, id: str | None = None) -> Entity:
    cls = r.choice(CLASSES)
    region, rate = r.choice("NSEW"), Decimal(r.randrange(5))
    total = Money(Decimal(r.randrange(9)), r.choice(("EUR", "USD")))
    by_class: dict[str, dict[str, Any]] = {
        "Product": {"stock": r.randrange(5), "rate": rate, "tags": tuple(r.sample("abc", 2))},
        "Order": {"total": total, "open": r.random() < 0.5, "region": region},
        "Customer": {"region": region, "rate": rate, "phone": "030", "margin": Decimal(1), "tags": ("a",)},
    }
    values = by_class["Order" if cls == "WebOrder" else cls]
    kept = {name: value for name, value in values.items() if r.random() < 0.8}
    return Entity(id or f"e{r.randrange(4)}", cls, 1, kept, 1)


def request(r: random.Random) -> Request:
    action = r.choice(ACTIONS)
    thing: Entity | Resource = entity(r)
    if action == "read" and r.random() < 0.1:
        thing = Resource("Label", "pii")
    return Request(principal(r), action, thing, {"priority": r.randrange(4)})
