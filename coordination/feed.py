"""Feed: reads the change log once, in order, and turns what wakes an agent into work.

Invariants: I2 is kept by the store, and the cursor moves in the commit that records the work, so no change is skipped or used
twice; I7 that commit also rewrites the reader's lease at the revision it read, so a stale reader writes nothing. The feed
does not act: it decides who should, comparing entities as they stood at the cursor with how they stand at the batch's end.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from coordination import leases, works
from coordination.acting import Acting, AgentCard
from coordination.bounds import Bounds
from coordination.exclusive import alone
from coordination.routing import Router
from coordination.wakes import NEIGHBOURS_MAX, RELATION_KINDS, Neighbour, Wake
from coordination.works import Work, micros
from kg import tracing
from kg.clock import Clock
from kg.errors import ConflictError, ShapeError
from kg.model import ABSENT, Cause, Change, Entity, Kind, Put, StateWrite
from kg.store import GraphStore, Schema

CURSOR: Final = ("cursor", "coordination")
LEASE: Final = (leases.KIND, "feed")

#: Work that follows from a change of a platform class whatever agents there are, e.g. an Approval settles its proposal.
Reaction = Callable[[Change, Entity], Sequence[Work]]
Listeners = Mapping[str, Sequence[tuple[AgentCard, Wake]]]
Match = tuple[AgentCard, Wake, Change]
#: A wake that raised, at which change, and the fault in words.
Broken = tuple[AgentCard, Change, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some changes with the entities they touch, as last seen and as they are."""

    after: int
    changes: Sequence[Change]
    before: Mapping[str, Entity]
    now: Mapping[str, Entity]
    depths: Mapping[str, int]
    #: The trace of each cause that carries one.
    traces: Mapping[str, str]

    @property
    def end(self) -> int:
        """The position of the last change."""
        return self.changes[-1].position


