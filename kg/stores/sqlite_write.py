"""Writes planned commits: loads the rows that a batch touches, plans it, saves the plan, all in one transaction.

Invariants: I1 no write without a Cause; I2 positions are taken under the writer's turn and are free of gaps, so a reader of
the feed never skips a change. What a commit means is decided in `plan`, not here.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

from kg import ledger
from kg.clock import Clock
from kg.model import Commit
from kg.store import Schema
from kg.stores.carried import Batch
from kg.stores.plan import Loaded, Pair, Plan
from kg.stores.prepare import Prepared
from kg.stores.rows import VERSION_COLUMNS, HeadRow, RelationRow, Seen, StateRow, VersionRow, at_time

Frontier = tuple[int, dict[int, bytes]]

#: Rows inserted with one statement; the widest table has 14 columns, and SQLite takes 32,766 values.
ROWS_MAX: Final = 64

_EACH = "SELECT value FROM json_each(?)"
_LATEST = f"SELECT {VERSION_COLUMNS} FROM version WHERE id IN ({_EACH}) AND until IS NULL"
_LINKS = (
    "SELECT r.since, r.source, r.name, r.target, r.until, r.salt, r.props FROM json_each(?) j CROSS JOIN relation r "
    "ON r.source = json_extract(j.value, '$[0]') AND r.name = json_extract(j.value, '$[1]') {more} "
    "WHERE r.until IS NULL ORDER BY r.since"
)
_PAIRS = _LINKS.format(more="")
_TRIPLES = _LINKS.format(more="AND r.target = json_extract(j.value, '$[2]')")
_STATE = (
    "SELECT s.kind, s.key, s.revision, s.due, s.value FROM json_each(?) j CROSS JOIN state s "
    "ON s.kind = json_extract(j.value, '$[0]') AND s.key = json_extract(j.value, '$[1]')"
)
_CAUSES = (
    "SELECT id, at, first, last, CASE WHEN erased IS NULL THEN salt ELSE x'' END, request FROM cause"
    f" WHERE id IN ({_EACH})"
)
_MADE = "SELECT subject, max(version) FROM change WHERE position BETWEEN ? AND ? AND version > 0 GROUP BY subject"


def head_row(connection: sqlite3.Connection) -> HeadRow:
    """The end of the log."""
    return HeadRow(*connection.execute("SELECT position, at, causes, seal FROM head").fetchone())


def frontier(connection: sqlite3.Connection, size: int) -> dict[int, bytes]:
    """The roots of the complete subtrees that hold the first `size` leaves, by level."""
    return {level: node(connection, level, place) for level, place in ledger.edge(size)}


def node(connection: sqlite3.Connection, level: int, place: int) -> bytes:
    """The stored root of one complete subtree."""
    if level == 0:
        row = connection.execute("SELECT leaf FROM change WHERE position = ?", (place + 1,)).fetchone()
    else:
        row = connection.execute("SELECT hash FROM node WHERE level = ? AND place = ?", (level, place)).fetchone()
    return bytes(row[0])


def write(
    connection: sqlite3.Connection,
    batch: Sequence[Prepared],
    schema: Schema,
    clock: Clock,
    known: Frontier | None,
) -> tuple[list[Commit | Exception], Frontier]:
    """Plan and save a batch inside a transaction; `known` is the ledger's edge as this process last saw it."""
    loaded = load(connection, batch)
    start = loaded.head.position
    plan = Plan(schema, clock, loaded)
    results: list[Commit | Exception] = []
    for prepared in batch:
        try:
            results.append(plan.apply(prepared))
        except Exception as error:
            results.append(error)
    pending = dict(known[1]) if known is not None and known[0] == start else frontier(connection, start)
    nodes = ledger.append(pending, start, [change.leaf for change in plan.changes])
    save(connection, plan, nodes)
    return results, (plan.head.position, pending)


def load(connection: sqlite3.Connection, batch: Sequence[Prepared]) -> Loaded:
    """Read what the batch touches, a few statements for all of it."""
    head = head_row(connection)
    ids = {id for prepared in batch for id in prepared.ids}
    latest = {row[1]: VersionRow(*row) for row in _rows(connection, _LATEST, ids)}
    links: dict[Pair, dict[str, RelationRow]] = {}
    pairs = {pair for prepared in batch for pair in prepared.pairs}
    triples = {triple for prepared in batch for triple in prepared.triples if triple[:2] not in pairs}
    for statement, keys in ((_PAIRS, pairs), (_TRIPLES, triples)):
        for row in _rows(connection, statement, keys):
            found = RelationRow(*row)
            links.setdefault((found.source, found.name), {})[found.target] = found
    keys = {(row.kind, row.key) for prepared in batch for row in prepared.request.state}
    state: dict[Pair, StateRow | None] = {(row[0], row[1]): StateRow(*row) for row in _rows(connection, _STATE, keys)}
    causes = {prepared.cause.id for prepared in batch if prepared.cause is not None}
    seen = {row[0]: _seen(connection, row) for row in _rows(connection, _CAUSES, causes)}
    return Loaded(head, latest, links, state, seen)


