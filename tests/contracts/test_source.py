"""The contract of port Source, over every kind of place: FileSource (CSV, JSON, JSON lines, Parquet) and SqlSource."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kg.errors import SourceError
from kg.ingest.mapping import TableMap
from kg.ingest.sources.location import open_source
from kg.ingest.sources.row import CHUNK_ROWS, Source, Wanted

COLUMNS = ("id", "city", "grams")
ROWS = [(f"p{n:05}", f"city {n % 7}", n) for n in range(CHUNK_ROWS + 17)]


Made = tuple[Path, str]


def table(name: str) -> TableMap:
    return TableMap(1, name, "Parcel", {})


def _csv(folder: Path) -> Made:
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in ROWS)]
    (folder / "parcels.csv").write_text("\n".join(lines) + "\n")
    return folder, "parcels.csv"


def _json(folder: Path) -> Made:
    (folder / "parcels.json").write_text(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in ROWS]))
    return folder, "parcels.json"


def _jsonl(folder: Path) -> Made:
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in ROWS]
    (folder / "parcels.jsonl").write_text("\n".join(lines) + "\n")
    return folder, "parcels.jsonl"


def _parquet(folder: Path) -> Made:
    import pyarrow
    import pyarrow.parquet

    columns = {name: [row[place] for row in ROWS] for place, name in enumerate(COLUMNS)}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "parcels.parquet")
    return folder, "parcels.parquet"


def _sqlite(folder: Path) -> Made:
    path = folder / "source.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE parcels (id TEXT PRIMARY KEY, city TEXT, grams INTEGER)")
        database.executemany("INSERT INTO parcels VALUES (?, ?, ?)", ROWS)
        database.commit()
    return path, "parcels"


@pytest.fixture(name="place", params=[_csv, _json, _jsonl, _parquet, _sqlite], ids=lambda make: make.__name__[1:])
def _source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Source, TableMap]]:
    make: Callable[[Path], Made] = request.param
    location, name = make(tmp_path)
    source = open_source(location)
    yield source, table(name)
    source.close()


def test_every_row_comes_once_in_order_and_is_counted_from_one(place: tuple[Source, TableMap]) -> None:
    source, parcels = place
    rows = list(source.rows(parcels, Wanted(None, COLUMNS)))
    assert [row.number for row in rows] == list(range(1, len(ROWS) + 1))
    assert [row.fault for row in rows] == [None] * len(ROWS)
    assert [tuple(str(row.data[name]) for name in COLUMNS) for row in rows] == [tuple(map(str, row)) for row in ROWS]


def test_it_can_be_read_again(place: tuple[Source, TableMap]) -> None:
    source, parcels = place
    first = [row.data for row in source.rows(parcels, Wanted(None, ("id",)))]
    assert [row.data for row in source.rows(parcels, Wanted(None, ("id",)))] == first


def test_a_column_that_is_not_there_is_named_with_the_nearest(place: tuple[Source, TableMap]) -> None:
    source, parcels = place
    with pytest.raises(SourceError, match="city"):
        list(source.rows(parcels, Wanted(None, ("citty",))))


def test_a_table_that_is_not_there_is_one_sentence(place: tuple[Source, TableMap]) -> None:
    source, _ = place
    with pytest.raises(SourceError) as error:
        list(source.rows(table("letters"), Wanted(None, ())))
    assert "letters" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unfinished_reading_can_be_left(place: tuple[Source, TableMap]) -> None:
    source, parcels = place
    rows = source.rows(parcels, Wanted(None, ()))
    assert next(rows).number == 1
    rows.close()
    source.close()


def test_it_has_a_name(place: tuple[Source, TableMap]) -> None:
    source, _ = place
    assert source.name
