"""Lifecycle events of the specification, derived from the versions of runs and steps, which are facts already.

Invariants: what a version says is computed from it and the one before, so each transition gives its event once, under an id that
stays the same however often it is asked for; SUCCESSIONS says which event may follow which of the same run or task. Nothing is
stored: there is no second truth that could part from the first.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from coordination.codec import derive
from coordination.runs import runs
from kg.model import Entity
from kg.values import Json

PREFIX: Final = "io.serverlessworkflow."
#: Which event may follow which of one run or one task; what comes first follows "". `correlation-` events stand beside them.
SUCCESSIONS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "workflow": {
        "": frozenset({"started"}),
        "started": frozenset({"status-changed", "suspended", "cancelled", "faulted", "completed"}),
        "status-changed": frozenset({"status-changed", "suspended", "cancelled", "faulted", "completed"}),
        "suspended": frozenset({"resumed", "cancelled"}),
        "resumed": frozenset({"status-changed", "suspended", "cancelled", "faulted", "completed"}),
        # A person's order to try again takes a faulted run up where it stood.
        "faulted": frozenset({"resumed"}),
        "cancelled": frozenset(),
        "completed": frozenset(),
    },
    "task": {
        "": frozenset({"created"}),
        "created": frozenset({"retried", "started", "status-changed"}),
        "retried": frozenset({"started"}),
        "started": frozenset({"status-changed", "suspended", "cancelled", "faulted", "completed"}),
        "status-changed": frozenset({"suspended", "cancelled", "faulted", "completed"}),
        "suspended": frozenset({"resumed", "cancelled"}),
        "resumed": frozenset({"suspended", "cancelled", "faulted", "completed"}),
        "cancelled": frozenset(),
        "faulted": frozenset(),
        "completed": frozenset(),
    },
}
_MOMENT: Final = {
    "status-changed": "updatedAt",
    "correlation-started": "startedAt",
    "correlation-completed": "completedAt",
}
_ENDS: Final = frozenset({"completed", "faulted", "cancelled"})
_WITHHELD: Final = {"type": "about:blank", "status": 500, "title": "Withheld"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts are read from: exact versions, steps that wait at a position, steps by id at a position, its moment."""

    versions: Callable[[Sequence[tuple[str, int]]], Mapping[tuple[str, int], Entity]]
    waiting: Callable[[str, int], Sequence[Entity]]
    steps: Callable[[Sequence[str], int], Mapping[str, Entity]]
    moment: Callable[[int], datetime]


def told(sources: Sources, run: Entity, now: Entity) -> list[dict[str, Json]]:
    """The events of one version of a run or of a step of it, in order."""
    before = sources.versions([(now.id, now.version - 1)]).get((now.id, now.version - 1)) if now.version > 1 else None
    facts = _of_run(sources, before, now) if now.cls == runs.RUN else _of_step(sources, before, now)
    return [_event(run, now, number, *fact) for number, fact in enumerate(facts)]


#: Of what the event is, its name, when it was, and what its data holds besides.
Fact = tuple[Entity, str, datetime, Mapping[str, Json]]


def _of_run(sources: Sources, before: Entity | None, now: Entity) -> Iterator[Fact]:
    state, was = str(now["state"]), str(before["state"]) if before is not None else ""
    if before is None:
        yield now, "started", _instant(now["began"]), {"definition": _definition(now)}
    if state == was or (before is None and state == runs.RUNNING):
        return
    at = _instant(now["ended"]) if state in _ENDS and "ended" in now.properties else sources.moment(now.since)
    if state == runs.SUSPENDED:
        yield from ((step, "suspended", at, {}) for step in _waiting(sources, now))
        yield now, "suspended", at, {}
    elif was in (runs.SUSPENDED, runs.FAULTED) and state not in _ENDS:
        yield now, "resumed", at, {}
        yield from ((step, "resumed", at, {}) for step in _waiting(sources, now) if was == runs.SUSPENDED)
    elif state in _ENDS:
        # Steps of a cancelled run have versions of their own that say so.
        left = _waiting(sources, now) if state != runs.CANCELLED else ()
        yield from ((step, "cancelled", at, {}) for step in left)
        yield now, state, at, {"error": _error(now)} if state == runs.FAULTED else {}
    else:
        yield now, "status-changed", at, {"status": state}


