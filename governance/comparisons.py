"""The comparisons inside a Cedar statement (JSON form): which attribute is held against which constant, and how.

Invariant: what is not a comparison of one attribute with constants is left out, never guessed at. Evaluates nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from kg.values import Json

Constant = str | int | bool | Decimal
#: Comparison operators and what each becomes when its sides are exchanged.
_MIRROR: Final[Mapping[str, str]] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: Methods of Cedar's decimal type, as operators.
_DECIMAL: Final[Mapping[str, str]] = {
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``variable.attribute operator constants``; `in` and `contains` may have several constants, the others have one."""

    variable: str
    attribute: str
    operator: str
    constants: tuple[Constant, ...]


def comparisons(statement: Mapping[str, Json]) -> Iterator[Comparison]:
    """Every comparison anywhere in the conditions."""
    stack: list[Any] = [condition["body"] for condition in statement["conditions"]]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            found = _comparison(node)
            if found is not None:
                yield found
            else:
                stack.extend(value for key, value in node.items() if key != "Value")


def demanded(statement: Mapping[str, Json]) -> Iterator[Comparison]:
    """The comparisons that must all hold for the statement to match: those joined by ``&&`` in its ``when`` parts."""
    stack: list[Any] = [condition["body"] for condition in statement["conditions"] if condition["kind"] == "when"]
    while stack:
        node = stack.pop()
        if "&&" in node:
            stack.extend((node["&&"]["left"], node["&&"]["right"]))
            continue
        found = _comparison(node)
        if found is not None:
            yield found


def hopeless(statement: Mapping[str, Json]) -> bool:
    """Whether a literal ends it: ``false`` among what must hold, or ``true`` among what must not."""
    for condition in statement["conditions"]:
        joint = "&&" if condition["kind"] == "when" else "||"
        stack: list[Any] = [condition["body"]]
        while stack:
            node = stack.pop()
            if joint in node:
                stack.extend((node[joint]["left"], node[joint]["right"]))
            elif node.get("Value") is (condition["kind"] == "unless"):
                return True
    return False


def _comparison(node: Mapping[str, Any]) -> Comparison | None:
    for operator, sides in node.items():
        if operator in _MIRROR:
            return _sides(operator, sides["left"], sides["right"])
        if operator in _DECIMAL:
            return _sides(_DECIMAL[operator], *sides)
        if operator in {"contains", "containsAny"}:
            return _member(sides["left"], sides["right"])
        if operator == "!":
            path = _path(sides["arg"])
            return Comparison(*path, "==", (False,)) if path else None
    path = _path(node)
    return Comparison(*path, "==", (True,)) if path else None


def _sides(operator: str, left: Any, right: Any) -> Comparison | None:
    if (path := _path(left)) and (constant := _constant(right)) is not None:
        return Comparison(*path, operator, (constant,))
    if (path := _path(right)) and (constant := _constant(left)) is not None:
        return Comparison(*path, _MIRROR[operator], (constant,))
    return None


def _member(left: Any, right: Any) -> Comparison | None:
    if (path := _path(right)) and "Set" in left:
        constants = [constant for item in left["Set"] if (constant := _constant(item)) is not None]
        return Comparison(*path, "in", tuple(constants)) if len(constants) == len(left["Set"]) else None
    if (path := _path(left)) and (constant := _constant(right)) is not None:
        return Comparison(*path, "contains", (constant,))
    return None


def _path(node: Any) -> tuple[str, str] | None:
    if not isinstance(node, dict) or set(node) != {"."}:
        return None
    left = node["."]["left"]
    return (left["Var"], node["."]["attr"]) if set(left) == {"Var"} else None


def _constant(node: Any) -> Constant | None:
    if not isinstance(node, dict):
        return None
    if isinstance(value := node.get("Value"), str | int | bool):
        return value
    try:
        return Decimal(node["decimal"][0]["Value"]) if "decimal" in node else None
    except (InvalidOperation, KeyError, TypeError, IndexError):
        return None
