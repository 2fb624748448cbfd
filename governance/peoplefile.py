"""Reads people.yaml: users, agents and services with roles and departments, checked line by line.

Invariant: what it returns is consistent: every role and department a principal names is declared in the file, and no name stands
twice. Writes nothing; `governance.people` does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from governance.errors import PeopleError
from governance.principals import GROUPS_MAX, NAME_MAX
from governance.yamlfile import Document, Item
from kg.unseen import unseen
from kg.values import Value

_KINDS: Final = {"users": "User", "agents": "Agent", "services": "Service"}
_FIELDS: Final = frozenset({"name", "label", "email", "person", "disabled", "roles", "departments"})
PEOPLE_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Person:
    """A principal as the file names it; `values` are the properties beside its name."""

    kind: str
    name: str
    values: Mapping[str, Value]
    roles: frozenset[str]
    departments: frozenset[str]


@dataclass(frozen=True, slots=True)
class People:
    """The content of a people file; `roles` and `departments` map each name to its properties."""

    principals: tuple[Person, ...]
    roles: Mapping[str, Mapping[str, Value]]
    departments: Mapping[str, Mapping[str, Value]]
    digest: str


def read_people(text: str, name: str = "people.yaml") -> People:
    """The people in a YAML text; PeopleError names file and line."""
    document = Document(text, name, PeopleError)
    fields = document.fields(document.root, frozenset({*_KINDS, "roles", "departments"}), "the file")
    roles = _groups(document, fields.get("roles"), "role")
    departments = _groups(document, fields.get("departments"), "department")
    people: dict[tuple[str, str], Person] = {}
    for section, kind in _KINDS.items():
        for item in document.items(fields.get(section), section):
            person = _person(document, item, kind, roles, departments)
            if (kind, person.name) in people:
                raise document.error(item.line, f"{kind} {person.name!r} stands there twice; keep one")
            people[kind, person.name] = person
    if len(people) > PEOPLE_MAX:
        raise PeopleError(
            f"{name}: {len(people):,} principals exceed {PEOPLE_MAX:,}; import them from a source instead"
        )
    return People(tuple(people.values()), roles, departments, hashlib.sha256(text.encode()).hexdigest())


def _groups(document: Document, section: Item | None, what: str) -> dict[str, dict[str, Value]]:
    groups: dict[str, dict[str, Value]] = {}
    for item in document.items(section, f"{what}s"):
        values: dict[str, Value] = {}
        if isinstance(item.value, dict):
            fields = document.fields(item, frozenset({"name", "label"}), what, frozenset({"name"}))
            name = _name(document, fields["name"], f"a {what}'s name")
            if "label" in fields:
                values["label"] = document.text(fields["label"], "a label", NAME_MAX)
        else:
            name = _name(document, item, f"a {what}'s name")
        if name in groups:
            raise document.error(item.line, f"{what} {name!r} stands there twice; keep one")
        groups[name] = values
    return groups


def _name(document: Document, item: Item, what: str) -> str:
    """A name as people will read it in approvals and reports."""
    name = document.text(item, what, NAME_MAX)
    if mark := unseen(name):
        raise document.error(item.line, f"{what} holds {mark}, which nobody sees; type the name anew")
    return name


def _person(
    document: Document, item: Item, kind: str, roles: Mapping[str, object], departments: Mapping[str, object]
) -> Person:
    fields = document.fields(item, _FIELDS, f"a {kind.lower()}", frozenset({"name"}))
    name = _name(document, fields["name"], "a name")
    values: dict[str, Value] = {
        field: document.text(fields[field], f"{field} of {name}", NAME_MAX)
        for field in ("label", "person")
        if field in fields
    }
    if "email" in fields:
        if kind != "User":
            raise document.error(fields["email"].line, f"{kind} {name!r} has no email; only users have")
        values["email"] = document.text(fields["email"], f"email of {name}", NAME_MAX)
    if "disabled" in fields:
        if not isinstance(fields["disabled"].value, bool):
            raise document.error(fields["disabled"].line, f"disabled of {name} must be true or false")
        values["disabled"] = fields["disabled"].value
    return Person(
        kind,
        name,
        values,
        _members(document, fields.get("roles"), "role", name, roles),
        _members(document, fields.get("departments"), "department", name, departments),
    )


def _members(
    document: Document, section: Item | None, what: str, name: str, known: Mapping[str, object]
) -> frozenset[str]:
    found = set()
    for item in document.items(section, f"{what}s of {name}"):
        group = document.text(item, f"a {what} of {name}", NAME_MAX)
        if group not in known:
            raise document.error(
                item.line, f"{name} has the {what} {group!r}, which the file does not declare; add it to {what}s"
            )
        found.add(group)
    if section is not None and len(found) > GROUPS_MAX:
        raise document.error(section.line, f"{name} has more than {GROUPS_MAX} {what}s; group them")
    return frozenset(found)
