"""Writes planned commits to Neo4j: locks the head, loads what a batch touches, plans it, saves the plan, in one transaction.

Invariants: I1 no write without a Cause; I2 positions are taken under the lock of the one Head node, which is held to the
commit, and are free of gaps. What a commit means is decided in `plan`, not here. May run again from the start.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kg import ledger
from kg.clock import Clock
from kg.errors import InputError
from kg.model import Commit, Put
from kg.store import Schema
from kg.stores import neo4j_show as show
from kg.stores.carried import Batch
from kg.stores.neo4j_pack import packed
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import Asking, fetch
from kg.stores.plan import Loaded, Pair, Plan
from kg.stores.prepare import Prepared
from kg.stores.rows import ChangeRow, HeadRow, RelationRow, Seen, StateRow, VersionRow, at_time, properties
from kg.values import Value

if TYPE_CHECKING:
    from neo4j import ManagedTransaction, Transaction

Frontier = tuple[int, dict[int, bytes]]
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class There:
    """What of a batch the graph holds already: Entity nodes by id (a target awaited is one too), machine rows, noted classes."""

    nodes: frozenset[str]
    state: frozenset[Pair]
    classes: frozenset[str]


def head_row(tx: "ManagedTransaction | Transaction | Asking") -> HeadRow:
    """The end of the log."""
    ((position, at, causes, sealed),) = fetch(tx, query("head"))
    return HeadRow(position, at, causes, bytes(sealed))


def frontier(tx: "ManagedTransaction | Transaction | Asking", size: int) -> dict[int, bytes]:
    """The roots of the complete subtrees that hold the first `size` leaves, by level; the last change of each holds its root."""
    wanted = {(place + 1) << level: level for level, place in ledger.edge(size)}
    found: dict[int, bytes] = {}
    for position, leaf, subtrees in fetch(tx, query("subtrees"), {"positions": list(wanted)}):
        level = wanted[position]
        found[level] = bytes(subtrees[(level - 1) * _HASH_BYTES : level * _HASH_BYTES]) if level else bytes(leaf)
    return found


def write(
    tx: "ManagedTransaction",
    batch: Sequence[Prepared],
    schema: Schema,
    clock: Clock,
    known: Frontier | None,
    receipt: Mapping[str, Any],
) -> tuple[list[Commit | Exception], int, Frontier | None]:
    """Plan and save a batch; the results, the head's position and the ledger's edge as this process knows it now.

    `known` is that edge as it was last seen, `receipt` names writer and token.
    """
    # INVARIANT I2: writing to the head first locks it until this transaction is done.
    ((position, at, causes, sealed),) = fetch(tx, query("turn"), receipt)
    loaded, there = load(tx, batch, HeadRow(position, at, causes, bytes(sealed)))
    start = loaded.head.position
    plan = Plan(schema, clock, loaded)
    results: list[Commit | Exception] = []
    for prepared in batch:
        try:
            results.append(plan.apply(prepared))
        except Exception as error:
            results.append(error)
    nodes: Sequence[ledger.Node] = ()
    if plan.changes:
        pending = dict(known[1]) if known is not None and known[0] == start else frontier(tx, start)
        nodes = ledger.append(pending, start, [change.leaf for change in plan.changes])
        known = plan.head.position, pending
    save(tx, plan, nodes, schema, there)
    return results, plan.head.position, known


def load(tx: "ManagedTransaction", batch: Sequence[Prepared], head: HeadRow) -> tuple[Loaded, There]:
    """Read what the batch touches, a few queries for all of it."""
    ids = {id for prepared in batch for id in prepared.ids}
    pairs = {pair for prepared in batch for pair in prepared.pairs}
    triples = {triple for prepared in batch for triple in prepared.triples if triple[:2] not in pairs}
    keys = {(row.kind, row.key) for prepared in batch for row in prepared.request.state}
    causes = {prepared.cause.id for prepared in batch if prepared.cause is not None}
    classes = {write.cls for prepared in batch for write in prepared.request.writes if isinstance(write, Put)}
    asked: dict[str, Iterable[Any]] = {
        "ids": ids, "pairs": pairs, "triples": triples, "keys": keys, "causes": causes, "classes": classes,
    }  # fmt: skip
    ((nodes, of_pairs, of_triples, states, known, noted),) = fetch(tx, query("load"), _lists(asked))
    latest = {id: version_row(row) for *row, id in nodes if row[0] is not None}
    links: dict[Pair, dict[str, RelationRow]] = {}
    for since, source, relation, target, until, salt, props in (*of_pairs, *of_triples):
        found = RelationRow(since, source, relation, target, until, bytes(salt), props)
        links.setdefault((found.source, found.name), {})[found.target] = found
    state: dict[Pair, StateRow | None] = {(row[0], row[1]): StateRow(*row) for row in states}
    seen: dict[str, Seen] = {}
    for id, at, first, last, salt, request in known:
        made = dict(fetch(tx, query("made"), {"first": first, "last": last}))
        seen[id] = Seen(bytes(salt or b""), request, Commit(id, first, last, at_time(at), made, repeated=True))
    # Planning adds to what was loaded; what the graph holds stays as it was read.
    there = There(frozenset(row[-1] for row in nodes), frozenset(state), frozenset(noted))
    return Loaded(head, latest, links, state, seen), there


def _lists(asked: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    return {name: [list(one) if isinstance(one, tuple) else one for one in wanted] for name, wanted in asked.items()}


def version_row(row: Sequence[Any]) -> VersionRow:
    """The VersionRow of twelve columns as the driver gives them."""
    since, id, version, cls, until, closed, valid_from, valid_to, salts, *texts = row
    return VersionRow(since, id, version, cls, until, int(closed), valid_from, valid_to, bytes(salts), *texts)


def save(
    tx: "ManagedTransaction",
    plan: Plan | Batch,
    nodes: Sequence[ledger.Node],
    schema: Schema,
    there: There | None = None,
) -> None:
    """Write the plan's rows; without `there` every node is looked for before it is made."""

    def run(name: str, rows: Sequence[Any], parameter: str = "rows") -> None:
        if rows:
            tx.run(query(name), {parameter: rows}).consume()

    if plan.causes:
        head = plan.head
        values = {"position": head.position, "at": head.at, "causes": head.causes, "seal": head.seal}
        tx.run(query("save_causes"), {**values, "rows": [_cause(row) for row in plan.causes]}).consume()
    run("end_versions", [[since, until] for since, until in plan.ended.items() if since not in plan.versions])
    older = {since: until for since, until in plan.cut.items() if since not in plan.relations}
    run("end_links", [[since, until] for since, until in older.items()])
    if older:
        ended = {(c.subject, c.relation, c.target): c for c in plan.changes if c.position in set(older.values())}
        since_of = {until: since for since, until in older.items()}
        run("cut_relationships", [[since_of[c.position], c.subject, c.target] for c in ended.values()])
    _save_versions(run, plan, _subtrees(nodes), schema, there)
    run("save_inputs", [[c.number, id, version] for c in plan.causes for id, version in c.inputs])
    run("delete_state", [list(key) for key, row in plan.state.items() if row is None], "keys")
    states = [
        {"kind": row.kind, "key": row.key, "revision": row.revision, "due": row.due, "value": row.value}
        for row in plan.state.values()
        if row is not None
    ]
    known = frozenset((row["kind"], row["key"]) for row in states) if there is None else there.state
    run("save_new_state", [row for row in states if (row["kind"], row["key"]) not in known])
    run("save_state", [row for row in states if (row["kind"], row["key"]) in known])


