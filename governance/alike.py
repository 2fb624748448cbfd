"""Which values of an attribute no rule tells apart: a rule that asks ``resource.amount > 5000`` knows two kinds of amounts.

Invariant: two values with one token get the same decision from every statement that the marks were taken from. It errs on
the side of telling apart: an attribute that is read otherwise than by comparing it with a literal, or a value that Cedar might
not take, keeps its own value as its token. Decides nothing.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from governance.attributes import form
from kg.values import DECIMAL_MAX, DECIMAL_PLACES, INTEGER_MAX, Json, Money, Ref, Value

#: Literals one attribute is compared with; beyond this its values are told apart one by one.
LITERALS_MAX: Final = 1_000
_COMPARED: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_COMPARED_DECIMALS: Final = frozenset({"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"})
_DECIMAL: Final = re.compile(r"-?[0-9]{1,14}\.[0-9]{1,4}\Z")
_RESOURCE: Final = {"Var": "resource"}
Literal = str | int | Decimal


@dataclass(frozen=True, slots=True)
class Marks:
    """The literals that an attribute is compared with, numbers sorted; `exact` where it is read in another way too."""

    texts: frozenset[str] = frozenset()
    integers: tuple[int, ...] = ()
    decimals: tuple[Decimal, ...] = ()
    exact: bool = False


#: Of an attribute that nothing tells apart by value, only by its being there.
PRESENCE: Final = Marks()


def marks(statement: Mapping[str, Json]) -> dict[str, Marks]:
    """The marks of every attribute of the resource that a statement's conditions compare or read."""
    found: dict[str, set[Literal | None]] = {}
    stack: list[Any] = [condition["body"] for condition in statement["conditions"]]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            for key, value in node.items():
                pair = _pair(key, value)
                if pair is not None:
                    found.setdefault(pair[0], set()).add(pair[1])
                elif key == "." and value["left"] == _RESOURCE:
                    found.setdefault(str(value["attr"]), set()).add(None)
                elif key != "Value":
                    stack.extend(value.values() if isinstance(value, dict) else [value])
    return {name: _marks(literals) for name, literals in found.items()}


def _marks(literals: set[Literal | None]) -> Marks:
    if None in literals or len(literals) > LITERALS_MAX:
        return Marks(exact=True)
    return Marks(
        frozenset(one for one in literals if isinstance(one, str)),
        tuple(sorted(one for one in literals if isinstance(one, int))),
        tuple(sorted(one for one in literals if isinstance(one, Decimal))),
    )


def _pair(key: str, value: Any) -> tuple[str, Literal] | None:
    """The attribute and the literal of a comparison between the two, None for anything else."""
    if key in _COMPARED and isinstance(value, dict):
        sides = [value["left"], value["right"]]
    elif key in _COMPARED_DECIMALS and isinstance(value, list) and len(value) == 2:
        sides = value
    else:
        return None
    for one, other in (sides, sides[::-1]):
        if isinstance(one, dict) and set(one) == {"."} and one["."]["left"] == _RESOURCE:
            literal = _literal(other)
            return None if literal is None else (str(one["."]["attr"]), literal)
    return None


def _literal(node: Any) -> Literal | None:
    if not isinstance(node, dict) or len(node) != 1:
        return None
    ((key, value),) = node.items()
    # A truth value has two kinds anyway, and True would pass for 1.
    if key == "Value" and isinstance(value, str | int) and not isinstance(value, bool):
        return value
    if key == "decimal" and isinstance(value, list) and len(value) == 1:
        text = value[0].get("Value") if isinstance(value[0], dict) else None
        return Decimal(text) if isinstance(text, str) and _DECIMAL.match(text) else None
    return None


def together(every: Iterable[Mapping[str, Marks]]) -> dict[str, Marks]:
    """The marks of several statements."""
    found: dict[str, list[Marks]] = {}
    for one in every:
        for name, own in one.items():
            found.setdefault(name, []).append(own)
    return {name: _merged(own) for name, own in found.items()}


def _merged(own: list[Marks]) -> Marks:
    texts = frozenset(text for one in own for text in one.texts)
    integers = tuple(sorted({number for one in own for number in one.integers}))
    decimals = tuple(sorted({number for one in own for number in one.decimals}))
    if any(one.exact for one in own) or len(texts) + len(integers) + len(decimals) > LITERALS_MAX:
        return Marks(exact=True)
    return Marks(texts, integers, decimals)


def token(value: Value, own: Marks) -> object:
    """What stands for a value among those that the marks do not tell apart."""
    kind: type = type(value)
    if own.exact:
        # With the type, since Python takes True, 1 and Decimal(1) for the same.
        return _typed(value)
    # What is no plain text might not be readable at all, and so be decided otherwise than its neighbours.
    if (kind is str or kind is Ref) and str(value).isprintable():
        return (kind, value if value in own.texts else None)
    if kind is Money and isinstance(value, Money):
        return (kind, _between(value.amount, own))
    if kind is int or kind is Decimal or kind is datetime or kind is timedelta:
        return (kind, _between(value, own))
    return _typed(value)


def _between(value: Any, own: Marks) -> object:
    """Where a number stands among the literals: between two, or on one."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -DECIMAL_PLACES or abs(value) > DECIMAL_MAX:
            return value
        return (bisect_left(own.decimals, value), bisect_right(own.decimals, value))
    number = value if isinstance(value, int) else form(value)
    if not -INTEGER_MAX <= number <= INTEGER_MAX:
        return value
    return (bisect_left(own.integers, number), bisect_right(own.integers, number))


def _typed(value: Value) -> object:
    if isinstance(value, tuple):
        return (tuple, tuple(_each(value)))
    if isinstance(value, Money):
        return (Money, value.amount)
    return (type(value), value)


def _each(value: tuple[Any, ...]) -> Iterator[object]:
    return ((type(item), item) for item in value)
