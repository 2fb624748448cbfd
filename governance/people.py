"""Writes people.yaml into the graph: users, agents, services with their roles and departments.

Invariant: importing the same file again changes nothing (I3); for whoever the file names, roles and departments become exactly
those of the file; whoever it does not name stays as is. `governance.peoplefile` reads and checks the file.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from governance.peoplefile import People, Person
from governance.principals import GROUPS_MAX, KINDS, Principal
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Commit, Link, Op, Put, StateWrite, Unlink, Where, Write
from kg.store import GraphStore
from kg.values import Value, canonical

ATTEMPTS_MAX: Final = 5
#: Machine rows that hold the one id of each name, so that two imports at once cannot make two of one; as ingest does.
KEY: Final = "key"
_RELATIONS: Final = (("hasRole", "roles", "Role"), ("inDepartment", "departments", "Department"))


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: entities of the file, and the changes it took to make the graph agree with it."""

    named: int
    changes: int


def import_people(store: GraphStore, clock: Clock, people: People, author: Principal) -> Imported:
    """Make the graph agree with a people file, in one commit; nothing is written where it does already."""
    for _ in range(ATTEMPTS_MAX):
        plan = _Plan(store, clock)
        writes = plan.writes(people)
        named = len(people.principals) + len(people.roles) + len(people.departments)
        if not writes:
            return Imported(named, 0)
        cause = Cause(clock.id(), "people.import", author.uid, f"people file {people.digest[:12]}")
        try:
            commit: Commit = store.commit(writes, cause, plan.expects, plan.state)
        except ConflictError:
            continue
        return Imported(named, max(0, commit.last - commit.first + 1))
    raise ConflictError("people were changed by others at every try; run the import again")


def ensure_principal(
    store: GraphStore, clock: Clock, kind: str, name: str, author: Principal, *, roles: Sequence[str] = (),
    departments: Sequence[str] = (),
) -> str:  # fmt: skip
    """The entity id of a principal, made with these roles and departments (and those made too) where it does not exist yet."""
    found = store.find(kind, [Where("name", Op.EQ, name)], first=1).items
    if not found:
        person = Person(kind, name, {}, frozenset(roles), frozenset(departments))
        import_people(store, clock, People((person,), _bare(roles), _bare(departments), ""), author)
        found = store.find(kind, [Where("name", Op.EQ, name)], first=1).items
    return found[0].id


def _bare(names: Sequence[str]) -> dict[str, Mapping[str, Value]]:
    return {name: {} for name in names}


class _Plan:
    """Compares a people file with the graph and collects the writes that make them agree."""

    def __init__(self, store: GraphStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ids: dict[tuple[str, str], str] = {}
        self._there: set[tuple[str, str]] = set()
        self.expects: dict[str, int] = {}
        self.state: list[StateWrite] = []

    def writes(self, people: People) -> list[Write]:
        """Every write needed, groups first."""
        writes: list[Write] = []
        for cls, groups in (("Role", people.roles), ("Department", people.departments)):
            for name, values in groups.items():
                writes += self._entity(cls, name, values)
        for person in people.principals:
            writes += self._entity(person.kind, person.name, person.values)
        for person in people.principals:
            writes += self._relations(person)
        return writes

    def _entity(self, cls: str, name: str, values: Mapping[str, Value]) -> Iterator[Write]:
        found = self._store.find(cls, [Where("name", Op.EQ, name)], first=1).items
        if found:
            entity = found[0]
            self._ids[cls, name] = entity.id
            self._there.add((cls, name))
            changed = {key: value for key, value in values.items() if entity.get(key) != value}
            gone = frozenset(_optional(cls)) & entity.properties.keys() - values.keys()
            if changed or gone:
                self.expects[entity.id] = entity.version
                yield Put(entity.id, cls, changed, gone)
            return
        key = f"{cls}\x1fname\x1f{name}"
        row = self._store.state(KEY, [key]).get(key)
        id = str(row.value["id"]) if row is not None else self._clock.id()
        if row is None:
            self.state.append(StateWrite(KEY, key, {"id": id}, ABSENT))
        self._ids[cls, name] = id
        yield Put(id, cls, {"name": name, **values})

    def _relations(self, person: Person) -> Iterator[Write]:
        id, changed = self._ids[person.kind, person.name], False
        for relation, attribute, cls in _RELATIONS:
            wanted = {self._ids[cls, name] for name in getattr(person, attribute)}
            current = {edge.entity.id for edge in self._store.expand([id], relation, first=GROUPS_MAX)[id]}
            yield from (Link(id, relation, target) for target in sorted(wanted - current))
            yield from (Unlink(id, relation, target) for target in sorted(current - wanted))
            changed = changed or wanted != current
        if changed and (person.kind, person.name) in self._there:
            # INVARIANT I4: relations bump no version, and what was decided on roles expects the version of whoever has them.
            yield Put(id, person.kind, {"groups": _groups(person)})


def _groups(person: Person) -> str:
    """A digest of the roles and departments of a principal."""
    text = canonical([sorted(person.roles), sorted(person.departments)])
    return hashlib.sha256(text.encode()).hexdigest()


def _optional(cls: str) -> tuple[str, ...]:
    """Properties that the file decides alone: absent there, absent in the graph. Not `disabled`: silence enables nobody."""
    return ("label", "email", "person") if cls in KINDS else ("label",)
