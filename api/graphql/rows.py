"""Row: an entity as GraphQL resolves it, and the one function that reads a plain field from whatever stands behind it.

Generated fields carry a Python name of ``p_`` and the property's name, so no property can meet an attribute. Invariant: a
masked or absent property is null; nothing is looked up here.
"""

from dataclasses import dataclass
from typing import Any

from api.graphql.ids import global_id
from governance.readings import Readings
from kg.model import Entity
from kg.ontology.names import graphql_field
from kg.ontology.ontology import Ontology
from kg.values import Value

PREFIX = "p_"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One entity version with the name of its GraphQL type."""

    entity: Entity
    type: str
    #: Where it is noted that a personal or labelled value was told.
    readings: Readings | None = None

    def read(self, name: str) -> Any:
        """The value of a property, None where it is absent or masked."""
        value: Value | None = self.entity.properties.get(name)
        if value is not None and self.readings is not None:
            self.readings.note(self.entity, name)
        return list(value) if isinstance(value, tuple) else value

    @property
    def id(self) -> str:
        """The global id."""
        return global_id(self.entity.cls, self.entity.id)

    @property
    def class_(self) -> str:
        """The class, as the ontology calls it."""
        return self.entity.cls

    @property
    def version(self) -> int:
        """The number of this version, from 1."""
        return self.entity.version

    @property
    def since(self) -> int:
        """The position of the change that made this version."""
        return self.entity.since

    @property
    def masked(self) -> list[str]:
        """The GraphQL fields that are withheld."""
        return sorted(graphql_field(name) for name in self.entity.masked)


def read_field(source: Any, name: str) -> Any:
    """The value of a plain field: a property of a Row, an attribute of anything else."""
    if type(source) is Row and name.startswith(PREFIX):
        return source.read(name[len(PREFIX) :])
    return getattr(source, name)


def type_name(ontology: Ontology, cls: str) -> str:
    """The GraphQL object type of entities of exactly this class; a class with subclasses is an interface itself."""
    name = ontology.names.graphql_type(cls)
    return f"Plain{name}" if len(ontology.subclasses(cls)) > 1 else str(name)
