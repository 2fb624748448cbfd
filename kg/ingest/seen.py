"""Which rows of a table this run has seen, kept in a temporary file so that memory stays flat however long the table is."""

import sqlite3
from collections.abc import Iterator, Sequence

PAGE = 1_000


class Seen:
    """Names of rows with number and hash, and the rows found gone; deleted with `close`."""

    def __init__(self) -> None:
        # An empty name is SQLite's private temporary file, removed when it closes or the process dies.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.execute("CREATE TABLE seen (name TEXT PRIMARY KEY, number INTEGER, hash TEXT) WITHOUT ROWID")
        self._file.execute("CREATE TABLE gone (name TEXT PRIMARY KEY) WITHOUT ROWID")
        self._file.execute("CREATE TABLE refused (name TEXT PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> "Seen":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, rows: Sequence[tuple[str, int, str]]) -> dict[int, tuple[int, str]]:
        """Note rows (name, number, hash); gives, by number, the earlier (number, hash) of those whose name was there."""
        earlier: dict[int, tuple[int, str]] = {}
        self._file.execute("BEGIN")
        for name, number, hash in rows:
            if self._file.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (name, number, hash)).rowcount == 0:
                found = self._file.execute("SELECT number, hash FROM seen WHERE name = ?", (name,)).fetchone()
                earlier[number] = (int(found[0]), str(found[1]))
        self._file.execute("COMMIT")
        return earlier

    def missing(self, names: Sequence[str]) -> int:
        """Note as gone those of the names that were not seen; gives how many."""
        before = self._file.total_changes
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT OR IGNORE INTO gone SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM seen WHERE name = ?1)",
            [(name,) for name in names],
        )
        self._file.execute("COMMIT")
        return self._file.total_changes - before

    def gone(self) -> Iterator[list[str]]:
        """The names noted as gone, in pages."""
        after = ""
        while page := [
            str(row[0])
            for row in self._file.execute("SELECT name FROM gone WHERE name > ? ORDER BY name LIMIT ?", (after, PAGE))
        ]:
            yield page
            after = page[-1]

    def refuse(self, names: Sequence[str]) -> None:
        """Note that these rejects were written in this run."""
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR IGNORE INTO refused VALUES (?)", [(name,) for name in names])
        self._file.execute("COMMIT")

    def refused(self, name: str) -> bool:
        """Whether this reject was written in this run."""
        return self._file.execute("SELECT 1 FROM refused WHERE name = ?", (name,)).fetchone() is not None
