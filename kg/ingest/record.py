"""A Record: one row of a source, mapped and converted, not yet an entity. And a Refusal: a row that could not become one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kg.ingest.sources.row import Row
from kg.values import Json, Value


@dataclass(frozen=True, slots=True)
class Record:
    """What a row says. `key`, `aliases` and the targets in `links` are keys of state rows of kind "key".

    `name` tells the row within its table. `hash` covers all that the row says, so an equal hash means nothing is new.
    `targets` are the key properties of what the links of a log's row lead to; of other tables it stays empty.
    """

    row: Row
    name: str
    key: str
    hash: str
    properties: Mapping[str, Value]
    aliases: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    valid_from: datetime | None = None
    cursor: Any = None
    targets: Mapping[str, tuple[Mapping[str, Value], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is kept aside with its reason; `name` is None where not even its key could be read."""

    row: Row
    reason: str
    name: str | None = None
    data: Json = None
