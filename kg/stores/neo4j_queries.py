"""The named queries of the Neo4j store: `.cypher` files beside this module, read once when first asked for.

Invariant: a query is put together from these files and our own literals only; every value travels as a parameter. Names of
properties are quoted by `quoted`. Holds no connection.
"""

import re
from functools import cache
from importlib import resources
from typing import Final

_FILES: Final = ("commit", "read", "graph", "verify", "carry", "evidence")
_NAME = re.compile(r"^// name: (\w+)$", re.MULTILINE)
_MARK = re.compile(r"\[\[(\w+)\]\]")
#: Every query of a commit goes by the key of an index whatever the graph holds; planned once it need not be planned again as
#: the graph grows.
_KEPT: Final = "CYPHER replan=skip "

#: Columns that make an Entity, a Relation and a Change, in the order that `rows` reads.
_COLUMNS: Final = {
    "entity": "v.subject, v.cls, v.version, v.props, v.personal, v.position, v.until, v.closed, v.valid_from, v.valid_to",
    "relation": "l.subject, l.relation, l.target, l.props, l.position, l.until",
    "change": (
        "c.position, u.at, c.kind, c.cls, c.subject, c.version, u.id, c.changed, c.relation, c.target, c.origin"
    ),
    "where": "true",
}
#: How the marks read for the present and for a position.
_NOW: Final = {
    "link": "CurrentLink",
    "standing": "true",
    "label": "Current",
    "there": "true",
    "far": "MATCH (e:Entity {id: far}) WHERE NOT e.closed MATCH (v:Change {position: e.since})",
}
_PAST: Final = {
    "link": "Link",
    "standing": "l.position <= $at AND (l.until IS NULL OR l.until > $at)",
    "label": "Version",
    "there": "v.version > 0 AND NOT v.closed AND v.position <= $at AND (v.until IS NULL OR v.until > $at)",
    "far": "MATCH (v:Version {subject: far})",
}


@cache
def _texts() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in _FILES:
        text = resources.files("kg.stores").joinpath("cypher", f"{file}.cypher").read_text(encoding="utf-8")
        parts, opening = _NAME.split(text), _KEPT if file == "commit" else ""
        found.update({name: opening + body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)})
    return found


def names() -> list[str]:
    """The names of all queries."""
    return sorted(_texts())


def query(name: str, past: bool = False, **marks: str) -> str:
    """The text of a query for now or for the position `$at`, its marks filled in."""
    known = {**_COLUMNS, **(_PAST if past else _NOW), **marks}
    return _MARK.sub(lambda mark: known[mark[1]], _texts()[name])


def quoted(name: str) -> str:
    """A name as Cypher spells it safely."""
    return "`" + name.replace("`", "``") + "`"
