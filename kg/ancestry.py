"""What lies behind entity versions, read from the store a level at a time.

A level takes entity versions and reads what set their properties: the changes, their causes, and the versions that those
used or that provenance relations name, which are the next level. Invariants: a level costs a bounded number of store calls
however many versions it holds; a version is read once, so cycles end; what the View denies is kept as denied and nothing
behind it is read (I10). Draws no tree: that is `kg.lineage`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from kg.model import Cause, Change, Direction, Edge, Entity
from kg.store import PAGE_MAX, GraphStore
from kg.view import View

#: Entity versions explained in one answer.
ENTITIES_MAX = 500
#: Versions looked back at to find which change set a property.
VERSIONS_MAX = 50
#: Far entities of one provenance relation.
RELATED_MAX = 50
#: Changes between two wanted ones that are read along rather than asked for apart.
GAP_MAX = 8
#: Relations that say where an entity comes from, read from it outwards: W3C PROV-O's, then what governance and coordination
#: add. A relation property `version` names the version meant; else it is the current one.
PROVENANCE = (
    "used",
    "wasGeneratedBy",
    "wasDerivedFrom",
    "wasRevisionOf",
    "wasInformedBy",
    "wasAttributedTo",
    "wasAssociatedWith",
    "actedOnBehalfOf",
    "hadPlan",
    "usedRule",
    "decidedBy",
    "performs",
)
#: Relations that lead to an entity and explain it: the approvals of a decision.
INFORMING = ("wasInformedBy",)
#: Properties that list entity versions as ``id@version``.
REFERENCES = ("used", "evidence")

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Setter:
    """A change with those properties it set that the explained version still holds.

    `secret` says that the reader may not know of it: the version it made is denied, or all it set is masked.
    """

    change: Change
    names: tuple[str, ...]
    secret: bool


@dataclass(slots=True)
class Facts:
    """What is known of one entity version: as stored, as seen (None: denied), who set it, and what it is related to.

    `older` says that changes further back than VERSIONS_MAX were not looked at.
    """

    stored: Entity
    seen: Entity | None
    setters: list[Setter] = field(default_factory=list)
    related: list[tuple[str, Key]] = field(default_factory=list)
    older: bool = False


class Ancestry:
    """Facts by entity version and causes by id, growing level by level."""

    def __init__(self, store: GraphStore, view: View) -> None:
        self._store = store
        self._view = view
        self.facts: dict[Key, Facts] = {}
        self.causes: dict[str, Cause] = {}
        self.missing: set[Key] = set()
        self._open: dict[Key, bool] = {}

    def level(self, wanted: Sequence[Key], property: str | None = None) -> list[Key]:
        """Read these versions (of the given property only) and what is behind them; returns the next level."""
        room = max(ENTITIES_MAX - len(self.facts), 0)
        keys = [key for key in dict.fromkeys(wanted) if key not in self.facts][:room]
        visible = self._read(keys, property)
        self._relate(visible)
        causes = {setter.change.cause for key in visible for setter in self.facts[key].setters}
        self.causes |= self._store.causes(sorted(causes - self.causes.keys()))
        following: list[Key] = []
        for key in visible:
            for setter in self.facts[key].setters:
                cause = self.causes.get(setter.change.cause)
                following += [(used.id, used.version) for used in cause.inputs] if cause else []
            following += [end for _, end in self.facts[key].related]
        return [key for key in dict.fromkeys(following) if key not in self.facts]

    def close(self, unread: Sequence[Key]) -> None:
        """Note which versions of the level that is not read any more are wholly open to the reader."""
        stored = self._store.versions(unread[:ENTITIES_MAX])
        seen = self._view.see(list(stored.values()))
        denied = self._denied(sorted({id for id, _ in stored}))
        # INVARIANT I10: words about what is denied now are not told because an older version was open.
        self._open |= {
            key: s is not None and not s.masked and key[0] not in denied for key, s in zip(stored, seen, strict=True)
        }

    def open(self, key: Key) -> bool:
        """Whether the reader may see this version with every property; what was never read counts as not."""
        facts = self.facts.get(key)
        if facts is None:
            return self._open.get(key, False)
        return facts.seen is not None and not facts.seen.masked

    def _read(self, keys: Sequence[Key], property: str | None) -> list[Key]:
        """Keep the facts of these versions; returns those that are visible."""
        stored = self._store.versions([(id, w) for id, v in keys for w in range(max(1, v - VERSIONS_MAX + 1), v + 1)])
        seen = dict(zip(stored, self._view.see(list(stored.values())), strict=True))
        denied = self._denied(sorted({id for id, _ in keys}))
        setting: dict[Key, list[tuple[Entity, tuple[str, ...]]]] = {}
        for key in keys:
            if key not in stored:
                self.missing.add(key)
                continue
            id, version = key
            # INVARIANT I10: what `get` denies now is not told through an older version either.
            shown = None if id in denied else seen[key]
            self.facts[key] = Facts(stored[key], shown, older=version > VERSIONS_MAX)
            if shown is not None:
                back = range(max(1, version - VERSIONS_MAX + 1), version + 1)
                setting[key] = setters([stored[id, w] for w in back if (id, w) in stored], property)
        changes = self._changes_at({entity.since for made in setting.values() for entity, _ in made})
        for key, made in setting.items():
            for entity, names in made:
                if entity.since in changes:
                    shown = seen[entity.id, entity.version]
                    secret = shown is None or (bool(names) and set(names) <= shown.masked)
                    self.facts[key].setters.append(Setter(changes[entity.since], names, secret))
        return list(setting)

    def _denied(self, ids: Sequence[str]) -> set[str]:
        """Those ids whose newest version, the closing one of what is gone, the View denies."""
        newest = list(self._store.get(ids).values())
        gone = sorted(set(ids) - {entity.id for entity in newest})
        newest += [versions[-1] for id in gone if (versions := self._store.history(id))]
        return {entity.id for entity, seen in zip(newest, self._view.see(newest), strict=True) if seen is None}

    def _changes_at(self, positions: set[int]) -> dict[int, Change]:
        """The changes at these positions; near ones are read in one call."""
        runs: list[tuple[int, int]] = []
        for position in sorted(positions):
            if runs and position - runs[-1][1] <= GAP_MAX and position - runs[-1][0] < PAGE_MAX:
                runs[-1] = (runs[-1][0], position)
            else:
                runs.append((position, position))
        read = [change for first, last in runs for change in self._store.changes(first - 1, last - first + 1)]
        return {change.position: change for change in read}

    def _relate(self, keys: Sequence[Key]) -> None:
        """Follow provenance from these entities: one call a relation name, and the references they list themselves."""
        for key in keys:
            seen = self.facts[key].seen
            listed = [seen.get(name) for name in REFERENCES] if seen is not None else []
            items = [str(item) for value in listed if isinstance(value, tuple) for item in value]
            self.facts[key].related += [("used", end) for end in map(_reference, items) if end is not None]
        ids = sorted({id for id, _ in keys})
        follow = [(name, Direction.OUT) for name in PROVENANCE] + [(name, Direction.IN) for name in INFORMING]
        for name, direction in follow if ids else ():
            found = self._store.expand(ids, name, direction, first=RELATED_MAX)
            for key in keys:
                known = {end for _, end in self.facts[key].related}
                ends = [end for end in map(_far, found[key[0]]) if end not in known]
                self.facts[key].related += [(name, end) for end in ends]


def _far(edge: Edge) -> Key:
    version = edge.relation.properties.get("version")
    return edge.entity.id, version if isinstance(version, int) else edge.entity.version


def _reference(item: str) -> Key | None:
    id, _, version = item.rpartition("@")
    return (id, int(version)) if id and version.isdecimal() else None


def setters(line: Sequence[Entity], property: str | None) -> list[tuple[Entity, tuple[str, ...]]]:
    """Those of an entity's versions (oldest first) that set what the last holds, newest first, each with what it set."""
    last = line[-1]
    names = set(last.properties) if property is None else {property}
    found: list[tuple[Entity, tuple[str, ...]]] = [(last, ())] if last.closed else []
    for before, after in reversed(list(pairwise(line))):
        fresh = before.closed and not after.closed
        setting = {name for name in names if fresh or _differs(before, after, name)}
        if setting:
            found.append((after, tuple(sorted(setting))))
            names -= setting
    if line[0].version == 1 and (names or not last.properties):
        found.append((line[0], tuple(sorted(names))))
    return found


def _differs(before: Entity, after: Entity, name: str) -> bool:
    old, new = before.get(name), after.get(name)
    return type(old) is not type(new) or old != new
