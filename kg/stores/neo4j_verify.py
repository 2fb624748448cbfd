"""Verifies the ledger of a Neo4j store: hands its rows to the check, then asks what contradicts the log and what people see.

Invariant I13: any altered, removed, reordered or added fact is found, and so is a label, property or relationship that
shows something else than the record says, e.g. after an edit by hand. Reads pages, so a large graph fits.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache, partial
from typing import Any, Final

from kg.store import Progress, Schema
from kg.stores import neo4j_show as show
from kg.stores.check import Record, Row, broken, check
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import Asking, fetch
from kg.stores.neo4j_write import head_row
from kg.stores.rows import HeadRow, VersionRow, properties

#: Rows read at once.
PAGE: Final = 2_000
_HASH_BYTES: Final = 32
_CHANGE: Final = (
    *("position", "kind", "cls", "subject", "version", "changed", "relation", "target", "origin", "cause", "leaf"),
)
_VERSION: Final = (
    *("position", "subject", "version", "cls", "until", "closed", "valid_from", "valid_to"),
    *("salts", "props", "personal", "erased"),
)
_LINK: Final = ("position", "subject", "relation", "target", "until", "salt", "props", "erased")
_CONTRADICTIONS: Final = (
    ("a version that ends at another position than its successor begins", "wrong_versions"),
    ("a relation that ends where the log does not end it", "wrong_links"),
    ("an end of a relation that no relation has", "wrong_ends"),
    ("a relationship that is shown otherwise than recorded", "wrong_relationships"),
    ("a change that leads to another cause or entity than recorded", "wrong_ways"),
)


def verify(tx: Asking, schema: Schema, progress: Progress | None = None) -> int:
    """The number of changes checked; raises LedgerError naming the first position that differs."""
    reader = _Reader(tx, schema)
    record = Record(_head(tx), reader.causes(), reader.changes(), reader.inputs, reader.nodes)
    position = check(record, progress)
    for what, name in _CONTRADICTIONS:
        ((found,),) = fetch(tx, query(name))
        if found is not None:
            raise broken(found, what)
    return position


def _head(tx: Asking) -> HeadRow:
    """The end of the log; raises LedgerError where there is none, or not one alone."""
    try:
        head = head_row(tx)
    except (TypeError, ValueError):
        raise broken(1, "the head of the log is missing, or holds what was never written") from None
    if type(head.position) is not int or type(head.causes) is not int:
        raise broken(1, "the head of the log holds what was never written")
    return head


class _Reader:
    """The rows of the record in order, page by page."""

    def __init__(self, tx: Asking, schema: Schema) -> None:
        self._tx = tx
        self._labels = cache(partial(show.labels, schema))
        self._inputs: dict[int, list[tuple[str, int]]] = {}
        self._position = 0
        self._subtrees: dict[int, list[Row]] = {}

    def causes(self) -> Iterator[Row]:
        """Every cause."""
        after = 0
        while page := fetch(self._tx, query("all_causes"), {"after": after, "first": PAGE}):
            for row in page:
                after = row[0]
                try:
                    self._inputs = {after: list(zip(row[13], row[14], strict=True))}
                    whole = (*row[:10], bytes(row[10]), row[11], bytes(row[12]), row[15])
                except (TypeError, ValueError):
                    raise broken(self._position + 1, "a cause holds what was never written") from None
                yield whole

    def inputs(self, number: int) -> list[tuple[str, int]]:
        """The inputs of the cause read last."""
        return self._inputs.get(number, [])

    def changes(self) -> Iterator[Row]:
        """Every change with the version or link that it made; what people see of it is compared on the way."""
        after = 0
        while page := fetch(self._tx, query("all_changes"), {"after": after, "first": PAGE}):
            for change, labels, entity, classes in page:
                after = self._position = change["position"]
                try:
                    row = self._row(change, set(labels), entity, set(classes or ()))
                except (TypeError, ValueError, KeyError, AttributeError):
                    raise broken(after, "a row holds what was never written") from None
                yield row

    def _row(self, node: Mapping[str, Any], labels: set[str], entity: Any, classes: set[str]) -> Row:
        position = node["position"]
        self._note(position, bytes(node.get("subtrees") or b""))
        if "Version" in labels:
            version = VersionRow(*_columns(node, _VERSION))
            if not isinstance(version.salts, bytes):
                raise broken(position, "a row holds what was never written")
            _compare(version, node, labels, entity, classes, {"Entity", *self._labels(version.cls)})
        elif "Link" in labels and ("CurrentLink" in labels) != (node.get("until") is None):
            raise broken(position, "a relation that is current in one place only")
        return change_row(node, labels)

    def _note(self, position: int, roots: bytes) -> None:
        """Keep the roots that a change completes until the tree asks for them."""
        count = len(roots) // _HASH_BYTES
        if len(roots) % _HASH_BYTES or count != (position & -position).bit_length() - 1:
            raise broken(position, "the tree has nodes that no change made")
        for level in range(1, count + 1):
            root = roots[(level - 1) * _HASH_BYTES : level * _HASH_BYTES]
            self._subtrees.setdefault(level, []).append(((position >> level) - 1, root))

    def nodes(self, level: int) -> Iterator[Row]:
        """The roots of a level, each as it was noted."""
        while self._subtrees.get(level):
            yield self._subtrees[level].pop(0)


def change_row(node: Mapping[str, Any], labels: set[str]) -> Row:
    """The columns of a change, its version and its link, None where there is none."""
    version, link = "Version" in labels, "Link" in labels and "Version" not in labels
    return (
        *_columns(node, _CHANGE),
        *(_columns(node, _VERSION) if version else (None,) * len(_VERSION)),
        *(_columns(node, _LINK) if link else (None,) * len(_LINK)),
    )


def _columns(node: Mapping[str, Any], names: tuple[str, ...]) -> Row:
    found = (node.get(name) for name in names)
    return tuple(bytes(value) if isinstance(value, bytearray) else value for value in found)


def _compare(
    row: VersionRow, node: Mapping[str, Any], labels: set[str], entity: Any, classes: set[str], due: set[str]
) -> None:
    """Raise LedgerError where what is searched or shown is not what the version says."""
    try:
        values = properties(row.props, row.personal)
        keys, seen = show.keys(values), show.entity(row) if row.until is None else {}
    except (TypeError, ValueError, KeyError, AttributeError):
        raise broken(row.since, "a row holds what was never written") from None
    if {name: key for name, key in node.items() if name.startswith("~")} != keys:
        raise broken(row.since, "a version is searched by other values than it holds")
    live = row.until is None and not row.closed
    if ("Current" in labels) != live:
        raise broken(row.since, "a version that is current in one place only")
    if row.until is not None:
        return
    if entity is None or {name: plain(value) for name, value in entity.items()} != seen:
        raise broken(row.since, f"{row.id} is shown with other properties than recorded")
    if classes != (due if live else {"Entity"}):
        raise broken(row.since, f"{row.id} is shown with other labels than recorded")


def plain(value: Any) -> Any:
    """A value of the driver as Python's own."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "to_native"):
        return value.to_native()
    if hasattr(value, "nanoseconds") and hasattr(value, "months"):
        # A duration of the driver knows no timedelta; we write no months.
        return timedelta(days=value.days, seconds=value.seconds, microseconds=value.nanoseconds // 1_000)
    return value
