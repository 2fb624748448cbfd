"""Walks over every task of a document, whatever it stands in, and says what list each belongs to.

Invariant: parts of a wrong kind are passed over, so a document that does not fit its shape may be walked too. Changes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coordination.workflow.source import pointer
from coordination.workflow.tasks import KINDS
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """A task as it stands in a list: its name, its reference (JSON pointer) and its definition."""

    name: str
    pointer: str
    task: Mapping[str, Json]

    @property
    def kind(self) -> str:
        """Which of the twelve tasks it is; empty where it is none."""
        return next((kind for kind in KINDS if kind in self.task), "")


@dataclass(frozen=True, slots=True)
class TaskList:
    """The tasks of one scope; those of a `fork` run side by side."""

    pointer: str
    entries: tuple[Entry, ...]
    parallel: bool = False


def lists(body: Mapping[str, Json]) -> Iterator[TaskList]:
    """Every list of tasks, an outer one before those inside it; a reusable function is a list of one."""
    yield from _list(body.get("do"), "/do")
    use = body.get("use")
    if not isinstance(use, dict):
        return
    functions = use.get("functions")
    for name, task in functions.items() if isinstance(functions, dict) else ():
        at = pointer("/use/functions", name)
        if isinstance(task, dict):
            entry = Entry(name, at, task)
            yield TaskList(at, (entry,))
            yield from _inside(entry)
    extensions = use.get("extensions")
    for index, item in enumerate(extensions if isinstance(extensions, list) else ()):
        for name, extension in item.items() if isinstance(item, dict) else ():
            at = pointer(pointer("/use/extensions", index), name)
            for side in ("before", "after"):
                if isinstance(extension, dict):
                    yield from _list(extension.get(side), f"{at}/{side}")


def entries(body: Mapping[str, Json]) -> Iterator[Entry]:
    """Every task."""
    for listed in lists(body):
        yield from listed.entries


def inner(entry: Entry) -> Iterator[tuple[Json, str, bool]]:
    """The lists right inside a task: value, pointer, and whether its tasks run side by side."""
    task, at = entry.task, entry.pointer
    for path in (("do",), ("try",), ("catch", "do"), ("fork", "branches"), ("foreach", "do")):
        yield _part(task, path), f"{at}/{'/'.join(path)}", path[0] == "fork"
    if entry.kind == "call":
        yield _part(task, ("with", "subscription", "foreach", "do")), f"{at}/with/subscription/foreach/do", False


def _part(value: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _list(value: Json, at: str, parallel: bool = False) -> Iterator[TaskList]:
    if not isinstance(value, list):
        return
    found = tuple(
        Entry(name, pointer(pointer(at, index), name), task)
        for index, item in enumerate(value)
        if isinstance(item, dict)
        for name, task in item.items()
        if isinstance(task, dict)
    )
    yield TaskList(at, found, parallel)
    for entry in found:
        yield from _inside(entry)


def _inside(entry: Entry) -> Iterator[TaskList]:
    for value, at, parallel in inner(entry):
        yield from _list(value, at, parallel)
