"""Joins declarations and shapes into classes with everything inherited, and refuses what does not fit together.

Invariant: a subclass may tighten what it inherits by naming constraints its parents do not, never contradict it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kg.ontology.classes import Class, Property, RelationType
from kg.ontology.collisions import check_fields, check_relations
from kg.ontology.declarations import ClassDeclaration, read_classes, read_properties
from kg.ontology.literals import flag
from kg.ontology.members import Member, collect, nodes
from kg.ontology.properties import make_property
from kg.ontology.relations import make_relation
from kg.ontology.turtle import Document
from kg.ontology.vocabulary import N


@dataclass(slots=True)
class Draft:
    """What a class has so far: inherited first, then its own."""

    properties: dict[str, Property] = field(default_factory=dict)
    relations: dict[str, RelationType] = field(default_factory=dict)
    key: list[str] = field(default_factory=list)


def assemble(document: Document) -> dict[str, Class]:
    """The classes of a document by name, everything inherited."""
    classes = read_classes(document)
    declared = read_properties(document, classes)
    members = collect(document, classes, declared)
    built: dict[str, Class] = {}
    for cls in _parents_first(classes):
        built[cls] = _class(document, classes, classes[cls], members[cls], built)
    check_relations(document, classes, built)
    return {cls: built[cls] for cls in sorted(built)}


def _parents_first(classes: Mapping[str, ClassDeclaration]) -> list[str]:
    order: dict[str, None] = {}
    waiting = list(classes)
    while waiting:
        ready = [cls for cls in waiting if all(parent in order for parent in classes[cls].parents)]
        order.update(dict.fromkeys(ready))
        waiting = [cls for cls in waiting if cls not in order]
    return list(order)


def _class(
    document: Document,
    classes: dict[str, ClassDeclaration],
    declaration: ClassDeclaration,
    members: dict[str, Member],
    built: dict[str, Class],
) -> Class:
    parents = [built[parent] for parent in declaration.parents]
    draft = _inherit(document, declaration, parents)
    _add_own(document, classes, declaration, members, draft)
    key = tuple(draft.key) or next((parent.key for parent in parents if parent.key), ())
    _mark_key(document, declaration, draft, key)
    if not draft.properties and not draft.relations:
        raise document.error(f"class {declaration.name!r} has no property; give it at least one", declaration.node)
    made = Class(
        declaration.name,
        declaration.label or declaration.name,
        declaration.comment,
        declaration.parents,
        draft.properties,
        draft.relations,
        key,
        declaration.department or next((parent.department for parent in parents if parent.department), None),
        declaration.platform,
    )
    check_fields(document, declaration, made)
    return made


def _inherit(document: Document, declaration: ClassDeclaration, parents: list[Class]) -> Draft:
    draft = Draft(key=list(declaration.key))
    for parent in parents:
        for label, prop in parent.properties.items():
            if label in draft.relations or draft.properties.setdefault(label, prop) != prop:
                raise _two_meanings(document, declaration, label)
        for label, relation in parent.relations.items():
            if label in draft.properties or draft.relations.setdefault(label, relation) != relation:
                raise _two_meanings(document, declaration, label)
    return draft


def _add_own(
    document: Document,
    classes: dict[str, ClassDeclaration],
    declaration: ClassDeclaration,
    members: dict[str, Member],
    draft: Draft,
) -> None:
    for label, member in members.items():
        if label in (draft.properties if member.declaration.relation else draft.relations):
            raise _two_meanings(document, declaration, label)
        if member.declaration.relation:
            inherited = draft.relations.get(label)
            draft.relations[label] = make_relation(document, classes, declaration.name, member, inherited)
            continue
        draft.properties[label] = make_property(document, declaration.name, member, draft.properties.get(label))
        if any(flag(document, node, N + "key") for node in nodes(member)) and label not in draft.key:
            draft.key.append(label)


def _mark_key(document: Document, declaration: ClassDeclaration, draft: Draft, key: tuple[str, ...]) -> None:
    for label in key:
        prop = draft.properties.get(label)
        if prop is None or prop.many:
            raise document.error(
                f"n:key {label!r} of {declaration.name} is no single-valued property of it; name one of "
                f"{', '.join(sorted(draft.properties)) or 'its properties'}",
                declaration.node,
            )
        draft.properties[label] = replace(prop, indexed=True)


def _two_meanings(document: Document, declaration: ClassDeclaration, label: str) -> Exception:
    return document.error(
        f"{declaration.name} would have {label!r} in two meanings, from itself or its parents; rename one",
        declaration.node,
    )
