"""The terms of RDF, OWL, SHACL and Noesis that an ontology file may use, and what each means here.

Invariant: a term of these namespaces that is not listed is refused by name, never ignored. Terms of any other namespace
are annotations and have no effect.
"""

from kg.values import SCALARS

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
SH = "http://www.w3.org/ns/shacl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
N = "urn:noesis:ns#"

PREFIXES = {"rdf": RDF, "rdfs": RDFS, "owl": OWL, "sh": SH, "xsd": XSD, "n": N}

#: Datatype address -> name of the scalar type.
DATATYPES = {(N if s.name == "money" else XSD) + s.xsd: s.name for s in SCALARS if s.name != "list"}

TYPE = RDF + "type"
_DESCRIPTIVE = {TYPE, RDFS + "label", RDFS + "comment", RDFS + "seeAlso", RDFS + "isDefinedBy", OWL + "deprecated"}

CLASS_TYPES = {OWL + "Class", RDFS + "Class"}
CLASS_TERMS = (
    _DESCRIPTIVE
    | {RDFS + "subClassOf", N + "key", N + "department", N + "platform"}
    | {SH + "property", SH + "closed", SH + "targetClass"}
)

PROPERTY_TYPES = {OWL + "DatatypeProperty", OWL + "ObjectProperty"}
#: What Noesis adds to a property, on the property itself or on the shape of one class.
ANNOTATIONS = {N + name for name in ("key", "sensitivity", "personal", "searchable", "indexed", "inverse", "many")}
PROPERTY_TERMS = _DESCRIPTIVE | ANNOTATIONS | {RDFS + "domain", RDFS + "range", N + "platform"}

SHAPE_TERMS = _DESCRIPTIVE | {
    SH + name for name in ("targetClass", "property", "closed", "name", "description", "message", "severity")
}
PROPERTY_SHAPE_TERMS = (
    _DESCRIPTIVE
    | ANNOTATIONS
    | {
        SH + name
        for name in (
            "path",
            "datatype",
            "class",
            "nodeKind",
            "minCount",
            "maxCount",
            "in",
            "pattern",
            "minLength",
            "maxLength",
            "minInclusive",
            "maxInclusive",
            "minExclusive",
            "maxExclusive",
            "message",
            "severity",
            "name",
            "description",
            "order",
            "group",
        )
    }
)
ONTOLOGY_TERMS = _DESCRIPTIVE | {OWL + "versionInfo", OWL + "versionIRI", OWL + "priorVersion", N + "platform"}

#: Types that a subject may have besides the above, without effect.
INERT_TYPES = {OWL + "AnnotationProperty", OWL + "NamedIndividual", RDFS + "Datatype", SH + "PropertyGroup"}


def short(iri: str) -> str:
    """The prefixed form of an address in a known namespace, else the address itself."""
    for prefix, space in PREFIXES.items():
        if iri.startswith(space):
            return f"{prefix}:{iri.removeprefix(space)}"
    return iri


def known(iri: str) -> bool:
    """Whether the address lies in a namespace whose every term is checked."""
    return iri.startswith(tuple(PREFIXES.values()))


def local(iri: str) -> str:
    """The local name of an address: what follows the last ``#``, ``/`` or ``:``."""
    return iri.replace("/", "#").rpartition("#")[2].rpartition(":")[2]
