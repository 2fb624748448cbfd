"""Reads CSV: the first line names the columns; the delimiter is declared or seen from that line, or from Excel's `sep=;` above."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kg.errors import SourceError
from kg.ingest.mapping import TableMap
from kg.ingest.sources.row import Row, Wanted, check_columns

DELIMITERS = ",;\t|"
#: What Excel writes and reads above the names to say the delimiter.
_EXCEL = re.compile(r"sep=([,;\t|])\r?\n?")
#: Longer than any text that may become a property, so that the value's own bound speaks.
FIELD_MAX = 64_000_000
HEADER_MAX = 1_000_000
FAULTS_MAX = 100_000


def read_csv(path: Path, table: TableMap, wanted: Wanted) -> Iterator[Row]:
    """The data lines in order; a line with another number of fields than the header is a fault."""
    encoding = "utf-8-sig" if table.encoding.lower() in {"utf-8", "utf8"} else table.encoding
    csv.field_size_limit(FIELD_MAX)
    # Broken bytes become lone surrogates, which the value table refuses: one bad row, not a dead run.
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        sample = file.readline(HEADER_MAX)
        named = _EXCEL.fullmatch(sample)
        if named is None:
            file.seek(0)
        delimiter = table.delimiter or (named[1] if named else max(DELIMITERS, key=sample.count))
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(lines, [])]
        except csv.Error as error:
            raise SourceError(f"{path} line 1: no header of column names ({error}); correct it") from None
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for name in header for char in name):
            # Broken bytes are lone surrogates here, and UTF-16 read as UTF-8 is full of NUL.
            raise SourceError(
                f"{path}: the column names are no {table.encoding} text; say what the file is (cp1252, utf-16) with `encoding` in "
                "the mapping or --encoding of `noesis new`, or save it as UTF-8"
            )
        if not any(header):
            raise SourceError(f"{path} is empty; the first line must name the columns")
        if twice := [name for name, times in Counter(header).items() if times > 1]:
            what = repr(twice[0]) if twice[0] else "without a name"
            raise SourceError(f"{path} has two columns {what}; rename one")
        check_columns(str(path), header, wanted.needed)
        yield from _lines(lines, header)


def _lines(lines: Any, header: list[str]) -> Iterator[Row]:
    number = faults = 0
    while faults < FAULTS_MAX:
        try:
            fields = next(lines, None)
        except csv.Error as error:
            number += 1
            faults += 1
            yield Row(number, {}, f"line {lines.line_num} is no valid CSV ({error}); correct its quotes")
            continue
        if fields is None:
            return
        if not fields:
            continue
        number += 1
        if len(fields) != len(header):
            data = dict(zip(header, fields, strict=False))
            reason = f"line {lines.line_num} has {len(fields)} fields, the header has {len(header)}; correct the line"
            yield Row(number, data, reason)
        else:
            yield Row(number, dict(zip(header, fields, strict=True)))
    raise SourceError(f"more than {FAULTS_MAX:,} lines are no valid CSV; check the delimiter and the encoding")
