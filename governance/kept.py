"""Kept: answers about who asks, held for as long as nothing that they were made of changed in the log.

Invariant: what is given is what a read at the asker's end of the log, or later, would give: every change up to that end was looked
through, and an answer goes with the first that touches it. Holds no decision and no answer that time alone may turn.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from kg.model import Change
from kg.store import GraphStore, Head

T = TypeVar("T")
#: Answers kept of one store; beyond it all go, for they are cheap to make anew.
KEPT_MAX: Final = 10_000
#: Changes looked through before all answers go instead.
SCAN_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """A value, and what it goes with: any change of these classes, or of an entity with one of these ids."""

    value: object
    classes: Collection[str]
    ids: Collection[str]

    def touched(self, change: Change) -> bool:
        return change.cls in self.classes or change.subject in self.ids or change.target in self.ids


@dataclass(slots=True)
class _Kept:
    """The answers of one store, each true at every position up to `seen` since it was read."""

    seen: int = 0
    answers: dict[object, _Answer] = field(default_factory=dict)


_STORES: "WeakKeyDictionary[GraphStore, _Kept]" = WeakKeyDictionary()
_LOCK = threading.Lock()


def kept(
    store: GraphStore, end: Head, key: object, classes: Collection[str], read: Callable[[], tuple[T, Collection[str]]]
) -> T:
    """The answer under a key, `read` where none is held: it gives the value and the ids of the entities that it was made of.

    `end` is the end of the log as the asker found it; `classes` are those of which a change may turn the answer.
    """
    mine = _caught_up(store, end.position)
    with _LOCK:
        held = mine.answers.get(key)
    if held is not None:
        # Under one key only `read` of one kind ever put it there.
        return cast("T", held.value)
    value, ids = read()
    with _LOCK:
        # It was read at `end` or later: where others have looked further meanwhile, what they passed may have turned it.
        if mine.seen <= end.position:
            if len(mine.answers) >= KEPT_MAX:
                mine.answers.clear()
            mine.answers[key] = _Answer(value, classes, frozenset(ids))
    return value


def _caught_up(store: GraphStore, end: int) -> _Kept:
    """What is held of the store, without what a change up to the end touched."""
    with _LOCK:
        mine = _STORES.setdefault(store, _Kept())
        seen, idle = mine.seen, not mine.answers
    # The store is never read while the lock is held: one slow reader would hold up every other.
    found = None if seen >= end or idle else _between(store, seen, end)
    with _LOCK:
        if mine.seen < end:
            # None: nothing was held when this began, or too much happened since; what came in meanwhile goes too.
            mine.answers = {} if found is None else _untouched(mine.answers, found)
            mine.seen = end
    return mine


def _untouched(answers: Mapping[object, _Answer], changes: list[Change]) -> dict[object, Any]:
    return {key: one for key, one in answers.items() if not any(one.touched(change) for change in changes)}


def _between(store: GraphStore, after: int, end: int) -> list[Change] | None:
    """The changes between two positions, None where they are too many to look through or cannot be had."""
    found: list[Change] = []
    while after < end:
        changes = store.changes(after) if end - after <= SCAN_MAX else []
        if not changes:
            return None
        found += changes
        after = changes[-1].position
    return found
