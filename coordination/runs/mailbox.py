"""Mailbox: where events wait for the strands of a run until they are consumed, each by whom it is for, once.

Invariants: whoever puts an event in, takes one out, or begins or ends to listen rewrites the run's mailbox row at the revision it
read, so none of these miss each other (I7); an event's own row is made once (I3). Matching is not done here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordination.codec import derive
from kg.model import ABSENT, State, StateWrite
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json

BOX: Final = "mailbox"
LETTER: Final = "letter"
LISTENER: Final = "listener"
#: Events that wait for one run.
LETTERS_MAX: Final = 1_000
#: How many digits of a place, and what follows them.
_PLACE: Final = 12
_KEPT: Final = "k"
_HEARD: Final = "h"
#: For every strand of a run: no strand listened when the event came.
ANYONE: Final = "*"


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that waits, with the key of its row."""

    key: str
    event: Mapping[str, Json]
    revision: int
    own: bool

    @property
    def kept(self) -> bool:
        """Whether it was sent to the run, so that it waits until something takes it."""
        return self.order[_PLACE:].startswith(_KEPT)

    @property
    def order(self) -> str:
        """Its place among the letters of the run."""
        return self.key.rpartition("#")[2]


def made(run: str) -> StateWrite:
    """The mailbox of a new run."""
    return StateWrite(BOX, run, {}, expect=ABSENT)


def box(store: GraphStore, run: str) -> State | None:
    """The mailbox of a run, None where the run has ended or never was."""
    return store.state(BOX, [run]).get(run)


def touched(found: State) -> StateWrite:
    """The rewriting of a mailbox at the revision it was read at."""
    # INVARIANT I7: putting in, taking out and listening follow one another.
    return StateWrite(BOX, found.key, found.value, expect=found.revision)


def missed(found: State, strands: Sequence[str]) -> StateWrite:
    """The mailbox once strands of the run could not be given an event, because too many wait already."""
    before = found.value.get("missed", {})
    now = {strand: before.get(strand, 0) + 1 for strand in strands}
    return StateWrite(BOX, found.key, {"missed": {**before, **now}}, expect=found.revision)


def told(found: State, strand: str) -> StateWrite:
    """The mailbox once a strand listens no more: what it missed was its own."""
    left = {other: count for other, count in found.value.get("missed", {}).items() if other != strand}
    return StateWrite(BOX, found.key, {"missed": left} if left else {}, expect=found.revision)


def identity(event: Mapping[str, Json]) -> str:
    """What makes an event one event: its source and id."""
    return derive("event", event["source"], event["id"])


def put(found: State, strand: str, event: Mapping[str, Json], *, keep: bool) -> StateWrite:
    """The row of an event for a strand (ANYONE: the first of the run that wants it), in the order of the mailbox's revisions.

    What was sent to the run itself is to `keep` until it is consumed; what was published is dropped by whoever did not want it.
    """
    key = f"{found.key}/{strand}#{found.revision:012d}{_KEPT if keep else _HEARD}{identity(event)}"
    return StateWrite(LETTER, key, dict(event), expect=ABSENT)


def letters(store: GraphStore, run: str, strand: str, after: str = "") -> list[Letter]:
    """What waits for a strand behind a place, oldest first: its own and what is for anyone."""
    found = [
        Letter(row.key, row.value, row.revision, whose == strand)
        for whose in (strand, ANYONE)
        for row in store.scan(
            LETTER, prefix=f"{run}/{whose}#", after=f"{run}/{whose}#{after}" if after else "", first=LETTERS_MAX
        )
    ]
    return sorted(found, key=lambda letter: letter.order)


def waiting(store: GraphStore, run: str) -> int:
    """How many events wait for a run, counted no further than LETTERS_MAX."""
    return len(store.scan(LETTER, prefix=f"{run}/", first=LETTERS_MAX))


def emptied(store: GraphStore, run: str) -> list[StateWrite]:
    """The removal of a mailbox and of what nobody took."""
    gone, after = [StateWrite(BOX, run, None)], ""
    # One event is a letter for each strand that listens, so there may be more than LETTERS_MAX.
    while True:
        page = store.scan(LETTER, prefix=f"{run}/", after=after, first=PAGE_MAX)
        gone += [StateWrite(LETTER, row.key, None) for row in page]
        if len(page) < PAGE_MAX:
            return gone
        after = page[-1].key


def taken(letters: Sequence[Letter]) -> list[StateWrite]:
    """The removal of events that were consumed."""
    # INVARIANT I3: an event leaves the mailbox in the commit that carries what was made of it.
    return [StateWrite(LETTER, letter.key, None, expect=letter.revision) for letter in letters]


def listening(run: str, strand: str, number: int, types: Sequence[str]) -> list[StateWrite]:
    """The rows that say a strand listens to events of these types."""
    value: dict[str, Any] = {"run": run, "strand": strand, "n": number}
    return [StateWrite(LISTENER, listener_key(kind, run, strand), value) for kind in types]


def deaf(run: str, strand: str, types: Sequence[str]) -> list[StateWrite]:
    """The removal of a strand's listening."""
    return [StateWrite(LISTENER, listener_key(kind, run, strand), None) for kind in types]


def listener_key(kind: str, run: str, strand: str) -> str:
    """Listeners of one type stand together."""
    return f"{derive('type', kind)}/{run}/{strand}"


def listeners(store: GraphStore, kind: str, first: int) -> list[State]:
    """Who listens to events of a type, or to any; at most `first` of each."""
    found: list[State] = []
    for name in (kind, "*"):
        prefix, after = f"{derive('type', name)}/", ""
        for _ in range(first // PAGE_MAX + 1):
            page = store.scan(LISTENER, prefix=prefix, after=after, first=min(PAGE_MAX, first))
            found += page
            if len(page) < PAGE_MAX:
                break
            after = page[-1].key
    return found


def hearers(store: GraphStore, run: str, kind: str) -> list[str]:
    """The strands of a run that listen to events of a type, or to any, however many others do."""
    found: dict[str, None] = {}
    for name in (kind, "*"):
        prefix, after = f"{derive('type', name)}/{run}/", ""
        while True:
            page = store.scan(LISTENER, prefix=prefix, after=after, first=PAGE_MAX)
            found |= dict.fromkeys(str(row.value["strand"]) for row in page)
            if len(page) < PAGE_MAX:
                break
            after = page[-1].key
    return list(found)
