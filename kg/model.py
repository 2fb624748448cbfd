"""The frozen values that cross every port: Entity, Relation, Write, Change, Cause, StateWrite.

Invariant: they are data only; nothing here reads a store, a clock or the ontology. Properties are mappings of name to
`kg.values.Value`, never None: an absent property is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kg.values import Json, Value

EMPTY: Final[Mapping[str, Value]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entity:
    """One version of one thing. `since` is the position of the change that made it, `until` of the one that ended it.

    `version` counts from 1. `closed` marks a version that says the thing is gone (history stays). `masked` names the
    properties that the reader's View withheld; the store leaves it empty.
    """

    id: str
    cls: str
    version: int
    properties: Mapping[str, Value]
    since: int
    until: int | None = None
    closed: bool = False
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    masked: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Value:
        return self.properties[name]

    def get(self, name: str, default: Value | None = None) -> Value | None:
        """The property's value, or the default where it is absent."""
        return self.properties.get(name, default)


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed, named edge between two entity ids, current from `since` to `until`."""

    source: str
    name: str
    target: str
    properties: Mapping[str, Value]
    since: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation together with the entity at its far end, as `expand` returns them."""

    relation: Relation
    entity: Entity


@dataclass(frozen=True, slots=True)
class Put:
    """Create an entity or change the named properties of one; properties not named stay as they are.

    A Put that changes nothing makes no version and no Change. `replace` drops every property not in `set`.
    `origin` names the source record, e.g. ``erp.customers/0000123``.
    """

    id: str
    cls: str
    set: Mapping[str, Value] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    origin: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """End an entity: it leaves the current graph, its history stays. Closing what is closed or unknown changes nothing."""

    id: str
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Make a relation current. `exclusive` ends the source's other relations of that name (a foreign key).

    The target may be an id that has no entity yet; reads skip the edge until it has.
    """

    source: str
    relation: str
    target: str
    properties: Mapping[str, Value] = field(default_factory=dict)
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class Unlink:
    """End a relation, or every current relation of that name from the source where target is None."""

    source: str
    relation: str
    target: str | None = None


Write = Put | Close | Link | Unlink


@dataclass(frozen=True, slots=True)
class Input:
    """An entity version that an activity used (PROV `used`)."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a commit happened (PROV Activity): who, for whom, doing what, from which inputs, and the reason in words.

    `agent` is the principal that acted, e.g. ``Agent::replenishment`` or ``Service::ingest``. `attributes` is JSON.
    """

    id: str
    activity: str
    agent: str
    reason: str = ""
    on_behalf_of: str | None = None
    inputs: tuple[Input, ...] = ()
    attributes: Mapping[str, Json] = field(default_factory=dict)


class Kind(StrEnum):
    """What a Change did."""

    CREATED = "created"
    UPDATED = "updated"
    CLOSED = "closed"
    LINKED = "linked"
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the change log. `position` counts from 1 without gaps, over the whole graph.

    For entity changes `subject` and `version` name the version made and `changed` the properties that differ from the
    version before. For relation changes `subject` is the source, `version` is 0 and `relation`, `target` are set.
    """

    position: int
    at: datetime
    kind: Kind
    cls: str
    subject: str
    version: int
    cause: str
    changed: tuple[str, ...] = ()
    relation: str | None = None
    target: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit did: its positions (first > last when nothing changed), its time, the versions it made.

    `repeated` says that this cause was already committed and nothing was done now.
    """

    cause: str
    first: int
    last: int
    at: datetime
    versions: Mapping[str, int]
    repeated: bool = False


ABSENT: Final = 0


@dataclass(frozen=True, slots=True)
class StateWrite:
    """Set (or, with None, delete) one machine row beside the facts. `expect` is the revision it must have now.

    `expect=ABSENT` (0): the row must not exist; None: no check. `due` sorts rows for timers, microseconds since 1970.
    """

    kind: str
    key: str
    value: Json | None
    expect: int | None = None
    due: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One machine row as read; `revision` counts from 1 and rises with each write."""

    kind: str
    key: str
    value: Json
    revision: int
    due: int | None = None


class Op(StrEnum):
    """How a condition compares a property."""

    EQ = "eq"
    IN = "in"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    PREFIX = "prefix"
    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Where:
    """One condition on a property. `value` is a tuple for IN and None for PRESENT and ABSENT.

    A property that is absent, or holds another type than `value`, matches only ABSENT. Money compares within one currency.
    """

    property: str
    op: Op
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Order of a page: by property (ties and absent values by id, absent last), or by id where property is None."""

    property: str | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two items of an ordered list: the sort value (None where absent) and the id of the item before it."""

    value: Value | None
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some entities in order and the cursor after the last, None where nothing follows."""

    items: tuple[Entity, ...]
    next: Cursor | None = None


class Direction(StrEnum):
    """Which way a relation is followed from an entity."""

    OUT = "out"
    IN = "in"