def _of_step(sources: Sources, before: Entity | None, now: Entity) -> Iterator[Fact]:
    state, was = str(now["state"]), str(before["state"]) if before is not None else ""
    began = _instant(now["began"])
    at = _instant(now["ended"]) if "ended" in now.properties else began if before is None else sources.moment(now.since)
    heard = now["kind"] == "listen"
    if before is None:
        yield now, "created", began, {}
        if state == "skipped":
            yield now, "status-changed", began, {"status": state}
            return
        if int(str(now.get("attempt", 1))) > 1:
            yield now, "retried", began, {}
        yield now, "started", began, {}
        if heard:
            yield now, "correlation-started", began, {}
    if state == was:
        return
    if state == "waiting":
        yield now, "status-changed", began, {"status": state}
        return
    if now["kind"] == "fork":
        inside = f"{now.get('strand', '0')}.{now['number']}."
        yield from ((step, "cancelled", at, {}) for step in _waiting(sources, now, inside))
    if heard and state == "completed":
        yield now, "correlation-completed", at, {}
    yield now, state, at, {"error": _error(now)} if state == "faulted" else {}


def _waiting(sources: Sources, now: Entity, inside: str = "") -> list[Entity]:
    """Steps that wait when a version was made; in branches whose fork was over before nothing waits any more."""
    run = now.id if now.cls == runs.RUN else str(now["run"])
    found = [step for step in sources.waiting(run, now.since) if str(step.get("strand", "0")).startswith(inside)]
    forks = {step.id: [runs.step_id(run, *place) for place in _forks(str(step.get("strand", "0")))] for step in found}
    asked = sorted({id for ids in forks.values() for id in ids} - {now.id})
    over = {id for id, step in sources.steps(asked, now.since).items() if step["state"] in _ENDS} if asked else set()
    return sorted((step for step in found if not over & set(forks[step.id])), key=lambda step: step.since)


def _forks(strand: str) -> Iterator[tuple[str, int]]:
    """The forks in whose branches a strand runs: each the strand that forked and the number of its step."""
    parts = strand.split(".")
    for length in range(1, len(parts) - 1, 2):
        yield ".".join(parts[:length]), int(parts[length])


def _event(
    run: Entity, now: Entity, number: int, about: Entity, name: str, at: datetime, more: Mapping[str, Json]
) -> dict[str, Json]:
    """A CloudEvent 1.0.2 in JSON. `sequence` orders the events of a run as texts."""
    of = "workflow" if about.cls == runs.RUN or name.startswith("correlation-") else "task"
    called = _definition(run)
    qualified = f"{called['name']}-{run.id}.{called['namespace']}"
    whose: dict[str, Json] = (
        {"name": qualified} if of == "workflow" else {"workflow": qualified, "task": about["reference"]}
    )
    past = _MOMENT.get(name, f"{name}At")
    return {
        "specversion": "1.0",
        "id": derive("lifecycle", now.id, now.version, about.id, name),
        "source": f"urn:noesis:run:{quote(run.id, safe='')}",
        "type": f"{PREFIX}{of}.{name}.v1",
        "subject": about.id,
        "time": at.isoformat(),
        "sequence": f"{now.since:016d}.{number:06d}",
        "datacontenttype": "application/json",
        "data": {**whose, **more, past: at.isoformat()},
    }


def _definition(run: Entity) -> dict[str, Json]:
    name, _, version = str(run["called"]).rpartition(":")
    namespace, _, short = name.rpartition(".")
    return {"namespace": namespace, "name": short, "version": version}


def _error(entity: Entity) -> Json:
    text = entity.get("error")
    return dict(_WITHHELD) if text is None or "error" in entity.masked else dict(json.loads(str(text)))


def _instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromtimestamp(0, UTC)
