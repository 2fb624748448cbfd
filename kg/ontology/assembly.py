"""Joins declarations and shapes into classes with everything inherited, and refuses what does not fit together.

Invariant: a subclass may tighten what it inherits by naming constraints its parents do not, never contradict it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kg.ontology import names
from kg.ontology.classes import Class, Constraints, Property, RelationType
from kg.ontology.declarations import (
    ClassDeclaration,
    PropertyDeclaration,
    check_name,
    class_name,
    datatype,
    read_classes,
    read_properties,
)
from kg.ontology.literals import flag, word
from kg.ontology.shapes import PropertyShape, constraints, read_shapes
from kg.ontology.turtle import Document, name
from kg.ontology.vocabulary import N, RDFS, SH, local


@dataclass(slots=True)
class Member:
    """One property or relation of one class while it is put together: where it stands and what was said about it."""

    declaration: PropertyDeclaration
    shapes: list[PropertyShape] = field(default_factory=list)


def assemble(document: Document) -> dict[str, Class]:
    """The classes of a document by name, everything inherited."""
    classes = read_classes(document)
    declared = read_properties(document, classes)
    members = _members(document, classes, declared)
    built: dict[str, Class] = {}
    for cls in _parents_first(classes):
        built[cls] = _class(document, classes, classes[cls], members[cls], built)
    _check_relations(document, classes, built)
    return {cls: built[cls] for cls in sorted(built)}


def _parents_first(classes: Mapping[str, ClassDeclaration]) -> list[str]:
    order: dict[str, None] = {}
    waiting = list(classes)
    while waiting:
        ready = [cls for cls in waiting if all(parent in order for parent in classes[cls].parents)]
        order.update(dict.fromkeys(ready))
        waiting = [cls for cls in waiting if cls not in order]
    return list(order)


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


def _members(
    document: Document, classes: dict[str, ClassDeclaration], declared: dict[Any, PropertyDeclaration]
) -> dict[str, dict[str, Member]]:
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


def _class(
    document: Document,
    classes: dict[str, ClassDeclaration],
    declaration: ClassDeclaration,
    members: dict[str, Member],
    built: dict[str, Class],
) -> Class:
    parents = [built[parent] for parent in declaration.parents]
    properties: dict[str, Property] = {}
    relations: dict[str, RelationType] = {}
    for parent in parents:
        for label, inherited in parent.properties.items():
            if properties.setdefault(label, inherited) != inherited:
                raise _two_parents(document, declaration, label)
        for label, relation in parent.relations.items():
            if relations.setdefault(label, relation) != relation:
                raise _two_parents(document, declaration, label)
    keys = list(declaration.key)
    for label, member in members.items():
        if (label in relations) if not member.declaration.relation else (label in properties):
            raise _two_parents(document, declaration, label)
        if member.declaration.relation:
            relations[label] = _relation(document, classes, declaration.name, member, relations.get(label))
        else:
            properties[label] = _property(document, declaration.name, member, properties.get(label))
            if any(flag(document, node, N + "key") for node in _nodes(member)) and label not in keys:
                keys.append(label)
    key = tuple(keys) or next((parent.key for parent in parents if parent.key), ())
    for label in key:
        if label not in properties or properties[label].many:
            raise document.error(
                f"n:key {label!r} of {declaration.name} is no single-valued property of it; name one of "
                f"{', '.join(sorted(properties)) or 'its properties'}",
                declaration.node,
            )
        properties[label] = replace(properties[label], indexed=True)
    if not properties and not relations:
        raise document.error(f"class {declaration.name!r} has no property; give it at least one", declaration.node)
    department = declaration.department or next((parent.department for parent in parents if parent.department), None)
    made = Class(
        declaration.name,
        declaration.label or declaration.name,
        declaration.comment,
        declaration.parents,
        properties,
        relations,
        key,
        department,
        declaration.platform,
    )
    _check_fields(document, declaration, made)
    return made


def _two_parents(document: Document, declaration: ClassDeclaration, label: str) -> Exception:
    return document.error(
        f"{declaration.name} would have {label!r} in two meanings, from itself or its parents; rename one",
        declaration.node,
    )


def _nodes(member: Member) -> list[Any]:
    return [member.declaration.node, *(shape.node for shape in member.shapes)]


def _said(document: Document, member: Member, term: str, read: Any, inherited: Any) -> Any:
    """What the shapes of this class say under a term, else the property, else what is inherited."""
    for shape in member.shapes:
        if (value := read(document, shape.node, N + term)) is not None:
            return value
    value = read(document, member.declaration.node, N + term)
    return inherited if value is None else value


def _property(document: Document, cls: str, member: Member, inherited: Property | None) -> Property:
    declaration = member.declaration
    kind = _kind(document, cls, member, inherited)
    limits = _limits(document, cls, member, kind, inherited.constraints if inherited else Constraints())
    many = _said(document, member, "many", flag, inherited.many if inherited else None)
    if many is None:
        many = limits.max_count is not None and limits.max_count > 1
    _check_counts(document, cls, member, limits, many)
    sensitivity = _said(document, member, "sensitivity", word, inherited.sensitivity if inherited else None)
    personal = bool(_said(document, member, "personal", flag, inherited.personal if inherited else False))
    searchable = _said(document, member, "searchable", flag, inherited.searchable if inherited else None)
    if searchable and kind != "string":
        raise document.error(f"{cls}.{declaration.name} is a {kind}; only strings are searchable", declaration.node)
    if (inverse := _said(document, member, "inverse", word, None)) is not None:
        raise document.error(f"n:inverse {inverse!r} fits only a relation; remove it", declaration.node)
    return Property(
        declaration.name,
        kind,
        many=many,
        required=limits.min_count > 0,
        sensitivity=sensitivity,
        personal=personal,
        searchable=(kind == "string" and not personal and sensitivity is None) if searchable is None else searchable,
        indexed=bool(_said(document, member, "indexed", flag, inherited.indexed if inherited else False)),
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
        _refuse_node_kind(document, shape, "Literal")
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


def _refuse_node_kind(document: Document, shape: PropertyShape, wanted: str) -> None:
    kind = document.one(shape.node, SH + "nodeKind")
    if kind is not None and str(kind) != SH + wanted:
        raise document.error(
            f"{name(kind)} is not supported here; write sh:{wanted} or remove it", shape.node, SH + "nodeKind"
        )


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
    node = _nodes(member)[-1]
    if limits.max_count == 0 or (limits.max_count is not None and limits.min_count > limits.max_count):
        raise document.error(f"{label} can hold no value: sh:maxCount {limits.max_count} is too small", node)
    if not many and limits.min_count > 1:
        raise document.error(f"{label} asks for {limits.min_count} values; add n:many true", node)
    if many and limits.max_count == 1:
        raise document.error(f"{label} has n:many true but at most one value; remove one of the two", node)


def _relation(
    document: Document,
    classes: dict[str, ClassDeclaration],
    cls: str,
    member: Member,
    inherited: RelationType | None,
) -> RelationType:
    declaration = member.declaration
    target = inherited.target if inherited else None
    if declaration.range is not None:
        target = class_name(document, declaration.range, classes, declaration.node, RDFS + "range")
    many = inherited.many if inherited else not declaration.functional
    for shape in member.shapes:
        if document.one(shape.node, SH + "datatype") is not None:
            raise document.error(
                f"sh:datatype does not fit the relation {declaration.name!r}", shape.node, SH + "datatype"
            )
        _refuse_node_kind(document, shape, "IRI")
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
        many = many and "max_count" not in found
        node = document.one(shape.node, SH + "class")
        if node is not None:
            narrowed = class_name(document, node, classes, shape.node, SH + "class")
            if target is not None and target not in ancestors(classes, narrowed):
                raise document.error(
                    f"{cls}.{declaration.name} has two ranges, {target} and {narrowed}; keep one",
                    shape.node,
                    SH + "class",
                )
            target = narrowed
    for term in ("key", "sensitivity", "personal", "searchable", "indexed", "many"):
        for node in _nodes(member):
            if document.one(node, N + term) is not None:
                raise document.error(
                    f"n:{term} does not fit the relation {declaration.name!r}; remove it", node, N + term
                )
    if target is None:
        raise document.error(
            f"relation {declaration.name!r} has no rdfs:range; name the class it leads to", declaration.node
        )
    inverse = _said(document, member, "inverse", word, inherited.inverse if inherited else None)
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


def _check_fields(document: Document, declaration: ClassDeclaration, cls: Class) -> None:
    members = [*cls.properties, *cls.relations]
    scopes = {
        "GraphQL": [(label, names.graphql_field(label)) for label in members],
        "Cedar": [(label, names.cedar_attribute(label)) for label in cls.properties],
        "Cypher": [(label, names.cypher_property(label)) for label in cls.properties]
        + [(label, names.cypher_relation(label)) for label in cls.relations],
    }
    for language, scope in scopes.items():
        if found := names.collision(scope):
            first, second, mapped = found
            raise document.error(
                f"{cls.name}.{first} and {cls.name}.{second} are both {mapped!r} in {language}; rename one",
                declaration.node,
            )


def _check_relations(document: Document, declared: dict[str, ClassDeclaration], classes: dict[str, Class]) -> None:
    types = [(cls, mapped) for cls in classes for mapped in names.class_names(cls)]
    if found := names.collision(types):
        first, second, mapped = found
        raise document.error(
            f"classes {first} and {second} are both {mapped!r} in GraphQL; rename one", declared[second].node
        )
    relations = {label: label for cls in classes.values() for label in cls.relations}
    if found := names.collision((label, names.cypher_relation(label)) for label in sorted(relations)):
        first, second, mapped = found
        node = next(declared[cls.name].node for cls in classes.values() if second in cls.relations)
        raise document.error(f"relations {first} and {second} are both {mapped!r} in Cypher; rename one", node)
    own = [relation for cls in classes.values() for relation in cls.relations.values() if relation.source == cls.name]
    for cls in classes.values():
        above = ancestors(classes, cls.name)
        fields = [(f"{cls.name}.{label}", names.graphql_field(label)) for label in (*cls.properties, *cls.relations)]
        ways_back = [relation for relation in own if relation.target in above]
        fields += [(f"the way back of {r.source}.{r.name}", names.graphql_field(r.inverse)) for r in ways_back]
        if found := names.collision(fields):
            first, second, mapped = found
            raise document.error(
                f"{first} and {second} are both {mapped!r} on {cls.name}; give one another name (n:inverse names a way back)",
                declared[cls.name].node,
            )
