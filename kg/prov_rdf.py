"""PROV-O (W3C Recommendation, 30 April 2013) in Turtle or TriG: reads it into the PROV-JSON form that `kg.prov_constraints` checks.

Invariant: each property of PROV-O, plain or qualified, is one record of the form; a named graph is a bundle. Triples of other
vocabularies are read over. Fetches nothing that a document names; judges nothing.
"""

import warnings
from dataclasses import dataclass, field
from typing import Any, Final

from rdflib import BNode, Dataset, Graph, Literal, URIRef
from rdflib.namespace import RDF

from kg.errors import InputError
from kg.prov_constraints.document import PROV, STATEMENTS_MAX

#: Characters of one document.
TEXT_MAX: Final = 5_000_000
#: Class -> the kind of thing that its members are.
CLASSES: Final = {
    "Entity": "entity", "Collection": "entity", "EmptyCollection": "entity", "Bundle": "entity", "Plan": "entity",
    "Activity": "activity", "Agent": "agent", "Person": "agent", "Organization": "agent", "SoftwareAgent": "agent",
}  # fmt: skip
#: Property -> kind of record, the argument that its subject is, the argument that its object is.
PLAIN: Final = {
    "wasGeneratedBy": ("wasGeneratedBy", "entity", "activity"),
    "generated": ("wasGeneratedBy", "activity", "entity"),
    "generatedAtTime": ("wasGeneratedBy", "entity", "time"),
    "used": ("used", "activity", "entity"),
    "wasInformedBy": ("wasInformedBy", "informed", "informant"),
    "wasStartedBy": ("wasStartedBy", "activity", "trigger"),
    "wasEndedBy": ("wasEndedBy", "activity", "trigger"),
    "wasInvalidatedBy": ("wasInvalidatedBy", "entity", "activity"),
    "invalidated": ("wasInvalidatedBy", "activity", "entity"),
    "invalidatedAtTime": ("wasInvalidatedBy", "entity", "time"),
    "wasDerivedFrom": ("wasDerivedFrom", "generatedEntity", "usedEntity"),
    "wasRevisionOf": ("wasDerivedFrom", "generatedEntity", "usedEntity"),
    "wasQuotedFrom": ("wasDerivedFrom", "generatedEntity", "usedEntity"),
    "hadPrimarySource": ("wasDerivedFrom", "generatedEntity", "usedEntity"),
    "wasAttributedTo": ("wasAttributedTo", "entity", "agent"),
    "wasAssociatedWith": ("wasAssociatedWith", "activity", "agent"),
    "actedOnBehalfOf": ("actedOnBehalfOf", "delegate", "responsible"),
    "wasInfluencedBy": ("wasInfluencedBy", "influencee", "influencer"),
    "influenced": ("wasInfluencedBy", "influencer", "influencee"),
    "specializationOf": ("specializationOf", "specificEntity", "generalEntity"),
    "alternateOf": ("alternateOf", "alternate1", "alternate2"),
    "hadMember": ("hadMember", "collection", "entity"),
    "startedAtTime": ("activity", "", "startTime"),
    "endedAtTime": ("activity", "", "endTime"),
}
_DERIVATION: Final = {
    "entity": "usedEntity",
    "hadActivity": "activity",
    "hadGeneration": "generation",
    "hadUsage": "usage",
}
#: Qualified property -> kind of record, the argument that its subject is, and the arguments that the properties of its node give.
QUALIFIED: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "qualifiedGeneration": ("wasGeneratedBy", "entity", {"activity": "activity", "atTime": "time"}),
    "qualifiedUsage": ("used", "activity", {"entity": "entity", "atTime": "time"}),
    "qualifiedCommunication": ("wasInformedBy", "informed", {"activity": "informant"}),
    "qualifiedStart": ("wasStartedBy", "activity", {"entity": "trigger", "hadActivity": "starter", "atTime": "time"}),
    "qualifiedEnd": ("wasEndedBy", "activity", {"entity": "trigger", "hadActivity": "ender", "atTime": "time"}),
    "qualifiedInvalidation": ("wasInvalidatedBy", "entity", {"activity": "activity", "atTime": "time"}),
    "qualifiedDerivation": ("wasDerivedFrom", "generatedEntity", _DERIVATION),
    "qualifiedRevision": ("wasDerivedFrom", "generatedEntity", _DERIVATION),
    "qualifiedQuotation": ("wasDerivedFrom", "generatedEntity", _DERIVATION),
    "qualifiedPrimarySource": ("wasDerivedFrom", "generatedEntity", _DERIVATION),
    "qualifiedAttribution": ("wasAttributedTo", "entity", {"agent": "agent"}),
    "qualifiedAssociation": ("wasAssociatedWith", "activity", {"agent": "agent", "hadPlan": "plan"}),
    "qualifiedDelegation": ("actedOnBehalfOf", "delegate", {"agent": "responsible", "hadActivity": "activity"}),
    "qualifiedInfluence": (
        "wasInfluencedBy", "influencee",
        {"influencer": "influencer", "entity": "influencer", "activity": "influencer", "agent": "influencer"},
    ),
}  # fmt: skip


