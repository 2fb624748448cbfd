"""What child processes of the race and fault tests do with a Neo4j store: `python -m tests.faults.server_writers what …`."""

import json
import os
import signal
import sys
from collections.abc import Mapping

from kg.clock import SystemClock
from kg.errors import StoreError
from kg.model import Cause
from kg.stores.neo4j import Neo4jStore
from kg.values import Value
from tests.faults.writers import WRITES, writes
from tests.parts import FreeSchema
from tests.services.graph import open_store
from tests.services.server import Server


def opened(server: str) -> Neo4jStore:
    return open_store(FreeSchema(), SystemClock(), Server(**json.loads(server)))


def write(server: str, name: str, count: int) -> None:
    """Commit `count` times as fast as it goes."""
    store = opened(server)
    for number in range(count):
        store.commit(writes(name, number), Cause(f"{name}-{number}", "race", "Service"))
    store.close()


def read(server: str, until: int) -> None:
    """Follow the feed; fail on a gap, a half commit, or a change whose entity, link or cause is not there."""
    store = opened(server)
    position = 0
    while position < until:
        page = store.changes(position, 37)
        ids = [(change.subject, change.version) for change in page if change.version]
        missing = set(ids) - set(store.versions(ids)) if ids else set()
        if missing:
            sys.exit(f"changes without their entities: {missing}")
        for change in page:
            position += 1
            if change.position != position:
                sys.exit(f"position {change.position} came where {position} was due")
        if page and len(store.caused(page[-1].cause)) != WRITES:
            sys.exit(f"the commit at {position} is seen by halves")
        head = store.head().position
        if head % WRITES or head < position:
            sys.exit(f"the head stands at {head} after position {position}")
    store.close()


def hold(server: str, deed: str) -> None:
    """Commit once, then stop (SIGSTOP) or die (SIGKILL) inside the next transaction, while the head is locked."""
    seen = 0

    def check(cls: str, properties: Mapping[str, Value]) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            sys.stdout.write("held\n")
            sys.stdout.flush()
            os.kill(os.getpid(), getattr(signal, deed))

    store = open_store(FreeSchema(check=check), SystemClock(), Server(**json.loads(server)), patience=3)
    for number in range(2):
        try:
            store.commit(writes("held", number), Cause(f"held-{number}", "fault", "Service"))
        except StoreError as error:
            sys.stdout.write(f"{type(error).__name__}\n")
    store.close()


if __name__ == "__main__":
    what, target, *rest = sys.argv[1:]
    if what == "write":
        write(target, rest[0], int(rest[1]))
    elif what == "read":
        read(target, int(rest[0]))
    else:
        hold(target, rest[0])
