"""The task that hands lifecycle events to the sink of the installation: at least once, each under its own id.

Invariant: the work of a version is made in the commit that moves the feed past it, so none is left out; the events are derived
again when it is done, so nothing is kept of them. Events of different versions may overtake each other: `sequence` orders them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coordination.errors import GiveUp
from coordination.runs import runs
from coordination.runs.lifecycle import Sources, told
from coordination.works import KIND, Work
from kg.model import Change, Entity, Op, StateWrite, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json

#: Takes one event; raises RetryLater or GiveUp.
Sink = Callable[[Mapping[str, Json]], None]
TASK = "announce"


def reaction(change: Change, entity: Entity) -> Sequence[Work]:
    """The work of one version of a run or step."""
    if change.relation is not None or not change.version:
        return ()
    return [Work(f"{TASK}:{change.position}", TASK, entity.id, position=change.version)]


@dataclass(frozen=True, slots=True)
class Announcing:
    """Hands over the events of one version."""

    store: GraphStore
    sink: Sink

    def run(self, work: Work) -> Sequence[str]:
        """Derive the events of the version and hand them over, in order."""
        wanted = (work.subject, work.position)
        now = self.store.versions([wanted]).get(wanted)
        if now is not None and now.cls in (runs.RUN, runs.STEP):
            run = now if now.cls == runs.RUN else self.store.get([str(now["run"])]).get(str(now["run"]))
            if run is None:
                raise GiveUp(f"the run of step {now.id} is gone; its events cannot be told")
            for event in told(self._sources(), run, now):
                self.sink(event)
        self.store.commit([], None, state=[StateWrite(KIND, work.id, None, expect=work.revision)])
        return ()

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put it aside for a person, who may send it again."""
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()

    def _sources(self) -> Sources:
        store = self.store

        def waiting(run: str, position: int) -> Sequence[Entity]:
            where, found, after = [Where("run", Op.EQ, run), Where("state", Op.EQ, "waiting")], list[Entity](), None
            while True:
                page = store.find(runs.STEP, where, None, after, PAGE_MAX, position)
                found += page.items
                after = page.next
                if after is None:
                    return found

        return Sources(
            store.versions, waiting, lambda ids, position: store.get(ids, at=position),
            lambda position: store.changes(position - 1, 1)[0].at,
        )  # fmt: skip
