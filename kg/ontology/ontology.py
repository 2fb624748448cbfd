"""The ontology as the rest asks it: Schema of the store, models, names, searchable text, digest.

Invariant: it never changes after `load`; another ontology is another object with another digest. It holds no data and does
not know which store uses it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kg.errors import OntologyError, ShapeError
from kg.model import Entity
from kg.ontology import names
from kg.ontology.checks import Checker, compiled
from kg.ontology.classes import Class, Property, RelationType, plain_fields
from kg.values import Json, Value, canonical, encode

if TYPE_CHECKING:
    from pydantic import BaseModel


#: Ontologies that a process keeps at hand; it mostly has one, and the platform's alone.
KEPT: Final = 8


def load(texts: Mapping[str, str]) -> "Ontology":
    """The ontology of the named Turtle texts, merged; OntologyError with file and line where they cannot be used.

    The same texts again give the same object, which nobody changes.
    """
    if not texts:
        raise OntologyError("no ontology file was given; name at least one Turtle file")
    return _loaded(tuple(texts.items()))


@lru_cache(maxsize=KEPT)
def _loaded(texts: tuple[tuple[str, str], ...]) -> "Ontology":
    from kg.ontology.assembly import assemble
    from kg.ontology.turtle import read

    classes = assemble(read(dict(texts)))
    ontology = Ontology(classes)
    for cls in classes.values():
        ontology.checker(cls.name)
    return ontology


@dataclass(frozen=True)
class Ontology:
    """Classes by name, and what follows from them. Implements port Schema."""

    classes: Mapping[str, Class]
    names: ModuleType = field(default=names, repr=False, compare=False)
    _checkers: dict[str, Checker] = field(default_factory=dict, init=False, repr=False, compare=False)

    def cls(self, name: str) -> Class:
        """The class of this name; ShapeError where there is none."""
        found = self.classes.get(name)
        if found is None:
            raise ShapeError(_unknown("class", name, self.classes))
        return found

    def checker(self, cls: str) -> Checker:
        """The compiled check of a class."""
        checker = self._checkers.get(cls)
        if checker is None:
            checker = self._checkers[cls] = compiled(self.cls(cls))
        return checker

    def check(self, cls: str, properties: Mapping[str, Value]) -> None:
        """Raise ShapeError, naming the shape, where these whole properties do not fit the class."""
        (self._checkers.get(cls) or self.checker(cls)).check(properties)

    def check_relation(self, source_cls: str, relation: str, target_cls: str | None) -> None:
        """Raise ShapeError where the class has no such relation or the target's class does not fit it."""
        found = self.relation(source_cls, relation)
        if target_cls is not None and target_cls not in self._below.get(found.target, ()):
            raise ShapeError(
                f"{source_cls}.{relation} leads to {found.target}, not to {target_cls}; link another entity, or widen "
                "its rdfs:range"
            )

    def relation(self, cls: str, name: str) -> RelationType:
        """The relation of a class; ShapeError where it has none of that name."""
        found = self.cls(cls).relations.get(name)
        if found is None:
            raise ShapeError(_unknown(f"relation of {cls}", name, self.cls(cls).relations))
        return found

    def model(self, cls: str) -> "type[BaseModel]":
        """The Pydantic model of a class."""
        return self.checker(cls).model

    @cached_property
    def _personal(self) -> dict[str, frozenset[str]]:
        return {cls.name: _names(cls, lambda p: p.personal) for cls in self.classes.values()}

    @cached_property
    def _below(self) -> dict[str, tuple[str, ...]]:
        from kg.ontology.members import ancestors

        above = {cls: ancestors(self.classes, cls) for cls in self.classes}
        return {
            cls: (cls, *(other for other in sorted(self.classes) if other != cls and cls in above[other]))
            for cls in self.classes
        }

    def personal(self, cls: str) -> frozenset[str]:
        """The properties whose values a person may ask to erase."""
        return self._personal[self.cls(cls).name]

    def text(self, cls: str) -> tuple[str, ...]:
        """The properties that text search may read."""
        return tuple(name for name, prop in self.cls(cls).properties.items() if prop.searchable)

    def indexed(self, cls: str) -> tuple[str, ...]:
        """The properties that `find` should answer by an index."""
        return tuple(name for name, prop in self.cls(cls).properties.items() if prop.indexed)

    def subclasses(self, cls: str) -> tuple[str, ...]:
        """The class itself and all below it."""
        return self._below[self.cls(cls).name]

    def superclasses(self, cls: str) -> tuple[str, ...]:
        """The class itself and all above it."""
        return tuple(sorted(name for name, below in self._below.items() if self.cls(cls).name in below))

    def inverses(self, cls: str) -> dict[str, RelationType]:
        """The relations that lead to a class or its ancestors, by the name of the way back."""
        return {
            relation.inverse: relation
            for other in self.classes.values()
            for relation in other.relations.values()
            if relation.source == other.name and cls in self.subclasses(relation.target)
        }

    def text_of(self, entity: Entity) -> str:
        """The searchable text of an entity: the label of its class, then one line a property."""
        cls = self.cls(entity.cls)
        lines = [cls.label]
        for name in self.text(entity.cls):
            value = entity.properties.get(name)
            if value is not None:
                words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
                lines.append(f"{cls.properties[name].label}: {words}")
        return "\n".join(lines)

    def describe(self) -> dict[str, Json]:
        """The whole content as JSON, the same for the same content in any file order."""
        return {name: _json(cls) for name, cls in sorted(self.classes.items())}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical content."""
        return hashlib.sha256(canonical(self.describe()).encode()).hexdigest()


def _names(cls: Class, holds: Any) -> frozenset[str]:
    found: frozenset[str] = frozenset(name for name, prop in cls.properties.items() if holds(prop))
    return found


def _unknown(what: str, name: str, choices: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, choices, 1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(sorted(choices)[:10]) or 'none'}"
    return f"there is no {what} {name[:100]!r}; {hint}"


def _json(thing: Any) -> Json:
    if isinstance(thing, Class | Property | RelationType) or hasattr(thing, "__dataclass_fields__"):
        if type(thing).__module__ == "kg.values":
            return encode(thing)
        return {name: _json(value) for name, value in plain_fields(thing).items()}
    if isinstance(thing, Mapping):
        return {name: _json(value) for name, value in sorted(thing.items())}
    if isinstance(thing, tuple):
        return [_json(item) for item in thing]
    return encode(thing)
