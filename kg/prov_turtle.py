"""PROV-O (W3C Recommendation, 30 April 2013) in Turtle, of a PROV-JSON document as `kg.prov` makes it.

Invariant: the same document gives the same text; every name and literal is escaped, so no value can add a statement. Relations
that carry more than their two ends (a time, a type, attributes) also get PROV-O's qualified form.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kg.values import Json

CLASSES: Final = {"entity": "prov:Entity", "activity": "prov:Activity", "agent": "prov:Agent"}
#: Relation -> subject key, object key, unqualified property, qualified property, its class, the property that leads to the object.
RELATIONS: Final = {
    "wasGeneratedBy": ("entity", "activity", "wasGeneratedBy", "qualifiedGeneration", "Generation", "activity"),
    "used": ("activity", "entity", "used", "qualifiedUsage", "Usage", "entity"),
    "wasAssociatedWith": ("activity", "agent", "wasAssociatedWith", "qualifiedAssociation", "Association", "agent"),
    "actedOnBehalfOf": ("delegate", "responsible", "actedOnBehalfOf", "qualifiedDelegation", "Delegation", "agent"),
    "wasDerivedFrom": (
        "generatedEntity",
        "usedEntity",
        "wasDerivedFrom",
        "qualifiedDerivation",
        "Derivation",
        "entity",
    ),
    "wasInfluencedBy": ("influencee", "influencer", "wasInfluencedBy", "qualifiedInfluence", "Influence", "influencer"),
}
_LOCAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def turtle(document: Mapping[str, Json]) -> str:
    """The Turtle text of a PROV-JSON document."""
    prefixes: Mapping[str, str] = document["prefix"]
    known = {**prefixes, "prov": "http://www.w3.org/ns/prov#", "rdfs": "http://www.w3.org/2000/01/rdf-schema#"}
    lines = [f"@prefix {name}: <{_iri(iri)}> ." for name, iri in sorted(known.items())] + [""]
    for part, cls in CLASSES.items():
        for name, attributes in sorted(document.get(part, {}).items()):
            lines += _described(_name(name, known), [cls], attributes, known)
    for part, shape in RELATIONS.items():
        for record in document.get(part, {}).values():
            lines += _related(record, shape, known)
    return "\n".join(lines) + "\n"


def _described(name: str, types: Sequence[str], attributes: Mapping[str, Json], known: Mapping[str, str]) -> list[str]:
    parts = [f"a {', '.join([*types, *_types(attributes, known)])}"]
    parts += _attributes(attributes, known)
    return [name + " " + " ;\n    ".join(parts) + " .", ""]


def _related(record: Mapping[str, Json], shape: tuple[str, ...], known: Mapping[str, str]) -> list[str]:
    subject, target, plain, qualified, cls, leads = shape
    ends = {f"prov:{subject}", f"prov:{target}"}
    first, last = _name(record[f"prov:{subject}"], known), _name(record[f"prov:{target}"], known)
    lines = [f"{first} prov:{plain} {last} ."]
    more = {name: value for name, value in record.items() if name not in ends}
    if more:
        parts = [
            f"a {', '.join([f'prov:{cls}', *_types(more, known)])}",
            f"prov:{leads} {last}",
            *_attributes(more, known),
        ]
        lines.append(f"{first} prov:{qualified} [ {' ; '.join(parts)} ] .")
    return [*lines, ""]


def _types(attributes: Mapping[str, Json], known: Mapping[str, str]) -> list[str]:
    return [_name(v["$"], known) for v in _all(attributes.get("prov:type")) if isinstance(v, dict) and "$" in v]


def _attributes(attributes: Mapping[str, Json], known: Mapping[str, str]) -> list[str]:
    renamed = {"prov:label": "rdfs:label", "prov:time": "prov:atTime", "prov:endTime": "prov:endedAtTime"}
    renamed |= {"prov:startTime": "prov:startedAtTime", "prov:activity": "prov:hadActivity"}
    parts = []
    for name, value in sorted(attributes.items()):
        for one in _all(value):
            if name == "prov:type":
                if not isinstance(one, dict):
                    parts.append(f"noesis:activity {_quoted(str(one))}")
            elif name == "prov:activity":
                parts.append(f"prov:hadActivity {_name(one, known)}")
            else:
                term = _name(renamed.get(name, name), known)
                timed = name in {"prov:time", "prov:startTime", "prov:endTime"}
                parts.append(f"{term} {_literal({'$': one, 'type': 'xsd:dateTime'} if timed else one, known)}")
    return parts


def _all(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else [value]


def _literal(value: Any, known: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict) and "$" in value:
        if value.get("type") == "prov:QUALIFIED_NAME":
            return _name(value["$"], known)
        kind = value.get("type")
        return _quoted(str(value["$"])) + (f"^^{_name(kind, known)}" if kind else "")
    return _quoted(str(value))


def _quoted(text: str) -> str:
    made = "".join(_ESCAPES.get(ch) or (ch if ch >= " " else f"\\u{ord(ch):04X}") for ch in text)
    return f'"{made}"'


def _name(name: str, known: Mapping[str, str]) -> str:
    prefix, _, local = str(name).partition(":")
    if prefix in known and _LOCAL.match(local) and not local.endswith("."):
        return f"{prefix}:{local}"
    return f"<{_iri(known.get(prefix, prefix + ':') + local)}>"


def _iri(text: str) -> str:
    return "".join(ch if ch > " " and ch not in '<>"{}|^`\\' else f"%{ord(ch):02X}" for ch in text)
