"""Refuses names of an ontology that become one name in GraphQL, Cedar or Cypher."""

from kg.ontology import names
from kg.ontology.classes import Class
from kg.ontology.declarations import ClassDeclaration
from kg.ontology.members import ancestors
from kg.ontology.turtle import Document


def check_fields(document: Document, declaration: ClassDeclaration, cls: Class) -> None:
    """Raise where two members of a class get one name in a neighbouring language."""
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


def check_relations(document: Document, declared: dict[str, ClassDeclaration], classes: dict[str, Class]) -> None:
    """Raise where two classes, two relations, or a way back and a field get one name."""
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
