"""Delivering: takes an event to the mailboxes of all who listen to its type, and starts the workflows scheduled on it.

Invariant I3: an event is known by its source and id, and what was delivered once is not delivered again; the listeners' letters,
the starts and the end of the delivery are one commit. Which of the letters a listener takes is the listener's part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordination.errors import GiveUp, StateError
from coordination.runs import mailbox, rows, runs, scheduling
from coordination.runs.definitions import Definitions
from coordination.runs.mailbox import ANYONE
from coordination.workflow.expressions import Expressions
from coordination.works import KIND as WORK
from coordination.works import Work, micros
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, State, StateWrite
from kg.payloads import sound
from kg.store import GraphStore
from kg.values import Json

EVENT: Final = "event"
#: Who may hear one event.
HEARERS_MAX: Final = 5_000
#: Characters of JSON of one event.
EVENT_MAX: Final = 1_000_000
TRIES_MAX: Final = 20


def work_of(id: str) -> Work:
    """Work that delivers an event."""
    return Work(f"deliver:{id}", "deliver", id)


def checked(event: Mapping[str, Json]) -> dict[str, Json]:
    """The event, where it is a CloudEvent; StateError where it is none."""
    if not isinstance(event, Mapping):
        raise StateError("an event is an object with id, source and type; give one (CloudEvents 1.0)")
    found = {"specversion": "1.0", **event}
    for name in ("id", "source", "type"):
        if not isinstance(found.get(name), str) or not found[name]:
            raise StateError(f"an event needs `{name}`, a text; add it (CloudEvents 1.0)")
    if len(sound(found, "the event")) > EVENT_MAX:
        raise StateError(f"the event is larger than {EVENT_MAX:,} characters; keep the data outside and name it")
    return found


@dataclass(frozen=True, slots=True)
class Delivering:
    """The task "deliver"."""

    store: GraphStore
    clock: Clock
    definitions: Definitions
    expressions: Expressions

    def run(self, work: Work) -> Sequence[str]:
        """Deliver the event to everybody who listens now."""
        row = self.store.state(EVENT, [work.subject]).get(work.subject)
        if row is None or "event" not in row.value:
            self.store.commit([], None, state=[StateWrite(WORK, work.id, None, expect=work.revision)])
            return ()
        for _ in range(TRIES_MAX):
            try:
                return self._once(work, row)
            except ConflictError as error:
                if work.id in error.found:
                    raise
        raise ConflictError("the listeners changed each time they were looked at")

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put it aside for a person; nobody heard it."""
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()

    def _once(self, work: Work, row: State) -> Sequence[str]:
        event = row.value["event"]
        found = mailbox.listeners(self.store, str(event["type"]), HEARERS_MAX)
        if len(found) > HEARERS_MAX:
            raise GiveUp(f"more than {HEARERS_MAX:,} listen to {event['type']}; narrow what they listen to")
        now = micros(self.clock.now())
        # The event itself is dropped: that it was delivered is what is remembered.
        made = [StateWrite(EVENT, row.key, {"at": now}, expect=row.revision)]
        made.append(StateWrite(WORK, work.id, None, expect=work.revision))
        follow: list[str] = []
        by_run: dict[str, list[str]] = {}
        for listener in found:
            if "run" in listener.value:
                by_run.setdefault(str(listener.value["run"]), []).append(str(listener.value["strand"]))
        for run, strands in by_run.items():
            box = mailbox.box(self.store, run)
            if box is None:
                continue
            letters, works = _published(self.store, box, event, now, dict.fromkeys(strands))
            made += letters
            follow += works
        started = scheduling.on_event(self.store, self.clock, self.definitions, self.expressions, event, found)
        self.store.commit(started.writes, started.cause, started.expects, [*made, *started.rows])
        return [*follow, *started.follow]


def _published(
    store: GraphStore, box: State, event: Mapping[str, Json], now: int, strands: Mapping[str, None]
) -> tuple[list[StateWrite], list[str]]:
    """The letters of an event for strands of a run; where too many wait, the run alone is told that it missed one."""
    if not _full(store, box):
        return _addressed(box, event, now, strands, keep=False)
    # A run that takes nothing must not keep the event from all the others.
    wakes, follow = _wakes(box, now, strands)
    return [mailbox.missed(box, list(strands)), *wakes], follow


def _full(store: GraphStore, box: State) -> bool:
    return mailbox.waiting(store, box.key) >= mailbox.LETTERS_MAX


def _addressed(
    box: State, event: Mapping[str, Json], now: int, strands: Mapping[str, None], *, keep: bool
) -> tuple[list[StateWrite], list[str]]:
    """The letters of an event for strands of a run (none: for anyone), and the work that wakes them."""
    made = [mailbox.touched(box), *(mailbox.put(box, strand, event, keep=keep) for strand in strands or {ANYONE: None})]
    wakes, follow = _wakes(box, now, strands)
    return [*made, *wakes], follow


def _wakes(box: State, now: int, strands: Mapping[str, None]) -> tuple[list[StateWrite], list[str]]:
    run = box.key
    works = [Work(f"run:{run}/{strand}:e{box.revision}", "run", rows.key(run, strand)) for strand in strands]
    return [work.first(now) for work in works], [work.id for work in works]


def signal(store: GraphStore, clock: Clock, run: str, event: Mapping[str, Json]) -> list[str]:
    """Deliver an event to one run, whatever it waits for now: it keeps until it is consumed. StateError where it takes none."""
    found = runs.known(store, run)
    event = checked(event)
    for _ in range(TRIES_MAX):
        if found.ended:
            raise StateError(f"run {run} is {found.state}; it takes no more events")
        key = f"{run}\x1f{mailbox.identity(event)}"
        if key in store.state(EVENT, [key]):
            return []
        try:
            return _signalled(store, clock, run, event, key)
        except ConflictError:
            found = runs.known(store, run)
    raise StateError(f"run {run} changed each time it was looked at; send the event again")


def _signalled(store: GraphStore, clock: Clock, run: str, event: dict[str, Any], key: str) -> list[str]:
    # The mailbox first, the listeners after: whoever begins to listen in between makes the commit fail, never miss.
    box = mailbox.box(store, run)
    if box is None:
        raise ConflictError(f"run {run} has no mailbox")
    listening = dict.fromkeys(mailbox.hearers(store, run, event["type"]))
    now = micros(clock.now())
    if _full(store, box):
        raise StateError(f"{mailbox.LETTERS_MAX:,} events wait for run {run} already; let it consume them first")
    letters, follow = _addressed(box, event, now, listening, keep=True)
    store.commit([], None, state=[StateWrite(EVENT, key, {"at": now}, expect=ABSENT), *letters])
    return follow


def publish(store: GraphStore, clock: Clock, event: Mapping[str, Json]) -> list[str]:
    """Hand in an event for whoever listens; the same event again does nothing. The ids of the work to send."""
    event = checked(event)
    id = mailbox.identity(event)
    if id in store.state(EVENT, [id]):
        return []
    work = work_of(id)
    try:
        rows_ = [StateWrite(EVENT, id, {"event": event}, expect=ABSENT), work.first(micros(clock.now()))]
        store.commit([], None, state=rows_)
    except ConflictError:
        return []
    return [work.id]
