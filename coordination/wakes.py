"""A Wake says which change of the graph an agent senses: class, kind, properties, condition, relation, subject.

Invariant: a wake compares what matters now with what was last seen (the entity as it stood at the feed's cursor), so a change
that is undone within one batch, or that touches only other properties, wakes nobody. Does not read the store; `feed` does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kg.errors import InputError
from kg.model import Direction, Entity, Kind

ENTITY_KINDS = frozenset({Kind.CREATED.value, Kind.UPDATED.value, Kind.CLOSED.value})
RELATION_KINDS = frozenset({Kind.LINKED.value, Kind.UNLINKED.value})
#: Neighbours one change may wake an agent on; the rest are left out and counted.
NEIGHBOURS_MAX = 100

Condition = Callable[[Entity | None, Entity], bool]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Redirects a wake to the entities across a relation, at most NEIGHBOURS_MAX each; `then` goes one step further."""

    relation: str
    direction: Direction = Direction.OUT
    then: "Neighbour | None" = None


Subject = Neighbour | Callable[[Entity], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Wake:
    """What an agent senses. `condition(before, now)` sees the entity as last seen (None: it was not there) and as it is.

    With `properties`, an update counts only where one of them differs. With `relation`, the wake is about edges of that name
    that leave entities of `cls`: `on` is then of linked and unlinked (linked where not said). For `closed`, `now` is the
    closing version. `subject` names who the agent acts on instead: a Neighbour, or a function that gives entity ids.
    """

    cls: str
    on: frozenset[str] = frozenset({"created", "updated"})
    properties: tuple[str, ...] = ()
    relation: str | None = None
    condition: Condition | None = field(default=None, compare=False)
    subject: Subject | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        on = frozenset(str(kind) for kind in self.on)
        if self.relation is not None and on == frozenset({"created", "updated"}):
            on = frozenset({Kind.LINKED.value})
        allowed = RELATION_KINDS if self.relation is not None else ENTITY_KINDS
        if not on or not on <= allowed:
            raise InputError(f"a wake on {self.cls} names {sorted(on)}; use some of {sorted(allowed)}")
        object.__setattr__(self, "on", on)

    def matches(self, before: Entity | None, now: Entity | None) -> Kind | None:
        """How the entity's change wakes, or None: both versions compared in what matters, then the condition."""
        kind = net(before, now)
        if now is None or kind is None or kind.value not in self.on:
            return None
        if kind is Kind.UPDATED and before is not None and not self._differs(before, now):
            return None
        return kind if self.condition is None or self.condition(before, now) else None

    def matches_edge(self, kind: Kind, before: Entity | None, now: Entity | None) -> bool:
        """Whether an edge made or ended at this entity wakes."""
        if kind.value not in self.on or now is None:
            return False
        return self.condition is None or self.condition(before, now)

    def _differs(self, before: Entity, now: Entity) -> bool:
        names = self.properties or tuple({*before.properties, *now.properties})
        return any(before.get(name) != now.get(name) for name in names)


def net(before: Entity | None, now: Entity | None) -> Kind | None:
    """What happened on the whole between two looks at one entity; a closing version counts as gone."""
    here = now is not None and not now.closed
    if before is None or before.closed:
        return Kind.CREATED if here else None
    if now is None or not here:
        return Kind.CLOSED
    return Kind.UPDATED if before.version != now.version else None
