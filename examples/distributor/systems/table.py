"""Writes rows as a system keeps them: SQLite tables, CSV or JSON lines. A row is a dataclass whose fields are the columns and
whose first field is the key; a field named `from_` stands for the column `from`.
"""

import csv
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

# A field's type is known by name, since the row modules hold their annotations as text.
SQL_TYPES = {"str": "TEXT NOT NULL", "int": "INTEGER NOT NULL", "float": "REAL NOT NULL"}


def columns(row_type: type) -> list[str]:
    """Name the columns of a row type."""
    return [field.name.rstrip("_") for field in fields(row_type)]


def write_database(path: Path, tables: Mapping[str, tuple[type, Sequence[Any]]]) -> None:
    """Write a new SQLite database with one table for each named row type."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        for name, (row_type, rows) in tables.items():
            parts = [f"{field.name} {SQL_TYPES.get(str(field.type), 'TEXT')}" for field in fields(row_type)]
            parts[0] += " PRIMARY KEY"
            database.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
            marks = ", ".join("?" * len(parts))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", map(astuple, rows))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file in one step, so that a reader sees the old file or the new one; None becomes an empty cell."""
    draft = path.with_suffix(".part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    os.replace(draft, path)


def json_line(row: Mapping[str, Any]) -> str:
    """Write one row as a line of JSON."""
    return json.dumps(row, ensure_ascii=False) + "\n"