def _subtrees(nodes: Sequence[ledger.Node]) -> dict[int, bytes]:
    """The roots of the subtrees that each change completes, lowest level first, by position."""
    found: dict[int, bytes] = {}
    for level, place, root in nodes:
        position = (place + 1) << level
        found[position] = found.get(position, b"") + root
    return found


def _cause(row: Any) -> dict[str, Any]:
    names = ("number", "id", "at", "first", "last", "activity", "agent", "reason", "on_behalf_of", "attributes")
    return {name: getattr(row, name) for name in (*names, "salt", "request", "seal", "erased")} | {
        "name": row.activity,
        "input_ids": [id for id, _ in row.inputs],
        "input_versions": [version for _, version in row.inputs],
    }


def change_node(change: ChangeRow, subtrees: Mapping[int, bytes]) -> dict[str, Any]:
    """The properties of a Change node."""
    names = (
        "position",
        "cause",
        "kind",
        "cls",
        "subject",
        "version",
        "changed",
        "relation",
        "target",
        "origin",
        "leaf",
    )
    found = {name: getattr(change, name) for name in names} | {"subtrees": subtrees.get(change.position)}
    # What Neo4j Browser shows as caption.
    found["name"] = f"{change.kind} {change.relation}" if change.relation else f"{change.cls} v{change.version}"
    return {name: value for name, value in found.items() if value is not None}


