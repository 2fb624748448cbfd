"""Brings a Neo4j database to the schema of this Noesis: numbered Cypher files, each remembered in the graph by checksum.

Invariant: a database of a newer Noesis or of another program is left alone and refused, an altered migration too. Neo4j
makes each constraint and index in a transaction of its own, so every statement says IF NOT EXISTS and may run again.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Final

from kg.errors import StoreCorruptError, StoreError, StoreVersionError
from kg.leaf import NO_SEAL
from kg.stores.neo4j_server import Server, fetch

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"

_NOTE: Final = "MERGE (m:Migration {number: $number}) SET m.name = $name, m.checksum = $checksum"
#: So that processes that start at once note a migration once.
_ONCE: Final = "CREATE CONSTRAINT migration_number IF NOT EXISTS FOR (n:Migration) REQUIRE n.number IS UNIQUE"


def migrations(folder: Path = MIGRATIONS) -> list[tuple[int, str, str]]:
    """Number, name and text of every migration, in order."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.cypher"))
    return [(int(file.name[:4]), file.stem[5:], file.read_text(encoding="utf-8")) for file in files]


def migrate(server: Server, folder: Path = MIGRATIONS) -> None:
    """Apply what is missing; raises StoreVersionError for a newer database, StoreError for an altered migration."""
    known = migrations(folder)
    # The nodes are counted first: those of a process that migrates just now come after its first note, which is then found.
    ((nodes,),) = server.rows("MATCH (n) RETURN count(n)")
    applied = server.rows("MATCH (m:Migration) RETURN m.number, m.name, m.checksum ORDER BY m.number")
    if nodes and not applied:
        raise StoreCorruptError("the database holds the graph of another program; set store_database to another")
    if len(applied) > len(known):
        raise StoreVersionError
    for (number, name, found), (_, _, text) in zip(applied, known, strict=False):
        if found != checksum(text):
            raise StoreError(f"migration {number:04} ({name}) was altered after it was applied; reinstall Noesis")
    if len(applied) < len(known):
        server.define(_ONCE)
    for number, name, text in known[len(applied) :]:
        for statement in statements(text):
            server.define(statement)
        server.define("CALL db.awaitIndexes(300)")
        row = {"number": number, "name": name, "checksum": checksum(text)}
        server.write(partial(fetch, text=_NOTE, values=row))
    head = "MERGE (h:Head {one: 1}) ON CREATE SET h.position = 0, h.settled = 0, h.causes = 0, h.seal = $seal"
    if not server.rows("MATCH (h:Head {one: 1}) RETURN h.one"):
        server.write(partial(fetch, text=head, values={"seal": NO_SEAL}))


def checksum(text: str) -> str:
    """What a migration is remembered by."""
    return hashlib.sha256(text.encode()).hexdigest()


def statements(text: str) -> list[str]:
    """The statements of a migration, in order."""
    lines = [line for line in text.splitlines() if not line.startswith("//")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]
