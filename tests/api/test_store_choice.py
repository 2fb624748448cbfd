"""The store is chosen by settings alone: a file by default, a Neo4j server by its address."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.bootstrap import build, make_store
from api.cli.main import app
from api.errors import SettingsError
from api.settings import Settings
from kg.clock import SystemClock
from kg.errors import InputError
from kg.model import Cause, Put
from kg.stores.neo4j_check import expected
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema
from tests.services.graph import empty, fresh
from tests.services.server import running


def test_a_file_by_default(tmp_path: Path) -> None:
    store = make_store(Settings(project=tmp_path, home=tmp_path), FreeSchema(), SystemClock())
    assert isinstance(store, SqliteStore)
    store.close()


def test_an_address_needs_a_password_and_a_scheme(tmp_path: Path) -> None:
    bare = Settings(project=tmp_path, home=tmp_path, store_url="bolt://127.0.0.1:1")
    with pytest.raises(SettingsError, match="NOESIS_STORE_PASSWORD"):
        make_store(bare, FreeSchema(), SystemClock())
    wrong = Settings(project=tmp_path, home=tmp_path, store_url="http://127.0.0.1:1", store_password="x")
    with pytest.raises(InputError, match="no address of a graph server"):
        make_store(wrong, FreeSchema(), SystemClock())


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_the_platform_runs_on_a_server(tmp_path: Path, scheme: str) -> None:
    server = running("neo4j")
    empty(server)
    url = server.url.replace("bolt://", f"{scheme}://")
    settings = Settings(
        project=tmp_path, home=tmp_path, store_url=url, store_user=server.user, store_password=server.password
    )
    assert server.password not in repr(settings)
    noesis = build(settings)
    assert isinstance(noesis.store.get(["none"]), dict)
    noesis.store.commit([Put("01x", "User", {"name": "anna"})], Cause("1", "test", 'Service::"test"'))
    assert noesis.store.verify() == noesis.store.head().position
    noesis.close()
    again = build(settings)
    assert again.store.get(["01x"])["01x"]["name"] == "anna"
    again.close()


def test_doctor_names_the_missing_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = running("neo4j")
    store = fresh(tmp_path, FreeSchema(), SystemClock())
    monkeypatch.setenv("NOESIS_STORE_URL", server.url)
    monkeypatch.setenv("NOESIS_STORE_PASSWORD", server.password)
    store._server.define("DROP INDEX change_target")
    try:
        result = CliRunner().invoke(app, ["--project", str(tmp_path), "doctor", "--json"])
    finally:
        store._server.define(expected()["change_target"].statement)
        store._server.define("CALL db.awaitIndexes(60)")
        store.close()
    assert result.exit_code == 1
    told = {line["check"]: line for line in json.loads(result.stdout)["checks"]}
    assert not told["graph index change_target"]["ok"]
    assert told["graph server"]["ok"]


def test_a_command_on_an_empty_server_says_what_to_do_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = running("neo4j")
    empty(server)
    monkeypatch.setenv("NOESIS_STORE_URL", server.url)
    monkeypatch.setenv("NOESIS_STORE_PASSWORD", server.password)
    result = CliRunner().invoke(app, ["--project", str(tmp_path), "verify"])
    assert result.exit_code == 1
    assert "run `noesis init` first" in str(result.exception)


def test_a_demo_on_servers_needs_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--servers", "--folder", str(tmp_path / "demo")])
    assert result.exit_code == 1
    assert "NOESIS_STORE_URL" in str(result.exception)
