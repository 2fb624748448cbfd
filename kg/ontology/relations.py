"""Makes one RelationType of a class from its declaration, its shapes and what is inherited."""

from kg.ontology import names
from kg.ontology.classes import RelationType
from kg.ontology.declarations import ClassDeclaration, class_name
from kg.ontology.literals import word
from kg.ontology.members import Member, ancestors, nodes, said
from kg.ontology.shapes import PropertyShape, constraints, refuse_node_kind
from kg.ontology.turtle import Document
from kg.ontology.vocabulary import RDFS, SH, N

Declared = dict[str, ClassDeclaration]


def make_relation(
    document: Document, classes: Declared, cls: str, member: Member, inherited: RelationType | None
) -> RelationType:
    """The relation of a class as its declaration, then its shapes, say it; what is inherited may only be narrowed."""
    declaration = member.declaration
    _refuse_annotations(document, member)
    target = inherited.target if inherited else None
    if declaration.range is not None:
        ranged = class_name(document, declaration.range, classes, declaration.node, RDFS + "range")
        target = target or ranged
    many = inherited.many if inherited else not declaration.functional
    for shape in member.shapes:
        many = _may_have_many(document, declaration.name, shape) and many
        target = _narrowed(document, classes, f"{cls}.{declaration.name}", shape, target)
    if target is None:
        raise document.error(
            f"relation {declaration.name!r} has no rdfs:range; name the class it leads to", declaration.node
        )
    inverse = said(document, member, "inverse", word, inherited.inverse if inherited else None)
    if inverse is not None and (reason := names.fault(inverse) or names.reserved_field(inverse)):
        raise document.error(f"n:inverse {inverse!r} {reason}", declaration.node)
    return RelationType(
        declaration.name,
        inherited.source if inherited else cls,
        target,
        inverse or names.derived_inverse(cls, declaration.name),
        many,
        declaration.label or declaration.name,
        declaration.comment,
    )


def _refuse_annotations(document: Document, member: Member) -> None:
    for term in ("key", "sensitivity", "personal", "searchable", "indexed", "many"):
        for node in nodes(member):
            if document.one(node, N + term) is not None:
                raise document.error(
                    f"n:{term} does not fit the relation {member.declaration.name!r}; remove it", node, N + term
                )


def _may_have_many(document: Document, label: str, shape: PropertyShape) -> bool:
    if document.one(shape.node, SH + "datatype") is not None:
        raise document.error(f"sh:datatype does not fit the relation {label!r}", shape.node, SH + "datatype")
    refuse_node_kind(document, shape, "IRI")
    found = constraints(document, shape, None)
    if found.get("min_count"):
        raise document.error(
            "sh:minCount on a relation is not supported, since its target may come later; remove it",
            shape.node,
            SH + "minCount",
        )
    if found.get("max_count", 1) != 1:
        raise document.error(
            "sh:maxCount of a relation may only be 1; change or remove it", shape.node, SH + "maxCount"
        )
    return "max_count" not in found


def _narrowed(
    document: Document, classes: Declared, label: str, shape: PropertyShape, target: str | None
) -> str | None:
    node = document.one(shape.node, SH + "class")
    if node is None:
        return target
    narrowed = class_name(document, node, classes, shape.node, SH + "class")
    if target is not None and target not in ancestors(classes, narrowed):
        raise document.error(f"{label} has two ranges, {target} and {narrowed}; keep one", shape.node, SH + "class")
    return narrowed
