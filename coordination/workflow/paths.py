"""Paths: the jq programs that only name a place (``.``, ``.a.b``, ``$context.a``), answered here instead of in the child process.

Invariant: a path gives what jq gives (a test holds it to that on random programs and values); every other program, and every
path that fails, goes to jq. What it gives is a copy, as jq's answer is, so nobody changes a run's data through it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kg.values import Json

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: jq's own words, which are no field names in every release.
_KEYWORDS: Final = frozenset(
    [
        "and",
        "or",
        "not",
        "if",
        "then",
        "elif",
        "else",
        "end",
        "try",
        "catch",
        "reduce",
        "foreach",
        "as",
        "def",
        "import",
        "include",
        "label",
        "__loc__",
    ]
)


class PathError(Exception):
    """Something on the way is neither an object nor null, or what is there is for jq to write; jq answers instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """The variable it starts from (None: the input) and the names on the way."""

    variable: str | None
    names: tuple[str, ...]


@lru_cache(maxsize=4096)
def place(program: str) -> Place | None:
    """The place that a program names, None where it is any other program."""
    text = program.strip()
    variable, _, rest = text.partition(".") if text.startswith("$") else ("", "", text.removeprefix("."))
    if text != "." and not _named(text, variable, rest):
        return None
    names = tuple(rest.split(".")) if rest else ()
    return Place(variable.removeprefix("$") or None, names)


def _named(text: str, variable: str, rest: str) -> bool:
    if variable:
        head = _NAME.fullmatch(variable.removeprefix("$")) is not None and variable != "$__loc__"
        return head and (text == variable or _fields(rest))
    return text.startswith(".") and _fields(rest)


def _fields(rest: str) -> bool:
    names = rest.split(".")
    return all(_NAME.fullmatch(name) and name not in _KEYWORDS for name in names)


def found(place: Place, start: Json) -> Json:
    """What is there; raises PathError where jq would fail, so that jq says so in its own words."""
    value = start
    for name in place.names:
        if value is None:
            continue
        if not isinstance(value, Mapping):
            raise PathError
        value = value.get(name)
    return _copied(value)


def _copied(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    if isinstance(value, float):
        # jq writes numbers in a way of its own: -0.0 comes back as 0.
        raise PathError
    return value