def text_of(schema: Schema, cls: str, values: Mapping[str, Value]) -> str | None:
    """What text search may read of an entity, None where that is nothing."""
    found = [values[name] for name in texts(schema, cls) if name in values]
    return " \n".join(" ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in found) or None


def texts(schema: Schema, cls: str) -> tuple[str, ...]:
    """The searchable properties of a class, none where the ontology no longer knows it."""
    try:
        return tuple(schema.text(cls))
    except InputError:
        return ()


def _save_versions(
    run: Any, plan: Plan | Batch, subtrees: Mapping[int, bytes], schema: Schema, there: There | None
) -> None:
    fresh: list[dict[str, Any]] = []
    current: list[dict[str, Any]] = []
    past, closed, links, shown, ends = [], [], [], [], []
    labels = cache(partial(show.labels, schema))
    for change in plan.changes:
        node = change_node(change, subtrees)
        if (row := plan.versions.get(change.position)) is not None:
            until = plan.ended.get(row.since)
            values = properties(row.props, row.personal)
            node |= _version(row, values, until)
            entry: dict[str, Any] = {"node": node, "id": row.id, "labels": labels(row.cls)}
            if until is None and not row.closed:
                node["text"] = text_of(schema, row.cls, values)
                entry["shown"] = packed(show.entity(row, values))
                new = there is not None and row.version == 1 and row.id not in there.nodes
                (fresh if new else current).append(entry)
                continue
            past.append(entry)
            if until is None:
                closed.append(entry | {"shown": packed(show.entity(row, values))})
        elif (link := plan.relations.get(change.position)) is not None:
            until = plan.cut.get(link.since)
            node |= {"until": until, "salt": link.salt, "props": link.props, "erased": link.erased}
            if until is None:
                shown.append({"node": node, "type": show.relationship(link.name), "shown": packed(show.relation(link))})
            else:
                links.append({"node": node})
        else:
            ends.append(node)
    run("save_past", past)
    run("save_new", _by_cause(fresh))
    run("save_current", current)
    run("show_closed", closed)
    made = {row.id for row in plan.versions.values()} | (there.nodes if there is not None else frozenset())
    targets = {str(link.target) for link in plan.relations.values()}
    run("await_targets", sorted(targets - made), "ids")
    run("save_links", links)
    run("save_current_links", _by_cause(shown))
    run("save_ends", ends)
    noted = frozenset() if there is None else there.classes
    classes = sorted({entry["node"]["cls"] for entry in (*fresh, *current)} - noted)
    run("note_classes", [[cls, "\n".join(texts(schema, cls)), labels(cls)] for cls in classes])
    run("save_revisions", [[row.id, row.version] for row in plan.versions.values() if row.version > 1])
    run("save_endings", [[since, until] for since, until in plan.cut.items()])


def _version(row: VersionRow, values: Mapping[str, Value], until: int | None) -> dict[str, Any]:
    """The properties that a Version node has beside those of its change."""
    parts = {
        "until": until, "closed": row.closed == 1, "valid_from": row.valid_from, "valid_to": row.valid_to,
        "salts": row.salts, "props": row.props, "personal": row.personal, "erased": row.erased,
    }  # fmt: skip
    # An absent property and one that is null are the same to Neo4j; what is absent need not travel.
    return show.keys(values) | {name: value for name, value in parts.items() if value is not None}


def _by_cause(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows by their cause, so that the server looks for each cause once."""
    grouped = groupby(rows, key=lambda row: row["node"]["cause"])
    return [{"cause": cause, "rows": list(some)} for cause, some in grouped]


def indexed(schema: Schema, batch: Sequence[Prepared]) -> set[str]:
    """The properties that `find` should answer by index, of the classes that a batch writes."""
    found: set[str] = set()
    for cls in {write.cls for prepared in batch for write in prepared.request.writes if isinstance(write, Put)}:
        try:
            found.update(schema.indexed(cls))
        except InputError:
            # The commit itself is refused for this.
            continue
    return found
