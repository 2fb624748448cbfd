"""Rejects: state rows of kind "reject" that keep what did not go in, why, and the row itself, so that it can be run again.

Keys: ``source ␟ table ␟ row`` for refused rows, ``dangling ␟ target id ␟ source ␟ table ␟ row ␟ relation`` for relations whose
target is not there yet, ``alias ␟ …`` for aliases that already name another entity. The first kind can be run again; the other
rows did go in. Invariant: one reject a row and reason, however often the source is read.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from kg.ingest.keys import PART
from kg.ingest.mapping import Mapping_, TableMap
from kg.ingest.plan import state_name
from kg.ingest.record import Record, Refusal
from kg.ingest.sources.row import Row
from kg.model import State, StateWrite
from kg.store import GraphStore
from kg.values import INTEGER_MAX, Json, canonical, decode, encode

KIND_REJECT = "reject"
DANGLING = "dangling" + PART
ALIAS = "alias" + PART
#: Characters of one value that a reject keeps; a row with a longer one must come from its source again.
VALUE_MAX = 20_000
FIELDS_MAX = 1_000
DEPTH_MAX = 20
PAGE = 500


def refused(mapping: Mapping_, table: TableMap, refusal: Refusal, at: datetime) -> StateWrite:
    """The reject of a row that did not go in."""
    data = refusal.data if refusal.data is not None else keep(refusal.row.data)
    name = refusal.name
    if name is None:
        said = canonical([data, refusal.row.fault, None if refusal.row.data else refusal.row.number])
        name = "#" + hashlib.sha256(said.encode()).hexdigest()[:32]
    value = _value(mapping, table, refusal.row.number, refusal.name, refusal.reason, at)
    value["row"] = data
    return StateWrite(KIND_REJECT, state_name(mapping, table, name), value)


def dangling_key(target: str, mapping: Mapping_, table: TableMap, record: Record, relation: str) -> str:
    """The key of the reject of one relation without target."""
    return DANGLING + PART.join((target, state_name(mapping, table, record.name), relation))


def dangling(
    mapping: Mapping_, table: TableMap, record: Record, relation: str, target: tuple[str, str], at: datetime
) -> StateWrite:
    """The reject of a relation whose target (key, id) is not there yet."""
    key, id = target
    value = _value(mapping, table, record.row.number, record.name, "relation target unknown", at)
    value |= {"relation": relation, "target": " ".join(key.split(PART))}
    return StateWrite(KIND_REJECT, dangling_key(id, mapping, table, record, relation), value)


def alias_key(mapping: Mapping_, table: TableMap, record: Record, alias: str) -> str:
    """The key of the reject of an alias that names another entity."""
    return ALIAS + PART.join((state_name(mapping, table, record.name), alias))


def alias_taken(mapping: Mapping_, table: TableMap, record: Record, alias: str, other: str, at: datetime) -> StateWrite:
    """The reject of an alias that already names another entity; the row went in under its own key."""
    reason = f"alias {alias!r} already names entity {other}; the two may be one: merge them or correct the source"
    value = _value(mapping, table, record.row.number, record.name, reason, at)
    return StateWrite(KIND_REJECT, alias_key(mapping, table, record, alias), value)


def _value(
    mapping: Mapping_, table: TableMap, number: int, key: str | None, reason: str, at: datetime
) -> dict[str, Json]:
    return {
        "source": mapping.source,
        "table": table.table,
        "number": number,
        "key": key,
        "reason": reason,
        "at": encode(at)["instant"],
    }


def keep(data: Mapping[str, Any]) -> Json:
    """A row as JSON from which `restore` makes the same row; values too long are cut and marked."""
    return {_clean(str(name)): _keep(value, 0) for name, value in list(data.items())[:FIELDS_MAX]}


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _keep(value: Any, depth: int) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if depth > DEPTH_MAX:
        return {"cut": ""}
    if isinstance(value, dict):
        return {"object": {_clean(str(k)): _keep(v, depth + 1) for k, v in list(value.items())[:FIELDS_MAX]}}
    if isinstance(value, list | tuple):
        return [_keep(item, depth + 1) for item in value[:FIELDS_MAX]]
    keeper = next((keeper for kind, keeper in _KEEPERS if isinstance(value, kind)), None)
    return keeper(value) if keeper else {"cut": _clean(str(value))[:VALUE_MAX]}


def _keep_text(value: str) -> Json:
    clean = _clean(value)
    if len(clean) > VALUE_MAX:
        return {"cut": clean[:VALUE_MAX]}
    return clean if clean == value else {"broken": clean}


def _keep_integer(value: int) -> Json:
    return value if -INTEGER_MAX <= value <= INTEGER_MAX else {"integer": str(value)[:VALUE_MAX]}


_KEEPERS: tuple[tuple[type, Callable[[Any], Json]], ...] = (
    (str, _keep_text),
    (int, _keep_integer),
    (float, lambda value: {"float": repr(value)}),
    (Decimal, lambda value: {"number": str(value)}),
    (datetime, lambda value: encode(value) if value.tzinfo else {"naive": value.isoformat()}),
    (date, encode),
    (timedelta, encode),
)


def restore(kept: Json) -> dict[str, Any] | None:
    """The row that `keep` kept, or None where something was cut."""
    try:
        return {name: _restore(value) for name, value in kept.items()}
    except ValueError:
        return None


_RESTORERS: dict[str, Any] = {
    "integer": int,
    "float": float,
    "number": Decimal,
    "naive": datetime.fromisoformat,
    "broken": lambda text: text.replace("\\x00", "\x00"),
    "object": lambda fields: {name: _restore(value) for name, value in fields.items()},
}


def _restore(kept: Json) -> Any:
    if isinstance(kept, list):
        return [_restore(item) for item in kept]
    if not isinstance(kept, dict):
        return kept
    ((kind, value),) = kept.items()
    if kind == "cut":
        raise ValueError("a part of the row was not kept")
    return _RESTORERS[kind](value) if kind in _RESTORERS else decode(kept)


def again(store: GraphStore, mapping: Mapping_, table: TableMap) -> Iterator[tuple[str, Row]]:
    """The refused rows of a table that were kept whole, with the key of each reject, in pages."""
    prefix, after = state_name(mapping, table), ""
    while page := store.scan(KIND_REJECT, prefix, after, first=PAGE):
        for state in page:
            data = restore(state.value["row"])
            if data:
                yield state.key, Row(int(state.value["number"]), data)
        after = page[-1].key


def clear_stale(store: GraphStore, mapping: Mapping_, table: TableMap, still: Callable[[str], bool]) -> None:
    """Delete the refused rows of a table that a whole, clean run did not refuse again."""
    prefix, after = state_name(mapping, table), ""
    while page := store.scan(KIND_REJECT, prefix, after, first=PAGE):
        stale = [StateWrite(KIND_REJECT, state.key, None) for state in page if not still(state.key)]
        if stale:
            store.commit((), None, state=stale)
        after = page[-1].key


def listed(store: GraphStore, first: int) -> list[State]:
    """What did not go in, at most so many: refused rows first, then names and relations of rows that did."""
    last = chr(ord(PART) + 1)
    # Between the two kinds that have a prefix lie the refused rows of any source.
    ranges = [("", ALIAS), (ALIAS[:-1] + last, DANGLING), (DANGLING[:-1] + last, None), (ALIAS, None), (DANGLING, None)]
    found: list[State] = []
    for place, (after, end) in enumerate(ranges):
        prefix = after if place > 2 else ""
        if len(found) < first:
            page = store.scan(KIND_REJECT, prefix, "" if prefix else after, first=first - len(found))
            found += [state for state in page if end is None or state.key < end]
    return found


def count_dangling(store: GraphStore, mapping: Mapping_) -> int:
    """How many relations of a source wait for their target."""
    found, after = 0, ""
    while page := store.scan(KIND_REJECT, DANGLING, after, first=PAGE):
        found += sum(state.value["source"] == mapping.source for state in page)
        after = page[-1].key
    return found
