"""Fixtures of the API's tests: the company's ontology, a store in a file, the platform, and a client on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.platform import Noesis
from kg.ontology import Ontology
from kg.stores.sqlite import SqliteStore
from tests.api import parts
from tests.api.client import Client
from tests.parts import ManualClock


@pytest.fixture(scope="session")
def words() -> Ontology:
    return parts.ontology()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, words: Ontology, clock: ManualClock) -> Iterator[SqliteStore]:
    made = parts.sqlite(tmp_path / "graph.db", words, clock)
    yield made
    made.close()


@pytest.fixture
def platform(store: SqliteStore, clock: ManualClock, words: Ontology) -> Noesis:
    made = parts.platform(store, clock, words)
    parts.company(store, clock)
    return made


@pytest.fixture
def client(platform: Noesis) -> Client:
    return Client(platform)
