"""Reads class and property declarations from a Document, before inheritance is resolved."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from rdflib import BNode, Literal, URIRef

from kg.errors import OntologyError
from kg.ontology import names
from kg.ontology.literals import flag, word
from kg.ontology.shapes import refuse_unknown
from kg.ontology.turtle import Document, name
from kg.ontology.vocabulary import (
    CLASS_TERMS,
    CLASS_TYPES,
    DATATYPES,
    INERT_TYPES,
    ONTOLOGY_TERMS,
    OWL,
    PROPERTY_TERMS,
    PROPERTY_TYPES,
    RDFS,
    SH,
    TYPE,
    XSD,
    N,
    known,
    local,
    short,
)


@dataclass(slots=True)
class ClassDeclaration:
    """A class as declared: parents and keys by local name."""

    node: Any
    name: str
    parents: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    department: str | None = None
    platform: bool = False
    label: str = ""
    comment: str = ""


@dataclass(slots=True)
class PropertyDeclaration:
    """A property as declared: a data property has a scalar `type`, a relation a `target` class."""

    node: Any
    name: str
    relation: bool
    domains: list[str] = field(default_factory=list)
    range: Any = None
    functional: bool = False
    platform: bool = False
    label: str = ""
    comment: str = ""


def read_classes(document: Document) -> dict[str, ClassDeclaration]:
    """Every class by local name; OntologyError for a bad or doubly used name, an unknown or cyclic parent."""
    _refuse_unknown_types(document)
    nodes = {node for kind in CLASS_TYPES for node in document.subjects(TYPE, kind)}
    classes: dict[str, ClassDeclaration] = {}
    for node in sorted(nodes, key=lambda node: (document.places[node], str(node))):
        if isinstance(node, BNode):
            raise document.error("an anonymous class is not supported; give the class a name", node)
        allowed = CLASS_TERMS
        refuse_unknown(document, node, allowed, "class")
        platform = is_platform(document, node)
        cls = local(str(node))
        foreign = document.files[node] - platform_files(document)
        if platform and foreign and len(document.files[node]) > 1:
            raise OntologyError(
                f"{min(foreign)}: changes the platform class {cls!r}, which is closed; use a class of your own"
            )
        reason = names.fault(cls) or names.reserved_class(cls, platform=platform)
        if reason:
            raise document.error(f"class {cls!r} {reason}", node)
        if cls in classes and platform != classes[cls].platform:
            raise document.error(f"class {cls!r} has the name of a platform class; rename it", node)
        if cls in classes:
            raise _twice(document, "class", cls, node, classes[cls].node)
        classes[cls] = ClassDeclaration(
            node,
            cls,
            department=word(document, node, N + "department"),
            platform=platform,
            label=document.text(node, RDFS + "label"),
            comment=document.text(node, RDFS + "comment"),
        )
    if not classes:
        raise document.error("no class is declared; add one, e.g. `:Customer a owl:Class .`", None)
    for declaration in classes.values():
        declaration.parents = _parents(document, declaration, classes)
        declaration.key = _key(document, declaration)
    _refuse_cycles(document, classes)
    return classes


def _twice(document: Document, what: str, label: str, node: Any, other: Any) -> Exception:
    file, line = document.places[other]
    return document.error(
        f"{what} {label!r} is declared under two addresses, also at {file} line {line}; keep one", node
    )


def _refuse_unknown_types(document: Document) -> None:
    fine = CLASS_TYPES | PROPERTY_TYPES | INERT_TYPES
    fine |= {OWL + "Ontology", OWL + "FunctionalProperty", SH + "NodeShape", SH + "PropertyShape"}
    for node, kind in document.pairs(TYPE):
        if known(str(kind)) and str(kind) not in fine:
            near = get_close_matches(short(str(kind)), sorted(map(short, fine)), 1)
            hint = f"did you mean {near[0]}?" if near else "remove it"
            raise document.error(f"{name(node)} is a {name(kind)}, which is not supported; {hint}", node, TYPE, kind)
    for node in document.subjects(TYPE, OWL + "Ontology"):
        refuse_unknown(document, node, ONTOLOGY_TERMS, "ontology")


def is_platform(document: Document, node: Any) -> bool:
    """Whether a subject belongs to the platform: marked itself, or described in a file whose owl:Ontology is."""
    return bool(flag(document, node, N + "platform")) or bool(document.files[node] & platform_files(document))


def platform_files(document: Document) -> set[str]:
    """The files whose owl:Ontology carries ``n:platform true``."""
    ontologies = document.subjects(TYPE, OWL + "Ontology")
    return {file for node in ontologies if flag(document, node, N + "platform") for file in document.files[node]}


def class_name(document: Document, node: Any, classes: dict[str, ClassDeclaration], subject: Any, term: str) -> str:
    """The local name of a class that a statement names; OntologyError where it is not declared."""
    if isinstance(node, URIRef) and local(str(node)) in classes and classes[local(str(node))].node == node:
        return local(str(node))
    if isinstance(node, BNode):
        raise document.error(
            f"{short(term)} of {name(subject)} is an anonymous class (owl:Restriction, owl:unionOf …), which is not "
            "supported; name a class, and use a SHACL shape for constraints",
            subject,
            term,
            node,
        )
    near = get_close_matches(local(str(node)), classes, 1)
    hint = f"did you mean {near[0]}?" if near else "declare it as owl:Class"
    raise document.error(f"{name(subject)} names the unknown class {name(node)}; {hint}", subject, term, node)


def _parents(
    document: Document, declaration: ClassDeclaration, classes: dict[str, ClassDeclaration]
) -> tuple[str, ...]:
    term = RDFS + "subClassOf"
    found = []
    for node in document.values(declaration.node, term):
        if str(node) in {OWL + "Thing", RDFS + "Resource"}:
            continue
        parent = class_name(document, node, classes, declaration.node, term)
        if classes[parent].platform and not declaration.platform:
            raise document.error(
                f"class {declaration.name!r} extends the platform class {parent!r}, which is closed; relate to it instead",
                declaration.node,
                term,
                node,
            )
        found.append(parent)
    return tuple(found)


def _key(document: Document, declaration: ClassDeclaration) -> tuple[str, ...]:
    term = N + "key"
    keys: list[str] = []
    for value in document.values(declaration.node, term):
        is_name = isinstance(value, Literal) or (isinstance(value, URIRef) and not str(value).endswith("#nil"))
        items = [value] if is_name else document.items(declaration.node, term, value)
        keys.extend(str(item) if isinstance(item, Literal) else local(str(item)) for item in items)
    return tuple(dict.fromkeys(keys))


def _refuse_cycles(document: Document, classes: dict[str, ClassDeclaration]) -> None:
    done: set[str] = set()
    for start in classes:
        path: list[str] = []
        stack = [(start, False)]
        while stack:
            cls, leaving = stack.pop()
            if leaving:
                path.remove(cls)
                done.add(cls)
            elif cls in path:
                cycle = " -> ".join([*path[path.index(cls) :], cls])
                raise document.error(
                    f"class {cls!r} is its own ancestor ({cycle}); remove one rdfs:subClassOf", classes[cls].node
                )
            elif cls not in done:
                path.append(cls)
                stack.append((cls, True))
                stack.extend((parent, False) for parent in classes[cls].parents)


def read_properties(document: Document, classes: dict[str, ClassDeclaration]) -> dict[Any, PropertyDeclaration]:
    """Every declared property by its address."""
    nodes = {node for kind in PROPERTY_TYPES for node in document.subjects(TYPE, kind)}
    for node in document.subjects(TYPE, OWL + "FunctionalProperty"):
        if node not in nodes:
            raise document.error(
                f"{name(node)} is functional but neither owl:DatatypeProperty nor owl:ObjectProperty; add one", node
            )
    found: dict[Any, PropertyDeclaration] = {}
    for node in sorted(nodes, key=lambda node: (document.places[node], str(node))):
        found[node] = _property(document, node, classes)
    return found


def _property(document: Document, node: Any, classes: dict[str, ClassDeclaration]) -> PropertyDeclaration:
    refuse_unknown(document, node, PROPERTY_TERMS, "property")
    types = {str(kind) for kind in document.values(node, TYPE)}
    if types >= PROPERTY_TYPES:
        raise document.error(f"property {name(node)} is both a datatype and an object property; keep one", node)
    label = local(str(node))
    check_name(document, node, label)
    ranges = document.values(node, RDFS + "range")
    if len(ranges) > 1:
        raise document.error(
            f"property {label!r} has two ranges, {name(ranges[0])} and {name(ranges[1])}; keep one",
            node,
            RDFS + "range",
            ranges[1],
        )
    domains = [
        class_name(document, domain, classes, node, RDFS + "domain")
        for domain in document.values(node, RDFS + "domain")
    ]
    platform = is_platform(document, node)
    for domain in domains:
        if classes[domain].platform and not platform:
            raise document.error(
                f"property {label!r} changes the platform class {domain!r}, which is closed; use a class of your own",
                node,
            )
    return PropertyDeclaration(
        node,
        label,
        relation=OWL + "ObjectProperty" in types,
        domains=domains,
        range=ranges[0] if ranges else None,
        functional=OWL + "FunctionalProperty" in types,
        platform=platform,
        label=document.text(node, RDFS + "label"),
        comment=document.text(node, RDFS + "comment"),
    )


def check_name(document: Document, node: Any, label: str) -> None:
    """Raise where a property may not be called so."""
    reason = names.fault(label) or names.reserved_field(label)
    if reason:
        raise document.error(f"property {label!r} {reason}", node)


def datatype(document: Document, subject: Any, term: str, node: Any) -> str:
    """The scalar type that a datatype's address names; OntologyError with the supported ones."""
    kind = DATATYPES.get(str(node))
    if kind is None:
        inexact = str(node) in {XSD + "float", XSD + "double"}
        choices = "xsd:decimal" if inexact else ", ".join(sorted(map(short, DATATYPES)))
        raise document.error(
            f"{name(subject)} has the unknown datatype {name(node)}; use {choices}", subject, term, node
        )
    return kind
