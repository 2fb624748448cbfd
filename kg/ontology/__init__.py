"""The ontology: which classes, properties and relations the shared graph may hold, read from Turtle, checked at every write."""

from kg.ontology.classes import Class, Constraints, Property, RelationType
from kg.ontology.ontology import Ontology, load

__all__ = ["Class", "Constraints", "Ontology", "Property", "RelationType", "load"]
