"""Binds a table's mapping to the ontology and compiles it into a reader of rows.

Invariant: what the ontology does not know is a MappingError with its line, before any row is read; what a row does wrong is a
Refusal of that row. Does not know the store.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from kg.errors import ValueDomainError
from kg.ingest.convert import Options, absent, converter, listed, text
from kg.ingest.keys import PART, KeySpace, key_text
from kg.ingest.mapping import Mapping_, Pick, PropertyMap, RelationMap, TableMap
from kg.ingest.mapping_file import all_picks
from kg.ingest.record import Record, Refusal
from kg.ingest.sources.row import Row, Wanted
from kg.ingest.unfit import Unfit
from kg.jq import Jq, JqError, as_json
from kg.ontology import Ontology, Property
from kg.values import Value, canonical, encode_properties

Raw = Callable[[Row, int], Any]
Reader = Callable[[Any], Value | None]
LINKS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Relation:
    name: str
    picks: tuple[Raw, ...]
    readers: tuple[Reader, ...]
    space: KeySpace
    many: bool
    by: tuple[str, ...]


class Plan:
    """One table, ready to read rows."""

    def __init__(self, mapping: Mapping_, table: TableMap, ontology: Ontology) -> None:
        self.mapping = mapping
        self.table = table
        self.ontology = ontology
        self._zone: tzinfo | None = ZoneInfo(mapping.time_zone) if mapping.time_zone else None
        if table.cls not in ontology.classes:
            raise self._unknown(table.line, "class", table.cls, ontology.classes)
        self.cls = ontology.cls(table.cls)
        if self.cls.platform:
            raise mapping.error(table.line, f"class {table.cls!r} belongs to the platform; map to a class of your own")
        self.programs = list(dict.fromkeys(pick.jq for pick in all_picks(table) if pick.jq is not None))
        self._lines = {pick.jq: pick.line for pick in reversed(all_picks(table)) if pick.jq is not None}
        self._computed: list[list[Any]] = []
        maps = {**table.key, **table.properties}
        self._keys = KeySpace(ontology, table.cls, tuple(table.key))
        self._properties = [(name, *self._property(name, item)) for name, item in maps.items()]
        self._aliases = [(name, *self._alias(name, pick)) for name, pick in table.aliases.items()]
        self._relations = [self._relation(name, item) for name, item in table.relations.items()]
        self._where = self._raw(table.where) if table.where else None
        self._cursor = self._raw(table.cursor) if table.cursor else None
        self._valid_from = self._instant(table.valid_from) if table.valid_from else None
        self.single = {relation.name for relation in self._relations if not relation.many}

    def wanted(self, since: Any) -> Wanted:
        """What to ask the source for."""
        columns = {pick.column for pick in all_picks(self.table) if pick.column is not None}
        needed = {pick.column for pick in all_picks(self.table) if pick.column is not None and not pick.optional}
        cursor = self.table.cursor.column if self.table.cursor else None
        # A jq program may look at any column, so then all of them are read.
        return Wanted(None if self.programs else columns, sorted(needed), cursor, since)

    def read(self, rows: Sequence[Row], jq: Jq) -> list[Record | Refusal]:
        """A Record or a Refusal for each row that `where` lets through."""
        self._compute(rows, jq)
        found: list[Record | Refusal] = []
        for at, row in enumerate(rows):
            if row.fault is not None:
                found.append(Refusal(row, row.fault))
                continue
            name: str | None = None
            try:
                if self._where is not None and not self._passes(row, at):
                    continue
                keys = [key_text(self._require(row, at, item)) for item in self._properties[: len(self.table.key)]]
                name = self._keys.name(keys)
                found.append(self._record(row, at, keys, name))
            except (Unfit, ValueDomainError) as error:
                found.append(Refusal(row, str(error), name))
        return found

    # -- compiling --------------------------------------------------------------------------------------------------

    def _unknown(self, line: int, what: str, name: str, choices: Any) -> Exception:
        near = get_close_matches(name, list(choices), 1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(sorted(choices)[:12]) or 'none'}"
        return self.mapping.error(line, f"the ontology has no {what} {name[:80]!r}; {hint}")

    def _raw(self, pick: Pick) -> Raw:
        if pick.column is not None:
            column = pick.column
            return lambda row, at: row.data.get(column)  # noqa: ARG005
        program = self.programs.index(pick.jq or "")

        def read(row: Row, at: int) -> Any:  # noqa: ARG001
            result = self._computed[program][at]
            if result.error is not None:
                raise Unfit(f"jq in line {pick.line}: {result.error}; handle the case in the program")
            return result.value

        return read

    def _property(self, name: str, item: PropertyMap) -> tuple[Raw, Reader]:
        prop = self.cls.properties.get(name)
        if prop is None:
            raise self._unknown(item.pick.line, f"property of {self.cls.name}", name, self.cls.properties)
        if item.type is not None and item.type != prop.type:
            raise self.mapping.error(
                item.pick.line,
                f"{self.cls.name}.{name} is a {prop.type}, not a {item.type}; leave `type` out or correct it",
            )
        raw = self._raw(item.pick)
        if prop.type == "money" and item.currency is not None:
            raw = self._with_currency(raw, item.currency)
        elif prop.type == "money" and item.pick.jq is None:
            raise self.mapping.error(
                item.pick.line, f"{self.cls.name}.{name} is money; add `currency: EUR` or a column"
            )
        return raw, self._reader(prop, item)

    def _with_currency(self, raw: Raw, currency: str | Pick) -> Raw:
        code: Raw = self._raw(currency) if isinstance(currency, Pick) else (lambda row, at: currency)  # noqa: ARG005

        def read(row: Row, at: int) -> Any:
            value = raw(row, at)
            return value if absent(value) or isinstance(value, dict) else {"amount": value, "currency": code(row, at)}

        return read

    def _reader(self, prop: Property, item: PropertyMap) -> Reader:
        one = converter(prop.type, Options(item.round, item.format, item.unit, self._zone))
        return listed(one, item.split) if prop.many else one

    def _instant(self, item: PropertyMap) -> tuple[Raw, Reader]:
        return self._raw(item.pick), converter("instant", Options(format=item.format, zone=self._zone))

    def _alias(self, name: str, pick: Pick) -> tuple[Raw, Reader, KeySpace]:
        prop = self.cls.properties.get(name)
        read = converter(prop.type, Options(zone=self._zone)) if prop and not prop.many else text
        return self._raw(pick), read, KeySpace(self.ontology, self.table.cls, (name,))

    def _relation(self, name: str, item: RelationMap) -> _Relation:
        relation = self.cls.relations.get(name)
        if relation is None:
            raise self._unknown(item.line, f"relation of {self.cls.name}", name, self.cls.relations)
        target = item.to or relation.target
        if target not in self.ontology.subclasses(relation.target):
            if target not in self.ontology.classes:
                raise self._unknown(item.line, "class", target, self.ontology.classes)
            raise self.mapping.error(item.line, f"{name} leads to {relation.target}, not to {target}; correct `to`")
        cls = self.ontology.cls(target)
        by = item.by or cls.key
        if len(by) != len(item.picks):
            raise self.mapping.error(
                item.line,
                f"{name} needs a column for each of {', '.join(by) or '`by`'} of {target}; write `column` and `by`",
            )
        for key in by:
            near = get_close_matches(key, cls.properties, 1, cutoff=0.85)
            if key not in cls.properties and near:
                raise self._unknown(item.line, f"key property of {target}", key, cls.properties)
        types = [cls.properties[key].type if key in cls.properties else "string" for key in by]
        readers = tuple(converter(kind, Options(zone=self._zone)) for kind in types)
        space = KeySpace(self.ontology, target, tuple(by))
        return _Relation(name, tuple(self._raw(pick) for pick in item.picks), readers, space, relation.many, tuple(by))

    # -- reading ----------------------------------------------------------------------------------------------------

    def _compute(self, rows: Sequence[Row], jq: Jq) -> None:
        if not self.programs:
            return
        values = [as_json(row.data) if row.fault is None else {} for row in rows]
        self._computed = []
        for program in self.programs:
            try:
                self._computed.append(jq.run(program, values))
            except JqError as error:
                first, last = rows[0].number, rows[-1].number
                line = self._lines[program]
                raise self.mapping.error(line, f"{error} (rows {first} to {last} of {self.table.table!r})") from None

    def _passes(self, row: Row, at: int) -> bool:
        value = self._where(row, at) if self._where else True
        if not isinstance(value, bool):
            raise Unfit("`where` gives neither true nor false; correct the program")
        return value

    def _require(self, row: Row, at: int, item: tuple[str, Raw, Reader]) -> Value:
        value = self._value(row, at, *item)
        if value is None:
            raise Unfit(f"{item[0]} is empty; a record needs its key")
        return value

    def _value(self, row: Row, at: int, name: str, raw: Raw, read: Reader) -> Value | None:
        try:
            value = raw(row, at)
            return None if absent(value) else read(value)
        except (Unfit, ValueDomainError) as error:
            prop = self.cls.properties.get(name)
            reason = str(error)
            if prop is not None and prop.confidential:
                reason = f"does not fit type {prop.type} (value hidden)"
            raise Unfit(f"{self.cls.name}.{name}: {reason}") from None

    def _record(self, row: Row, at: int, keys: Sequence[str], name: str) -> Record:
        properties: dict[str, Value] = {}
        for item in self._properties:
            value = self._value(row, at, *item)
            if value is not None:
                properties[item[0]] = value
        aliases: dict[str, str] = {}
        for alias, raw, read, space in self._aliases:
            value = self._value(row, at, alias, raw, read)
            if value is not None:
                aliases[alias] = space.key([key_text(value)])
        links: dict[str, tuple[str, ...]] = {}
        targets: dict[str, tuple[dict[str, Value], ...]] = {}
        for relation in self._relations:
            found = self._targets(row, at, relation)
            links[relation.name] = tuple(found)
            if self.table.log:
                targets[relation.name] = tuple(dict(zip(relation.by, values, strict=True)) for values in found.values())
        valid_from = self._value(row, at, "valid_from", *self._valid_from) if self._valid_from else None
        if self.table.log and valid_from is None:
            raise Unfit("valid_from is empty; a row of a log needs its time")
        key = self._keys.key(keys)
        said = [key, aliases, encode_properties(properties), links, str(valid_from or "")]
        return Record(
            row,
            name,
            key,
            hashlib.blake2b(canonical(said).encode(), digest_size=16).hexdigest(),
            properties,
            aliases,
            links,
            valid_from if isinstance(valid_from, datetime) else None,
            self._cursor(row, at) if self._cursor else None,
            targets,
        )

    def _targets(self, row: Row, at: int, relation: _Relation) -> dict[str, list[Value]]:
        """The key of each target's state row, and the values it is made of."""
        try:
            raws = [raw(row, at) for raw in relation.picks]
            if any(absent(raw) for raw in raws):
                return {}
            rows = [[item] for item in raws[0]] if len(raws) == 1 and isinstance(raws[0], list) else [raws]
            if len(rows) > (LINKS_MAX if relation.many else 1):
                raise Unfit(f"has {len(rows)} targets; at most {LINKS_MAX if relation.many else 1} fit")
            values = [
                [_some(read(item)) for read, item in zip(relation.readers, items, strict=True)]
                for items in rows
                if not any(absent(item) for item in items)
            ]
            return {relation.space.key([key_text(value) for value in key]): key for key in values}
        except (Unfit, ValueDomainError) as error:
            raise Unfit(f"{self.cls.name}.{relation.name}: {error}") from None


def _some(value: Value | None) -> Value:
    if value is None:
        raise Unfit("is empty; a record needs its key")
    return value


def state_name(mapping: Mapping_, table: TableMap, name: str = "") -> str:
    """The key of a row's state rows: source, table, row."""
    return PART.join((mapping.source, table.table, name))
