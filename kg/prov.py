"""PROV-JSON (W3C Member Submission, 24 April 2013) of an answer to "why".

Invariant: the same answer gives the same document, and an entity version, a cause and a principal have the same PROV id in
every document. It exports what the tree shows, nothing more: what is withheld there is an anonymous entity here. Graph
entities are PROV entities, causes are activities, principals are agents; the three sets are disjoint, as PROV asks.
"""

from collections.abc import Mapping
from urllib.parse import quote

from kg.values import Json
from kg.why import Why

#: Namespaces of the document; `noesis` names what only this platform knows.
PREFIXES = {"noesis": "urn:noesis:prov#", "xsd": "http://www.w3.org/2001/XMLSchema#"}
#: Relations between graph entities that PROV calls a derivation; the others are influences.
DERIVATIONS = frozenset({"used", "usedRule", "wasGeneratedBy", "wasDerivedFrom", "wasRevisionOf"})


def prov_json(answer: Why) -> dict[str, Json]:
    """The PROV-JSON document of an answer, as a JSON object."""
    document = _Document()
    document.entity(answer)
    return {"prefix": dict(PREFIXES), **{part: records for part, records in document.parts.items() if records}}


def qname(kind: str, *names: str) -> str:
    """The qualified name of a thing; characters that PROV-N would have to escape are percent-encoded."""
    return "noesis:" + "/".join([kind, *(quote(name, safe="-._") for name in names)])


def _typed(name: str) -> Json:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


class _Document:
    """The parts of a document as they fill up."""

    def __init__(self) -> None:
        names = ("entity", "activity", "agent", "wasGeneratedBy", "used", "wasAssociatedWith", "actedOnBehalfOf")
        self.parts: dict[str, dict[str, Json]] = {n: {} for n in (*names, "wasDerivedFrom", "wasInfluencedBy")}
        self._stated: set[str] = set()
        self._withheld = 0

    def _state(self, part: str, record: Mapping[str, Json]) -> None:
        """Add a relation once."""
        key = f"{part}{sorted(record.items(), key=lambda item: item[0])}"
        if key not in self._stated:
            self._stated.add(key)
            self.parts[part][f"_:{part}{len(self.parts[part]) + 1}"] = dict(record)

    def _hidden(self) -> str:
        self._withheld += 1
        name = qname("withheld", str(self._withheld))
        self.parts["entity"][name] = {"prov:label": "withheld"}
        return name

    def entity(self, node: Why) -> str:
        """An entity version and all below it; returns its id."""
        if node.withheld:
            return self._hidden()
        details = node.details
        name = self._version(details["id"], details["version"], details["cls"])
        attributes = self.parts["entity"][name]
        attributes["prov:label"] = node.label
        for key, form in details["properties"].items():
            attributes[qname("property", key)] = _literal(form)
        for child in node.children:
            if child.kind == "change":
                self._change(name, details, child)
            elif child.kind == "entity":
                self._related(name, child)
        return name

    def _version(self, id: str, version: int, cls: str) -> str:
        name = qname("entity", id, str(version))
        self.parts["entity"].setdefault(name, {"prov:type": _typed(qname("class", cls)), "noesis:version": version})
        return name

    def _related(self, name: str, child: Why) -> None:
        far = self.entity(child)
        relation: dict[str, Json] = {"noesis:relation": child.via}
        if child.via == "wasRevisionOf":
            relation["prov:type"] = _typed("prov:Revision")
        if child.via in DERIVATIONS:
            self._state("wasDerivedFrom", {"prov:generatedEntity": name, "prov:usedEntity": far, **relation})
        else:
            self._state("wasInfluencedBy", {"prov:influencee": name, "prov:influencer": far, **relation})

    def _change(self, name: str, details: Mapping[str, Json], node: Why) -> None:
        time = {} if node.withheld else {"prov:time": node.details["at"]}
        made = (
            self._hidden() if node.withheld else self._version(details["id"], node.details["version"], details["cls"])
        )
        if made != name:
            revision = {"prov:type": _typed("prov:Revision")}
            self._state("wasDerivedFrom", {"prov:generatedEntity": name, "prov:usedEntity": made, **revision})
        for child in node.children:
            if child.kind == "record":
                self._record(made, child)
            elif child.kind == "cause":
                activity = self._activity(child, time)
                self._state("wasGeneratedBy", {"prov:entity": made, "prov:activity": activity, **time})

    def _record(self, made: str, node: Why) -> None:
        if node.withheld:
            source = self._hidden()
        else:
            source = qname("record", node.node.removeprefix("record:"))
            self.parts["entity"][source] = {"prov:type": _typed("noesis:Record"), "prov:label": node.label}
        primary = {"prov:type": _typed("prov:PrimarySource")}
        self._state("wasDerivedFrom", {"prov:generatedEntity": made, "prov:usedEntity": source, **primary})

    def _activity(self, node: Why, time: Mapping[str, Json]) -> str:
        details = node.details
        name = qname("cause", details["id"])
        attributes = self.parts["activity"].setdefault(name, {})
        attributes |= {"prov:type": details["activity"], "noesis:reason": details["reason"]}
        if time:
            attributes["prov:endTime"] = time["prov:time"]
        agent = self._agent(details["agent"])
        self._state("wasAssociatedWith", {"prov:activity": name, "prov:agent": agent})
        if details["onBehalfOf"]:
            other = {"prov:responsible": self._agent(details["onBehalfOf"]), "prov:activity": name}
            self._state("actedOnBehalfOf", {"prov:delegate": agent, **other})
        for child in node.children:
            if child.kind == "entity" and child.via == "used":
                self._state("used", {"prov:activity": name, "prov:entity": self.entity(child)})
        return name

    def _agent(self, principal: str) -> str:
        name = qname("agent", principal)
        kind = {"User": "prov:Person", "Agent": "prov:SoftwareAgent", "Service": "prov:SoftwareAgent"}
        typed = kind.get(principal.split("::", 1)[0])
        self.parts["agent"][name] = {"prov:label": principal} | ({"prov:type": _typed(typed)} if typed else {})
        return name


def _literal(form: Json) -> Json:
    """A property's encoded form as a PROV-JSON literal, typed by XSD where XSD has the type."""
    if isinstance(form, list):
        return [_literal(item) for item in form]
    if not isinstance(form, dict):
        return form
    for tag, typed in (("decimal", "xsd:decimal"), ("date", "xsd:date"), ("instant", "xsd:dateTime")):
        if tag in form:
            return {"$": form[tag], "type": typed}
    if "money" in form:
        return f"{form['money']} {form['currency']}"
    if "duration" in form:
        return {"$": f"PT{form['duration'] / 1_000_000:.6f}S".replace("PT-", "-PT"), "type": "xsd:dayTimeDuration"}
    return str(next(iter(form.values())))
