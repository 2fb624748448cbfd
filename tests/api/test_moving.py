"""Moving house by the command line: export, import, backup and restore, and what each of them refuses."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kg.clock import SystemClock
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests.api import test_cli
from tests.parts import FreeSchema
from tests.services.graph import empty
from tests.services.server import running

Noesis = Callable[..., Any]
project, noesis = test_cli.project, test_cli.noesis


@pytest.fixture
def filled(noesis: Noesis, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    noesis("init")
    noesis("ingest")
    return project


def on_server(monkeypatch: pytest.MonkeyPatch) -> None:
    server = running("neo4j")
    empty(server)
    monkeypatch.setenv("NOESIS_STORE_URL", server.url)
    monkeypatch.setenv("NOESIS_STORE_PASSWORD", server.password)


def off_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOESIS_STORE_URL")
    monkeypatch.delenv("NOESIS_STORE_PASSWORD")


def test_a_graph_moves_to_a_server_and_back_and_ingest_finds_nothing_new(
    noesis: Noesis, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, back = filled / "there.noesis", filled / "back.noesis"
    made = noesis("export", str(there), "--json")
    assert there.stat().st_mode & 0o777 == 0o600
    on_server(monkeypatch)
    assert noesis("import", str(there), "--json") == made
    assert noesis("verify", "--json")["root"] == made["root"]
    assert noesis("ingest", "--json")[0]["created"] == 0
    moved = noesis("export", str(back), "--json")
    assert moved["changes"] > made["changes"]
    off_server(monkeypatch)
    assert noesis("--home", "new", "import", str(back), "--json") == moved
    assert noesis("--home", "new", "verify", "--json")["root"] == moved["root"]
    assert noesis("--home", "new", "ingest", "--json")[0]["created"] == 0
    noesis("--home", "new", "index", "rebuild")
    assert noesis("--home", "new", "search", "valve", "--json")["hits"]


def test_who_may_not_configure_exports_nothing(noesis: Noesis, filled: Path) -> None:
    for command in ("export", "backup"):
        assert "may not" in noesis("--as", "bea2", command, str(filled / "x"), code=1)
        assert not (filled / "x").exists()
    assert noesis("decisions", "--outcome", "deny", "--json")[0]["properties"]["principal"] == 'User::"bea2"'


def test_bad_files_and_full_homes_are_one_sentence(noesis: Noesis, filled: Path) -> None:
    (filled / "bad").write_bytes(b"\x1f\x8b garbage")
    (filled / "text").write_text("no archive")
    (filled / "broken").write_bytes(next(filled.rglob("graph.db")).read_bytes()[:4096] + b"x" * 4096)
    with closing(sqlite3.connect(filled / "other.db")) as other:
        other.execute("CREATE TABLE a (b)")
    os.mkfifo(filled / "pipe")
    for arguments, says in (
        (("export", "noesis.toml"), "name another"),
        (("export", "nowhere/x"), "cannot be written"),
        (("backup", "noesis.toml"), "name another"),
        (("import", "bad"), "holds a graph already"),
        (("--home", "new", "import", "bad"), "damaged"),
        (("--home", "new", "import", "nowhere"), "cannot be read"),
        (("restore", "bad"), "is there already"),
        (("--home", "new", "import", "text"), "no archive of Noesis"),
        (("--home", "new", "import", "pipe"), "pipe is no file"),
        (("--home", "new", "import", "/dev/null"), "null is no file"),
        (("--home", "new", "import", "rules"), "rules is no file"),
        (("--home", "other", "restore", "bad"), "no backup of Noesis; name a copy that `noesis backup FILE` made"),
        (("--home", "other", "restore", "text"), "no backup of Noesis"),
        (("--home", "other", "restore", "other.db"), "no backup of Noesis"),
        (("--home", "other", "restore", "broken"), "damaged"),
        (("--home", "other", "restore", "pipe"), "pipe is no file"),
        (("--home", "other", "restore", "rules"), "rules is no file"),
        (("--home", "other", "restore", "nowhere"), "cannot be read"),
    ):
        said = noesis(*arguments, code=1)
        assert says in said, arguments
        assert said.count("\n") <= 1
    assert not list((filled / "other").glob("graph.db*"))


def test_a_backup_taken_while_writers_run_is_put_back_whole(noesis: Noesis, filled: Path) -> None:
    database = next(filled.rglob("graph.db"))
    copy, stop = filled / "copy.db", threading.Event()
    store = SqliteStore(database, FreeSchema(), SystemClock())

    def write() -> None:
        number = 0
        while not stop.is_set():
            store.commit([Put(f"w{number}", "Item", {"sku": f"w{number}"})], Cause(f"w{number}", "test", "Service"))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert noesis("backup", str(copy), "--json")["bytes"] == copy.stat().st_size
    finally:
        stop.set()
        writer.join()
    at = store.head().position
    store.close()
    assert copy.stat().st_mode & 0o777 == 0o600
    back = noesis("--home", "new", "restore", str(copy), "--json")
    assert 0 < back["changes"] <= at
    assert noesis("--home", "new", "verify", "--json").items() >= back.items()
    assert oct((filled / "new" / "graph.db").stat().st_mode & 0o777) == oct(0o600)


def test_an_altered_copy_is_not_put_back(noesis: Noesis, filled: Path) -> None:
    noesis("backup", "copy.db")
    with closing(sqlite3.connect(filled / "copy.db")) as copy:
        copy.execute("UPDATE version SET props = '{}' WHERE since = 3")
        copy.commit()
    assert "position 3" in noesis("--home", "new", "restore", "copy.db", code=1)
    assert os.listdir(filled / "new") == []
