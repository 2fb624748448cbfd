"""The auditor's dossier: gathers what stands behind decisions, as one reader may see it, with the versions that were in force then.

Invariant: every entity here was seen through the reader's View (I10), in the version that the record names, never a later one;
what is denied is counted, what is cut by a bound is said. It reads only; `governance.answers` puts it into words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from governance.errors import DossierError
from kg.model import Cause, Change, Direction, Entity, Op, Order, Where
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore
from kg.view import View

#: Decisions of one dossier, and related entities of one decision by relation.
DECISIONS_MAX: Final = 100
RELATED_MAX: Final = 50
#: Changes of one cause that are taken in; of larger ones (a whole ingest) only those referred to.
CAUSE_MAX: Final = 200
CONTROLS_MAX: Final = 200


@dataclass(slots=True)
class Case:
    """One decision with what stands behind it and what followed. Versions are those of then."""

    decision: Entity
    cause: Cause
    at: datetime
    rules: list[Entity] = field(default_factory=list)
    used: list[Entity] = field(default_factory=list)
    proposals: list[Entity] = field(default_factory=list)
    siblings: list[Entity] = field(default_factory=list)
    conflicts: list[Entity] = field(default_factory=list)
    approvals: list[Entity] = field(default_factory=list)
    overrides: list[Entity] = field(default_factory=list)
    effects: list[Entity] = field(default_factory=list)
    controls: list[Entity] = field(default_factory=list)
    glass: list[Entity] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    withheld: int = 0

    def entities(self) -> Iterable[Entity]:
        """Every entity version in it, the decision first."""
        yield self.decision
        for some in (self.rules, self.used, self.proposals, self.siblings, self.conflicts, self.approvals):
            yield from some
        for some in (self.overrides, self.effects, self.controls, self.glass):
            yield from some


@dataclass(frozen=True, slots=True)
class Dossier:
    """The cases about one subject; `more` says that there are more decisions than are shown."""

    title: str
    cases: tuple[Case, ...]
    made: datetime
    head: int
    more: bool = False


def gather(
    store: GraphStore, view: View, subject: str, now: datetime, period: tuple[datetime, datetime] | None = None
) -> Dossier:
    """The dossier of a decision, a run, an agent, a person, an entity, or of a period (then `subject` only names it)."""
    found, title = _period(store, period) if period is not None else _decisions(store, subject)
    seen = [shown for shown in view.see(found[:DECISIONS_MAX]) if shown is not None]
    if not seen:
        raise DossierError(
            f"there is no decision about {subject[:80]!r} that you may see; give a decision, run, agent, person or period"
        )
    reader = _Reader(store, view)
    cases = tuple(reader.case(decision) for decision in seen)
    return Dossier(title, cases, now, store.head().position, len(found) > DECISIONS_MAX)


def _period(store: GraphStore, period: tuple[datetime, datetime]) -> tuple[list[Entity], str]:
    first, last = store.position_at(period[0]), store.position_at(period[1])
    after = first
    found: list[Entity] = []
    while after < last and len(found) <= DECISIONS_MAX:
        changes = store.changes(after, min(PAGE_MAX, last - after))
        if not changes:
            break
        after = changes[-1].position
        wanted = [(c.subject, c.version) for c in changes if c.cls == "Decision" and c.version == 1]
        found += list(store.versions(wanted).values())
    return found, f"decisions from {period[0]:%Y-%m-%d %H:%M} to {period[1]:%Y-%m-%d %H:%M} UTC"


def _decisions(store: GraphStore, subject: str) -> tuple[list[Entity], str]:
    history = store.history(subject)
    if history and history[-1].cls == "Decision":
        return [history[-1]], f"decision {subject}"
    newest = Order(None, descending=True)
    if history and history[-1].cls == "BreakGlass":
        under = store.find("Decision", [Where("breakGlass", Op.EQ, subject)], newest, None, DECISIONS_MAX + 1).items
        return list(under), f"BreakGlass {subject}"
    if history:
        near = {edge.entity.id: edge.entity for edge in _around(store, subject)}
        far = [
            edge.entity
            for id, e in list(near.items())
            if e.cls in {"Step", "Proposal", "Effect"}
            for edge in _around(store, id)
        ]
        found = {e.id: e for e in [*near.values(), *far] if e.cls == "Decision"}
        about = store.find("Decision", [Where("target", Op.EQ, subject)], newest, None, DECISIONS_MAX + 1).items
        found |= {entity.id: entity for entity in about}
        return sorted(found.values(), key=lambda e: -e.since), f"{history[-1].cls} {subject}"
    names = [subject] if "::" in subject else [f"{kind}::{subject}" for kind in ("User", "Agent", "Service")]
    found = {}
    for name in names:
        asked = store.find("Decision", [Where("principal", Op.EQ, name)], newest, None, DECISIONS_MAX + 1).items
        given = store.find("Approval", [Where("principal", Op.EQ, name)], newest, None, DECISIONS_MAX + 1).items
        answered = store.expand([e.id for e in given], "wasInformedBy", first=RELATED_MAX)
        found |= {e.id: e for e in [*asked, *(edge.entity for edges in answered.values() for edge in edges)]}
    return sorted(found.values(), key=lambda e: -e.since), f"principal {subject}"


def _around(store: GraphStore, id: str) -> list["_Far"]:
    relations = store.relations([id], first=RELATED_MAX)[id]
    ids = [relation.target if relation.source == id else relation.source for relation in relations]
    return [_Far(entity) for entity in store.get(ids).values()]


@dataclass(frozen=True, slots=True)
class _Far:
    entity: Entity


class _Reader:
    """Reads cases through one view."""

    def __init__(self, store: GraphStore, view: View) -> None:
        self._store = store
        self._view = view
        self._reader = Reader(store, view)

    def case(self, decision: Entity) -> Case:
        """Everything behind and after one decision."""
        change = self._store.changes(decision.since - 1, 1)[0]
        case = Case(decision, self._store.causes([change.cause])[change.cause], change.at)
        case.rules = self._versions(case, decision.get("rules", ()))
        case.used = self._versions(case, decision.get("used", ()))
        case.proposals = self._near(case, decision.id, "decidedBy", Direction.IN)
        case.approvals = self._near(case, decision.id, "wasInformedBy", Direction.IN)
        case.overrides = self._near(case, decision.id, "overrides", Direction.IN)
        for proposal in case.proposals:
            others = self._near(case, proposal.id, "decidedBy", Direction.OUT)
            case.siblings += [one for one in others if one.id != decision.id]
            case.conflicts += self._near(case, proposal.id, "conflictsWith", Direction.OUT)
            case.conflicts += self._near(case, proposal.id, "conflictsWith", Direction.IN)
            case.effects += self._near(case, proposal.id, "performs", Direction.IN)
        for sibling in case.siblings:
            case.approvals += self._near(case, sibling.id, "wasInformedBy", Direction.IN)
        then = self._store.find("Control", first=CONTROLS_MAX, at=decision.since).items
        case.controls = self._see(case, then)
        case.glass = self._see(case, list(self._store.get([str(decision.get("breakGlass", ""))]).values()))
        case.changes = self._followed(case)
        return case

    def _followed(self, case: Case) -> list[Change]:
        """The changes of the commits that carried the effects out."""
        found: dict[int, Change] = {}
        for effect in case.effects:
            for change in self._store.changes_of(effect.id, RELATED_MAX):
                made = self._store.caused(change.cause, CAUSE_MAX)
                found |= {one.position: one for one in made if one.cls not in {"Effect", "Proposal", "Decision"}}
        visible = {e.id for e in self._see(case, list(self._store.get([c.subject for c in found.values()]).values()))}
        return [found[position] for position in sorted(found) if found[position].subject in visible]

    def _versions(self, case: Case, names: object) -> list[Entity]:
        wanted = []
        for name in names if isinstance(names, tuple) else ():
            id, _, version = str(name).rpartition("@")
            if version.isdigit():
                wanted.append((id, int(version)))
        # INVARIANT I10: a version of then is not shown of what `get` denies now.
        found = self._reader.versions(wanted)
        shown = [found[key] for key in wanted if key in found]
        case.withheld += len(self._store.versions(wanted)) - len(shown)
        return shown

    def _near(self, case: Case, id: str, relation: str, direction: Direction) -> list[Entity]:
        edges = self._store.expand([id], relation, direction, first=RELATED_MAX)[id]
        return self._see(case, [edge.entity for edge in edges])

    def _see(self, case: Case, entities: Sequence[Entity]) -> list[Entity]:
        # INVARIANT I10: nothing goes into a dossier that its reader may not see.
        shown = [seen for seen in self._view.see(list(entities)) if seen is not None]
        case.withheld += len(entities) - len(shown)
        return shown
