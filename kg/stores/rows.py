"""Stored rows as planning and reading see them, and their way back to the values of `kg.model`.

Invariant: a row holds canonical texts exactly as stored, so that the ledger hashes what is there and nothing is re-encoded.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kg.model import EMPTY, Change, Commit, Entity, Kind, Relation, State
from kg.values import Json, Value, decode

# Stored texts are canonical, so the search for white space around them can be spared.
_parse = json.JSONDecoder().raw_decode

#: Columns of `version`, in the order of `VersionRow`.
VERSION_COLUMNS: Final = "since, id, version, cls, until, closed, valid_from, valid_to, salts, props, personal, erased"
#: Columns of a version that make an Entity, prefixed; in the order of `entity`.
ENTITY_COLUMNS: Final = (
    "v.id, v.cls, v.version, v.props, v.personal, v.since, v.until, v.closed, v.valid_from, v.valid_to"
)
RELATION_COLUMNS: Final = "r.source, r.name, r.target, r.props, r.since, r.until"
CHANGE_COLUMNS: Final = (
    "c.position, u.at, c.kind, c.cls, c.subject, c.version, u.id, c.changed, c.relation, c.target, c.origin"
)


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The end of the log: last position, its time, number of causes, seal of the last one."""

    position: int
    at: str | None
    causes: int
    seal: bytes


@dataclass(slots=True)
class VersionRow:
    """One row of `version`."""

    since: int
    id: str
    version: int
    cls: str
    until: int | None
    closed: int
    valid_from: str | None
    valid_to: str | None
    salts: bytes
    props: str
    personal: str | None
    erased: str | None

    def encoded(self) -> dict[str, Json]:
        """All properties in encoded form, personal ones included."""
        properties: dict[str, Json] = _parse(self.props)[0]
        if self.personal is not None:
            properties.update(_parse(self.personal)[0])
        return properties


@dataclass(slots=True)
class RelationRow:
    """One row of `relation`."""

    since: int
    source: str
    name: str
    target: str
    until: int | None
    salt: bytes
    props: str
    erased: str | None = None


@dataclass(slots=True)
class ChangeRow:
    """One row of `change`; cause number and leaf are set when its commit is sealed."""

    position: int
    kind: str
    cls: str
    subject: str
    version: int
    changed: str
    relation: str | None = None
    target: str | None = None
    origin: str | None = None
    cause: int = 0
    leaf: bytes = b""


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One row of `cause` with its inputs."""

    number: int
    id: str
    at: str
    first: int
    last: int
    activity: str
    agent: str
    reason: str
    on_behalf_of: str | None
    attributes: str
    salt: bytes
    request: str
    seal: bytes
    inputs: list[tuple[str, int]]
    erased: str | None = None


@dataclass(frozen=True, slots=True)
class StateRow:
    """One row of `state`."""

    kind: str
    key: str
    revision: int
    due: int | None
    value: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A cause that is already committed: its salt (empty once erased), the commitment to its request, and its Commit."""

    salt: bytes
    request: str
    commit: Commit


def at_time(text: str) -> datetime:
    """The instant of a stored time."""
    return datetime.fromisoformat(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def properties(props: str, personal: str | None = None) -> Mapping[str, Value]:
    """The values of stored property texts."""
    if props == "{}" and personal is None:
        return EMPTY
    values: dict[str, Any] = _parse(props)[0]
    if personal is not None:
        values.update(_parse(personal)[0])
    for name, form in values.items():
        kind = type(form)
        if kind is dict or kind is list:
            values[name] = decode(form)
    return values


def entity(row: tuple[Any, ...]) -> Entity:
    """The Entity of a row of ENTITY_COLUMNS; further columns are left alone."""
    id, cls, version, props, personal, since, until, closed, valid_from, valid_to = row[:10]
    values = properties(props, personal)
    if valid_from is None and valid_to is None:
        return Entity(id, cls, version, values, since, until, closed == 1)
    return Entity(id, cls, version, values, since, until, closed == 1, _time(valid_from), _time(valid_to))


def relation(row: tuple[Any, ...]) -> Relation:
    """The Relation of a row of RELATION_COLUMNS."""
    source, name, target, props, since, until = row[:6]
    return Relation(source, name, target, properties(props), since, until)


def change(row: tuple[Any, ...]) -> Change:
    """The Change of a row of CHANGE_COLUMNS."""
    position, at, kind, cls, subject, version, cause, changed, name, target, origin = row
    names = tuple(_parse(changed)[0]) if changed != "[]" else ()
    return Change(position, at_time(at), Kind(kind), cls, subject, version, cause, names, name, target, origin)


def state(row: tuple[Any, ...]) -> State:
    """The State of a row (kind, key, value, revision, due)."""
    kind, key, value, revision, due = row
    return State(kind, key, _parse(value)[0], revision, due)
