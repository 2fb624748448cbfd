"""Reads mapping.yaml into a Mapping_. Every fault is one MappingError with its line and what to do."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kg.ingest.mapping import Mapping_, Pick, PropertyMap, RelationMap, TableMap
from kg.ingest.yaml_file import Item, read
from kg.jq import Jq, JqError
from kg.values import DECIMAL_PLACES, SCALARS

TYPES = tuple(scalar.name for scalar in SCALARS if scalar.name != "list")
UNITS = ("days", "hours", "minutes", "seconds", "milliseconds")
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_TABLE_FIELDS = (
    "from",
    "query",
    "class",
    "key",
    "aliases",
    "match",
    "properties",
    "relations",
    "where",
    "snapshot",
    "close_at_most",
    "cursor",
    "valid_from",
    "log",
    "delimiter",
    "encoding",
)
_PROPERTY_FIELDS = ("column", "jq", "optional", "type", "currency", "round", "format", "unit", "split")
TABLES_MAX = 1_000
SPLIT_MAX = 5


def load_mapping(path: Path | str) -> Mapping_:
    """The mapping of a file, its jq programs compiled once to see that they are sound."""
    path = Path(path)
    root = read(path)
    fields = root.fields("the mapping", ("source", "time_zone", "tables"), ("source", "tables"))
    source = fields["source"].text("source")
    if not _SOURCE.match(source):
        raise fields["source"].error("source must be letters, digits, `_`, `.` or `-`, at most 64; rename it")
    tables = fields["tables"].items("tables")
    if len(tables) > TABLES_MAX:
        raise fields["tables"].error(f"more than {TABLES_MAX:,} tables; split the mapping")
    mapping = Mapping_(
        path.name,
        source,
        tuple(_table(item) for item in tables),
        _zone(fields.get("time_zone")),
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    _refuse_twins(mapping)
    _compile(mapping)
    return mapping


def _zone(item: Item | None) -> str | None:
    if item is None:
        return None
    name = item.text("time_zone")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise item.error(f"unknown time zone {name[:60]!r}; write one such as Europe/Berlin or UTC") from None
    return name


def _refuse_twins(mapping: Mapping_) -> None:
    seen: dict[str, int] = {}
    for table in mapping.tables:
        first = seen.setdefault(table.table, table.line)
        if first != table.line:
            raise mapping.error(
                table.line,
                f"`from: {table.table}` stands already in line {first}; join the two, or use `query` and a name",
            )


def _compile(mapping: Mapping_) -> None:
    picks = [pick for table in mapping.tables for pick in all_picks(table) if pick.jq is not None]
    if not picks:
        return
    with Jq() as jq:
        for pick in picks:
            try:
                jq.check(pick.jq or "")
            except JqError as error:
                raise mapping.error(pick.line, str(error)) from None


def all_picks(table: TableMap) -> list[Pick]:
    """Every place from which a table takes a value."""
    maps = [*table.key.values(), *table.properties.values(), *([table.valid_from] if table.valid_from else [])]
    picks = [item.pick for item in maps]
    picks += [item.currency for item in maps if isinstance(item.currency, Pick)]
    picks += [pick for relation in table.relations.values() for pick in relation.picks]
    picks += [*table.aliases.values(), *(pick for pick in (table.where, table.cursor) if pick)]
    return picks


def _table(item: Item) -> TableMap:
    fields = item.fields("a table", _TABLE_FIELDS, ("from", "class", "key"))
    table = fields["from"].text("from")
    if "\x1f" in table:
        raise fields["from"].error("`from` holds a control character; remove it")
    full = "snapshot" in fields and fields["snapshot"].choice("snapshot", ("full", "partial")) == "full"
    cursor = _pick(fields["cursor"], "cursor") if "cursor" in fields else None
    if cursor is not None and (full or cursor.jq is not None):
        raise fields["cursor"].error("a cursor is a column and never sees all rows; use it with `snapshot: partial`")
    aliases = {name: _pick(value, f"alias {name}") for name, value in _named(fields, "aliases").items()}
    key = {name: _property(value, f"key {name}") for name, value in fields["key"].fields("key").items()}
    if not key:
        raise fields["key"].error("key is empty; name the key property and its column")
    match = fields["match"].text("match") if "match" in fields else None
    if match is not None and match not in aliases:
        raise fields["match"].error(f"match {match!r} is no alias of this table; declare it under aliases")
    where = fields.get("where")
    return TableMap(
        line=item.line,
        table=table,
        cls=fields["class"].text("class"),
        key=key,
        query=fields["query"].text("query") if "query" in fields else None,
        aliases=aliases,
        match=match,
        properties={name: _property(v, f"property {name}") for name, v in _named(fields, "properties").items()},
        relations={name: _relation(v, f"relation {name}") for name, v in _named(fields, "relations").items()},
        where=Pick(where.line, jq=where.text("where")) if where else None,
        full=full,
        close_at_most=_share(fields.get("close_at_most")),
        cursor=cursor,
        valid_from=_property(fields["valid_from"], "valid_from") if "valid_from" in fields else None,
        log=_log(fields),
        delimiter=_delimiter(fields.get("delimiter")),
        encoding=_encoding(fields.get("encoding")),
    )


def _named(fields: Mapping[str, Item], name: str) -> dict[str, Item]:
    return fields[name].fields(name) if name in fields else {}


def _share(item: Item | None) -> float:
    if item is None:
        return 0.2
    value = item.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise item.error("close_at_most must be a share between 0 and 1, e.g. 0.2")
    return float(value)


def _log(fields: Mapping[str, Item]) -> bool:
    if "log" not in fields or not _boolean(fields["log"], "log"):
        return False
    if "valid_from" not in fields:
        raise fields["log"].error(
            "the rows of a log are states in time; say by `valid_from` which column tells the time"
        )
    if other := next((name for name in ("snapshot", "close_at_most", "cursor", "match") if name in fields), None):
        raise fields[other].error(f"a log only tells what happened, so `{other}` means nothing; remove it, or `log`")
    return True


def _boolean(item: Item, what: str) -> bool:
    if not isinstance(item.value, bool):
        raise item.error(f"{what} must be true or false")
    return item.value


def _delimiter(item: Item | None) -> str | None:
    if item is None:
        return None
    if not isinstance(item.value, str) or len(item.value) != 1:
        raise item.error('delimiter must be one character, e.g. ";"')
    return item.value


def _encoding(item: Item | None) -> str:
    if item is None:
        return "utf-8"
    name = item.text("encoding")
    try:
        "".encode(name)
    except LookupError:
        raise item.error(f"unknown encoding {name[:60]!r}; write one such as utf-8 or latin-1") from None
    return name


def _pick(item: Item, what: str) -> Pick:
    if isinstance(item.value, dict):
        fields = item.fields(what, ("column", "jq", "optional"))
        return _source_of(item, fields, what)
    return Pick(item.line, column=item.text(what))


def _source_of(item: Item, fields: Mapping[str, Item], what: str) -> Pick:
    if ("column" in fields) == ("jq" in fields):
        raise item.error(f"{what} needs either `column` or `jq`; write one of them")
    allowed = "optional" in fields and _boolean(fields["optional"], "optional")
    if "jq" in fields:
        return Pick(fields["jq"].line, jq=fields["jq"].text("jq"))
    return Pick(fields["column"].line, column=fields["column"].text("column"), optional=allowed)


def _property(item: Item, what: str) -> PropertyMap:
    if not isinstance(item.value, dict):
        return PropertyMap(Pick(item.line, column=item.text(what)))
    fields = item.fields(what, _PROPERTY_FIELDS)
    kind = fields["type"].choice("type", TYPES) if "type" in fields else None
    return PropertyMap(
        _source_of(item, fields, what),
        kind,
        _currency(fields.get("currency")),
        _places(fields.get("round")),
        fields["format"].text("format") if "format" in fields else None,
        fields["unit"].choice("unit", UNITS) if "unit" in fields else None,
        _separator(fields.get("split")),
    )


def _currency(item: Item | None) -> str | Pick | None:
    if item is None:
        return None
    if isinstance(item.value, dict):
        return _pick(item, "currency")
    code = item.text("currency")
    if not _CURRENCY.match(code):
        raise item.error(f"{code[:20]!r} is no currency code; write one such as EUR, or `{{column: …}}`")
    return code


def _places(item: Item | None) -> int | None:
    if item is None:
        return None
    if isinstance(item.value, bool) or not isinstance(item.value, int) or not 0 <= item.value <= DECIMAL_PLACES:
        raise item.error(f"round must be a number of places between 0 and {DECIMAL_PLACES}")
    return item.value


def _separator(item: Item | None) -> str | None:
    if item is None:
        return None
    if not isinstance(item.value, str) or not 0 < len(item.value) <= SPLIT_MAX:
        raise item.error('split must be the text between two items, e.g. ";"')
    return item.value


def _relation(item: Item, what: str) -> RelationMap:
    if not isinstance(item.value, dict):
        return RelationMap(item.line, tuple(Pick(item.line, column=name) for name in item.texts(what)))
    fields = item.fields(what, ("column", "jq", "to", "by", "optional"))
    by = fields["by"].texts("by") if "by" in fields else ()
    to = fields["to"].text("to") if "to" in fields else None
    if "column" in fields and isinstance(fields["column"].value, list):
        columns = fields["column"].texts("column")
        picks = tuple(Pick(fields["column"].line, column=name) for name in columns)
    else:
        picks = (_source_of(item, fields, what),)
    if by and len(by) != len(picks):
        raise item.error(f"{what} gives {len(picks)} values for {len(by)} key properties; name a column for each")
    return RelationMap(item.line, picks, to, by)
