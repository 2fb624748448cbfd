"""The store is chosen by settings alone: a file by default, a Neo4j server by its address."""

from pathlib import Path

import pytest

from api.bootstrap import build, make_store
from api.errors import SettingsError
from api.settings import Settings
from kg.clock import SystemClock
from kg.errors import InputError
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema
from tests.services.graph import empty
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