def read(text: str) -> dict[str, Any]:
    """The PROV-JSON form of a Turtle or TriG document; InputError where it is none, or holds nothing of PROV."""
    if len(text) > TEXT_MAX:
        raise InputError(f"the document has more than {TEXT_MAX:,} characters; check its graphs one by one")
    found = Dataset()
    try:
        with warnings.catch_warnings():
            # rdflib's own parser still uses what rdflib calls deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            found.parse(data=text, format="trig", publicID="urn:noesis:document#")
    # rdflib's parser ends in whatever its own code stumbles over, deep nesting among it.
    except Exception as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"is no Turtle or TriG ({said}); correct the document") from None
    if len(found) > STATEMENTS_MAX:
        raise InputError(f"the document has more than {STATEMENTS_MAX:,} triples; check its graphs one by one")
    whole: dict[str, Any] = {}
    for graph in found.graphs():
        form = _Form(graph).read()
        if graph.identifier == found.default_graph.identifier:
            whole |= form
        elif form:
            whole.setdefault("bundle", {})[str(graph.identifier)] = form
    if not whole:
        raise InputError("the document holds no statement of PROV-O; check that its prefix prov is the W3C's")
    return whole


@dataclass(slots=True)
class _Form:
    """One graph on its way into records."""

    graph: Graph
    made: dict[str, Any] = field(default_factory=dict)
    _blank: int = 0

    def read(self) -> dict[str, Any]:
        """The records of every triple that PROV-O knows."""
        for subject, predicate, object_ in self.graph:
            name = str(predicate).removeprefix(PROV) if str(predicate).startswith(PROV) else ""
            if predicate == RDF.type:
                self._typed(subject, str(object_))
            elif name in PLAIN:
                kind, one, other = PLAIN[name]
                if kind == "activity":
                    self._put(kind, _term(subject), {other: _term(object_)})
                else:
                    self._put(kind, None, {one: _term(subject), other: _term(object_)})
            elif name in QUALIFIED and not isinstance(object_, Literal):
                self._qualified(subject, QUALIFIED[name], object_)
            elif name == "mentionOf":
                bundle = self.graph.value(subject, URIRef(PROV + "asInBundle"))
                more = {"bundle": _term(bundle)} if bundle is not None else {}
                ends = {"specificEntity": _term(subject), "generalEntity": _term(object_)}
                self._put(name, None, ends | more)
        return self.made

    def _typed(self, subject: Any, cls: str) -> None:
        kind = CLASSES.get(cls.removeprefix(PROV)) if cls.startswith(PROV) else None
        if kind is not None:
            self._put(kind, _term(subject), {"type": {"$": cls, "type": "prov:QUALIFIED_NAME"}})

    def _qualified(self, subject: Any, shape: tuple[str, str, dict[str, str]], node: Any) -> None:
        kind, one, leads = shape
        record = {one: _term(subject)}
        for name, argument in leads.items():
            values = sorted(map(_term, self.graph.objects(node, URIRef(PROV + name))))
            if len(values) > 1:
                raise InputError(f"{_term(node)[:80]} has {len(values)} values of prov:{name}; give it one")
            record |= dict.fromkeys([argument], values[0]) if values else {}
        types = [{"$": str(cls), "type": "prov:QUALIFIED_NAME"} for cls in self.graph.objects(node, RDF.type)]
        self._put(kind, _term(node), {**record, "type": types})

    def _put(self, kind: str, id: str | None, record: dict[str, Any]) -> None:
        if id is None:
            self._blank += 1
            id = f"_:plain{self._blank}"
        held = {f"prov:{name}": value for name, value in record.items() if value != []}
        self.made.setdefault(kind, {}).setdefault(id, []).append(held)


def _term(node: Any) -> str:
    return f"_:{node}" if isinstance(node, BNode) else str(node)
