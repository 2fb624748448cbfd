"""The stores that tests of runs go over: the oracle, the embedded store and the server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kg.store import GraphStore
from tests.contracts.stores import STORES
from tests.coordination.plant import ontology


@pytest.fixture(params=["oracle", "sqlite", "neo4j"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Any], GraphStore]]:
    """Makes an empty store on a clock, which is closed at the end."""
    opened: list[Any] = []

    def make(clock: Any) -> GraphStore:
        made = STORES[request.param](tmp_path, ontology(), clock)
        opened.append(made)
        return made

    yield make
    for one in opened:
        if hasattr(one, "close"):
            one.close()
