"""Evidence of a SQLite store: nodes and openings of its ledger, and erasure with everything that the file keeps beside the rows.

Invariant I14: after `forget` returns, neither the database nor its write-ahead log holds an erased value, unless a reader of
another process kept the log from being emptied, which is an error that says so. Text search, expression indexes and machine rows
are in the same file and go with it.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kg.clock import Clock
from kg.errors import CauseReusedError, StoreBusyError
from kg.evidence import Forgetting, Forgotten, Node, Opening, Revise
from kg.model import Commit
from kg.payloads import KIND as PAYLOAD
from kg.store import Request, Schema
from kg.stores import sqlite_text
from kg.stores.erasing import Erasing, Stored
from kg.stores.opening import opening
from kg.stores.prepare import prepare
from kg.stores.rows import VERSION_COLUMNS, CauseRow, ChangeRow, RelationRow, StateRow, VersionRow
from kg.stores.sqlite_file import Database
from kg.stores.sqlite_write import write

#: Seconds that emptying the log waits for a checkpoint under way, and between two looks.
CLEAN_SECONDS: Final = 30.0
CLEAN_WAIT: Final = 0.02
_NODES = (
    "SELECT n.level, n.place, n.hash FROM json_each(?) j CROSS JOIN node n"
    " ON n.level = json_extract(j.value, '$[0]') AND n.place = json_extract(j.value, '$[1]')"
)
_LEAVES = "SELECT position - 1, leaf FROM change WHERE position IN (SELECT value + 1 FROM json_each(?))"
_RELATION = "r.since, r.source, r.name, r.target, r.until, r.salt, r.props, r.erased"
_CAUSE = (
    "u.number, u.id, u.at, u.first, u.last, u.activity, u.agent, u.reason, u.on_behalf_of, u.attributes, u.salt,"
    " u.request, u.seal"
)
_VERSION = ", ".join(f"v.{name.strip()}" for name in VERSION_COLUMNS.split(","))
_OPENINGS = (
    "SELECT c.position, c.kind, c.cls, c.subject, c.version, c.changed, c.relation, c.target, c.origin, c.cause, c.leaf,"
    f" {_VERSION}, {_RELATION}, {_CAUSE}, u.erased, p.seal FROM json_each(?) j CROSS JOIN change c ON c.position = j.value"
    " CROSS JOIN cause u ON u.number = c.cause LEFT JOIN cause p ON p.number = c.cause - 1"
    " LEFT JOIN version v ON v.since = c.position LEFT JOIN relation r ON r.since = c.position ORDER BY c.position"
)
#: Bytes read at once when files are searched.
CHUNK: Final = 1 << 20


def nodes(connection: sqlite3.Connection, wanted: Sequence[Node]) -> dict[Node, bytes]:
    """The roots of these complete subtrees."""
    inner = [list(node) for node in wanted if node[0] > 0]
    found: dict[Node, bytes] = {}
    if inner:
        found = {(level, place): hash for level, place, hash in connection.execute(_NODES, (json.dumps(inner),))}
    leaves = [place for level, place in wanted if level == 0]
    if leaves:
        found |= {(0, place): leaf for place, leaf in connection.execute(_LEAVES, (json.dumps(leaves),))}
    return found


def openings(connection: sqlite3.Connection, positions: Sequence[int]) -> list[Opening]:
    """The changes at these positions with what opens them."""
    rows = connection.execute(_OPENINGS, (json.dumps(sorted(set(positions))),)).fetchall()
    used = _inputs(connection, {row[9] for row in rows})
    found = []
    for row in rows:
        change = ChangeRow(*row[:11])
        version = VersionRow(*row[11:23]) if row[11] is not None else None
        link = RelationRow(*row[23:31]) if row[23] is not None else None
        cause = CauseRow(*[*row[31:44], used.get(row[31], []), row[44]])
        found.append(opening(change, version, link, cause, row[45] if row[45] is not None else bytes(32)))
    return found


def _inputs(connection: sqlite3.Connection, causes: Iterable[int] | None = None) -> dict[int, list[tuple[str, int]]]:
    only = "WHERE cause IN (SELECT value FROM json_each(?))" if causes is not None else ""
    sql = f"SELECT cause, id, version FROM cause_input {only} ORDER BY cause, place"
    found: dict[int, list[tuple[str, int]]] = {}
    for cause, id, version in connection.execute(sql, (json.dumps(list(causes)),) if causes is not None else ()):
        found.setdefault(cause, []).append((id, version))
    return found


def forget(
    database: Database,
    schema: Schema,
    clock: Clock,
    forgetting: Forgetting,
    revise: Revise,
    record: Callable[[Forgotten], Request],
) -> tuple[Forgotten, Commit]:
    """Erase and record in one transaction, then empty the write-ahead log."""
    with database.writing() as connection:
        plan = Erasing(forgetting, clock.entropy)
        _facts(connection, plan)
        if (request := revise(plan.revised())) is not None:
            made = _commit(connection, schema, clock, request)
            plan.follow(_versions(connection, made.first - 1))
        _rest(connection, plan)
        forgotten = plan.finish()
        _save(connection, plan)
        _search(connection, schema, forgotten.touched)
        commit = _commit(connection, schema, clock, record(forgotten))
    clean(database)
    return forgotten, commit


def _commit(connection: sqlite3.Connection, schema: Schema, clock: Clock, request: Request) -> Commit:
    results, _ = write(connection, [prepare(request)], schema, clock, None)
    made = results[0]
    if isinstance(made, Exception):
        raise made
    if made.repeated:
        # Without a record of its own an erasure would be one that verification refuses.
        raise CauseReusedError
    return made


def _facts(connection: sqlite3.Connection, plan: Erasing) -> None:
    """Feed a plan with everything up to the versions."""
    ids = json.dumps(sorted(plan.forgetting.subjects))
    own = connection.execute(f"SELECT {_VERSION} FROM json_each(?) j JOIN version v ON v.id = j.value", (ids,))
    inputs = _inputs(connection)
    plan.subjects((VersionRow(*row) for row in own), {n: [id for id, _ in used] for n, used in inputs.items()})
    plan.neighbours(connection.execute("SELECT source, target FROM relation"))
    for stored in _versions(connection, 0):
        plan.version(stored)
    held = connection.execute("SELECT kind, key, revision, due, value FROM state WHERE kind = ?", (PAYLOAD,))
    plan.payloads(StateRow(*row) for row in held)


def _rest(connection: sqlite3.Connection, plan: Erasing) -> None:
    """Feed a plan with what comes after the versions."""
    for row in connection.execute(
        f"SELECT c.cause, u.at, {_RELATION} FROM relation r JOIN change c ON c.position = r.since"
        " JOIN cause u ON u.number = c.cause WHERE r.props <> '{}' ORDER BY r.since"
    ):
        plan.relation(Stored(RelationRow(*row[2:]), row[0], row[1]))
    inputs = _inputs(connection)
    for row in connection.execute(f"SELECT {_CAUSE}, u.erased FROM cause u ORDER BY u.number"):
        plan.cause(CauseRow(*[*row[:13], inputs.get(row[0], []), row[13]]))
    for row in connection.execute("SELECT kind, key, revision, due, value FROM state"):
        plan.state(StateRow(*row))


def _versions(connection: sqlite3.Connection, after: int) -> Iterator[Stored]:
    for row in connection.execute(
        f"SELECT c.cause, u.at, c.origin, {_VERSION} FROM change c JOIN version v ON v.since = c.position"
        " JOIN cause u ON u.number = c.cause WHERE c.position > ? ORDER BY c.position",
        (after,),
    ):
        yield Stored(VersionRow(*row[3:]), row[0], row[1], row[2])


def _save(connection: sqlite3.Connection, plan: Erasing) -> None:
    many = connection.executemany
    many(
        "UPDATE version SET salts = ?, props = ?, personal = ?, erased = ? WHERE since = ?",
        [(v.salts, v.props, v.personal, v.erased, v.since) for v in _rows(plan.versions)],
    )
    many(
        "UPDATE change SET origin = ? WHERE position = ? AND origin IS NOT ?",
        [(one.origin, one.row.since, one.origin) for one in plan.versions if isinstance(one.row, VersionRow)],
    )
    many(
        "UPDATE relation SET salt = ?, props = ?, erased = ? WHERE since = ?",
        [(r.salt, r.props, r.erased, r.since) for r in _rows(plan.relations)],
    )
    many(
        "UPDATE cause SET reason = ?, attributes = ?, salt = ?, erased = ? WHERE number = ?",
        [(c.reason, c.attributes, c.salt, c.erased, c.number) for c in _rows(plan.causes)],
    )
    gone = [key for key, value in plan.states.items() if value is None]
    many("DELETE FROM state WHERE kind = ? AND key = ?", gone)
    kept = [(*key, value) for key, value in plan.states.items() if value is not None]
    many(
        "INSERT INTO state (kind, key, revision, value) VALUES (?, ?, 1, ?)"
        " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, revision = revision + 1",
        kept,
    )


def _rows(touched: Iterable[Any]) -> Iterator[Any]:
    return (one.row for one in touched)


def _search(connection: sqlite3.Connection, schema: Schema, ids: Sequence[str]) -> None:
    """Take the touched entities into text search anew; what FTS5 would only mark as deleted is rewritten."""
    sqlite_text.refresh(connection, schema, ids)
    if ids:
        connection.execute("INSERT INTO text_body (text_body) VALUES ('optimize')")


def clean(database: Database) -> None:
    """Empty the write-ahead log, which still holds pages as they were; StoreBusyError where a reader is in the way."""
    end = time.monotonic() + CLEAN_SECONDS
    while True:
        with database.alone() as connection:
            busy, pages, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        # Beside another checkpoint SQLite counts no pages; that one ends by itself, and needs the turn to do so.
        if pages >= 0 or time.monotonic() > end:
            raise StoreBusyError(
                "the values are erased, but another process still reads an older state; stop it and run the command again"
            )
        time.sleep(CLEAN_WAIT)


def residue(path: Path, texts: Sequence[str]) -> list[str]:
    """The files beside and with this database that hold one of these texts."""
    wanted = [text.encode() for text in texts if text]
    longest = max(map(len, wanted), default=0)
    found = []
    for file in (path, path.with_name(path.name + "-wal")):
        if file.exists() and any(_holds(file, wanted, longest)):
            found.append(file.name)
    return found


def _holds(file: Path, wanted: Sequence[bytes], longest: int) -> Iterator[bool]:
    tail = b""
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            window = tail + chunk
            yield any(text in window for text in wanted)
            tail = window[-longest:]
