"""What a mapping file says: which table gives which class, which column which property. Frozen data, each with its line.

It has been checked against itself, not yet against an ontology or a source; docs/mapping.md explains every field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kg.errors import MappingError


@dataclass(frozen=True, slots=True)
class Pick:
    """Where one value comes from: a column, or a jq program over the whole row. Just one of the two is set."""

    line: int
    column: str | None = None
    jq: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class PropertyMap:
    """A property, where its value comes from and how it is read. Unset options follow the ontology."""

    pick: Pick
    type: str | None = None
    currency: str | Pick | None = None
    round: int | None = None
    format: str | None = None
    unit: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class RelationMap:
    """A relation, and the target's key as this row spells it: one pick for each name in `by`."""

    line: int
    picks: tuple[Pick, ...]
    to: str | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableMap:
    """One table of a source and the class its rows become. The rows of a log are states of an entity at `valid_from`."""

    line: int
    table: str
    cls: str
    key: Mapping[str, PropertyMap]
    query: str | None = None
    aliases: Mapping[str, Pick] = field(default_factory=dict)
    match: str | None = None
    properties: Mapping[str, PropertyMap] = field(default_factory=dict)
    relations: Mapping[str, RelationMap] = field(default_factory=dict)
    where: Pick | None = None
    full: bool = False
    close_at_most: float = 0.2
    cursor: Pick | None = None
    valid_from: PropertyMap | None = None
    log: bool = False
    delimiter: str | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Mapping_:  # noqa: N801 -- `Mapping` is the word of the domain and of collections.abc
    """A whole mapping file: the source system's name, its time zone, its tables in order, and the file's digest."""

    file: str
    source: str
    tables: tuple[TableMap, ...]
    time_zone: str | None = None
    digest: str = ""

    def error(self, line: int, message: str) -> MappingError:
        """An error at a line of this file."""
        return MappingError(f"{self.file} line {line}: {message}")
