"""Reads Cedar statements (JSON form): which requests a statement's scope can match, and which attributes it reads.

Invariant: both answers err on the wide side: a statement that might match is kept, and where it is unclear which attributes of
the resource are read, the answer is "all". Evaluates nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kg.values import Json

#: Operators that look at no more than which entity the resource is.
_IDENTITY: Final = frozenset({"==", "!=", "in"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What the head of a statement asks for; None means any. `member` is a (type, id) the entity must be or be in."""

    kind: str | None = None
    member: tuple[str, str] | None = None

    def admits(self, kind: str, is_one: tuple[str, str] | None, groups: frozenset[tuple[str, str]]) -> bool:
        """Whether an entity of this type, possibly this very one, in these groups can match."""
        if self.kind is not None and kind != self.kind:
            return False
        if self.member is None:
            return True
        return self.member in groups or (is_one is None and self.member[0] == kind) or self.member == is_one


def principal_scope(statement: Mapping[str, Json]) -> Scope:
    """The principal part of the head."""
    return _scope(statement["principal"])


def resource_scope(statement: Mapping[str, Json]) -> Scope:
    """The resource part of the head."""
    return _scope(statement["resource"])


def _scope(part: Mapping[str, Json]) -> Scope:
    entity = part.get("entity") or part.get("in", {}).get("entity")
    return Scope(part.get("entity_type"), (entity["type"], entity["id"]) if entity else None)


def actions(statement: Mapping[str, Json]) -> frozenset[str] | None:
    """The actions that the head names, None for any."""
    part = statement["action"]
    if part["op"] == "All":
        return None
    entities = part["entities"] if "entities" in part else [part["entity"]]
    return frozenset(entity["id"] for entity in entities)


@dataclass(frozen=True, slots=True)
class Reads:
    """What a statement reads: attributes by variable (`principal` holds those of the action too).

    `identity` says that it asks which entity the resource is, `everything` that what it reads of it cannot be told.
    """

    resource: frozenset[str] = frozenset()
    principal: frozenset[str] = frozenset()
    context: frozenset[str] = frozenset()
    identity: bool = False
    everything: bool = False


def reads(statement: Mapping[str, Json]) -> Reads:
    """What the head and the conditions of a statement read."""
    found: dict[str, set[str]] = {"resource": set(), "principal": set(), "context": set(), "action": set()}
    head = resource_scope(statement)
    flags = {"identity": head.member is not None, "everything": False}
    stack: list[tuple[str, Any]] = [("", condition["body"]) for condition in statement["conditions"]]
    while stack:
        operator, node = stack.pop()
        if isinstance(node, list):
            stack.extend((operator, item) for item in node)
        elif isinstance(node, dict):
            for key, value in node.items():
                if key == "Var":
                    _bare(str(value), operator, flags)
                elif key in {".", "has"} and set(value["left"]) == {"Var"}:
                    attribute = value["attr"]
                    found[value["left"]["Var"]].add(attribute if isinstance(attribute, str) else attribute[0])
                elif key != "Value":
                    # `resource is X in Y` asks which entity it is, `resource is X` does not.
                    stack.extend(_inner("in" if key == "is" and "in" in value else key, value))
    return Reads(
        frozenset(found["resource"]),
        frozenset(found["principal"] | found["action"]),
        frozenset(found["context"]),
        flags["identity"],
        flags["everything"],
    )


def _inner(operator: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((operator, inner) for inner in value.values())
    else:
        yield operator, value


def _bare(variable: str, operator: str, flags: dict[str, bool]) -> None:
    """Note a variable that stands alone, as in ``resource == X`` or where its use cannot be followed."""
    if variable != "resource" or operator == "is":
        return
    flags["identity"] = True
    if operator not in _IDENTITY:
        flags["everything"] = True
