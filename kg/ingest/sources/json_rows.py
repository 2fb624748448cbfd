"""Reads JSON lines and JSON lists of objects, one object at a time.

NaN and Infinity, which JSON does not know, are a fault of their row.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from kg.errors import SourceError
from kg.ingest.mapping import TableMap
from kg.ingest.sources.row import Row, Wanted

LINE_BYTES_MAX = 64_000_000
CHUNK = 1 << 20
OBJECT_MAX = 64_000_000
_SPACE = re.compile(r"\s*")


class _ConstantError(ValueError):
    """A name that JSON does not know, in place of a number."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(f"holds {name}, which is no JSON number; leave it out or write null")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def read_lines(path: Path, table: TableMap, wanted: Wanted) -> Iterator[Row]:
    """One row a line; empty lines are skipped, a line that is no object is a fault."""
    del wanted
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            if not line.endswith(b"\n") and len(line) >= LINE_BYTES_MAX:
                yield Row(number, {}, f"line {number} is longer than {LINE_BYTES_MAX:,} bytes; split it")
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE_BYTES_MAX)
                continue
            if line.strip():
                yield _line(number, line, table.encoding)


def _line(number: int, line: bytes, encoding: str) -> Row:
    try:
        text = line.decode("utf-8-sig" if number == 1 and encoding == "utf-8" else encoding)
        value = _DECODER.decode(text.strip())
    except UnicodeDecodeError:
        return Row(number, {}, f"line {number} is not {encoding}; repair its encoding")
    except json.JSONDecodeError as error:
        return Row(number, {}, f"line {number} is no valid JSON ({error.msg} at column {error.colno}); correct it")
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"line {number} {_reason(error)}")
    return _row(number, value, f"line {number}")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deep; flatten it"
    # The one other ValueError of the decoder is Python's bound on the digits of an integer.
    return str(error) if isinstance(error, _ConstantError) else "holds a number of too many digits; write it as text"


def _row(number: int, value: Any, where: str) -> Row:
    if isinstance(value, dict):
        return Row(number, value)
    return Row(number, {}, f"{where} is a {type(value).__name__}, not an object {{…}}; correct it")


def read_json(path: Path, table: TableMap, wanted: Wanted) -> Iterator[Row]:
    """One row an object of the file's list; a fault of the syntax ends the file."""
    del wanted
    with path.open(encoding="utf-8-sig" if table.encoding == "utf-8" else table.encoding) as file:
        try:
            yield from _objects(_Buffer(file), path)
        except UnicodeDecodeError:
            raise SourceError(f"{path} is not {table.encoding}; save it as UTF-8 or declare `encoding`") from None
        except json.JSONDecodeError as error:
            raise SourceError(f"{path} is no valid JSON ({error.msg}); correct it") from None
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path} {_reason(error)}") from None


class _Buffer:
    """The unread part of a file, filled as far as one more value needs."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._size = CHUNK

    def _fill(self) -> bool:
        """Read more; False at the end. Sizes double while one value needs several, so long values stay linear."""
        part = self._file.read(self._size)
        self._size *= 2
        self._text = self._text[self._at :] + part
        self._at = 0
        return bool(part)

    def sign(self) -> str:
        """The next sign that is not white space, left unread; "" at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text) or not self._fill():
                return self._text[self._at : self._at + 1]

    def take(self) -> None:
        """Read one sign."""
        self._at += 1

    def value(self) -> Any:
        """The next JSON value."""
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._fill():
                    self._at = end
                    self._size = CHUNK
                    return found
            except json.JSONDecodeError:
                if len(self._text) - self._at > OBJECT_MAX or not self._fill():
                    raise


def _objects(buffer: _Buffer, path: Path) -> Iterator[Row]:
    if buffer.sign() != "[":
        raise SourceError(
            f"{path} is no list of objects; write [ {{…}}, {{…}} ], or one object a line in a .jsonl file"
        )
    buffer.take()
    number = 0
    while sign := buffer.sign():
        if sign == "]":
            return
        if number:
            if sign != ",":
                raise SourceError(f"{path} has no comma after object {number}; correct it")
            buffer.take()
            buffer.sign()
        number += 1
        yield _row(number, buffer.value(), f"object {number}")
    raise SourceError(f"{path} ends within its list; it may be cut off: write it again")
