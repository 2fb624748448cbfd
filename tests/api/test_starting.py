"""`noesis new`: a project from tables alone, that init and ingest take as it is; nothing is overwritten, no password is written."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from api.cli.main import run
from api.starting import _written


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "erp.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")
        connection.execute("CREATE TABLE orders (no TEXT PRIMARY KEY, customer_id INTEGER, placed TEXT)")
        connection.execute("INSERT INTO customers VALUES (1, 'Anna Ltd', 'anna@example.com')")
        connection.execute("INSERT INTO orders VALUES ('A-1', 1, '2026-11-02')")
    return path


def test_from_tables_to_facts_in_three_commands(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "shop", "--from", str(source), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(c["class"], c["key"], c["relations"]) for c in said["classes"]] == [
        ("Customer", ["customerId"], {}),
        ("Order", ["no"], {"customer": "Customer"}),
    ]
    assert said["classes"][0]["personal"] == ["email"]
    assert run(["-P", "shop", "init"]) == 0
    assert run(["-P", "shop", "ingest", "--json"]) == 0
    report = capsys.readouterr().out
    assert '"rejected": 0' in report
    assert '"created": 2' in report


def test_files_that_are_no_utf_8_are_drafted_in_their_encoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("Nr;Größe\n1;schön\n", encoding="cp1252")
    new = ["new", str(tmp_path / "shop"), "--from", str(tmp_path / "data")]
    assert run([*new, "--encoding", "hex"]) == 1
    assert "unknown encoding 'hex'" in capsys.readouterr().err
    assert run(new) == 1
    assert "--encoding of `noesis new`" in capsys.readouterr().err
    assert run([*new, "--encoding", "cp1252"]) == 0
    assert run(["-P", str(tmp_path / "shop"), "init"]) == 0
    assert run(["-P", str(tmp_path / "shop"), "ingest", "--json"]) == 0
    assert '"rejected": 0' in capsys.readouterr().out


def test_nothing_is_overwritten(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "shop", "--from", str(source)]) == 0
    (tmp_path / "shop" / "ontology.ttl").write_text("mine")
    assert run(["new", "shop", "--from", str(source)]) == 1
    assert "has a noesis.toml already" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "people.yaml").write_text("mine")
    assert run(["new", "other", "--from", str(source)]) == 1
    assert (
        (tmp_path / "shop" / "ontology.ttl").read_text() == (tmp_path / "other" / "people.yaml").read_text() == "mine"
    )
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["people.yaml"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["new", "x", "--from", "nowhere.db"], "does not exist"),
        (["new", "x", "--from", "mysql://h/d"], "is not supported"),
        (["new", "x", "--from", "erp.db", "--table", "order"], "has no table 'order'"),
        (["new", "x", "--from", "erp.db", "--name", "…"], "makes no name"),
        (["new", "erp.db", "--from", "erp.db"], "check the path"),
        (["new", "x"], "--from"),
    ],
)
def test_bad_lines_get_a_sentence_and_leave_nothing(
    line: list[str], sentence: str, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(source.parent)
    assert run(line) in {1, 2}
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (source.parent / "x").exists()


@pytest.mark.parametrize("password", ["geheim", "pa#ss", "pa/ss", "pa?ss", "pa[ss", "pa%40ss", "a:b"])
def test_no_password_is_written(password: str, tmp_path: Path) -> None:
    for location in (
        f"postgresql://anna:{password}@db:5432/erp",
        f"postgresql://anna@db:5432/erp?password={quote(password)}",
        f"postgresql://anna@db:5432/erp?PASSWORD={quote(password)}",
        f"postgresql://anna@db:5432/erp?pass%77ord={quote(password)}",
    ):
        written, secret = _written(location, tmp_path)
        assert secret
        assert written == "postgresql://anna@db:5432/erp"


def test_without_a_password_an_address_stays(tmp_path: Path) -> None:
    assert _written("postgresql://db/erp?sslmode=require", tmp_path) == ("postgresql://db/erp?sslmode=require", False)


def test_a_relative_address_is_read_from_the_project(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = source.with_name("e\x7frp.db")
    source.rename(odd)
    assert run(["new", "shop", "--from", f"sqlite:///{odd.name}"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["-P", "../shop", "init"]) == 0
    assert run(["-P", "../shop", "ingest", "--json"]) == 0
    assert '"created": 2' in capsys.readouterr().out


def test_a_project_that_cannot_be_written_whole_is_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "rules").write_text("a file")
    assert run(["new", "shop", "--from", str(source)]) == 1
    assert "check the path" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["rules"]


def test_names_drive_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("erp.db")) as connection, connection:
        connection.execute('CREATE TABLE "empty\x1b[31m" (id INTEGER)')
        connection.execute('CREATE TABLE "full\x1b[31m" (id INTEGER PRIMARY KEY)')
        connection.execute('INSERT INTO "full\x1b[31m" VALUES (1)')
    assert run(["new", "[/x]", "--from", "erp.db", "--name", "x"]) == 0
    assert run(["new", "y", "--from", "erp.db", "--table", "z\x1b[31m"]) == 1
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "[/x]" in printed.out
