"""What child processes of the fault and race tests do with a store; run as `python -m tests.faults.writers <what> …`."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from kg.clock import SystemClock
from kg.errors import NoesisError
from kg.model import Cause, Link, Put, StateWrite
from kg.stores.sqlite import SqliteStore
from kg.values import Value
from tests.parts import FreeSchema

#: What `write` and `die` commit: changes a commit makes.
WRITES = 4


def writes(name: str, number: int) -> list[Put | Link]:
    """Two entities and two relations of one commit."""
    ids = [f"{name}-{number}-{side}" for side in "ab"]
    puts = [Put(id, "Thing", {"n": number}) for id in ids]
    return [*puts, Link(ids[0], "pairs", ids[1]), Link(ids[1], "pairs", ids[0])]


def write(path: Path, name: str, count: int) -> None:
    """Commit `count` times as fast as it goes."""
    store = SqliteStore(path, FreeSchema(), SystemClock(), durable=False)
    for number in range(count):
        store.commit(writes(name, number), Cause(f"{name}-{number}", "race", "Service"))
    store.close()


def read(path: Path, until: int) -> None:
    """Follow the feed; fail on a gap, a half commit, or a change whose entity or cause is not there."""
    store = SqliteStore(path, FreeSchema(), SystemClock(), durable=False)
    position = 0
    while position < until:
        page = store.changes(position, 37)
        for change in page:
            position += 1
            if change.position != position:
                sys.exit(f"position {change.position} came where {position} was due")
            if change.version and (change.subject, change.version) not in store.versions([(change.subject, 1)]):
                sys.exit(f"the change at {position} has no entity yet")
        if page and len(store.caused(page[-1].cause)) != WRITES:
            sys.exit(f"the commit at {position} is seen by halves")
        head = store.head().position
        if head % WRITES:
            sys.exit(f"the head stands at {head}, inside a commit")
    store.close()


def die(path: Path, after: int) -> None:
    """Be killed by SIGKILL inside the transaction, when the shape of the `after`-th entity is checked."""
    seen = 0

    def check(cls: str, properties: Mapping[str, Value]) -> None:
        nonlocal seen
        seen += 1
        if seen == after:
            os.kill(os.getpid(), signal.SIGKILL)

    store = SqliteStore(path, FreeSchema(check=check), SystemClock(), durable=False)
    for number in range(100):
        state = [StateWrite("cursor", "x", number)]
        store.commit(writes("die", number), Cause(f"die-{number}", "fault", "Service"), state=state)


def refused(path: Path, user: int) -> None:
    """Try to commit as another user; print the error."""
    os.setuid(user)
    try:
        store = SqliteStore(path, FreeSchema(), SystemClock())
        store.commit(writes("other", 1), Cause("other-1", "fault", "Service"))
    except NoesisError as error:
        sys.stdout.write(f"{type(error).__name__} {error}\n")


def hold(path: Path) -> None:
    """Take the turn to write, say so, and keep it until the input ends."""
    import fcntl

    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    what, target, *rest = sys.argv[1:]
    if what == "write":
        write(Path(target), rest[0], int(rest[1]))
    elif what == "read":
        read(Path(target), int(rest[0]))
    elif what == "die":
        die(Path(target), int(rest[0]))
    elif what == "refused":
        refused(Path(target), int(rest[0]))
    else:
        hold(Path(target))
