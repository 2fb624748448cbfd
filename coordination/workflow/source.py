"""Builds plain JSON values from the text of a workflow, YAML or JSON, and remembers the line and column of each.

Invariant: what comes out is JSON that every reader keeps exactly (no NaN, no integer beyond 2^53, no lone surrogate, no key
twice), within named bounds; aliases count each time they are used, so no short text becomes a large document.
Does not know what a workflow is.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from coordination.errors import WorkflowError
from coordination.workflow import json_text, yaml_text
from coordination.workflow.events import Event
from kg.values import INTEGER_MAX, Json

#: Characters of one document.
TEXT_MAX: Final = 1_000_000
#: Values of one document, those behind aliases counted wherever they are used.
NODES_MAX: Final = 100_000
#: Lists and mappings inside each other; a task inside a task takes three.
DEPTH_MAX: Final = 100

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A value and where each part of it stands: JSON pointer to line and column, both counted from 1."""

    value: Json
    lines: Mapping[str, Place]


@dataclass(slots=True)
class _Node:
    """One value before aliases are written out: a scalar, named nodes with their keys' places, or nodes in order."""

    line: int
    column: int
    value: Json = None
    named: dict[str, tuple[Place, "_Node"]] | None = None
    listed: "list[_Node] | None" = None
    anchor: str | None = None
    key: tuple[str, Place] | None = None


def pointer(parent: str, part: str | int) -> str:
    """The JSON pointer (RFC 6901) of a part."""
    return f"{parent}/{str(part).replace('~', '~0').replace('/', '~1')}"


def read(text: str, name: str) -> Source:
    """The value of a YAML or JSON text; WorkflowError, naming line and column, where it is neither or exceeds a bound."""
    if len(text) > TEXT_MAX:
        raise WorkflowError(f"{name}:1:1: {len(text):,} characters exceed {TEXT_MAX:,}; split the workflow")
    root = _Builder(name).build(_events(text, name))
    return _Flat(name).of(root)


def _events(text: str, name: str) -> Iterator[Event]:
    """JSON where it is JSON; else YAML, which may begin with a brace too."""
    if not text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return yaml_text.events(text, name)
    stripped = text.removeprefix("\ufeff")
    if name.endswith(".json"):
        return json_text.events(stripped, name)
    try:
        return iter(list(json_text.events(stripped, name)))
    except WorkflowError:
        return yaml_text.events(text, name)


class _Builder:
    """Turns events into a tree, with a stack of its own, so that depth is a bound and never a crash."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[_Node] = []
        self._anchors: dict[str, _Node] = {}

    def error(self, place: Place, reason: str) -> WorkflowError:
        return WorkflowError(f"{self._name}:{place[0]}:{place[1]}: {reason}")

    def build(self, events: Iterator[Event]) -> _Node:
        for count, event in enumerate(events):
            if count > 2 * NODES_MAX:
                raise self.error((event.line, event.column), f"more than {NODES_MAX:,} values; split the workflow")
            if (done := self._take(event)) is not None:
                # Reading on lets the parser find what is wrong behind the end.
                for _ in events:
                    pass
                return done
        raise WorkflowError(f"{self._name}:1:1: is empty; write a workflow with `document` and `do`")

    def _take(self, event: Event) -> _Node | None:
        place = (event.line, event.column)
        top = self._open[-1] if self._open else None
        if top is not None and top.named is not None and top.key is None and event.kind != "end":
            if event.kind != "scalar":
                raise self.error(place, "a name must be a plain text; write `name: value`")
            if event.text in top.named:
                raise self.error(place, f"{event.text[:80]!r} stands twice here; remove one")
            top.key = (event.text, place)
            return None
        if event.kind == "end":
            return self._add(self._open.pop())
        if event.kind == "alias":
            if event.anchor not in self._anchors:
                raise self.error(place, f"*{event.anchor} refers to nothing that ended before it; write the value out")
            return self._add(self._anchors[event.anchor])
        node = _Node(event.line, event.column, anchor=event.anchor)
        if event.kind == "scalar":
            node.value = self._scalar(event)
            return self._add(node)
        if len(self._open) >= DEPTH_MAX:
            raise self.error(
                place, f"nested deeper than {DEPTH_MAX} levels; flatten it or move tasks to `use.functions`"
            )
        node.named, node.listed = ({}, None) if event.kind == "map" else (None, [])
        self._open.append(node)
        return None

    def _add(self, node: _Node) -> _Node | None:
        """Put a finished node where it belongs; itself where it is the whole document."""
        if node.anchor is not None:
            self._anchors[node.anchor] = node
        if not self._open:
            return node
        top = self._open[-1]
        if top.listed is not None:
            top.listed.append(node)
        elif top.named is not None and top.key is not None:
            name, place = top.key
            top.named[name] = (place, node)
            top.key = None
        return None

    def _scalar(self, event: Event) -> Json:
        if reason := _unfit(event.value):
            raise self.error((event.line, event.column), f"{event.text[:40]} {reason}")
        return event.value


class _Flat:
    """Writes the tree out as plain values, aliases too, and counts what comes of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._lines: dict[str, Place] = {}

    def of(self, root: _Node) -> Source:
        return Source(self._write(root, "", (root.line, root.column), 0), self._lines)

    def _write(self, node: _Node, at: str, place: Place, depth: int) -> Json:
        self._count += 1
        if self._count > NODES_MAX or depth > DEPTH_MAX:
            bound = f"{NODES_MAX:,} values or {DEPTH_MAX} levels"
            raise WorkflowError(f"{self._name}:{place[0]}:{place[1]}: more than {bound}; split the workflow")
        self._lines[at] = place
        if node.named is not None:
            return {
                name: self._write(child, pointer(at, name), where, depth + 1)
                for name, (where, child) in node.named.items()
            }
        if node.listed is not None:
            return [
                self._write(child, pointer(at, index), (child.line, child.column), depth + 1)
                for index, child in enumerate(node.listed)
            ]
        return node.value


def sure(value: Json, name: str) -> Source:
    """A value made in Python, held to the same bounds as a text; its parts have no lines of their own."""
    waiting: list[tuple[Json, str, int]] = [(value, "", 0)]
    count = 0
    while waiting:
        part, at, depth = waiting.pop()
        count += 1
        if count > NODES_MAX or depth > DEPTH_MAX:
            raise WorkflowError(f"{name}: more than {NODES_MAX:,} values or {DEPTH_MAX} levels; split the workflow")
        if isinstance(part, dict):
            if odd := [key for key in part if not isinstance(key, str)]:
                raise WorkflowError(
                    f"{name}: {at or '/'} has the name {str(odd[0])[:40]!r}, which is no text; write text"
                )
            waiting += [(item, pointer(at, key), depth + 1) for key, item in part.items()]
        elif isinstance(part, list):
            waiting += [(item, pointer(at, index), depth + 1) for index, item in enumerate(part)]
        elif reason := _unfit(part):
            raise WorkflowError(f"{name}: {at or '/'} {reason}")
    return Source(value, {})


def _unfit(value: Json) -> str:
    """Why a scalar cannot stand in a document; empty where it can."""
    if value is not None and not isinstance(value, str | int | float):
        return f"is of type {type(value).__name__}; use text, numbers, lists and mappings"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, no number that JSON holds; write it as text"
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return f"is beyond {INTEGER_MAX:,}; write it as text"
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair; remove it"
    return ""
