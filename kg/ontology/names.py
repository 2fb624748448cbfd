"""How the names of an ontology are called in GraphQL, Cedar and Cypher: the one place that maps them.

Invariant: after the mapping no two names of one scope are equal, which `collision` finds at load. A local name that GraphQL
cannot spell is refused rather than altered beyond recognition.
"""

import re
from collections.abc import Iterable

#: The shape of a GraphQL name (September 2025, 2.1.9) without a leading underscore, which GraphQL and Pydantic keep for themselves.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
NAME_MAX = 100

#: Type names that the GraphQL schema, Relay and the scalar table already use.
RESERVED_TYPES = frozenset(
    {"Query", "Mutation", "Subscription", "Node", "PageInfo", "Entity", "Relation", "Change", "Cause", "Edge"}
    | {
        "Int",
        "Float",
        "String",
        "Boolean",
        "ID",
        "Decimal",
        "Date",
        "DateTime",
        "Duration",
        "Money",
        "JSON",
        "Position",
    }
    | {"Connection", "Long", "Count", "UserError", "EntityVersion", "PropertyValue", "Why", "WhyStep", "SearchHit"}
    | {"SearchAnswer", "Direction", "MoneyInput", "LedgerHead", "Viewer", "ErrorCode", "Feed", "ChangeKind"}
    | {f"{kind}Filter" for kind in ("String", "Long", "Decimal", "Boolean", "Date", "DateTime", "Duration", "Money")}
    | {
        "IDFilter",
        "ListFilter",
        "MissingApprovers",
        "AnswerPayload",
        "BreakGlassPayload",
        "EditPayload",
        "ControlPayload",
        "RecordPayload",
        "RunPayload",
    }
)
#: Entity types that the Cedar schema declares, and words its grammar keeps.
RESERVED_CEDAR = frozenset(
    {"Action", "Label", "Role", "Department", "Bool", "Long", "Set", "Record", "Extension"}
    | {"true", "false", "if", "then", "else", "in", "is", "like", "has"}
)
#: Fields that every entity has beside its properties.
RESERVED_FIELDS = frozenset({"id", "class", "version", "since", "masked", "history", "changes", "why", "__typename"})


def fault(name: str) -> str | None:
    """What is wrong with a local name, or None."""
    if name.startswith("__"):
        return "begins with two underscores, which GraphQL keeps for itself; rename it"
    if not _NAME.match(name):
        return "cannot be a GraphQL name; use letters, digits and underscores, beginning with a letter"
    if len(name) > NAME_MAX:
        return f"is longer than {NAME_MAX} characters; shorten it"
    return None


def reserved_class(name: str, *, platform: bool) -> str | None:
    """Why a class may not be called so, or None; a platform class may carry the name of a Cedar principal."""
    if graphql_type(name) in RESERVED_TYPES:
        return "is a type that the GraphQL schema already has; rename the class"
    if name in RESERVED_CEDAR and not platform:
        return "is a word that the Cedar schema already has; rename the class"
    return None


def reserved_field(name: str) -> str | None:
    """Why a property or relation may not be called so, or None."""
    if name in RESERVED_FIELDS or graphql_field(name) in RESERVED_FIELDS:
        return "is a field that every entity already has; rename it"
    return None


def graphql_type(cls: str) -> str:
    """A class as a GraphQL type: PascalCase."""
    return "".join(part[:1].upper() + part[1:] for part in cls.split("_") if part)


def graphql_field(name: str) -> str:
    """A property or relation as a GraphQL field: camelCase."""
    head, *rest = [part for part in name.split("_") if part] or [name]
    return head[:1].lower() + head[1:] + "".join(part[:1].upper() + part[1:] for part in rest)


def cedar_type(cls: str) -> str:
    """A class as a Cedar entity type."""
    return cls


def cedar_attribute(name: str) -> str:
    """A property as a Cedar attribute."""
    return name


def cypher_label(cls: str) -> str:
    """A class as a Cypher label."""
    return cls


def cypher_property(name: str) -> str:
    """A property as a Cypher property."""
    return name


def cypher_relation(name: str) -> str:
    """A relation as a Cypher relationship type: UPPER_SNAKE_CASE."""
    return _WORD_END.sub("_", name).upper()


def derived_inverse(source: str, relation: str) -> str:
    """The name of the way back where none is declared: class and relation, e.g. ``orderPlacedBy`` on Customer."""
    return graphql_field(source) + graphql_type(relation)


def class_names(cls: str) -> tuple[str, ...]:
    """Every name of the type scope that one class takes: its type, the two of its Relay connection, and its inputs."""
    name = graphql_type(cls)
    return (name, *(name + part for part in ("Connection", "Edge", "Where", "OrderBy", "Property", "Key")))


def collision(names: Iterable[tuple[str, str]]) -> tuple[str, str, str] | None:
    """The first (owner, other owner, mapped name) that two owners share, of pairs (owner, mapped name)."""
    taken: dict[str, str] = {}
    for owner, mapped in names:
        other = taken.setdefault(mapped, owner)
        if other != owner:
            return other, owner, mapped
    return None
