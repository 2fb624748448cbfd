"""No space left: for the database file, and for an archive that is being written or read."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.clock import SystemClock
from kg.errors import ArchiveError, StoreFullError
from kg.model import Cause, Put
from kg.stores.archive.export import export
from kg.stores.archive.load import load
from kg.stores.sqlite import SqliteStore
from tests.faults.small import small
from tests.parts import FreeSchema

WORDS = "x" * 4_000


@pytest.fixture(name="small")
def _small() -> Iterator[Path]:
    """A file system of 6 MiB of its own."""
    with small(6) as folder:
        yield folder


def cause(id: str) -> Cause:
    return Cause(id, "fault", "Service")


def puts(number: int) -> list[Put]:
    return [Put(f"{number}-{n}", "Thing", {"words": WORDS}) for n in range(20)]


def test_a_file_on_a_full_disk_takes_nothing_of_a_commit_and_all_when_there_is_room(small: Path) -> None:
    ballast = small / "ballast"
    ballast.write_bytes(bytes(3 << 20))
    store = SqliteStore(small / "graph.db", FreeSchema(), SystemClock())
    done = 0
    while done < 100:
        try:
            store.commit(puts(done), cause(f"c{done}"))
        except StoreFullError:
            break
        done += 1
    with pytest.raises(StoreFullError, match="nothing of this commit was written"):
        store.commit(puts(done), cause(f"c{done}"))
    assert store.head().position == done * 20
    assert store.verify() == done * 20
    ballast.unlink()
    assert not store.commit(puts(done), cause(f"c{done}")).repeated
    assert store.commit(puts(0), cause("c0")).repeated
    assert store.verify() == (done + 1) * 20
    store.close()


def test_an_archive_that_finds_no_room_leaves_no_file(small: Path, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.db", FreeSchema(), SystemClock(), durable=False)
    for number in range(40):
        noise = [Put(f"{number}-{n}", "Thing", {"words": os.urandom(4_000).hex()}) for n in range(50)]
        store.commit(noise, cause(f"c{number}"))
    with pytest.raises(ArchiveError, match="free space"):
        export(store, small / "graph.noesis", lambda kind, key: True)
    assert list(small.iterdir()) == []
    export(store, tmp_path / "graph.noesis", lambda kind, key: True)
    target = SqliteStore(small / "new.db", FreeSchema(), SystemClock())
    with pytest.raises(StoreFullError):
        load(target, tmp_path / "graph.noesis")
    assert target.head().position == 0
    target.close()
    store.close()
