"""Reads SHACL node shapes into Constraints for each class and property. A feature that is not supported is refused by name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from rdflib import BNode, Literal, URIRef

from kg.ontology.literals import scalar, whole, word
from kg.ontology.turtle import Document, name
from kg.ontology.vocabulary import (
    CLASS_TYPES,
    PROPERTY_SHAPE_TERMS,
    SH,
    SHAPE_TERMS,
    TYPE,
    known,
    local,
    short,
)

#: SHACL term of a bound -> field of Constraints.
BOUNDS = {
    SH + "minInclusive": "at_least",
    SH + "maxInclusive": "at_most",
    SH + "minExclusive": "above",
    SH + "maxExclusive": "below",
}
_ORDERED = {"integer", "decimal", "date", "instant", "duration", "money"}


@dataclass(slots=True)
class PropertyShape:
    """One sh:property of one class, as found: the node, the path, and the shape's name for messages."""

    node: Any
    cls: Any
    path: Any
    shape: str
    constraints: dict[str, Any] = field(default_factory=dict)


def refuse_unknown(document: Document, node: Any, allowed: set[str], what: str) -> None:
    """Raise where a subject has a term of a known namespace that this kind of subject may not have."""
    for term, value in document.about(node):
        if known(term) and term not in allowed:
            near = get_close_matches(short(term), sorted(map(short, allowed)), 1)
            hint = f"did you mean {near[0]}?" if near else "remove it"
            raise document.error(f"{short(term)} on {what} {name(node)} is not supported; {hint}", node, term, value)


def read_shapes(document: Document) -> Iterator[PropertyShape]:
    """Every property shape of every node shape, in the order of the files."""
    for shape in document.subjects(TYPE, SH + "NodeShape"):
        types = {str(node) for node in document.values(shape, TYPE)}
        is_class = bool(types & CLASS_TYPES)
        if not is_class:
            refuse_unknown(document, shape, SHAPE_TERMS, "shape")
        _refuse_switches(document, shape)
        targets = document.values(shape, SH + "targetClass") or ([shape] if is_class else [])
        if not targets:
            raise document.error(f"shape {name(shape)} has no sh:targetClass; name the class it is for", shape)
        for target in targets:
            if not isinstance(target, URIRef):
                raise document.error("sh:targetClass must name a class", shape, SH + "targetClass", target)
            for node in document.values(shape, SH + "property"):
                yield _property_shape(document, node, target, shape)


def _refuse_switches(document: Document, node: Any) -> None:
    severity = document.one(node, SH + "severity")
    if severity is not None and str(severity) != SH + "Violation":
        raise document.error(
            f"sh:severity {name(severity)} is not supported: every shape is enforced; remove it",
            node,
            SH + "severity",
            severity,
        )
    closed = document.one(node, SH + "closed")
    if isinstance(closed, Literal) and closed.value is False:
        raise document.error(
            "sh:closed false is not supported: unknown properties are always refused; remove it", node, SH + "closed"
        )


def _property_shape(document: Document, node: Any, target: Any, shape: Any) -> PropertyShape:
    if isinstance(node, Literal):
        raise document.error("sh:property must be a shape in brackets [ … ]", shape, SH + "property", node)
    refuse_unknown(document, node, PROPERTY_SHAPE_TERMS, f"a property of shape {name(shape)},")
    _refuse_switches(document, node)
    path = document.one(node, SH + "path")
    if path is None:
        raise document.error("a property shape has no sh:path; name the property it is for", node)
    if isinstance(path, BNode):
        raise document.error(
            "sh:path must be one property; inverse, sequence and alternative paths are not supported",
            node,
            SH + "path",
            path,
        )
    shown = local(str(shape if isinstance(shape, URIRef) else target))
    return PropertyShape(node, target, path, shown)


def constraints(document: Document, shape: PropertyShape, kind: str | None) -> dict[str, Any]:
    """The fields of Constraints that a shape sets, for values of a scalar type (None: the path is a relation)."""
    node = shape.node
    found: dict[str, Any] = {"shape": shape.shape}
    for term, key in ((SH + "minCount", "min_count"), (SH + "maxCount", "max_count")):
        count = whole(document, node, term)
        if count is not None:
            found[key] = count
    if (message := document.text(node, SH + "message")) != "":
        found["message"] = message
    given = [SH + term for term in ("in", "pattern", "minLength", "maxLength")] + list(BOUNDS)
    given = [term for term in given if document.one(node, term) is not None]
    for term in given:
        fits = kind is not None and (term == SH + "in" or (kind in _ORDERED if term in BOUNDS else kind == "string"))
        if not fits:
            raise document.error(f"{short(term)} does not fit a {kind or 'relation'}; remove it", node, term)
    return found | (_value_constraints(document, node, kind) if kind else {})


def _value_constraints(document: Document, node: Any, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for term, key in ((SH + "minLength", "min_length"), (SH + "maxLength", "max_length")):
        if (length := whole(document, node, term)) is not None:
            found[key] = length
    if (pattern := word(document, node, SH + "pattern")) is not None:
        found["pattern"] = pattern
    for term, key in BOUNDS.items():
        if (bound := document.one(node, term)) is not None:
            found[key] = scalar(document, node, term, bound, kind)
    if (head := document.one(node, SH + "in")) is not None:
        if kind == "money":
            raise document.error(
                "sh:in does not fit a money; bound it by sh:minInclusive and sh:maxInclusive", node, SH + "in"
            )
        items = document.items(node, SH + "in", head)
        found["one_of"] = tuple(scalar(document, node, SH + "in", item, kind) for item in items)
    return found


def refuse_node_kind(document: Document, shape: PropertyShape, wanted: str) -> None:
    """Raise where sh:nodeKind asks for anything but what the property has anyway."""
    kind = document.one(shape.node, SH + "nodeKind")
    if kind is not None and str(kind) != SH + wanted:
        raise document.error(
            f"{name(kind)} is not supported here; write sh:{wanted} or remove it", shape.node, SH + "nodeKind"
        )
