"""The live phase: row changes, one a line in `live/events.jsonl`, applied to the source systems as their departments would.
Applying an event twice leaves the same rows as applying it once.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from examples.distributor.clock import helpdesk_text
from examples.distributor.systems.table import json_line, write_csv

EVENTS = Path("live") / "events.jsonl"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One row inserted or updated at a moment; `row` holds the whole row of an insert, the changed columns of an update."""

    at: str
    system: str
    table: str
    op: str
    key_column: str
    key: str
    row: dict[str, Any]


def event(moment: datetime, source: str, op: str, key_column: str, row: dict[str, Any]) -> LiveEvent:
    """Make an event from `system.table` and a row that holds its key."""
    system, _, table = source.partition(".")
    values = {name.rstrip("_"): value for name, value in row.items()}
    return LiveEvent(helpdesk_text(moment), system, table, op, key_column, str(values[key_column]), values)


def write_events(folder: Path, events: Sequence[LiveEvent]) -> None:
    """Write the events in the order of time."""
    (folder / EVENTS).parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(events, key=lambda e: (e.at, e.system, e.table, e.key))
    (folder / EVENTS).write_text("".join(json_line(asdict(e)) for e in ordered), encoding="utf-8")


def read_events(folder: Path) -> list[LiveEvent]:
    """Read the events in the order they happen."""
    with (folder / EVENTS).open(encoding="utf-8") as file:
        return [LiveEvent(**json.loads(line)) for line in file]


def apply_live(out_dir: str | Path, first: int = 0, count: int | None = None) -> int:
    """Apply the events to the systems, all of them or `count` from number `first` on, and say how many were applied."""
    folder = Path(out_dir)
    stop = None if count is None else first + count
    chosen = list(islice(read_events(folder), first, stop))
    for (system, table), events in groupby(chosen, key=lambda e: (e.system, e.table)):
        if system in ("crm", "erp"):
            _apply_to_database(folder / f"{system}.db", table, list(events))
        elif system == "helpdesk":
            _append_lines(folder / f"{table}.jsonl", list(events))
        else:
            _apply_to_csv(folder / f"{table}.csv", list(events))
    return len(chosen)


def _apply_to_database(path: Path, table: str, events: Sequence[LiveEvent]) -> None:
    """Insert or update rows in one transaction."""
    with closing(sqlite3.connect(path)) as database, database:
        for item in events:
            names = list(item.row)
            if item.op == "insert":
                marks = ", ".join("?" * len(names))
                statement = f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks})"
                database.execute(statement, list(item.row.values()))
            else:
                changes = ", ".join(f"{name} = ?" for name in names)
                statement = f"UPDATE {table} SET {changes} WHERE {item.key_column} = ?"
                database.execute(statement, [*item.row.values(), item.key])


def _append_lines(path: Path, events: Sequence[LiveEvent]) -> None:
    """Append the rows whose keys the file does not hold yet."""
    with path.open(encoding="utf-8") as file:
        known = {json.loads(line)[events[0].key_column] for line in file}
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json_line(e.row) for e in events if e.key not in known)


def _apply_to_csv(path: Path, events: Sequence[LiveEvent]) -> None:
    """Write the file anew with rows added or changed."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        header = list(reader.fieldnames or ())
        rows = {row[header[0]]: row for row in reader}
    for item in events:
        known = rows.get(item.key, dict.fromkeys(header, ""))
        rows[item.key] = {**known, **{name: "" if v is None else str(v) for name, v in item.row.items()}}
    write_csv(path, header, ([row[name] for name in header] for row in rows.values()))
