"""Reads PROV-JSON (W3C Member Submission, 24 April 2013) into statements with every optional argument in its place.

Invariant: a term is a full address (a constant), ``?n`` (something that exists and is not named) or ``-`` (said to be absent, which
PROV allows for the activity of a derivation and the plan of an association). Bounded; refuses what is no PROV-JSON in a sentence.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from kg.errors import InputError

#: Statements of one document, bundles together.
STATEMENTS_MAX: Final = 100_000
ABSENT: Final = "-"
PROV: Final = "http://www.w3.org/ns/prov#"
#: Relation -> its arguments after the id, in the order of PROV-DM.
RELATIONS: Final[dict[str, tuple[str, ...]]] = {
    "wasGeneratedBy": ("entity", "activity", "time"),
    "used": ("activity", "entity", "time"),
    "wasInformedBy": ("informed", "informant"),
    "wasStartedBy": ("activity", "trigger", "starter", "time"),
    "wasEndedBy": ("activity", "trigger", "ender", "time"),
    "wasInvalidatedBy": ("entity", "activity", "time"),
    "wasDerivedFrom": ("generatedEntity", "usedEntity", "activity", "generation", "usage"),
    "wasAttributedTo": ("entity", "agent"),
    "wasAssociatedWith": ("activity", "agent", "plan"),
    "actedOnBehalfOf": ("delegate", "responsible", "activity"),
    "wasInfluencedBy": ("influencee", "influencer"),
    "specializationOf": ("specificEntity", "generalEntity"),
    "alternateOf": ("alternate1", "alternate2"),
    "hadMember": ("collection", "entity"),
    "mentionOf": ("specificEntity", "generalEntity", "bundle"),
}
OBJECTS: Final[dict[str, tuple[str, ...]]] = {"entity": (), "activity": ("startTime", "endTime"), "agent": ()}
#: Arguments that stay absent where they are not given; every other one exists.
_MAY_LACK: Final = {("wasDerivedFrom", "activity"), ("wasAssociatedWith", "plan")}
_DERIVED: Final = ("generation", "usage")
_PLAIN: Final = {"prefix", "bundle"}
#: xsd:dateTime, taken apart where a fraction of a second may stand.
_TIME: Final = re.compile(
    r"(-?(?:[1-9][0-9]{3,}|0[0-9]{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T"
    r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]|24:00:00))"
    r"(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its kind, its id, its arguments; `types` are the values of prov:type."""

    kind: str
    id: str
    arguments: tuple[str, ...]
    types: frozenset[str] = frozenset()


@dataclass(slots=True)
class Instance:
    """The statements of a document or of one of its bundles; `fresh` names something that exists."""

    name: str
    statements: list[Statement] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def fresh(self) -> str:
        """A new name for something that is not named."""
        return f"?{next(self._numbers)}"


def read(document: Any) -> list[Instance]:
    """The instances of a PROV-JSON document, the top level first; InputError where it is none."""
    if not isinstance(document, dict):
        raise InputError("a PROV-JSON document is an object; give one with members such as entity and activity")
    prefixes = _prefixes(document, {})
    made = [_instance("", document, prefixes)]
    for name, bundle in _members(document.get("bundle", {}), "bundle").items():
        inner = _members(bundle, f"bundle {name}")
        if "bundle" in inner:
            raise InputError(f"bundle {name[:40]!r} holds a bundle; PROV has them at the top level only")
        made.append(_instance(name, inner, _prefixes(inner, prefixes)))
    if sum(len(one.statements) for one in made) > STATEMENTS_MAX:
        raise InputError(f"the document has more than {STATEMENTS_MAX:,} statements; check its bundles one by one")
    return made


def _members(form: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(form, dict):
        raise InputError(f"{what} of a PROV-JSON document is an object; correct the file")
    return form


def _prefixes(document: Mapping[str, Any], outer: Mapping[str, str]) -> dict[str, str]:
    own = {str(name): str(iri) for name, iri in _members(document.get("prefix", {}), "prefix").items()}
    return {"prov": PROV, "xsd": "http://www.w3.org/2001/XMLSchema#", **outer, **own}


def _instance(name: str, document: Mapping[str, Any], prefixes: Mapping[str, str]) -> Instance:
    made = Instance(name)
    blanks: dict[str, str] = {}

    def term(text: Any) -> str:
        if not isinstance(text, str):
            raise InputError(f"{str(text)[:40]!r} is no name; a PROV-JSON name is a text such as ex:report")
        if text.startswith("_:"):
            return blanks.setdefault(text, made.fresh())
        return _address(text, prefixes)

    for kind, records in document.items():
        if kind in _PLAIN:
            continue
        if kind not in RELATIONS and kind not in OBJECTS:
            raise InputError(f"{kind!r} is no part of PROV-JSON; known are {', '.join([*OBJECTS, *RELATIONS])}")
        for id, several in _members(records, kind).items():
            for record in several if isinstance(several, list) else [several]:
                made.statements += _statements(made, kind, term(id), _members(record, f"{kind} {id}"), term)
    return made


def _address(text: str, prefixes: Mapping[str, str]) -> str:
    prefix, colon, local = text.partition(":")
    if colon and prefix in prefixes:
        text = prefixes[prefix] + local
    elif not colon and "default" in prefixes:
        text = prefixes["default"] + text
    # Taken for a constant, such a name would merge with what another one stands for, or count as absent.
    if text[:1] == "?" or text == ABSENT:
        raise InputError(f"{text[:40]!r} is no name; a PROV-JSON name is a text such as ex:report")
    return text


def _statements(made: Instance, kind: str, id: str, record: Mapping[str, Any], term: Any) -> Iterator[Statement]:
    types = frozenset(map(term, _names(record.get("prov:type"))))
    formals = OBJECTS[kind] if kind in OBJECTS else RELATIONS[kind]
    members = record.get("prov:entity") if kind == "hadMember" else None
    for member in members if isinstance(members, list) else [None]:
        given = {**record, "prov:entity": member} if member is not None else record
        yield Statement(kind, id, tuple(_argument(made, kind, name, given, term) for name in formals), types)


def _argument(made: Instance, kind: str, name: str, record: Mapping[str, Any], term: Any) -> str:
    value = record.get(f"prov:{name}")
    if value is not None:
        if "ime" in name and name.lower().endswith("time"):
            return f"time {_instant(value.get('$') if isinstance(value, dict) else value)}"
        found: str = term(value)
        return found
    if (kind, name) in _MAY_LACK:
        return ABSENT
    # Without an activity nothing says that there was one generation and one usage behind a derivation (PROV-DM, 5.2.1).
    if kind == "wasDerivedFrom" and name in _DERIVED and record.get("prov:activity") is None:
        return ABSENT
    return made.fresh()


def _instant(text: object) -> str:
    """One text for one instant, however its zone and its fraction are written."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f"{str(text)[:40]!r} is no time; PROV has times such as 2026-01-31T12:00:00Z")
    whole, fraction, zone = found.groups(default="")
    try:
        at = datetime.fromisoformat(whole + zone)
        whole = (at if at.tzinfo is None else at.astimezone(UTC)).isoformat()
    except (ValueError, OverflowError):
        # Years before 1 and beyond 9999, and 24:00, stay as they are written.
        if len(whole) == len("2026-01-31T12:00:00") and "T24" not in whole and "0001" < whole[:4] < "9999":
            raise InputError(f"{str(text)[:40]!r} is no time; there is no such day or zone") from None
        whole += zone
    return f"{whole}.{fraction.rstrip('0')}"


def _names(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and isinstance(one.get("$"), str):
            yield one["$"]
        elif isinstance(one, str):
            yield one
