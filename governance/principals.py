"""Principals: who acts. A Principal is read from a User, Agent or Service entity with its roles and departments of this moment.

Invariant: roles and departments come from relations of the graph, never from a request. A principal that acts on behalf of
another carries that one along, so that the right is the intersection. Knows nothing of tokens or keys.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from json.encoder import encode_basestring as quote
from typing import Final

from governance.errors import PrincipalError
from governance.kept import kept
from kg.model import Entity, Op, Where
from kg.store import GraphStore, Head

KINDS: Final = ("User", "Agent", "Service")
#: Longest chain of "on behalf of"; a longer one is refused, so that no loop is walked.
CHAIN_MAX: Final = 8
#: Roles and departments of one principal.
GROUPS_MAX: Final = 200
NAME_MAX: Final = 200
_PURPOSE: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,99}\Z")
_UID = re.compile(r'(User|Agent|Service)::("(?:[^"\\]|\\.)*"|[^"\\]+)\Z')


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, agent or service. `id` is its name in rules (``User::"anna"``), `entity` the opaque id of its entity if loaded.

    `person` names the natural person behind an identity, where one person has several; two identities with the same
    `person` count as one wherever approvers are counted. `purpose` says what it reads for now, by its own word; rules may ask.
    `break_glass` is the id of the opening it acts under, which only `governance.breakglass.carried` says.
    `version` is the entity's, read before the roles and rising when they change: who expects it acts on what was read.
    """

    kind: str
    id: str
    roles: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    on_behalf_of: "Principal | None" = None
    person: str | None = None
    entity: str | None = None
    purpose: str = ""
    break_glass: str = ""
    version: int = field(default=0, compare=False)

    @property
    def uid(self) -> str:
        """The principal as Cedar writes it, e.g. ``User::"anna"``."""
        return f"{self.kind}::{quote(self.id)}"

    def chain(self) -> Iterator["Principal"]:
        """The principal, the one it acts for, and so on; raises PrincipalError beyond CHAIN_MAX."""
        current: Principal | None = self
        for _ in range(CHAIN_MAX):
            if current is None:
                return
            yield current
            current = current.on_behalf_of
        if current is not None:
            raise PrincipalError(
                f"{self.uid} acts on behalf of more than {CHAIN_MAX} others in a row; shorten the chain"
            )

    def identities(self) -> frozenset[str]:
        """Every identity involved: each uid of the chain and each natural person behind one."""
        return frozenset(
            name for link in self.chain() for name in (link.uid, link.person and f"person:{link.person}") if name
        )

    def under(self) -> str:
        """The id of the break-glass under which this request is made; empty where somebody acts for another, whoever that is."""
        return self.break_glass if self.kind == "User" and self.on_behalf_of is None else ""

    def responsible(self) -> str:
        """The one who answers for it: the natural person at the end of the chain, or that identity itself."""
        *_, last = self.chain()
        return f"person:{last.person}" if last.person else last.uid


def with_purpose(principal: Principal, purpose: str) -> Principal:
    """The principal, reading for a purpose; PrincipalError where it is no word such as ``support-ticket``."""
    if not _PURPOSE.match(purpose):
        raise PrincipalError(
            f"{purpose[:40]!r} is no purpose; write lower-case letters, digits, dots, colons and dashes, at most 100"
        )
    return replace(principal, purpose=purpose)


def parse_uid(uid: str) -> tuple[str, str]:
    """The kind and name in ``User::"anna"`` (or ``User::anna``); raises PrincipalError for any other text."""
    match = _UID.match(uid) if len(uid) <= 2 * NAME_MAX else None
    if match is None:
        raise PrincipalError(
            f'{uid[:80]!r} names no principal; write it as User::"name", Agent::"name" or Service::"name"'
        )
    kind, name = match.groups()
    try:
        return kind, json.loads(name) if name.startswith('"') else name
    except ValueError:
        raise PrincipalError(f'{uid[:80]!r} is badly quoted; write it as {kind}::"name"') from None


def load_principal(
    store: GraphStore, uid: str, *, on_behalf_of: Principal | None = None, end: Head | None = None
) -> Principal:
    """The principal of this uid with the roles and departments it has now; raises PrincipalError where it is unknown or unclear.

    With the `end` of the log, what was read before serves again where nothing of it changed up to there.
    """
    kind, name = parse_uid(uid)
    if end is None:
        found, _ = _looked_up(store, kind, name)
    else:
        found = kept(store, end, (kind, name), {kind}, lambda: _looked_up(store, kind, name))
    if isinstance(found, str):
        raise PrincipalError(found)
    return found if on_behalf_of is None else replace(found, on_behalf_of=on_behalf_of)


def _looked_up(store: GraphStore, kind: str, name: str) -> tuple[Principal | str, frozenset[str]]:
    """The principal, or why there is none, and the ids of the entities that say so."""
    found = [e for e in store.find(kind, [Where("name", Op.EQ, name)], first=2).items if e.cls == kind]
    if not found:
        return f"no {kind} is called {name[:80]!r}; add it to people.yaml", frozenset()
    if len(found) > 1:
        return f"several entities of class {kind} are called {name[:80]!r}; close all but one", frozenset()
    entity = found[0]
    if entity.get("disabled") is True:
        return f"{kind} {name[:80]!r} is disabled; an administrator can enable it", frozenset()
    person = entity.get("person")
    roles, departments = _near(store, entity.id, "hasRole"), _near(store, entity.id, "inDepartment")
    principal = Principal(
        kind,
        name,
        _names(roles),
        _names(departments),
        person=str(person) if person is not None else None,
        entity=entity.id,
        version=entity.version,
    )
    return principal, frozenset((entity.id, *(one.id for one in (*roles, *departments))))


def _near(store: GraphStore, id: str, relation: str) -> list[Entity]:
    return [edge.entity for edge in store.expand([id], relation, first=GROUPS_MAX)[id]]


def _names(groups: Sequence[Entity]) -> frozenset[str]:
    return frozenset(str(group["name"]) for group in groups if "name" in group.properties)
