"""What people see of the graph in Neo4j: labels, relationship types and properties that Cypher can read and compare.

The record itself is the canonical text of each version and link; what is made here stands beside it and is made again from
it by verification. Decimals and amounts become floats, instants and dates Neo4j's own, an amount's currency a property
`<name>_currency`. `~<name>` is the exact sort text that the port searches and orders by.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from kg.errors import InputError
from kg.ontology.names import cypher_relation
from kg.store import Schema
from kg.stores.keys import stored_text
from kg.stores.rows import RelationRow, VersionRow, properties
from kg.values import Money, Ref, Value

#: Labels of our own; a class with such a name is shown with an underscore after it.
LABELS: Final = frozenset(
    {"Head", "Writer", "Cause", "Change", "Version", "Current", "Entity", "Link", "CurrentLink", "State"}
    | {"TextClass", "Migration"}
)
_ENTITY: Final = frozenset({"id", "version", "since", "closed"})
#: Characters of a sort text that are kept as they are; longer ones are told apart by a digest.
KEY_MAX: Final = 500


def label(cls: str) -> str:
    """The label of a class."""
    return cls + "_" if cls.rstrip("_") in LABELS else cls


def labels(schema: Schema, cls: str) -> list[str]:
    """The labels of a class: its own and those of the classes above it."""
    try:
        return [label(cls), *sorted(label(other) for other in schema.superclasses(cls) if other != cls)]
    except InputError:
        # The ontology no longer knows it.
        return [label(cls)]


def relationship(name: str) -> str:
    """The relationship type of a relation."""
    return cypher_relation(name)


def key(text: str) -> str:
    """A sort text short enough for an index; equal for equal texts only, in order up to its first characters."""
    if len(text) <= KEY_MAX:
        return text
    return text[:KEY_MAX] + hashlib.sha256(text.encode()).hexdigest()


def keys(values: Mapping[str, Value]) -> dict[str, str]:
    """The sort texts of stored properties, each under its name with a tilde."""
    return {f"~{name}": key(stored_text(value)) for name, value in values.items()}


def shown(values: Mapping[str, Value], own: frozenset[str] = _ENTITY) -> dict[str, Any]:
    """Properties as people read them; a name that is ours gets an underscore after it."""
    seen: dict[str, Any] = {}
    for name, value in values.items():
        visible = name + "_" if name.rstrip("_") in own else name
        seen[visible] = _plain(value)
        if isinstance(value, Money):
            seen.setdefault(f"{visible}_currency", value.currency)
    return seen


def _plain(value: Value) -> Any:
    if isinstance(value, Money):
        return float(value.amount)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, tuple | list):
        plain = [_plain(item) for item in value]
        # Neo4j keeps lists of one type only.
        same = len({type(item) for item in value}) <= 1 and not any(isinstance(item, Money) for item in value)
        return plain if same else [_told(item) for item in value]
    return value


def _told(value: Value) -> str:
    return f"{value.amount} {value.currency}" if isinstance(value, Money) else str(value)


def entity(row: VersionRow, values: Mapping[str, Value] | None = None) -> dict[str, Any]:
    """The properties of the Entity node whose latest version this is; `values` are the row's, where they are read already."""
    own: dict[str, Any] = {"id": row.id, "version": row.version, "since": row.since, "closed": row.closed == 1}
    if row.closed:
        return own
    return {**shown(properties(row.props, row.personal) if values is None else values), **own}


def relation(row: RelationRow) -> dict[str, Any]:
    """The properties of the relationship that shows a current link."""
    return {**shown(properties(row.props), frozenset({"since"})), "since": row.since}
