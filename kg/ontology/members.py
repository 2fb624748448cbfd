"""Collects, for each class, the properties and relations that declarations and shapes give it, before inheritance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kg.ontology.classes import Class
from kg.ontology.declarations import ClassDeclaration, PropertyDeclaration, check_name, class_name
from kg.ontology.shapes import PropertyShape, read_shapes
from kg.ontology.turtle import Document, name
from kg.ontology.vocabulary import SH, N, local


@dataclass(slots=True)
class Member:
    """One property or relation of one class while it is put together: where it stands and what was said about it."""

    declaration: PropertyDeclaration
    shapes: list[PropertyShape] = field(default_factory=list)


def ancestors(classes: Mapping[str, ClassDeclaration | Class], cls: str) -> set[str]:
    """The class itself and all above it."""
    found = {cls}
    waiting = [cls]
    while waiting:
        for parent in classes[waiting.pop()].parents:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def collect(
    document: Document, classes: dict[str, ClassDeclaration], declared: dict[Any, PropertyDeclaration]
) -> dict[str, dict[str, Member]]:
    """The members that each class itself names, by local name; OntologyError for a property that belongs nowhere."""
    members: dict[str, dict[str, Member]] = {cls: {} for cls in classes}
    for declaration in declared.values():
        for domain in declaration.domains:
            _take(document, members[domain], domain, declaration)
    used = {node for node, declaration in declared.items() if declaration.domains}
    for shape in read_shapes(document):
        cls = class_name(document, shape.cls, classes, shape.node, SH + "targetClass")
        declaration = declared.get(shape.path) or _from_shape(document, shape)
        if classes[cls].platform and not document.files[shape.node] <= document.files[classes[cls].node]:
            raise document.error(f"a shape changes the platform class {cls!r}, which is closed; remove it", shape.node)
        above = ancestors(classes, cls)
        if declaration.domains and not above & set(declaration.domains):
            raise document.error(
                f"shape {shape.shape} puts {declaration.name!r} on {cls}, which is not in its rdfs:domain "
                f"({', '.join(declaration.domains)}); add {cls} to the domain",
                shape.node,
            )
        used.add(shape.path)
        _take(document, members[cls], cls, declaration).shapes.append(shape)
    for node, declaration in declared.items():
        if node not in used:
            raise document.error(
                f"property {declaration.name!r} has no rdfs:domain; name the class it belongs to", node
            )
    return members


def _take(document: Document, members: dict[str, Member], cls: str, declaration: PropertyDeclaration) -> Member:
    member = members.setdefault(declaration.name, Member(declaration))
    if member.declaration.node != declaration.node:
        raise document.error(
            f"{cls} has two properties {declaration.name!r} ({name(member.declaration.node)} and "
            f"{name(declaration.node)}); rename one",
            declaration.node,
        )
    return member


def _from_shape(document: Document, shape: PropertyShape) -> PropertyDeclaration:
    """A property that only its shape declares."""
    label = local(str(shape.path))
    check_name(document, shape.node, label)
    typed, related = document.one(shape.node, SH + "datatype"), document.one(shape.node, SH + "class")
    if (typed is None) == (related is None):
        raise document.error(
            f"property {name(shape.path)} is not declared; declare it, or give its shape sh:datatype or sh:class",
            shape.node,
        )
    return PropertyDeclaration(shape.path, label, relation=related is not None)


def nodes(member: Member) -> list[Any]:
    """The nodes that may carry annotations for a member: its declaration and its shapes."""
    return [member.declaration.node, *(shape.node for shape in member.shapes)]


def said(document: Document, member: Member, term: str, read: Any, inherited: Any) -> Any:
    """What the shapes of this class say under a term, else the property, else what is inherited."""
    for shape in member.shapes:
        if (value := read(document, shape.node, N + term)) is not None:
            return value
    value = read(document, member.declaration.node, N + term)
    return inherited if value is None else value
