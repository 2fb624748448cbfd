"""Run and Step as facts: what is written when a run starts, moves and ends, and what each step leaves on record.

Invariants: a run moves only along MOVES, and an ended run has no follower but a person's order to retry a faulted one; its workflow
version is pinned when it starts. Step ids follow from run, strand and number. Writes nothing itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from coordination.codec import derive
from coordination.errors import StateError
from coordination.workflow.strand import Step, Strand
from kg import payloads
from kg.model import Entity, Put, StateWrite
from kg.store import GraphStore
from kg.values import Json, Ref, Value

RUN: Final = "Run"
STEP: Final = "Step"
RUNNING: Final = "running"
WAITING: Final = "waiting"
SUSPENDED: Final = "suspended"
CANCELLED: Final = "cancelled"
FAULTED: Final = "faulted"
COMPLETED: Final = "completed"
#: faulted -> running is a person's order to try again from the step that failed.
MOVES: Final[Mapping[str, frozenset[str]]] = {
    RUNNING: frozenset({WAITING, SUSPENDED, CANCELLED, FAULTED, COMPLETED}),
    WAITING: frozenset({RUNNING, SUSPENDED, CANCELLED, FAULTED, COMPLETED}),
    SUSPENDED: frozenset({RUNNING, WAITING, CANCELLED}),
    CANCELLED: frozenset(),
    FAULTED: frozenset({RUNNING}),
    COMPLETED: frozenset(),
}
ENDS: Final = frozenset({CANCELLED, FAULTED, COMPLETED})


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands in the graph."""

    entity: Entity

    @property
    def id(self) -> str:
        return self.entity.id

    @property
    def version(self) -> int:
        return self.entity.version

    @property
    def state(self) -> str:
        return str(self.entity["state"])

    @property
    def ended(self) -> bool:
        """Whether it goes no further by itself."""
        return self.state in ENDS

    def text(self, name: str) -> str:
        """A text property, empty where it is absent."""
        return str(self.entity.get(name, ""))

    @property
    def depth(self) -> int:
        """How many runs started each other before it."""
        found = self.entity.get("depth", 0)
        return found if isinstance(found, int) else 0

    @property
    def sandbox(self) -> bool:
        """Whether nothing of it leaves."""
        return bool(self.entity.get("sandbox", False))

    @property
    def began(self) -> int:
        """Microseconds since 1970."""
        from coordination.works import micros

        found = self.entity.get("began")
        return micros(found) if isinstance(found, datetime) else 0

    @property
    def error(self) -> dict[str, Any]:
        """The problem it ended with, empty where there is none."""
        text = self.text("error")
        return dict(json.loads(text)) if text else {}

    def move(self, state: str, **more: Value) -> Put:
        """The write that takes the run to another state; raises StateError where MOVES does not allow it."""
        # INVARIANT I3: what ended has no follower, so it cannot end twice.
        if state not in MOVES[self.state]:
            raise StateError(f"run {self.id} is {self.state} and cannot become {state}; read it again")
        return Put(self.id, RUN, {"state": state, **more})

    def moved(self, put: Put, version: int) -> "Run":
        """The run after a write of its own was committed as this version."""
        kept = {name: value for name, value in self.entity.properties.items() if name not in put.unset}
        properties = {**kept, **put.set}
        return Run(replace(self.entity, version=version, properties=properties))


def read(store: GraphStore, id: str, at: int | None = None) -> Run | None:
    """The run with this id, None where there is none."""
    entity = store.get([id], at=at).get(id)
    return Run(entity) if entity is not None and entity.cls == RUN else None


def known(store: GraphStore, id: str) -> Run:
    """The run with this id; raises StateError where there is none."""
    found = read(store, id)
    if found is None:
        raise StateError(f"there is no run {id[:80]!r}; list the runs to see which there are")
    return found


def kept(run: str, name: str, value: Json) -> tuple[dict[str, Value], list[StateWrite]]:
    """The properties that hold a JSON value, and the payload row where it is too large for them."""
    text = payloads.text_of(value)
    if len(text) <= payloads.INLINE_MAX:
        return {name: text}, []
    digest, row = payloads.row(run, text)
    return {f"{name}Digest": digest}, [row]


def value(store: GraphStore, run: str, entity: Entity, name: str) -> Json:
    """The JSON value that an entity of a run holds under a name, None where there is none; StoreError where it was pruned."""
    text = entity.get(name)
    if text is not None:
        return json.loads(str(text))
    digest = entity.get(f"{name}Digest")
    return None if digest is None else payloads.read(store, run, str(digest))


@lru_cache(maxsize=4_096)
def step_id(run: str, strand: str, number: int) -> str:
    """The id of a step: doing it again gives the same."""
    return derive("step", run, strand, number)


def step(strand: Strand, done: Step) -> tuple[Put, list[StateWrite]]:
    """What a step leaves on record, and the payload of its output where that is large."""
    properties: dict[str, Value] = {
        "run": strand.run,
        "reference": done.reference,
        "task": done.name,
        "kind": done.kind,
        "state": done.state,
        "number": done.number,
        "began": instant(done.started),
    }
    rows: list[StateWrite] = []
    if done.iteration:
        properties["iteration"] = done.iteration
    if done.attempt != 1:
        properties["attempt"] = done.attempt
    if strand.id != "0":
        properties["strand"] = strand.id
    if done.ended and done.ended != done.started:
        properties["ended"] = instant(done.ended)
    if done.problem is not None:
        properties["error"] = payloads.text_of(done.problem)
    elif done.state not in ("waiting", "cancelled"):
        held, rows = kept(strand.run, "output", done.output)
        properties |= held
    return Put(step_id(strand.run, strand.id, done.number), STEP, properties), rows


def instant(microseconds: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)


def reference(id: str) -> Ref:
    """An id as a property holds it."""
    return Ref(id)
