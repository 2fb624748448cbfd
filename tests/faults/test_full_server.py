"""No space left for a Neo4j server: it stops its database in mid-commit, and after room was made nothing is lost or doubled."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.clock import SystemClock
from kg.errors import StoreError, StoreFullError
from kg.model import Cause, Put
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_server import UnsureError
from tests.faults.small import small
from tests.parts import FreeSchema
from tests.services import neo4j, ports
from tests.services.graph import open_store
from tests.services.server import Server, running

PUTS = 20
#: What is left when commits begin: room for a few of them.
ROOM = 6 << 20
#: The server's log of transactions, kept small, so that the stores meet the end of the disk as well.
LOG_MEBIBYTES = 1
COMMITS_MAX = 200


@pytest.fixture(name="small")
def _small() -> Iterator[Path]:
    """A file system of 300 MiB of its own."""
    running("neo4j")  # where no server may be started, this is a skip that says so
    with small(300) as folder:
        yield folder


def commit(number: int) -> tuple[list[Put], Cause]:
    words = [os.urandom(10_000).hex() if number else "x" for _ in range(PUTS)]
    return [Put(f"{number}-{n}", "Thing", {"words": word}) for n, word in enumerate(words)], Cause(
        f"c{number}", "fault", 'Service::"test"'
    )


def refused(store: Neo4jStore, puts: list[Put], cause: Cause) -> StoreError | None:
    try:
        store.commit(puts, cause)
    except StoreError as error:
        return error
    return None


def restart(server: Server, folder: Path) -> None:
    end(server)
    port = int(server.url.rsplit(":", 1)[1])
    process = neo4j.launch(folder, port, LOG_MEBIBYTES, brief=True)
    object.__setattr__(server, "pid", process.pid)
    neo4j.wait(folder, process, port, server.user, server.password)


def end(server: Server) -> None:
    process = ports.STARTED[server.pid]
    process.terminate()
    process.wait(60)


@pytest.mark.slow
def test_a_server_on_a_full_disk_loses_and_doubles_nothing(small: Path) -> None:
    server = neo4j.start(small / "server", LOG_MEBIBYTES, brief=True)
    try:
        store = open_store(FreeSchema(), SystemClock(), server)
        store.commit(*commit(0))
        free = os.statvfs(small)
        ballast = small / "ballast"
        ballast.write_bytes(bytes(max(free.f_bavail * free.f_frsize - ROOM, 0)))
        done, failed, error = 0, commit(1), None
        while error is None and done < COMMITS_MAX:
            error = refused(store, *failed)
            if error is None:
                done, failed = done + 1, commit(done + 2)
        assert isinstance(error, UnsureError)
        assert "retry with the same cause" in str(error)
        # Until somebody makes room it says what is the matter, whatever it is asked.
        for ask in (lambda: store.commit(*commit(999)), store.head, store.verify, lambda: store.changes(0)):
            with pytest.raises(StoreFullError, match="make room and restart it"):
                ask()
        ballast.unlink()
        with pytest.raises(StoreError):
            store.commit(*failed)
        restart(server, small / "server")
        # Whether the commit that failed was done or not: made again under its cause it is there once.
        store.commit(*failed)
        assert store.commit(*failed).repeated
        whole = (done + 2) * PUTS
        assert store.head().position == whole
        assert [change.position for change in store.changes(0, 10_000)] == list(range(1, whole + 1))
        assert len(store.get([put.id for number in range(done + 2) for put in commit(number)[0]])) == whole
        assert not store.commit(*commit(done + 2)).repeated
        assert store.verify() == whole + PUTS
        store.close()
    finally:
        end(server)
