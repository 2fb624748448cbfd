"""Why: the lineage of an entity or a property as a flat list of steps, a text, and PROV-JSON.

A tree of any depth cannot be asked for in GraphQL, so each step says how deep it is and which step it explains. Invariant:
everything comes from `kg.lineage`, which passes the operation's View; nothing is read here.
"""

from typing import Any

import strawberry

from api.errors import BadRequestError
from api.graphql.operations import Operation
from api.graphql.scalars import JSON
from governance.readings import NotingView
from kg.lineage import prov_json, why
from kg.why import Why as Tree

#: Levels back that one question may ask for.
DEPTH_MAX = 20
#: Steps in one answer; what lies beyond is left out and said so.
STEPS_MAX = 2_000


@strawberry.type(description="One step of an explanation.")
class WhyStep:
    depth: int = strawberry.field(description="0 for what was asked about.")
    parent: int | None = strawberry.field(description="The index of the step that this one explains.")
    via: str = strawberry.field(description="How it explains it: a PROV relation such as used or wasGeneratedBy.")
    kind: str = strawberry.field(description="entity, change, cause, record, agent or truncated.")
    label: str
    node: str = strawberry.field(description="Names it within this answer; empty where it is withheld.")
    withheld: bool
    repeated: bool = strawberry.field(description="It was explained at an earlier step.")
    details: JSON


def _text(self: Any) -> str:
    lines: list[str] = self.tree.lines()
    return "\n".join([*lines[:STEPS_MAX], "… more"] if len(lines) > STEPS_MAX else lines)


def _prov(self: Any) -> JSON:
    return JSON(prov_json(self.tree))


@strawberry.type(description="Why something is so.")
class Why:
    tree: strawberry.Private[Tree]
    steps: list[WhyStep]
    truncated: bool = strawberry.field(description="Whether steps were left out because there are too many.")

    text = strawberry.field(resolver=_text, description="The tree as text, one line a step.")
    prov = strawberry.field(resolver=_prov, description="W3C PROV-JSON, for other tools.")


def flatten(tree: Tree) -> tuple[list[WhyStep], bool]:
    """The steps of a tree, parents first, and whether some were left out."""
    steps: list[WhyStep] = []
    waiting: list[tuple[Tree, int, int | None]] = [(tree, 0, None)]
    while waiting and len(steps) < STEPS_MAX:
        node, depth, parent = waiting.pop()
        index = len(steps)
        steps.append(
            WhyStep(
                depth=depth,
                parent=parent,
                via=node.via,
                kind=node.kind,
                label=node.label,
                node=node.node,
                withheld=node.withheld,
                repeated=node.repeated,
                details=JSON(dict(node.details)),
            )
        )
        waiting += [(child, depth + 1, index) for child in reversed(node.children)]
    return steps, bool(waiting)


async def explain(operation: Operation, id: str, property: str | None, depth: int) -> Why:
    """The explanation of an entity or of one property of it, now."""
    if not 1 <= depth <= DEPTH_MAX:
        raise BadRequestError(f"depth: {depth} is outside 1 to {DEPTH_MAX}; ask for a number within")
    # A tree tells whole versions, so whatever it passes through counts as told.
    view = NotingView(operation.view, operation.readings)
    tree = await operation.call(why, operation.platform.store, view, id, property, depth)
    steps, truncated = flatten(tree)
    return Why(tree=tree, steps=steps, truncated=truncated)
