"""Every ingest test runs on the oracle and on the embedded store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.kg.ingest.parts import Desk, company
from tests.oracles.graph import DictStore
from tests.parts import ManualClock


@pytest.fixture(params=["oracle", "sqlite"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A fresh desk."""
    ontology, clock = company(), ManualClock()
    folder = tmp_path / "data"
    folder.mkdir()
    store: GraphStore = (
        DictStore(ontology, clock)
        if request.param == "oracle"
        else SqliteStore(tmp_path / "graph.db", ontology, clock, durable=False)
    )
    yield Desk(store, ontology, clock, folder)
    store.close()
