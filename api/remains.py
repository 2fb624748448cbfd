"""Files of a home that belong to no store (reports, exports, logs put there) and may still tell of a forgotten person.

Invariant: every such file is named or was looked into whole, and none is altered: what people wrote there is theirs to destroy.
What the stores keep is reached by the erasure itself.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from api.bootstrap import DATABASE, EMBEDDINGS, INDEX
from kg.needles import Needles

#: What the platform keeps itself in a home: the index, and databases with the files that SQLite and the turn put beside them.
OWN: Final = frozenset(
    {INDEX} | {name + more for name in (DATABASE, EMBEDDINGS) for more in ("", "-wal", "-shm", ".lock", ".lock.first")}
)
#: Bytes of the largest file that is looked into, and files named.
BYTES_MAX: Final = 64 * 2**20
NAMED_MAX: Final = 1_000
TELLS: Final = "tells of the person; destroy or redact it"
UNKNOWN: Final = (
    "nothing is left to know the person by since an earlier erasure; see its certificate and look whether it tells"
)
CLOSED: Final = "cannot be looked into (no text, too large or not to be read); look whether it tells of the person"
#: How a file begins whose words are packed.
_PACKED: Final = (b"%PDF", b"\x1f\x8b", b"PK\x03\x04")


def remains(home: Path, texts: Iterable[str], key: Path | None = None) -> Mapping[str, str]:
    """Each file below the home that still tells by these texts, or into which nobody can look, with which of both.

    Without any text to look for (a person forgotten before) every file but the signing `key` is named, as one that may tell.
    """
    texts = tuple(texts)
    needles = Needles(texts)
    found: dict[str, str] = {}
    for file in _files(home, found):
        if len(found) == NAMED_MAX:
            found["and more"] = "too many to name; look through the whole home"
            break
        if (said := _said(file, needles) or (None if texts or file == key else UNKNOWN)) is not None:
            found[_shown(file.relative_to(home))] = said
    return found


def _files(home: Path, found: dict[str, str]) -> Iterator[Path]:
    """The files of a home that belong to no store, in order; a folder that cannot be read is named."""

    def closed(error: OSError) -> None:
        found[_shown(Path(error.filename).relative_to(home))] = CLOSED

    for folder, folders, files in os.walk(home, onerror=closed):
        own = OWN if Path(folder) == home else frozenset()
        folders[:] = sorted(name for name in folders if name not in own)
        yield from (file for name in sorted(files) if name not in own and (file := Path(folder, name)).is_file())


def _shown(path: Path) -> str:
    """A path in one line of any text; the certificate is signed, so no name may look like a line of it."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in str(path))


def _said(file: Path, needles: Needles) -> str | None:
    try:
        data = file.read_bytes() if file.stat().st_size <= BYTES_MAX else b"\x00"
    except OSError:
        return CLOSED
    if b"\x00" in data or data.startswith(_PACKED):
        return CLOSED
    try:
        texts = [data.decode()]
    except UnicodeDecodeError:
        # Of the other encodings these two are met most; what is neither is looked at as both.
        texts = [data.decode("cp1252", errors="replace"), data.decode("latin-1"), data.decode(errors="replace")]
    return TELLS if any(map(needles.telling, texts)) else None
