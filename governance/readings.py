"""Readings: the record that somebody was told personal or labelled values as they are, and by which rules; never the values.

Invariant: what an operation notes is committed before its answer leaves, one record an operation however many rows it told. What
an agent reads is on record with its context, so it is not noted here; a masked value, or a form of one, is not told. Under
break-glass everything that is told is noted, labelled or not; other reads of people are counted where a rule's `@readings` says so.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from governance import tallies
from governance.principals import Principal
from governance.view import NEVER_SHOWN, REPEATING, GovernedView, Windows
from governance.windows import Window
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Cursor, Entity, Order, Put
from kg.ontology import Ontology
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore
from kg.values import Value
from kg.view import View

CLASS: Final = "Reading"
#: The road of commands.
CLI: Final = "cli"
#: Tries to count beside others.
TRIES_MAX: Final = 20
#: What stands for an entity that was told, beside its properties.
WHOLE: Final = "*"
#: Subjects that one record names; the digest covers those beyond.
SUBJECTS_MAX: Final = 1_000
#: Records that one question about a person looks through.
SCANNED_MAX: Final = 100_000


class Readings:
    """What one operation of one principal was told so far."""

    def __init__(self, ontology: Ontology, principal: Principal, view: View, channel: str) -> None:
        self._ontology = ontology
        self._principal = principal
        self._view = view
        self._channel = channel
        self._silent = principal.kind == "Agent"
        self._everything = bool(principal.under())
        self._labelled: dict[str, frozenset[str]] = {}
        self._told: dict[tuple[str, int], tuple[str, set[str]]] = {}
        self._rows: dict[tuple[str, int], tuple[str, Windows]] = {}
        self._written: set[tuple[str, int, str]] = set()

    def note(self, entity: Entity, *names: str) -> None:
        """Note those of an entity's properties that are personal or labelled and were told unmasked."""
        if self._silent:
            return
        told = {
            name for name in self._of(entity) & set(names) if name in entity.properties and name not in entity.masked
        }
        self._add(entity, told)

    def note_row(self, entity: Entity) -> None:
        """Note that an entity was told at all: by itself under break-glass, counted where its rule says so."""
        if self._everything:
            self._add(entity, {WHOLE})
        elif isinstance(self._view, GovernedView) and (windows := self._view.windows(entity)):
            self._rows[entity.id, entity.version] = (entity.cls, windows)

    def _add(self, entity: Entity, names: set[str]) -> None:
        new = {name for name in names if (entity.id, entity.version, name) not in self._written}
        if new:
            self._told.setdefault((entity.id, entity.version), (entity.cls, set()))[1].update(new)

    @property
    def pending(self) -> bool:
        """Whether something was noted that is not written yet."""
        return bool(self._told or self._rows)

    def note_all(self, entity: Entity) -> None:
        """Note an entity that was told whole."""
        self.note_row(entity)
        self.note(entity, *entity.properties)

    def _of(self, entity: Entity) -> frozenset[str]:
        # INVARIANT: under break-glass every reading is on record, one by one, of whatever it told.
        if self._everything:
            return frozenset(entity.properties)
        found = self._labelled.get(entity.cls)
        if found is None:
            cls = self._ontology.classes.get(entity.cls)
            known = cls.properties.values() if cls is not None else ()
            found = frozenset(
                prop.name
                for prop in known
                if prop.personal or (prop.sensitivity is not None and prop.sensitivity not in NEVER_SHOWN)
            )
            self._labelled[entity.cls] = found
        repeating = REPEATING.get(entity.cls)
        return found | repeating if repeating is not None and entity.get("labels") else found

    def commit(self, store: GraphStore, clock: Clock) -> None:
        """Write what was noted since the last time, if anything; whoever cannot write it must not answer."""
        if not self.pending:
            return
        for _ in range(TRIES_MAX):
            counted = tallies.rows(store, clock, self._principal, self._channel, self._counted()) if self._rows else []
            put = [self._record(clock.id())] if self._told else []
            cause = Cause(clock.id(), "read", self._principal.uid, self._principal.purpose) if put else None
            try:
                store.commit(put, cause, state=counted)
            except ConflictError:
                # Others counted in the same window meanwhile.
                continue
            self._written |= {(*key, name) for key, (_, names) in self._told.items() for name in names}
            self._told, self._rows = {}, {}
            return
        raise ConflictError("the reading met others at every try; ask again")

    def _counted(self) -> list[tallies.Counted]:
        """By rule and class how many entities were told of which nothing personal or labelled was."""
        single = {key[:2] for key in self._written} | self._told.keys()
        found: dict[tuple[str, Window], dict[str, int]] = {}
        for key, (cls, windows) in self._rows.items():
            for one in windows if key not in single else ():
                classes = found.setdefault(one, {})
                classes[cls] = classes.get(cls, 0) + 1
        return [(*one, classes) for one, classes in found.items()]

    def _record(self, id: str) -> Put:
        """The record of what was told of personal and labelled values."""
        subjects = [f"{id}@{version}" for id, version in sorted(self._told)]
        classes: dict[str, set[str]] = {}
        for cls, names in self._told.values():
            classes.setdefault(cls, set()).update(names)
        behalf, purpose = self._principal.on_behalf_of, self._principal.purpose
        values: dict[str, Value | None] = {
            "principal": self._principal.uid,
            "onBehalfOf": behalf.uid if behalf is not None else None,
            "purpose": purpose or None,
            "breakGlass": self._principal.under() or None,
            "channel": self._channel,
            "told": tuple(sorted(f"{cls}.{name}" for cls, names in classes.items() for name in names)),
            "rules": self._permits(classes),
            "subjects": tuple(subjects[:SUBJECTS_MAX]),
            "subjectCount": len(subjects),
            "subjectDigest": _digest(subjects) if len(subjects) > SUBJECTS_MAX else None,
        }
        kept = {name: value for name, value in values.items() if value is not None and value != ()}
        return Put(id, CLASS, kept)

    def _permits(self, classes: dict[str, set[str]]) -> tuple[str, ...]:
        if not isinstance(self._view, GovernedView):
            return ()
        return tuple(sorted({rule for cls, names in classes.items() for rule in self._view.permits(cls, names)}))


