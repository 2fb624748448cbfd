"""Makes one Property of a class from its declaration, its shapes and what is inherited."""

from dataclasses import replace

from kg.ontology.classes import Constraints, Property
from kg.ontology.declarations import datatype
from kg.ontology.literals import flag, word
from kg.ontology.members import Member, nodes, said
from kg.ontology.shapes import constraints, refuse_node_kind
from kg.ontology.turtle import Document
from kg.ontology.vocabulary import RDFS, SH


def make_property(document: Document, cls: str, member: Member, inherited: Property | None) -> Property:
    """The property of a class as its declaration, then its shapes, say it; what is inherited may only be tightened."""
    declaration = member.declaration
    kind = _kind(document, cls, member, inherited)
    limits = _limits(document, cls, member, kind, inherited.constraints if inherited else Constraints())
    many = said(document, member, "many", flag, inherited.many if inherited else None)
    if many is None:
        many = limits.max_count is not None and limits.max_count > 1
    _check_counts(document, cls, member, limits, many)
    sensitivity = said(document, member, "sensitivity", word, inherited.sensitivity if inherited else None)
    personal = bool(said(document, member, "personal", flag, inherited.personal if inherited else False))
    searchable = said(document, member, "searchable", flag, inherited.searchable if inherited else None)
    if searchable and kind != "string":
        raise document.error(f"{cls}.{declaration.name} is a {kind}; only strings are searchable", declaration.node)
    if (inverse := said(document, member, "inverse", word, None)) is not None:
        raise document.error(f"n:inverse {inverse!r} fits only a relation; remove it", declaration.node)
    return Property(
        declaration.name,
        kind,
        many=many,
        required=limits.min_count > 0,
        sensitivity=sensitivity,
        personal=personal,
        searchable=(kind == "string" and not personal and sensitivity is None) if searchable is None else searchable,
        indexed=bool(said(document, member, "indexed", flag, inherited.indexed if inherited else False)),
        label=declaration.label or declaration.name,
        comment=declaration.comment,
        constraints=limits,
    )


def _kind(document: Document, cls: str, member: Member, inherited: Property | None) -> str:
    declaration = member.declaration
    kinds = {inherited.type} if inherited else set()
    if declaration.range is not None:
        kinds.add(datatype(document, declaration.node, RDFS + "range", declaration.range))
    for shape in member.shapes:
        if document.one(shape.node, SH + "class") is not None:
            raise document.error(
                f"sh:class does not fit the datatype property {declaration.name!r}", shape.node, SH + "class"
            )
        refuse_node_kind(document, shape, "Literal")
        node = document.one(shape.node, SH + "datatype")
        if node is not None:
            kinds.add(datatype(document, shape.node, SH + "datatype", node))
        if len(kinds) > 1:
            raise document.error(
                f"{cls}.{declaration.name} has two ranges, {' and '.join(sorted(kinds))}; keep one",
                shape.node,
                SH + "datatype",
            )
    if not kinds:
        raise document.error(f"property {declaration.name!r} has no rdfs:range; name its datatype", declaration.node)
    if len(kinds) > 1:
        raise document.error(
            f"{cls}.{declaration.name} has two ranges, {' and '.join(sorted(kinds))}; keep one", declaration.node
        )
    return kinds.pop()


def _limits(document: Document, cls: str, member: Member, kind: str | None, inherited: Constraints) -> Constraints:
    limits = inherited
    blank = Constraints()
    for shape in member.shapes:
        for key, value in constraints(document, shape, kind).items():
            before = getattr(limits, key)
            if key in {"shape", "message"} or before == getattr(blank, key) or before == value:
                limits = replace(limits, **{key: value})
            else:
                raise document.error(
                    f"shape {shape.shape} sets {key} of {cls}.{member.declaration.name} to {value}, but it is {before} "
                    "already; keep one",
                    shape.node,
                )
    if member.declaration.functional:
        limits = replace(limits, max_count=1)
    return limits


def _check_counts(document: Document, cls: str, member: Member, limits: Constraints, many: bool) -> None:
    label = f"{cls}.{member.declaration.name}"
    node = nodes(member)[-1]
    if limits.max_count == 0 or (limits.max_count is not None and limits.min_count > limits.max_count):
        raise document.error(f"{label} can hold no value: sh:maxCount {limits.max_count} is too small", node)
    if not many and limits.min_count > 1:
        raise document.error(f"{label} asks for {limits.min_count} values; add n:many true", node)
    if many and limits.max_count == 1:
        raise document.error(f"{label} has n:many true but at most one value; remove one of the two", node)
