"""Matching: whether an event meets a filter of the specification, by its attributes and its correlations.

Invariant: what an event holds never fails whoever listens: an event of which an expression can make nothing does not match. What
the workflow itself expects is its own, so an error in that is raised. Keeps nothing.
"""

from collections.abc import Mapping
from typing import Any

from coordination.workflow.expressions import Expressions, Variables, pieces, program
from kg.payloads import text_of
from kg.values import Json

Filter = Mapping[str, Any]


def meets(
    expressions: Expressions, wanted: Filter, event: Mapping[str, Json], keys: Mapping[str, Json], data: Json, scope: Variables
) -> dict[str, Json] | None:  # fmt: skip
    """The correlation keys of an event that meets a filter, None where it does not; `keys` are those that others gave before."""
    for name, pattern in wanted.get("with", {}).items():
        if not _fits(expressions, pattern, event.get(name), scope):
            return None
    found: dict[str, Json] = {}
    for name, correlation in wanted.get("correlate", {}).items():
        expected = keys.get(name)
        if "expect" in correlation:
            expected = expressions.filled(correlation["expect"], data, scope)
        result = expressions.results([program(correlation["from"])], dict(event), scope)[0]
        value = None if result.error is not None else result.value
        if value is None or (expected is not None and value != expected):
            return None
        found[name] = value
    return found


def _fits(expressions: Expressions, pattern: Json, value: Json, scope: Variables) -> bool:
    """Whether an attribute is what the filter says, what an expression wants or gives, or of a regular expression."""
    if isinstance(pattern, str) and "${" in pattern and pieces(pattern)[0][0]:
        found = expressions.results([pieces(pattern)[0][1]], value, scope)[0]
        return found.error is None and (found.value is True or (found.value == value and value is not None))
    return pattern == value or _like(expressions, pattern, value)


def _like(expressions: Expressions, pattern: Json, value: Json) -> bool:
    """Whether a text fits a regular expression; it runs in the bounded child, so no pattern holds a worker."""
    if not (isinstance(pattern, str) and isinstance(value, str) and regular(pattern)):
        return False
    result = expressions.results([f"test({text_of(f'^(?:{pattern})$')})"], value, {})[0]
    return result.error is None and result.value is True


def regular(pattern: str) -> bool:
    """Whether a text is meant as a regular expression: it has what no type or address has."""
    return any(mark in pattern for mark in ("*", "^", "$", "|", "\\", "[", "("))
