"""Files of a home that belong to no store (reports, exports, logs put there) and may still tell of a forgotten person.

Invariant: every such file is named or was looked into whole, and none is altered: what people wrote there is theirs to destroy.
What the stores keep is reached by the erasure itself.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from api.bootstrap import DATABASE, EMBEDDINGS, INDEX
from kg.needles import Needles

#: What the platform keeps itself in a home, by the start of its name.
OWN: Final = (DATABASE, EMBEDDINGS, INDEX)
#: Bytes of the largest file that is looked into, and files named.
BYTES_MAX: Final = 64 * 2**20
NAMED_MAX: Final = 1_000
TELLS: Final = "tells of the person; destroy or redact it"
CLOSED: Final = "cannot be looked into (no text, too large or not to be read); look whether it tells of the person"
#: How a file begins whose words are packed.
_PACKED: Final = (b"%PDF", b"\x1f\x8b", b"PK\x03\x04")


def remains(home: Path, texts: Iterable[str]) -> Mapping[str, str]:
    """Each file below the home that still tells by these texts, or into which nobody can look, with which of both."""
    needles, found = Needles(texts), {}
    for file in sorted(home.rglob("*")):
        name = file.relative_to(home)
        if name.parts[0].startswith(OWN) or not file.is_file():
            continue
        if (said := _said(file, needles)) is not None:
            found[str(name)] = said
            if len(found) == NAMED_MAX:
                break
    return found


def _said(file: Path, needles: Needles) -> str | None:
    try:
        data = file.read_bytes() if file.stat().st_size <= BYTES_MAX else b"\x00"
    except OSError:
        return CLOSED
    if b"\x00" in data or data.startswith(_PACKED):
        return CLOSED
    return TELLS if needles.telling(data.decode(errors="replace")) else None
