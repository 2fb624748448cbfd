"""Migrating: takes a run that has not ended over to another version of its workflow, by an explicit map of references.

Invariants: where the run stands must stand in the new version, as itself or by the map, or nothing is changed (the sentence names
the step). One commit carries the new version, its cause with the map, and every strand at the revision it was read at (I7), so no
step is done under half of each. What was done before stays on record under the names it had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordination.codec import derive
from coordination.errors import StateError
from coordination.runs import rows, runs
from coordination.runs.definitions import Definitions
from coordination.runs.runs import Run
from coordination.runs.starting import work_of
from coordination.workflow.plan import Plan, Task
from coordination.workflow.strand import Frame, Strand
from coordination.works import micros
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Put, StateWrite
from kg.payloads import text_of
from kg.store import PAGE_MAX, GraphStore
from kg.values import Ref

#: Pages of strands of one run.
PAGES_MAX: Final = 100
#: Tries of one migration that lost a race with the run's own steps.
TRIES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Moving:
    """One migration: from a plan to a plan, by a map of references."""

    run: str
    old: Plan
    new: Plan
    map: Mapping[str, str]

    def task(self, reference: str) -> Task:
        """Where a task of the old version stands in the new one; StateError where the map does not cover it."""
        was = self.old.task(reference)
        there = self.map.get(reference, reference)
        target = self.new.document.key
        if not self.new.has(there):
            raise StateError(
                f"run {self.run} stands at {reference}, and {target} has no {there}; name in the map where it goes on"
            )
        found = self.new.task(there)
        if found.kind != was.kind or (found.name != was.name and reference not in self.map):
            raise StateError(
                f"run {self.run} stands at {reference} ({was.kind} {was.name}), and {there} of {target} is "
                f"{found.kind or 'no task'} {found.name}; name in the map a task of the same kind where it goes on"
            )
        return found

    def strand(self, strand: Strand) -> None:
        """Rewrite the frames of a strand."""
        for frame, above in zip(strand.frames, [*strand.frames[1:], None], strict=True):
            if frame["k"] == "task":
                self._task_frame(frame, strand)
            else:
                self._list_frame(frame, above)

    def _task_frame(self, frame: Frame, strand: Strand) -> None:
        found = self.task(frame["p"])
        was = self.old.task(frame["p"])
        if frame is strand.frames[-1]:
            self._unchanged_wait(was, found)
        if was.kind == "fork" and len(was.definition["fork"]["branches"]) != len(found.definition["fork"]["branches"]):
            raise StateError(
                f"run {self.run} stands in the fork {was.reference}, which has another number of branches in "
                f"{self.new.document.key}; let it end there first"
            )
        frame["p"], frame["name"] = found.reference, found.name

    def _unchanged_wait(self, was: Task, found: Task) -> None:
        if was.kind == "listen" and was.definition["listen"] != found.definition["listen"]:
            raise StateError(
                f"run {self.run} listens at {was.reference}, and {found.reference} of {self.new.document.key} listens to something "
                "else; let it consume its event first"
            )

    def _list_frame(self, frame: Frame, above: Frame | None) -> None:
        """A list goes on at the task it stands at: the one that runs, or the next."""
        tasks = self.old.tasks(frame["p"])
        if above is not None and above["k"] == "task":
            reference = above["p"]
        elif frame["i"] < len(tasks):
            reference = tasks[frame["i"]].reference
        else:
            self._at_end(frame, tasks)
            return
        found = self.task(reference)
        frame["p"] = found.reference.rpartition("/")[0].rpartition("/")[0]
        frame["i"] = next(
            index for index, task in enumerate(self.new.tasks(frame["p"])) if task.reference == found.reference
        )

    def _at_end(self, frame: Frame, tasks: Sequence[Task]) -> None:
        """The list is done: it is done in the new version too, after the same last task."""
        if tasks:
            frame["p"] = self.task(tasks[-1].reference).reference.rpartition("/")[0].rpartition("/")[0]
        frame["i"] = len(self.new.tasks(frame["p"]))


def migrate(
    store: GraphStore, clock: Clock, definitions: Definitions, id: str, version: str, map: Mapping[str, str],
    by: str, reason: str = "",
) -> list[str]:  # fmt: skip
    """Take a run to another version of its workflow; the ids of the work to send. StateError, changing nothing, where it cannot."""
    for _ in range(TRIES_MAX):
        run = runs.known(store, id)
        if run.ended:
            raise StateError(f"run {id} is {run.state} and keeps the version it ended with; start a new one")
        old = definitions.plan(run.text("workflow"))
        target = definitions.find(old.document.namespace, old.document.name, version)
        if target == run.text("workflow"):
            return []
        unknown = sorted(reference for reference in map if not old.has(reference))
        if unknown:
            raise StateError(f"{old.document.key} has no {unknown[0]}, which the map names; correct the map")
        moving = Moving(id, old, definitions.plan(target), map)
        try:
            return _committed(store, clock, run, moving, target, by, reason)
        except ConflictError:
            continue
    raise StateError(f"run {id} changed each time it was looked at; migrate it again")


def _committed(
    store: GraphStore, clock: Clock, run: Run, moving: Moving, target: str, by: str, reason: str
) -> list[str]:
    now = micros(clock.now())
    packing = rows.Rows(store, run.id)
    made: list[StateWrite] = []
    follow: list[str] = []
    for strand in strands(store, run.id, packing):
        if strand.ended:
            continue
        moving.strand(strand)
        # INVARIANT I7: a strand that went on since is at another revision, and nothing is migrated.
        made += packing.write(strand)
        work = work_of(run.id, strand.id, f"m{run.version}")
        made.append(work.first(now))
        follow.append(work.id)
    key = moving.new.document.key
    attributes: dict[str, Any] = {
        "depth": run.depth, "run": run.id, "from": moving.old.document.key, "to": key, "map": text_of(dict(moving.map)),
    }  # fmt: skip
    cause = Cause(derive("migrate", run.id, str(run.version), key), "run.migrate", by, reason, attributes=attributes)
    unique = {(row.kind, row.key): row for row in made}
    put = Put(run.id, runs.RUN, {"workflow": Ref(target), "called": key})
    store.commit([put], cause, {run.id: run.version}, list(unique.values()))
    return follow


def strands(store: GraphStore, run: str, packing: rows.Rows) -> list[Strand]:
    """Every strand of a run."""
    found: list[Strand] = []
    after = ""
    for _ in range(PAGES_MAX):
        page = store.scan(rows.KIND, prefix=f"{run}/", after=after, first=PAGE_MAX)
        found += [packing.of(row) for row in page]
        if len(page) < PAGE_MAX:
            return found
        after = page[-1].key
    raise StateError(f"run {run} has more than {PAGES_MAX * PAGE_MAX:,} strands; let its forks end first")
