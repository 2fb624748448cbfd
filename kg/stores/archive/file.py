"""The archive file: compressed JSON lines between a header and an end line that counts and digests all before it.

Invariant: a line read is a line written; what is cut off, altered or too long is refused as ArchiveError. A file appears under
its name only when it is whole, readable by its owner alone. Knows nothing of what the lines mean.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from kg.errors import ArchiveError

#: Characters of one line at most; a value that large belongs outside the graph.
LINE_MAX: Final = 128 * 1024 * 1024
#: Fast, and still a fifth of the plain size.
LEVEL: Final = 4
MODE: Final = 0o600
#: What a compressed file begins with.
_GZIP: Final = b"\x1f\x8b"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_DAMAGED: Final = "the archive is damaged or cut off at line {line}; make it again with `noesis export`"


class Writer:
    """Writes lines and digests them."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def line(self, value: Any) -> None:
        """Write one value as a line; ArchiveError where no reader would take it."""
        text = (_encode(value) + "\n").encode()
        if len(text) > LINE_MAX:
            raise ArchiveError("a value of the graph is too large for an archive; keep it outside and store a link")
        self._digest.update(text)
        self._stream.write(text)

    def end(self, counts: Sequence[int]) -> str:
        """Write the end line; returns the digest of all before it."""
        found = self._digest.hexdigest()
        self._stream.write((_encode(["end", *counts, found]) + "\n").encode())
        return found


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A private file to fill that gets its name at the end of the block, or goes."""
    if path.exists():
        raise ArchiveError(f"{path} is there already; name another file")
    part = path.with_name(path.name + ".part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
            yield part
            with part.open("rb") as raw:
                os.fsync(raw.fileno())
            os.replace(part, path)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written ({error.strerror}); name another file or free space") from None


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """A writer whose file appears under its name at the end of the block, or not at all."""
    with whole(path) as part, part.open("wb") as raw, gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as stream:
        yield Writer(stream)


class Lines:
    """The lines of an open archive, one after the other, with one to look ahead at."""

    def __init__(self, raw: IO[bytes]) -> None:
        raw.seek(0)
        self._stream = gzip.GzipFile(fileobj=raw, mode="rb")
        self._digest = hashlib.sha256()
        self._ahead: list[Any] | None = None
        #: The line that was read last, from 1.
        self.number = 0
        #: The digest of the lines before the end line, once that was read.
        self.digest = ""

    def _read(self) -> Any:
        self.number += 1
        try:
            text = self._stream.readline(LINE_MAX + 1)
            value = json.loads(text)
        except (EOFError, OSError, zlib.error, ValueError, RecursionError):
            raise damaged(self.number) from None
        if not text.endswith(b"\n"):
            raise damaged(self.number)
        if isinstance(value, list) and value[:1] == ["end"]:
            self.digest = self._digest.hexdigest()
            if value[-1] != self.digest or self._more():
                raise damaged(self.number)
        else:
            self._digest.update(text)
        return value

    def _more(self) -> bool:
        try:
            return self._stream.read(1) != b""
        except (EOFError, OSError, zlib.error):
            raise damaged(self.number) from None

    def header(self) -> dict[str, Any]:
        """The first line."""
        found = self._read()
        if not isinstance(found, dict):
            raise ArchiveError("the file is no archive of Noesis; name one that `noesis export` made")
        return found

    def peek(self) -> list[Any]:
        """The next line, which stays the next."""
        if self._ahead is None:
            found = self._read()
            if not isinstance(found, list) or not found or not isinstance(found[0], str):
                raise damaged(self.number)
            self._ahead = found
        return self._ahead

    def take(self, kind: str) -> Iterator[list[Any]]:
        """The columns of the lines of one kind that come next."""
        while self.peek()[0] == kind:
            found, self._ahead = self.peek()[1:], None
            yield found


def damaged(line: int) -> ArchiveError:
    """The error for a line that nobody wrote so."""
    return ArchiveError(_DAMAGED.format(line=line))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The archive, open for reading; ArchiveError where it cannot be, or is something else."""
    try:
        if path.exists() and not path.is_file():
            # A pipe gives its bytes once, and an archive is read twice: to check it, then to save it.
            raise ArchiveError(f"{path} is no file; name one that `noesis export` made")
        with path.open("rb") as raw:
            if raw.read(len(_GZIP)) != _GZIP:
                raise ArchiveError(f"{path} is no archive of Noesis; name a file that `noesis export` made")
            yield raw
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror}); check its name and permissions") from None