@dataclass(slots=True)
class Feed:
    """One reader of the change log; any number may exist, one at a time moves the cursor."""

    store: GraphStore
    clock: Clock
    schema: Schema
    acting: Acting
    bounds: Bounds
    reactions: Mapping[str, Reaction] = field(default_factory=dict)
    holder: str = ""
    #: Who chooses where several agents declare a capability as theirs alone; none: every one acts.
    router: Router | None = None
    #: Whether this reader had the lease when it last looked.
    leading: bool = False
    _cards: Mapping[str, AgentCard] | None = None
    _listeners: Listeners = field(default_factory=dict)
    _routings: list[Put] = field(default_factory=list)
    #: The traces of the work that the last step made, for its messages.
    traces: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.holder = self.holder or self.clock.id()

    def step(self) -> tuple[int, list[str]]:
        """Take the next batch: how many changes were read, and the ids of the work they made."""
        for _ in range(self.bounds.race_tries_max):
            try:
                return self._step()
            except ConflictError:
                continue
        return 0, []

    def _step(self) -> tuple[int, list[str]]:
        rows = {kind: self.store.state(kind, [key]).get(key) for kind, key in (CURSOR, LEASE)}
        now = micros(self.clock.now())
        lease = leases.claim(rows[LEASE[0]], LEASE[1], self.holder, now, self.bounds.feed_lease_seconds)
        self.leading = lease is not None
        if lease is None:
            return 0, []
        cursor = rows["cursor"]
        after = int(cursor.value) if cursor else 0
        changes = self.store.changes(after, self.bounds.batch)
        if not changes:
            if not leases.fresh(rows[LEASE[0]], self.holder, now):
                self.store.commit([], None, state=[lease])
            return 0, []
        carried = self._carried(changes)
        made = self._work(after, changes, carried)
        while len(made) > self.bounds.batch_work_max and len(changes) > 1:
            changes = changes[: len(changes) // 2]
            made = self._work(after, changes, carried)
        made = [_traced(work) for work in made]
        fresh = works.new(self.store, self.clock, made)
        moved = StateWrite(*CURSOR, changes[-1].position, expect=cursor.revision if cursor else ABSENT)
        # INVARIANT I7: cursor, lease and work in one commit, each at the revision that was read.
        cause = _routed(self.clock, self._routings) if self._routings else None
        self.store.commit(self._routings, cause, state=[lease, moved, *fresh, *_read(changes, carried)])
        for row in fresh:
            if row.value and row.value["state"] == works.FAILED:
                tracing.count(tracing.ASIDE, task=row.value["task"])
        self.traces = {work.id: work.trace for work in made if work.trace}
        return len(changes), [row.key for row in fresh if row.value and row.value["state"] == works.READY]

    def _carried(self, changes: Sequence[Change]) -> dict[str, str]:
        """The traces that came with these changes, by cause."""
        if not tracing.listening():
            return {}
        rows = self.store.state(tracing.CARRIED, list(dict.fromkeys(change.cause for change in changes)))
        return {cause: str(row.value) for cause, row in rows.items()}

    def _work(self, after: int, changes: Sequence[Change], carried: Mapping[str, str]) -> list[Work]:
        listeners = self._index()
        self._routings = []
        relevant = [change for change in changes if change.cls in listeners or change.cls in self.reactions]
        if not relevant:
            return []
        batch = self._look(after, relevant, changes[-1].position, carried)
        made = self._woken(batch, listeners)
        for change in relevant:
            reaction, entity = self.reactions.get(change.cls), batch.now.get(change.subject)
            if reaction is not None and entity is not None:
                trace = carried.get(change.cause, "")
                made.extend(replace(item, trace=trace) for item in reaction(change, entity))
        return made

    def _look(self, after: int, changes: Sequence[Change], end: int, carried: Mapping[str, str]) -> Batch:
        ids = list(dict.fromkeys(change.subject for change in changes))
        before = self.store.get(ids, at=after) if after else {}
        now = self.store.get(ids, at=end)
        closings = [(c.subject, c.version) for c in changes if c.kind is Kind.CLOSED and c.subject not in now]
        now |= {id: entity for (id, _), entity in self.store.versions(closings).items()} if closings else {}
        causes = self.store.causes(list(dict.fromkeys(change.cause for change in changes)))
        depths = {id: int(cause.attributes.get("depth", 0)) for id, cause in causes.items()}
        return Batch(after, changes, before, now, depths, carried)

    def _woken(self, batch: Batch, listeners: Listeners) -> list[Work]:
        """One work for each agent and subject, at the last change that matters to it."""
        matched, broken = _matches(batch, listeners)
        subjects, astray = self._subjects(matched, batch)
        made = [self._act(card, change.subject, change, batch, fault) for card, change, fault in (*broken, *astray)]
        merged: dict[tuple[str, str], tuple[AgentCard, Change]] = {}
        for (card, _, change), ids in zip(matched, subjects, strict=True):
            for id in ids:
                earlier = merged.get((card.name, id))
                if earlier is None or earlier[1].position < change.position:
                    merged[card.name, id] = (card, change)
        if self.router is not None:
            self._routings = alone(self.router, merged)
        return made + [self._act(card, id, change, batch) for (_, id), (card, change) in merged.items()]

    def _act(self, card: AgentCard, subject: str, change: Change, batch: Batch, fault: str = "") -> Work:
        depth = batch.depths.get(change.cause, 0)
        if depth >= self.bounds.cause_depth_max:
            fault = (
                f"the change at {change.position} stands {depth} effects deep, the bound is {self.bounds.cause_depth_max}; "
                f"agents wake each other in a circle: narrow a wake of {card.name}"
            )
        id = works.act_id(card.name, subject, change.position)
        state = works.FAILED if fault else works.READY
        trace = batch.traces.get(change.cause, "")
        return Work(id, "act", subject, card.name, change.position, depth, state, reason=fault, trace=trace)

    def _subjects(self, matched: Sequence[Match], batch: Batch) -> tuple[list[list[str]], list[Broken]]:
        """For each match the ids to act on: the entity itself, or where the wake redirects to; and the wakes that raised.

        One expand a redirect; a function is read no further than NEIGHBOURS_MAX.
        """
        found: list[list[str]] = [[change.subject] for _, _, change in matched]
        broken: list[Broken] = []
        redirected: dict[Neighbour, list[int]] = defaultdict(list)
        for index, (card, wake, change) in enumerate(matched):
            if isinstance(wake.subject, Neighbour):
                redirected[wake.subject].append(index)
            elif wake.subject is not None:
                try:
                    named = islice(wake.subject(batch.now[change.subject]), NEIGHBOURS_MAX)
                    found[index] = list(dict.fromkeys(map(str, named)))
                except Exception as error:
                    found[index] = []
                    broken.append((card, change, _fault("subject", card, error)))
        for neighbour, indices in redirected.items():
            across = self._across([found[index][0] for index in indices], neighbour, batch.end)
            for index in indices:
                found[index] = across[found[index][0]]
        return found, broken

    def _across(self, ids: Sequence[str], neighbour: Neighbour, end: int) -> dict[str, list[str]]:
        unique = list(dict.fromkeys(ids))
        edges = self.store.expand(unique, neighbour.relation, neighbour.direction, first=NEIGHBOURS_MAX, at=end)
        near = {id: [edge.entity.id for edge in edges[id]] for id in unique}
        if neighbour.then is None:
            return near
        further = self._across([far for fars in near.values() for far in fars], neighbour.then, end)
        return {
            id: list(dict.fromkeys(x for far in fars for x in further[far]))[:NEIGHBOURS_MAX]
            for id, fars in near.items()
        }

    def _index(self) -> Listeners:
        """Who listens to which class, subclasses included; made anew when the agents are."""
        cards = self.acting.agents()
        if cards != self._cards:
            index: dict[str, list[tuple[AgentCard, Wake]]] = defaultdict(list)
            for card in cards.values():
                for wake in card.wakes:
                    for cls in self._classes(card, wake):
                        index[cls].append((card, wake))
            self._cards, self._listeners = cards, dict(index)
        return self._listeners

    def _classes(self, card: AgentCard, wake: Wake) -> Sequence[str]:
        try:
            return self.schema.subclasses(wake.cls)
        except ShapeError as error:
            # One agent that listens for what is not there any more must not deafen the others.
            logging.getLogger(__name__).error("agent %s sleeps: it wakes on %s (%s)", card.name, wake.cls, error)
            return ()


def _routed(clock: Clock, routings: Sequence[Put]) -> Cause:
    """Why the choices of a step are committed."""
    return Cause(clock.id(), "routing.choose", 'Service::"coordination"', f"{len(routings)} tasks for one agent each")


def _traced(work: Work) -> Work:
    """The work as a step of the trace that its change belongs to."""
    if not work.trace:
        return work
    with tracing.span(tracing.FEED, work.trace, work=work.id, task=work.task, agent=work.agent):
        return replace(work, trace=tracing.carried() or work.trace)


def _read(changes: Sequence[Change], carried: Mapping[str, str]) -> list[StateWrite]:
    """The removal of the traces that these changes carried; the work carries them on."""
    causes = {change.cause for change in changes}
    return [StateWrite(tracing.CARRIED, cause, None) for cause in carried if cause in causes]


def _fault(part: str, card: AgentCard, error: Exception) -> str:
    return f"the {part} of a wake of {card.name} raised {type(error).__name__}: {error}"


def _matches(batch: Batch, listeners: Listeners) -> tuple[list[Match], list[Broken]]:
    """The wakes that match, and those whose own condition raised, with the fault in words: one bad agent stops no feed."""
    matched: list[Match] = []
    broken: list[Broken] = []
    last = {change.subject: change for change in batch.changes if change.relation is None}
    for change in (*last.values(), *_edges(batch.changes)):
        before, now = batch.before.get(change.subject), batch.now.get(change.subject)
        for card, wake in listeners.get(change.cls, ()):
            if wake.relation != change.relation or now is None:
                continue
            try:
                if wake.matches_edge(change.kind, before, now) if wake.relation else wake.matches(before, now):
                    matched.append((card, wake, change))
            except Exception as error:
                broken.append((card, change, _fault("condition", card, error)))
    return matched, broken


def _edges(changes: Sequence[Change]) -> list[Change]:
    """The relation changes that remain when what was made and ended again within the batch cancels out."""
    first: dict[tuple[str, str | None, str | None], Change] = {}
    last: dict[tuple[str, str | None, str | None], Change] = {}
    for change in changes:
        if change.kind.value in RELATION_KINDS:
            key = (change.subject, change.relation, change.target)
            first.setdefault(key, change)
            last[key] = change
    return [change for key, change in last.items() if change.kind is first[key].kind]
