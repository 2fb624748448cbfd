"""Evidence of a Neo4j store: nodes and openings of its ledger, and erasure of what the record holds and what people see of it.

Invariant I14: after `forget` no node, relationship or index of the database holds an erased value. What the server keeps in its
transaction log and in unused pages of its files is the server's: prune the log (`db.tx_log.rotation.retention_policy`) and copy
the store with `neo4j-admin database copy` where that matters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from kg.clock import Clock
from kg.errors import CauseReusedError
from kg.evidence import Forgetting, Forgotten, Node, Opening, Revise
from kg.model import Commit
from kg.payloads import KIND as PAYLOAD
from kg.store import Request, Schema
from kg.stores import neo4j_show as show
from kg.stores.erasing import Erasing, Stored
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import fetch
from kg.stores.neo4j_write import text_of, version_row, write
from kg.stores.opening import opening
from kg.stores.prepare import prepare
from kg.stores.rows import CauseRow, ChangeRow, RelationRow, StateRow, VersionRow, properties

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

PAGE: Final = 2_000
_HASH_BYTES: Final = 32
_CHANGE: Final = (
    *("position", "kind", "cls", "subject", "version", "changed", "relation", "target", "origin", "cause", "leaf"),
)


def nodes(tx: "ManagedTransaction", wanted: Sequence[Node]) -> dict[Node, bytes]:
    """The roots of these complete subtrees; the last change of each holds its root."""
    positions = {node: (node[1] + 1) << node[0] for node in wanted}
    found = {row[0]: row for row in fetch(tx, query("subtrees"), {"positions": sorted(set(positions.values()))})}
    roots: dict[Node, bytes] = {}
    for node, position in positions.items():
        if position in found:
            _, leaf, subtrees = found[position]
            level = node[0]
            root = bytes(subtrees or b"")[(level - 1) * _HASH_BYTES : level * _HASH_BYTES] if level else bytes(leaf)
            if len(root) == _HASH_BYTES:
                roots[node] = root
    return roots


def openings(tx: "ManagedTransaction", positions: Sequence[int]) -> list[Opening]:
    """The changes at these positions with what opens them."""
    found = []
    for change, labels, cause, seal in fetch(tx, query("openings"), {"positions": sorted(set(positions))}):
        row = ChangeRow(*(_plain(change.get(name)) for name in _CHANGE))
        made = _cause(cause)
        prior = bytes(seal) if seal is not None else bytes(32)
        found.append(
            opening(
                row,
                _version(change) if "Version" in labels else None,
                _link(change) if "Link" in labels else None,
                made,
                prior,
            )
        )
    return found


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


def _version(node: Any) -> VersionRow:
    names = ("position", "subject", "version", "cls", "until", "closed", "valid_from", "valid_to", "salts", "props")
    return version_row([node.get(name) for name in (*names, "personal", "erased")])


def _link(node: Any) -> RelationRow:
    names = ("position", "subject", "relation", "target", "until")
    row = [node.get(name) for name in names]
    return RelationRow(*[*row, bytes(node["salt"]), node["props"], node.get("erased")])


def _cause(node: Any) -> CauseRow:
    names = ("number", "id", "at", "first", "last", "activity", "agent", "reason", "on_behalf_of", "attributes")
    used = list(zip(node.get("input_ids") or (), node.get("input_versions") or (), strict=True))
    row = [node.get(name) for name in names]
    rest = (bytes(node["salt"]), node["request"], bytes(node["seal"]), used, node.get("erased"))
    return CauseRow(*[*row, *rest])


def forget(
    tx: "ManagedTransaction",
    schema: Schema,
    clock: Clock,
    forgetting: Forgetting,
    revise: Revise,
    record: Callable[[Forgotten], Request],
    receipt: dict[str, Any],
) -> tuple[Forgotten, Commit]:
    """Erase and record under the lock of the head."""
    fetch(tx, query("turn"), receipt)
    plan = Erasing(forgetting, clock.entropy)
    _facts(tx, plan)
    if (request := revise(plan.revised())) is not None:
        made = _commit(tx, schema, clock, request, receipt)
        plan.follow(_versions(tx, made.first - 1, _times(_causes(tx))))
    _rest(tx, plan)
    forgotten = plan.finish()
    _save(tx, schema, plan)
    return forgotten, _commit(tx, schema, clock, record(forgotten), receipt)


def _commit(
    tx: "ManagedTransaction", schema: Schema, clock: Clock, request: Request, receipt: dict[str, Any]
) -> Commit:
    results = write(tx, [prepare(request)], schema, clock, None, receipt)[0]
    made = results[0]
    if isinstance(made, Exception):
        raise made
    if made.repeated:
        # Without a record of its own an erasure would be one that verification refuses.
        raise CauseReusedError
    return made


def _facts(tx: "ManagedTransaction", plan: Erasing) -> None:
    """Feed a plan with everything up to the versions."""
    causes = _causes(tx)
    own = fetch(tx, query("erase_own"), {"ids": sorted(plan.forgetting.subjects)})
    plan.subjects((_version(node) for (node,) in own), {c.number: [id for id, _ in c.inputs] for c in causes})
    plan.neighbours((node["subject"], node["target"]) for (node,) in _pages(tx, "erase_links"))
    for stored in _versions(tx, 0, _times(causes)):
        plan.version(stored)
    plan.payloads(StateRow(*row) for row in fetch(tx, query("erase_payloads"), {"kind": PAYLOAD}))


def _rest(tx: "ManagedTransaction", plan: Erasing) -> None:
    """Feed a plan with what comes after the versions."""
    causes = _causes(tx)
    times = _times(causes)
    for (node,) in _pages(tx, "erase_links"):
        plan.relation(Stored(_link(node), node["cause"], times[node["cause"]]))
    for row in causes:
        plan.cause(row)
    for values in fetch(tx, query("erase_states")):
        plan.state(StateRow(*values))


def _causes(tx: "ManagedTransaction") -> list[CauseRow]:
    return [_cause(node) for (node,) in _pages(tx, "erase_causes")]


def _times(causes: Sequence[CauseRow]) -> dict[int, str]:
    return {row.number: row.at for row in causes}


def _versions(tx: "ManagedTransaction", after: int, times: Mapping[int, str]) -> Iterator[Stored]:
    for (node,) in _pages(tx, "erase_versions", after):
        yield Stored(_version(node), node["cause"], times[node["cause"]], node.get("origin"))


def _pages(tx: "ManagedTransaction", name: str, after: int = 0) -> Iterator[list[Any]]:
    while page := fetch(tx, query(name), {"after": after, "first": PAGE}):
        for row in page:
            after = row[1]
            yield row[:1]


def _save(tx: "ManagedTransaction", schema: Schema, plan: Erasing) -> None:
    versions = []
    for touched, before in zip(plan.versions, plan.before, strict=True):
        row = touched.row
        if isinstance(row, VersionRow):
            values = properties(row.props, row.personal)
            live = row.until is None and not row.closed
            keys = show.keys(values)
            parts = {
                "salts": row.salts, "props": row.props, "personal": row.personal, "erased": row.erased,
                "origin": touched.origin, "text": text_of(schema, row.cls, values) if live else None, **keys,
            }  # fmt: skip
            old = show.keys(properties(before.props, before.personal))
            parts |= dict.fromkeys(old.keys() - keys.keys())
            versions.append([row.since, parts, row.id if row.until is None else None, show.entity(row)])
    for start in range(0, len(versions), PAGE):
        fetch(tx, query("erase_set_versions"), {"rows": versions[start : start + PAGE]})
    links = [
        [row.since, {"salt": row.salt, "props": row.props, "erased": row.erased}, show.relation(row)]
        for row in (touched.row for touched in plan.relations)
        if isinstance(row, RelationRow)
    ]
    fetch(tx, query("erase_set_links"), {"rows": links})
    causes = [
        [row.number, {"reason": row.reason, "attributes": row.attributes, "salt": row.salt, "erased": row.erased}]
        for row in (touched.row for touched in plan.causes)
        if isinstance(row, CauseRow)
    ]
    fetch(tx, query("erase_set_causes"), {"rows": causes})
    states = [[kind, key, value] for (kind, key), value in plan.states.items()]
    fetch(tx, query("erase_set_states"), {"rows": [row for row in states if row[2] is not None]})
    fetch(tx, query("delete_state"), {"keys": [row[:2] for row in states if row[2] is None]})
