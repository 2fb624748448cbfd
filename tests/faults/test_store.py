"""What happens to a store when processes race, die, and the disk, the file or another program fails it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kg.clock import SystemClock
from kg.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreVersionError,
)
from kg.model import Cause, Put, StateWrite
from kg.stores import sqlite_migrate
from kg.stores.sqlite import SqliteStore
from kg.stores.sqlite_file import Database
from tests.faults.writers import WRITES, writes
from tests.parts import FreeSchema

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 120


def child(*arguments: object, **more: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.writers", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def open_store(path: Path, patience: float = 30.0) -> SqliteStore:
    return SqliteStore(path, FreeSchema(), SystemClock(), durable=False, patience=patience)


def cause(id: str) -> Cause:
    return Cause(id, "fault", "Service")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.db"


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and "Traceback" not in text and len(text) > 20


# -- I2 -------------------------------------------------------------------------------------------------------------


def test_readers_skip_nothing_while_processes_race(path: Path) -> None:
    """INVARIANT I2: several writers, several readers; no reader sees a gap, a half commit or an uncommitted change."""
    open_store(path).close()
    writers, readers, count = 3, 2, 60
    total = writers * count * WRITES
    running = [child("read", path, total) for _ in range(readers)]
    running += [child("write", path, f"w{number}", count) for number in range(writers)]
    for process in running:
        _, complaint = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, complaint
    store = open_store(path)
    assert store.head().position == total
    assert store.verify() == total
    assert [c.position for c in store.changes(0, total)] == list(range(1, total + 1))
    store.close()


# -- death ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 2, 7, 40])
def test_a_commit_killed_half_way_is_whole_or_absent_and_its_retry_does_not_double(path: Path, after: int) -> None:
    process = child("die", path, after)
    process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == -9
    store = open_store(path)
    done = (after - 1) // 2
    assert store.head().position == done * WRITES
    assert store.verify() == done * WRITES
    state = [StateWrite("cursor", "x", done)]
    for number in range(done + 1):
        again = store.commit(writes("die", number), cause(f"die-{number}"), state=state)
        assert again.repeated == (number < done)
    assert store.head().position == (done + 1) * WRITES
    assert store.state("cursor", ["x"])["x"].value == done
    store.close()


def test_a_writer_killed_at_any_moment_leaves_whole_commits(path: Path) -> None:
    open_store(path).close()
    process = child("write", path, "w", 100_000)
    store = open_store(path)
    while store.head().position < 40 * WRITES:
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=SECONDS_MAX)
    position = store.head().position
    assert position % WRITES == 0
    assert store.verify() == position
    assert not store.commit([Put("after", "Thing", {})], cause("after")).repeated
    store.close()


# -- the disk and the file -----------------------------------------------------------------------------------------


def test_a_full_disk_refuses_whole_and_recovers(path: Path) -> None:
    store = open_store(path)
    store.commit([Put("a", "Thing", {"text": "x"})], cause("1"))
    big = [Put(f"b{n}", "Thing", {"text": "x" * 10_000}) for n in range(200)]
    with store._database.writing() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(StoreFullError) as caught:
        store.commit(big, cause("2"), state=[StateWrite("cursor", "x", 1)])
    assert one_sentence(caught.value)
    assert store.head().position == 1
    assert store.state("cursor", ["x"]) == {}
    with store._database.writing() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert store.commit(big, cause("2")).last == 201
    assert store.verify() == 201
    store.close()


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users can reach."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_store_of_somebody_else_is_read_only(public: Path, folder_mode: int) -> None:
    process_user = 65_534 if os.getuid() == 0 else os.getuid()
    path = public / "graph.db"
    open_store(path).close()
    path.chmod(0o444)
    public.chmod(folder_mode)
    process = child("refused", path, process_user)
    output, complaint = process.communicate(timeout=SECONDS_MAX)
    public.chmod(0o755)
    assert output.startswith("StoreReadOnlyError"), (output, complaint)
    assert complaint == ""


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "none" / "graph.db")
    assert one_sentence(caught.value)


def _no_database(path: Path) -> None:
    path.write_bytes(b"this is no database at all, only text " * 200)


def _cut(path: Path) -> None:
    store = open_store(path)
    store.commit([Put(f"a{n}", "Thing", {"text": "x" * 500}) for n in range(300)], cause("1"))
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * 40_000 + data[48_192:])


def use(path: Path) -> None:
    store = open_store(path)
    try:
        store.commit([Put("b", "Thing", {})], cause("2"))
        store.find("Thing", first=1000)
        store.verify()
    finally:
        store.close()


@pytest.mark.parametrize("damage", [_no_database, _cut])
def test_a_damaged_file_is_named_so(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    with pytest.raises(StoreCorruptError) as caught:
        use(path)
    assert one_sentence(caught.value)


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE customers (id)")
    other.commit()
    other.close()
    with pytest.raises(StoreCorruptError, match="another program"):
        open_store(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]
    other.close()


# -- others who hold it ---------------------------------------------------------------------------------------------


def test_a_store_held_by_another_process_is_busy_and_then_free(path: Path) -> None:
    store = open_store(path, patience=0.2)
    process = child("hold", path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StoreBusyError) as caught:
        store.commit([Put("a", "Thing", {})], cause("1"))
    assert one_sentence(caught.value)
    assert store.get(["a"]) == {}
    process.communicate("", timeout=SECONDS_MAX)
    store.close()
    store = open_store(path)
    assert store.commit([Put("a", "Thing", {})], cause("1")).last == 1
    store.close()


def test_a_waiting_writer_goes_on_when_the_other_lets_go(path: Path) -> None:
    store = open_store(path)
    process = child("hold", path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert process.stdin is not None
    process.stdin.close()
    assert store.commit([Put("a", "Thing", {})], cause("1")).last == 1
    process.wait(timeout=SECONDS_MAX)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    store.close()


def test_a_foreign_program_that_locks_the_database_makes_it_busy(path: Path) -> None:
    store = open_store(path, patience=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        store.commit([Put("a", "Thing", {})], cause("1"))
    other.execute("ROLLBACK")
    other.close()
    assert store.commit([Put("a", "Thing", {})], cause("1")).last == 1
    store.close()


def test_a_closed_store_says_so(path: Path) -> None:
    store = open_store(path)
    store.close()
    for call in (store.head, lambda: store.commit([Put("a", "Thing", {})], cause("1")), lambda: store.get(["a"])):
        with pytest.raises(StoreError, match="closed"):
            call()
    store.close()


# -- migrations -----------------------------------------------------------------------------------------------------


def test_a_newer_database_is_refused(path: Path) -> None:
    open_store(path).close()
    other = sqlite3.connect(path)
    other.execute("INSERT INTO migration VALUES (99, 'tomorrow', 'x')")
    other.commit()
    other.close()
    with pytest.raises(StoreVersionError) as caught:
        open_store(path)
    assert one_sentence(caught.value)


def test_an_altered_migration_is_found(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(sqlite_migrate.MIGRATIONS, folder)
    database = Database(path, durable=False)
    sqlite_migrate.migrate(database, folder)
    first = next(folder.glob("0001_*.sql"))
    first.write_text(first.read_text() + "\n-- altered\n")
    with pytest.raises(StoreError, match="altered"):
        sqlite_migrate.migrate(database, folder)
    database.close()


def test_a_failing_migration_leaves_the_store_as_it_was(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(sqlite_migrate.MIGRATIONS, folder)
    number = len(list(folder.glob("*.sql"))) + 1
    broken = folder / f"{number:04}_broken.sql"
    broken.write_text("CREATE TABLE fresh (a);\nCREATE TABLE change (a);\n")
    open_store(path).close()
    database = Database(path, durable=False)
    with pytest.raises(StoreError):
        sqlite_migrate.migrate(database, folder)
    broken.write_text("CREATE TABLE fresh (a);\n")
    sqlite_migrate.migrate(database, folder)
    sqlite_migrate.migrate(database, folder)
    with database.reading() as connection:
        assert connection.execute("SELECT max(number), count(*) FROM migration").fetchone() == (number, number)
    database.close()
    with pytest.raises(StoreVersionError):
        open_store(path)
