"""Root field names: how a class is asked for, one and many.

Invariant: no two root fields have one name; a class whose names are taken is refused when the schema is built. Does not know
grammar beyond the regular plural, and asks none: `customers`, `policies`, `boxes`; a class without one is `allSeries`.
"""

from collections.abc import Iterable

from kg.errors import OntologyError
from kg.ontology.names import graphql_field, graphql_type


def one(cls: str) -> str:
    """The root field that gives one entity of a class."""
    return graphql_field(graphql_type(cls))


def many(cls: str) -> str:
    """The root field that lists a class."""
    name = one(cls)
    if name.endswith(("ies", "series", "data")) or (name.endswith("s") and not name.endswith(("ss", "us", "is"))):
        return f"all{graphql_type(cls)}"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    return f"{name}s"


def check_roots(classes: Iterable[str], taken: Iterable[str]) -> None:
    """Raise OntologyError where two classes, or a class and the platform, want one root field."""
    owners = dict.fromkeys(taken, "the platform")
    for cls in classes:
        for name in (one(cls), many(cls)):
            if name in owners:
                raise OntologyError(
                    f"class {cls} needs the GraphQL field {name!r}, which {owners[name]} has; rename the class"
                )
            owners[name] = f"class {cls}"
