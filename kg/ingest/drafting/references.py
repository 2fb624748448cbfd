"""Which columns of a table name rows of another: those that the source declares, and those that look so by name and by value.

Invariant: names alone are never enough; the values seen must be keys of the other table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kg.ingest.drafting.columns import Column
from kg.ingest.drafting.naming import KEY_WORDS, words
from kg.ingest.drafting.tables import Reference, Table

#: Share of the values seen that must be keys of the other table, where that was seen whole.
KNOWN_MIN: Final = 0.9


@dataclass(frozen=True, slots=True)
class Looked:
    """A table as it was looked at: its columns, how many rows, whether those were all, and the columns of its key.

    `faults` are sentences on rows that could not be read; `encoding` is that of its file, None for UTF-8.
    """

    table: Table
    columns: Mapping[str, Column]
    rows: int
    whole: bool
    key: tuple[str, ...]
    faults: tuple[str, ...] = ()
    encoding: str | None = None


def references(looked: Sequence[Looked], classes: Mapping[str, str]) -> dict[str, list[Reference]]:
    """The references of each table, by its name; every target is one of these tables, named by its key."""
    known = {one.table.name: one for one in looked}
    found: dict[str, list[Reference]] = {}
    for one in looked:
        some = [
            reference for declared in one.table.references if (reference := _declared(declared, one, known)) is not None
        ]
        taken = {column for reference in some for column in reference.columns}
        for column in one.columns.values():
            if column.name not in taken and (target := _target(column, one, looked, classes)) is not None:
                some.append(Reference((column.name,), target.table.name, target.key))
        found[one.table.name] = some
    return found


def doubts(
    looked: Sequence[Looked], classes: Mapping[str, str], found: Mapping[str, Sequence[Reference]]
) -> dict[str, list[str]]:
    """Of each table, by its name: columns called after another table's rows that are drafted as no reference, and why."""
    said: dict[str, list[str]] = {}
    for one in looked:
        taken = {column for reference in found[one.table.name] for column in reference.columns}
        said[one.table.name] = [
            sentence
            for column in one.columns.values()
            if column.name not in taken and (sentence := _doubt(column, one, looked, classes)) is not None
        ]
    return said


def _doubt(column: Column, one: Looked, looked: Sequence[Looked], classes: Mapping[str, str]) -> str | None:
    """What speaks against a reference that a column's name promises; None where its name promises none."""
    alone = one.key == (column.name,)
    for other in looked:
        if len(other.key) != 1 or (other is one and alone):
            continue
        if not _alike(column, other, classes[other.table.name], alone):
            continue
        key = other.columns[other.key[0]]
        shared = len(column.values & key.values)
        if column.values and (shared or column.type == key.type):
            missing = len(column.values) - shared
            return (
                f"{column.name} looks like a reference to {other.table.name}, but {missing:,} of its {len(column.values):,} "
                f"values seen are no {key.name} there; it stays a property: add the relation by hand if it is one"
            )
    return None


def _declared(declared: Reference, one: Looked, known: Mapping[str, Looked]) -> Reference | None:
    """A declared reference with its columns in the order of the target's key; None where it names something else."""
    target = known.get(declared.table)
    ours = dict(zip(declared.theirs, declared.columns, strict=True))
    if target is None or set(target.key) != set(ours) or any(column not in one.columns for column in ours.values()):
        return None
    return Reference(tuple(ours[name] for name in target.key), declared.table, target.key)


def _target(column: Column, one: Looked, looked: Sequence[Looked], classes: Mapping[str, str]) -> Looked | None:
    """The table whose rows a column seems to name."""
    alone = one.key == (column.name,)
    for other in looked:
        if len(other.key) != 1 or (other is one and alone):
            continue
        key = other.columns[other.key[0]]
        if (
            key.type == column.type
            and _alike(column, other, classes[other.table.name], alone)
            and _known(column, key, other)
        ):
            return other
    return None


def _alike(column: Column, other: Looked, cls: str, alone: bool) -> bool:
    """Whether a column is called after the other table, or like its key where that is no bare `id`."""
    stem = words(column.name)
    while stem and stem[-1] in KEY_WORDS:
        stem.pop()
    after = words(cls)
    if stem and stem[-len(after) :] == after:
        return True
    key = words(other.key[0])
    return not alone and words(column.name) == key and bool(set(key) - KEY_WORDS)


def _known(column: Column, key: Column, other: Looked) -> bool:
    shared = len(column.values & key.values)
    return shared >= KNOWN_MIN * len(column.values) > 0 if other.whole else shared > 0
