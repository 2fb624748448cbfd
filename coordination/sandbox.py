"""Sandbox twin of the graph: what a proposal's writes would do, checked against the ontology, and committed by nobody.

Invariant: it reads only. It names entities, properties and relations, never values: those stand in the proposal, where their labels
guard them.
"""

from collections.abc import Mapping, Sequence

from kg.errors import ShapeError
from kg.model import Close, Entity, Link, Put, Write
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Json, Value


def would(store: GraphStore, ontology: Ontology, writes: Sequence[Write]) -> dict[str, Json]:
    """What these writes would do, in order; raises ShapeError where the graph would refuse them."""
    ids = [write.id if isinstance(write, Put | Close) else write.source for write in writes]
    there = store.get(list(dict.fromkeys(ids)))
    classes = {id: entity.cls for id, entity in there.items()}
    properties: dict[str, Mapping[str, Value]] = {id: entity.properties for id, entity in there.items()}
    done: list[Json] = []
    for write, id in zip(writes, ids, strict=True):
        if isinstance(write, Put):
            done.append(_put(ontology, write, there.get(id), classes, properties))
        elif isinstance(write, Close):
            done.append({"close": id, "known": classes.pop(id, None) is not None})
        else:
            if isinstance(write, Link) and id in classes:
                ontology.check_relation(classes[id], write.relation, classes.get(write.target))
            done.append({"link" if isinstance(write, Link) else "unlink": id, "to": write.target, "by": write.relation})
    return {"would": done}


def _put(
    ontology: Ontology, write: Put, before: Entity | None, classes: dict[str, str], properties: dict[str, Mapping[str, Value]]
) -> dict[str, Json]:  # fmt: skip
    known = properties.get(write.id, {})
    if before is not None and before.cls != write.cls:
        raise ShapeError(f"{write.id} is a {before.cls}, not a {write.cls}; give its class")
    kept = {} if write.replace else {name: value for name, value in known.items() if name not in write.unset}
    whole = {**kept, **write.set}
    ontology.check(write.cls, whole)
    changed = sorted(name for name in {*known, *whole} if known.get(name) != whole.get(name))
    action = "change" if write.id in classes else "create"
    classes[write.id], properties[write.id] = write.cls, whole
    return {action: write.id, "cls": write.cls, "properties": changed}
