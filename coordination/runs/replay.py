"""Replay: a recorded run gone through again, by its own workflow version or by a new one, to see where the two part.

Invariants: what the outside said comes from the record alone and the times too, so nothing is called and nothing waits; the run is
read, never written. Of each strand the first difference counts, since what follows it is no longer comparable.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from coordination.errors import StateError
from coordination.runs import runs
from coordination.runs.runs import Run
from coordination.workflow.document import Document, of_body
from coordination.workflow.expressions import Expressions
from coordination.workflow.plan import Plan
from coordination.workflow.rehearsal import Asked, Rehearsal, Reply, settled_steps
from coordination.workflow.scope import Limits, Setting
from coordination.workflow.strand import COMPLETED, FAULTED, Step
from coordination.workflow.walk import entries
from coordination.works import micros
from kg.errors import StoreError
from kg.model import Cursor, Entity, Op, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json

#: Pages of steps of one run that are read.
PAGES_MAX: Final = 200
#: Kinds of tasks whose result came from the outside.
OUTSIDE: Final = frozenset({"call", "run", "listen"})
#: Characters of a value in a difference.
SHOWN_MAX: Final = 200

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay parts from the record: the step on record (strand, number, reference), and why."""

    strand: str
    number: int
    reference: str
    why: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found: how many steps were compared, and the differences; `unknown` says why it could not be done."""

    run: str
    state: str
    recorded: str
    workflow: str
    steps: int
    differences: tuple[Difference, ...] = ()
    unknown: str = ""

    @property
    def same(self) -> bool:
        """Whether the run would have gone the same way."""
        return not self.differences and not self.unknown


@dataclass(slots=True)
class _Record:
    """The steps of a run by strand and number, with the references as the document to compare names them."""

    store: GraphStore
    run: Run
    map: Mapping[str, str]
    steps: dict[Key, Entity] = field(default_factory=dict)
    parted: dict[str, Difference] = field(default_factory=dict)

    def reference(self, step: Entity) -> str:
        """Where the step stands in the document to compare."""
        reference = str(step["reference"])
        return self.map.get(reference, reference)

    def moment(self, strand: str, number: int) -> int | None:
        """When a step began."""
        step = self.steps.get((strand, number))
        return None if step is None else _moment(step, "began")

    def reply(self, asked: Asked) -> Reply | None:
        """What the outside said to a step, None where the record ends there or names another step."""
        step = self.steps.get((asked.strand, asked.number))
        if step is None or self.reference(step) != asked.reference or step["state"] not in ("completed", "faulted"):
            return None
        at = _moment(step, "ended" if "ended" in step.properties else "began")
        if step["state"] == "completed":
            return Reply(at, runs.value(self.store, self.run.id, step, "output"))
        problem: dict[str, Any] = json.loads(str(step["error"]))
        # A time-out around the step comes again by itself.
        return None if problem.get("instance") != str(step["reference"]) else Reply(at, problem=problem)

    def part(self, strand: str, number: int, reference: str, why: str) -> None:
        """Keep the first difference of a strand."""
        known = self.parted.get(strand)
        if known is None or number < known.number:
            self.parted[strand] = Difference(strand, number, reference, why)


def replay(
    store: GraphStore, run_id: str, document: Document | None = None, *, map: Mapping[str, str] | None = None,
    expressions: Expressions | None = None, secrets: Mapping[str, Json] | None = None,
) -> Replayed:  # fmt: skip
    """Go through a recorded run again, by a document or by its own version; `map` names old references that moved.

    Raises StateError where there is no such run.
    """
    run = runs.known(store, run_id)
    if document is None:
        text = store.get([run.text("workflow")])[run.text("workflow")]["text"]
        document = of_body(json.loads(str(text)))
    own = expressions is None
    used = expressions or Expressions()
    try:
        return _replayed(store, run, document, dict(map or {}), used, secrets or {})
    finally:
        if own:
            used.close()


def _replayed(
    store: GraphStore,
    run: Run,
    document: Document,
    map: Mapping[str, str],
    expressions: Expressions,
    secrets: Mapping[str, Json],
) -> Replayed:
    record = _Record(store, run, map, {_key(step): step for step in recorded(store, run.id)})
    said = Replayed(run.id, run.state, run.text("called"), document.key, len(record.steps))
    unknown = _unknown(run, record)
    if unknown:
        return Replayed(said.run, said.state, said.recorded, said.workflow, said.steps, unknown=unknown)
    try:
        input = runs.value(store, run.id, run.entity, "input")
        setting = Setting(_plan(document), run.id, input, run.began, expressions, secrets, Limits())
        rehearsal = Rehearsal(setting, record.reply, run.began, moments=record.moment, tasks_a_turn=1)
        first = rehearsal.run()
    except StoreError as error:
        return Replayed(said.run, said.state, said.recorded, said.workflow, said.steps, unknown=f"{error}")
    made = settled_steps(rehearsal.steps)
    for key in sorted(record.steps):
        _compared(record, key, made.get(key))
    if run.state in (COMPLETED, FAULTED) and not record.parted:
        _ended(record, made, first.state, first.data)
    return Replayed(
        said.run, said.state, said.recorded, said.workflow, said.steps,
        tuple(record.parted[strand] for strand in sorted(record.parted)),
    )  # fmt: skip


def recorded(store: GraphStore, run: str) -> list[Entity]:
    """The steps of a run, in the order of the record; StateError where there are more than can be read."""
    found: list[Entity] = []
    cursor: Cursor | None = None
    for _ in range(PAGES_MAX):
        page = store.find(runs.STEP, [Where("run", Op.EQ, run)], first=PAGE_MAX, after=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return sorted(found, key=lambda step: step.since)
    raise StateError(f"run {run} has more than {PAGES_MAX * PAGE_MAX:,} steps; replay a shorter one")


def _plan(document: Document) -> Plan:
    """The plan without the transformations of what came from outside: the record holds their results."""
    body = copy.deepcopy(dict(document.body))
    for entry in entries(body):
        if entry.kind in OUTSIDE and isinstance(entry.task, dict):
            entry.task.pop("output", None)
    return Plan(of_body(body))


def _unknown(run: Run, record: _Record) -> str:
    if run.entity.get("forkedFrom"):
        return "it was forked from another run, so its first steps are on that one's record"
    if any(str(step["reference"]).count("/foreach/") for step in record.steps.values()):
        return "it listens with `foreach`, whose events are not on record one by one"
    return ""


def _moment(step: Entity, name: str) -> int:
    found = step[name]
    return micros(found) if isinstance(found, datetime) else 0


def _key(step: Entity) -> Key:
    return str(step.get("strand", "0")), int(str(step["number"]))


def _compared(record: _Record, key: Key, made: Step | None) -> None:
    """Compare one step on record with what the replay did at its place."""
    step = record.steps[key]
    reference, state = str(step["reference"]), str(step["state"])
    if key[0] in record.parted and record.parted[key[0]].number < key[1]:
        return
    was = f"{step['kind']} {step['task']}"
    if made is None:
        if state in (COMPLETED, FAULTED):
            record.part(
                *key, reference, f"the record has {was}; this version ends before it or waits for something else"
            )
        return
    if made.reference != record.reference(step) or made.kind != step["kind"]:
        record.part(
            *key,
            reference,
            f"the record has {was} at {reference}; this version does {made.kind} {made.name} at {made.reference}",
        )
    elif state in (COMPLETED, FAULTED, "skipped") and made.state != state:
        detail = f" ({(made.problem or {}).get('detail', '')})" if isinstance(made.problem, Mapping) else ""
        record.part(*key, reference, f"{was} {state} on record; in this version it is {made.state}{detail}")
    elif state == COMPLETED and made.kind not in OUTSIDE:
        before, now = runs.value(record.store, record.run.id, step, "output"), made.output
        if _timeless(before) != _timeless(now):
            record.part(
                *key, reference, f"{was} gave {_shown(before)} on record and gives {_shown(now)} in this version"
            )


def _ended(record: _Record, made: Mapping[Key, Step], state: str, data: Json) -> None:
    """Compare the ends of a run that ended."""
    more = sorted(set(made) - set(record.steps))
    run = record.run
    if more:
        step = made[more[0]]
        record.part(*more[0], step.reference, f"the run ended here; this version goes on with {step.kind} {step.name}")
    elif state != run.state:
        record.part("0", len(record.steps), "/", f"the run {run.state} on record; in this version it is {state}")
    elif state == COMPLETED:
        before = runs.value(record.store, run.id, run.entity, "output")
        if _timeless(before) != _timeless(data):
            record.part(
                "0",
                len(record.steps),
                "/output",
                f"the run gave {_shown(before)} and gives {_shown(data)} in this version",
            )


def _timeless(value: Json) -> Json:
    """A value without the times of events, which are those of the machine that emits them."""
    if isinstance(value, dict):
        return {
            name: _timeless(item) for name, item in value.items() if not (name == "time" and "specversion" in value)
        }
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _shown(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)[:SHOWN_MAX]


def latest(store: GraphStore, document: Document, first: int) -> Sequence[Run]:
    """The runs of a workflow by namespace and name, whatever their version, the newest first."""
    prefix = f"{document.namespace}.{document.name}:"
    named = [Where("namespace", Op.EQ, document.namespace), Where("name", Op.EQ, document.name)]
    found: list[Run] = []
    for workflow in store.find("Workflow", named, first=PAGE_MAX).items:
        called = f"{prefix}{workflow['semanticVersion']}"
        found += [Run(entity) for entity in store.find(runs.RUN, [Where("called", Op.EQ, called)], first=first).items]
    return sorted(found, key=lambda run: run.began, reverse=True)[:first]
