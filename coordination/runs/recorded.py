"""Recorded: a run that was forked from a step of another takes what came before that step from the other's record.

Invariants: what is on record as ended before the cut is neither called, awaited nor given out again; everything from the cut on is
done anew. Where the run takes another way than the record it ends, so it never does twice what it cannot recognise. Only reads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coordination.errors import StateError
from coordination.runs import runs
from coordination.runs.calls import Answer
from coordination.runs.runs import Run
from coordination.workflow.faults import fault
from coordination.workflow.strand import Strand
from kg.errors import StoreError
from kg.model import Entity
from kg.store import GraphStore

#: States in which a step is over.
_OVER = frozenset({"completed", "faulted"})


@dataclass(frozen=True, slots=True)
class Record:
    """The part of another run's record that a forked run begins with; empty for every other run."""

    store: GraphStore
    run: Run

    def has(self, strand: str, number: int) -> bool:
        """Whether a step is on record as ended before the cut."""
        return self._step(strand, number) is not None

    def answer(self, strand: Strand) -> Answer | None:
        """What the record answers to what the strand waits for, None where it is to be done; Fault where the ways part."""
        wait, frame = strand.wait or {}, strand.frames[-1]
        if not wait or not self.run.text("forkedFrom"):
            return None
        if frame.get("retry"):
            return {"output": frame["in"]} if self.has(strand.id, strand.count) else None
        step = self._step(strand.id, wait["n"])
        if step is None or (wait["kind"] == "fork" and not wait["compete"]):
            return None
        if step["reference"] != frame["p"]:
            problem = fault(
                "runtime", f"it came to {frame['p']} where {step['reference']} is on record; start a new run"
            )
            return {"problem": {**problem.problem, "final": True}}
        self._skip(strand, str(step["reference"]))
        if wait["kind"] == "timer":
            return {"output": frame["in"]}
        return self._said(step)

    def _said(self, step: Entity) -> Answer:
        if step["state"] == "faulted":
            return {"problem": dict(_problem(step))}
        try:
            return {"recorded": runs.value(self.store, self.run.text("forkedFrom"), step, "output")}
        except StoreError as error:
            return {"problem": {**fault("runtime", str(error)).problem, "final": True}}

    def _skip(self, strand: Strand, reference: str) -> None:
        """Tasks inside the step are over with it: their numbers are taken."""
        while (inner := self._step(strand.id, strand.count)) is not None:
            if not str(inner["reference"]).startswith(f"{reference}/"):
                return
            strand.count += 1

    def _step(self, strand: str, number: int) -> Entity | None:
        other, cut = self.run.text("forkedFrom"), self.run.entity.get("forkedAt", 0)
        if not other:
            return None
        id = runs.step_id(other, strand, number)
        found = self.store.get([id]).get(id)
        over = found is not None and found["state"] in _OVER and isinstance(cut, int) and found.since < cut
        return found if over else None


def _problem(step: Entity) -> Mapping[str, Any]:
    return dict(json.loads(str(step["error"])))


def cut(store: GraphStore, run: Run, step: str) -> int:
    """The position at which a step of a run first went on record; StateError where it is no step of it."""
    found = store.get([step]).get(step)
    if found is None or found.cls != runs.STEP or found["run"] != run.id:
        raise StateError(f"{step[:80]!r} is no step of run {run.id}; `noesis runs show` lists them")
    (first,) = store.versions([(step, 1)]).values()
    return first.since
