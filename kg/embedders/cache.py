"""Embeddings kept by content: a text is embedded once for each model revision, however often it is indexed.

Invariant: what the cache gives is what the embedder gave, as 32-bit floats, whether it was kept or made just now. Keys are
digests, so the file holds no text. It may be deleted at any time.
"""

import hashlib
import sqlite3
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kg.errors import SearchIndexError
from kg.index import Embedder
from kg.write_ahead import write_ahead

#: Vectors kept; the oldest leave first.
KEPT_MAX = 500_000
#: Keys asked for in one statement.
_KEYS = 500
#: Seconds to wait for another process that writes.
_BUSY = 10.0
#: What helps where deleting the file would not, by the code of SQLite.
_REMEDIES = {
    sqlite3.SQLITE_FULL: "free space and retry",
    sqlite3.SQLITE_READONLY: "check the permissions of the home folder",
    sqlite3.SQLITE_CANTOPEN: "check the permissions of the home folder",
    sqlite3.SQLITE_BUSY: "another process holds it; retry",
}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS embedding (
    place INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL
) STRICT
"""


class CachedEmbedder:
    """Port Embedder that asks another one only for texts it has not met."""

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._path = path
        with self._translated():
            self._database = sqlite3.connect(path, timeout=_BUSY, check_same_thread=False, isolation_level=None)
            write_ahead(self._database, _BUSY)
            self._database.execute("PRAGMA synchronous=NORMAL")
            # What is forgotten leaves nothing in unused pages.
            self._database.execute("PRAGMA secure_delete=ON")
            self._database.execute(_SCHEMA)

    @property
    def model(self) -> str:
        """The name of the model behind the cache."""
        return self._embedder.model

    @property
    def revision(self) -> str:
        """The revision of the model behind the cache."""
        return self._embedder.revision

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text, kept or made now."""
        keys = [self._key(text) for text in texts]
        kept = self._read(list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        if missing:
            made = self._embedder.embed(list(missing.values()))
            fresh = {key: array("f", vector) for key, vector in zip(missing, made, strict=True)}
            # What cannot be kept (a full disk, another writer) costs the time to make it again, never the answer.
            with suppress(SearchIndexError):
                self._keep(fresh)
            kept |= fresh
        return [kept[key].tolist() for key in keys]

    def forget(self, texts: Sequence[str] | None) -> None:
        """Drop the vectors of these texts, or all of them."""
        with self._lock, self._translated():
            if texts is None:
                self._database.execute("DELETE FROM embedding")
            self._database.executemany(
                "DELETE FROM embedding WHERE key = ?", [(self._key(text),) for text in texts or ()]
            )
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._database.close()

    def _key(self, text: str) -> bytes:
        name = f"{self.model}\x00{self.revision}\x00{self.dimension}\x00{text}"
        return hashlib.sha256(name.encode()).digest()

    def _read(self, keys: Sequence[bytes]) -> "dict[bytes, array[float]]":
        found: dict[bytes, array[float]] = {}
        with self._lock, self._translated():
            for start in range(0, len(keys), _KEYS):
                some = keys[start : start + _KEYS]
                marks = ",".join("?" * len(some))
                sql = f"SELECT key, vector FROM embedding WHERE key IN ({marks})"  # noqa: S608 - marks only
                found |= {key: array("f", vector) for key, vector in self._database.execute(sql, some)}
        return {key: vector for key, vector in found.items() if len(vector) == self.dimension}

    def _keep(self, fresh: "dict[bytes, array[float]]") -> None:
        with self._lock, self._translated():
            rows = [(key, vector.tobytes()) for key, vector in fresh.items()]
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany("INSERT OR REPLACE INTO embedding (key, vector) VALUES (?, ?)", rows)
                self._database.execute(
                    "DELETE FROM embedding WHERE place <= (SELECT max(place) FROM embedding) - ?", (KEPT_MAX,)
                )
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            remedy = _REMEDIES.get(code, f"delete {self._path} and retry")
            raise SearchIndexError(f"the embedding cache cannot serve ({error}); {remedy}") from None
