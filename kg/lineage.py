"""Why a value is so: from an entity back through changes and causes to the records, rules, people and models behind it.

`why` asks `kg.ancestry` level by level and draws what was found as a tree: an entity version, the changes that set what it
holds, each with its source record, its cause, who acted for whom, and the entity versions used. Relations with PROV's names
are followed beside the inputs of causes, so decisions, proposals and approvals need no road of their own. Invariants: a
version is explained once; what the View denies stays in the structure as "withheld" and the words of a cause are shown only
where all it was made from is open to the reader (I10). Writes nothing.
"""

from dataclasses import replace

from kg.ancestry import VERSIONS_MAX, Ancestry, Facts, Key, Setter
from kg.errors import InputError
from kg.ingest.keys import SUBPART
from kg.model import Cause, Entity
from kg.prov import prov_json
from kg.reader import tells
from kg.store import GraphStore
from kg.values import Json, Value, encode, encode_properties, instant
from kg.view import View
from kg.why import TRUNCATED, WITHHELD, Why

__all__ = ["DEPTH_MAX", "prov_json", "why"]

#: Levels of one question; each is one step from an entity to what it was made from.
DEPTH_MAX = 50
#: Properties that name an entity for a person, in order of preference.
NAMES = ("name", "title", "label", "number", "subject")
#: Characters of a value or a name in a line of text.
SHORT = 60


def why(store: GraphStore, view: View, subject: str, property: str | None = None, depth: int = 10) -> Why:
    """Why an entity, one property of it or a decision is so, `depth` levels back; InputError where it is not visible."""
    if not 1 <= depth <= DEPTH_MAX:
        raise InputError(f"depth {depth} is outside 1 to {DEPTH_MAX}; choose one within")
    current = store.get([subject]).get(subject) or next(reversed(store.history(subject)), None)
    shown = view.see([current])[0] if current is not None else None
    if shown is None:
        raise InputError(f"there is no entity {subject!r} that you may see; check the id")
    if property is not None and property not in shown.properties and property not in shown.masked:
        held = ", ".join(sorted(shown.properties)) or "none"
        raise InputError(f"{shown.cls} {subject} has no property {property!r}; it has: {held}")
    ancestry = Ancestry(store, view)
    root = (shown.id, shown.version)
    frontier = ancestry.level([root], property)
    for _ in range(depth - 1):
        if not frontier:
            break
        frontier = ancestry.level(frontier)
    if frontier:
        ancestry.close(frontier)
    return _Drawing(ancestry).entity(root, "")


class _Drawing:
    """The tree in the making; remembers what it has explained."""

    def __init__(self, ancestry: Ancestry) -> None:
        self._ancestry = ancestry
        self._drawn: set[str] = set()

    def _first(self, node: str) -> bool:
        fresh = node not in self._drawn
        self._drawn.add(node)
        return fresh

    def entity(self, key: Key, via: str) -> Why:
        """An entity version with everything that was read behind it."""
        facts = self._ancestry.facts.get(key)
        if facts is None:
            gone = key in self._ancestry.missing
            label = (
                "… a version that is not in the store" if gone else "… further back (truncated: a limit was reached)"
            )
            return Why("", TRUNCATED, label, via=via)
        seen = facts.seen
        if seen is None:
            return Why("", "entity", WITHHELD, via=via, withheld=True)
        top = Why(f"entity:{key[0]}@{key[1]}", "entity", _label(seen), details=_details(seen), via=via)
        if not self._first(top.node):
            return replace(top, repeated=True)
        children = [self._change(seen, setter) for setter in facts.setters]
        children += [self.entity(end, name) for name, end in facts.related]
        children += _older(facts)
        return replace(top, children=tuple(children))

    def _change(self, seen: Entity, setter: Setter) -> Why:
        change = setter.change
        cause = self._cause(setter)
        if setter.secret:
            return Why("", "change", WITHHELD, (cause,), via="wasGeneratedBy", withheld=True)
        shown = {name: seen.properties[name] for name in setter.names if name in seen.properties}
        parts = [f"{name} = {_short(value)}" for name, value in shown.items()]
        if len(shown) < len(setter.names):
            parts.append(f"{len(setter.names) - len(shown)} {WITHHELD}")
        label = f"{change.kind} at {instant(change.at)}, position {change.position}"
        details: dict[str, Json] = {"position": change.position, "at": instant(change.at), "kind": str(change.kind)}
        details |= {"subject": change.subject, "version": change.version, "set": encode_properties(shown)}
        children = [cause]
        if change.origin is not None:
            if not tells(seen):
                record = Why("", "record", WITHHELD, via="hadPrimarySource", withheld=True)
            else:
                words = f"record {change.origin.replace(SUBPART, ' + ')}"
                record = Why(f"record:{change.origin}", "record", words, via="hadPrimarySource")
            children.insert(0, record)
        label += f": {', '.join(parts)}" if parts else ""
        return Why(f"change:{change.position}", "change", label, tuple(children), details, "wasGeneratedBy")

    def _cause(self, setter: Setter) -> Why:
        cause = self._ancestry.causes.get(setter.change.cause)
        if cause is None:
            return Why("", TRUNCATED, "… a cause that is not in the store", via="wasGeneratedBy")
        # INVARIANT I10: words may quote what they were made from, so they are as closed as the most closed input.
        closed = setter.secret or not all(self._ancestry.open((used.id, used.version)) for used in cause.inputs)
        words = f" (reason {WITHHELD})" if closed else f": {cause.reason}" if cause.reason else ""
        details: dict[str, Json] = {"id": cause.id, "activity": cause.activity, "agent": cause.agent}
        details |= {"onBehalfOf": cause.on_behalf_of, "reason": WITHHELD if closed else cause.reason}
        details["attributes"] = WITHHELD if closed else dict(cause.attributes)
        top = Why(f"cause:{cause.id}", "cause", cause.activity + words, details=details, via="wasGeneratedBy")
        if not self._first(top.node):
            return replace(top, repeated=True)
        used = [self.entity((used.id, used.version), "used") for used in cause.inputs]
        return replace(top, children=(_agent(cause), *used))


def _older(facts: Facts) -> list[Why]:
    label = f"… more than {VERSIONS_MAX} versions back (truncated: a limit was reached)"
    return [Why("", TRUNCATED, label)] if facts.older else []


def _agent(cause: Cause) -> Why:
    behalf = f" on behalf of {cause.on_behalf_of}" if cause.on_behalf_of else ""
    details = {"agent": cause.agent, "onBehalfOf": cause.on_behalf_of}
    return Why(f"agent:{cause.agent}", "agent", f"by {cause.agent}{behalf}", (), details, "wasAssociatedWith")


def _short(value: Value) -> str:
    form = encode(value)
    text = " ".join(str(part) for part in form.values()) if isinstance(form, dict) else repr(form)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def _label(entity: Entity) -> str:
    name = next((_short(entity.properties[n]) for n in NAMES if n in entity.properties), "")
    parts = [entity.cls, entity.id, name, f"v{entity.version}", "(closed)" if entity.closed else ""]
    return " ".join(part for part in parts if part)


def _details(entity: Entity) -> dict[str, Json]:
    return {
        "id": entity.id,
        "cls": entity.cls,
        "version": entity.version,
        "closed": entity.closed,
        "since": entity.since,
        "properties": encode_properties(entity.properties),
        "masked": sorted(entity.masked),
    }
