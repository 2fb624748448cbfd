"""What the index takes from the ontology: which classes it holds, and the text of an entity.

Invariant: `mapping_digest` changes exactly when the same entity would give another text, so an index built by another mapping
is known. Reads no store.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from kg.errors import ShapeError
from kg.model import Entity
from kg.values import canonical

#: Version of how text is put together; raise it when `text_of` or the tokens change.
FORMAT = 1


class TextSource(Protocol):
    """The part of the ontology that search needs."""

    @property
    def classes(self) -> Mapping[str, Any]:
        """Every class by name; each has `label`, `department`, `platform`, and `properties` with labels."""

    def text(self, cls: str) -> tuple[str, ...]:
        """The properties that text search may read; ShapeError where the class is unknown."""

    def text_of(self, entity: Entity) -> str:
        """The searchable text of an entity, from what this very object holds."""

    def subclasses(self, cls: str) -> tuple[str, ...]:
        """The class itself and all below it; ShapeError where it is unknown."""


def indexed(texts: TextSource) -> tuple[str, ...]:
    """The classes that the index holds, by name: those of the domain that have searchable text.

    The platform's own record (decisions, proposals, effects …) grows with every act and would drown what people look for;
    the store's text search finds it where a search names its classes.
    """
    return tuple(name for name in sorted(texts.classes) if is_indexed(texts, name))


def is_indexed(texts: TextSource, cls: str) -> bool:
    """Whether the index holds a class; no for one that the ontology has lost."""
    found = texts.classes.get(cls)
    return found is not None and not found.platform and bool(texts.text(cls))


def text_names(texts: TextSource, cls: str) -> frozenset[str]:
    """The searchable properties of a class; none for a class that the ontology has lost."""
    try:
        return frozenset(texts.text(cls))
    except ShapeError:
        return frozenset()


def department(texts: TextSource, cls: str) -> str | None:
    """The department that a class belongs to."""
    found: str | None = texts.classes[cls].department
    return found


def mapping_digest(texts: TextSource) -> str:
    """SHA-256 over everything that shapes a text."""
    form = {"format": FORMAT, "classes": {name: _class(texts, name) for name in indexed(texts)}}
    return hashlib.sha256(canonical(form).encode()).hexdigest()


def _class(texts: TextSource, name: str) -> Any:
    cls = texts.classes[name]
    return [cls.label, cls.department, [[p, cls.properties[p].label] for p in texts.text(name)]]
