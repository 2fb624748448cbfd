"""Which index a process gets: the engine inside it, or the server that `qdrant_url` names."""

from pathlib import Path

import pytest

from api.bootstrap import build
from api.errors import SettingsError
from api.settings import load_settings
from kg.embedders.shared import SharedEmbedder
from kg.errors import SearchIndexError
from kg.indexes.qdrant import QdrantIndex
from kg.indexes.shared import SharedIndex
from tests.services import ports


def test_the_address_of_a_server_chooses_it_even_while_it_is_away(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{ports.free()}"
    platform = build(load_settings(project=tmp_path, qdrant_url=url, qdrant_key="k3y"), index=True)
    try:
        assert isinstance(platform.index, QdrantIndex)
        assert not isinstance(platform.embedder, SharedEmbedder), "nobody else embeds for this process"
        with pytest.raises(SearchIndexError, match="does not answer"):
            platform.index.info()
    finally:
        platform.close()


def test_without_one_the_engine_inside_serves(tmp_path: Path) -> None:
    platform = build(load_settings(project=tmp_path, qdrant_url=None), index=True)
    try:
        assert isinstance(platform.index, SharedIndex)
        assert isinstance(platform.embedder, SharedEmbedder)
    finally:
        platform.close()


@pytest.mark.parametrize("url", ["index.example.com", "ftp://index.example.com", "http://"])
def test_what_is_no_address_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="qdrant_url"):
        build(load_settings(project=tmp_path, qdrant_url=url), index=True)