def _rows(connection: sqlite3.Connection, statement: str, keys: Iterable[Any]) -> list[tuple[Any, ...]]:
    wanted = list(keys)
    return connection.execute(statement, (json.dumps(wanted),)).fetchall() if wanted else []


def _seen(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Seen:
    id, at, first, last, salt, request = row
    made = dict(connection.execute(_MADE, (first, last)))
    return Seen(salt, request, Commit(id, first, last, at_time(at), made, repeated=True))


def save(connection: sqlite3.Connection, plan: Plan | Batch, nodes: Sequence[ledger.Node]) -> None:
    """Write the plan's rows."""
    many = connection.executemany
    if plan.ended:
        older = [(until, since) for since, until in plan.ended.items() if since not in plan.versions]
        many("UPDATE version SET until = ? WHERE since = ?", older)
    if plan.cut:
        older = [(until, since) for since, until in plan.cut.items() if since not in plan.relations]
        many("UPDATE relation SET until = ? WHERE since = ?", older)
    ended, cut = plan.ended, plan.cut
    _insert(
        connection,
        f"INSERT INTO version ({VERSION_COLUMNS})",
        [
            (v.since, v.id, v.version, v.cls, ended.get(v.since), v.closed, v.valid_from, v.valid_to, v.salts,
             v.props, v.personal, v.erased)
            for v in plan.versions.values()
        ],
    )  # fmt: skip
    _insert(
        connection,
        "INSERT INTO relation (since, source, name, target, until, salt, props, erased)",
        [
            (r.since, r.source, r.name, r.target, cut.get(r.since), r.salt, r.props, r.erased)
            for r in plan.relations.values()
        ],
    )
    _insert(
        connection,
        "INSERT INTO change (position, cause, kind, cls, subject, version, changed, relation, target, origin, leaf)",
        [
            (c.position, c.cause, c.kind, c.cls, c.subject, c.version, c.changed, c.relation, c.target,
             c.origin, c.leaf)
            for c in plan.changes
        ],
    )  # fmt: skip
    _insert(connection, "INSERT INTO node (level, place, hash)", nodes)
    _save_causes(connection, plan)
    _save_state(connection, plan)


def _save_causes(connection: sqlite3.Connection, plan: Plan | Batch) -> None:
    if not plan.causes:
        return
    _insert(
        connection,
        "INSERT INTO cause (number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt,"
        " request, seal, erased)",
        [
            (c.number, c.id, c.at, c.first, c.last, c.activity, c.agent, c.reason, c.on_behalf_of, c.attributes, c.salt,
             c.request, c.seal, c.erased)
            for c in plan.causes
        ],
    )  # fmt: skip
    inputs = [(c.number, place, id, version) for c in plan.causes for place, (id, version) in enumerate(c.inputs)]
    _insert(connection, "INSERT INTO cause_input (cause, place, id, version)", inputs)
    head = plan.head
    connection.execute(
        "UPDATE head SET position = ?, at = ?, causes = ?, seal = ?", (head.position, head.at, head.causes, head.seal)
    )


def _save_state(connection: sqlite3.Connection, plan: Plan | Batch) -> None:
    gone = [key for key, row in plan.state.items() if row is None]
    if gone:
        connection.executemany("DELETE FROM state WHERE kind = ? AND key = ?", gone)
    rows = [(row.kind, row.key, row.revision, row.due, row.value) for row in plan.state.values() if row is not None]
    _insert(
        connection,
        "INSERT INTO state (kind, key, revision, due, value)",
        rows,
        " ON CONFLICT (kind, key) DO UPDATE SET revision = excluded.revision, due = excluded.due, value = excluded.value",
    )


def _insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]], more: str = "") -> None:
    """Insert rows, many with one statement: for each statement the interpreter is let go of once and has to be had back.

    Their numbers are powers of two, so that the few texts there are stay compiled.
    """
    place = 0
    while place < len(rows):
        count = min(ROWS_MAX, 1 << (len(rows) - place).bit_length() - 1)
        one = f"({','.join('?' * len(rows[place]))})"
        values = list(chain.from_iterable(rows[place : place + count]))
        connection.execute(f"{into} VALUES {','.join([one] * count)}{more}", values)
        place += count