class NotingView:
    """Port View that notes what it lets through, for roads that tell whole entities; `commit` runs before they are told."""

    def __init__(self, view: View, readings: Readings, commit: Callable[[], None] = lambda: None) -> None:
        self._view = view
        self._readings = readings
        self._commit = commit

    @property
    def principal(self) -> str:
        """Who reads, as rules name it."""
        return self._view.principal

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        """Aligned with the input, as the view beneath sees it."""
        seen = self._view.see(entities)
        for entity in seen:
            if entity is not None:
                self._readings.note_all(entity)
        self._commit()
        return seen

    def classes(self, names: Sequence[str]) -> list[str]:
        """Those of the classes of which some entity may be visible."""
        return self._view.classes(names)


def readings_of(reader: Reader, id: str, first: int) -> list[Entity]:
    """The newest records that name an entity, as whoever asks may see them; looks through SCANNED_MAX records at most."""
    found: list[Entity] = []
    after: Cursor | None = None
    for _ in range(SCANNED_MAX // PAGE_MAX):
        page = reader.find(CLASS, order=Order(None, descending=True), after=after, first=PAGE_MAX)
        found += [one for one in page.items if _names(one, id)]
        after = page.next
        if after is None or len(found) >= first:
            break
    return found[:first]


def _names(reading: Entity, id: str) -> bool:
    subjects = reading.get("subjects", ())
    return isinstance(subjects, tuple) and any(str(one).rpartition("@")[0] == id for one in subjects)


def recorded(view: View, ontology: Ontology, principal: Principal, store: GraphStore, clock: Clock) -> NotingView:
    """The view of a command: what it lets through is on record before it is printed."""
    readings = Readings(ontology, principal, view, CLI)
    return NotingView(view, readings, lambda: readings.commit(store, clock))


def _digest(subjects: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(subjects).encode()).hexdigest()
