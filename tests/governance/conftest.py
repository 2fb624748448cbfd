from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.people import import_people
from governance.peoplefile import read_people
from governance.principals import Principal
from kg.store import GraphStore
from tests.contracts.stores import STORES
from tests.governance.world import ontology
from tests.parts import ManualClock

PEOPLE = """
roles: [purchasing-manager, finance-manager, clerk, admin]
departments: [purchasing, {name: finance, label: Finance}]
users:
  - {name: anna, label: Anna, email: anna@example.org, roles: [purchasing-manager], departments: [purchasing]}
  - {name: ben, roles: [finance-manager], departments: [finance]}
  - {name: carl, roles: [finance-manager, purchasing-manager]}
  - {name: dora, roles: [clerk]}
  - {name: anna-private, roles: [purchasing-manager, finance-manager], person: P-17}
  - {name: anna-work, roles: [purchasing-manager], person: P-17}
agents:
  - {name: replenishment, roles: [clerk], departments: [purchasing]}
services:
  - {name: erp, roles: [clerk]}
"""


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(name="root")
def _root() -> Principal:
    return Principal("Service", "setup")


#: For a test that proves an invariant: the server too.
EVERY_STORE = pytest.mark.parametrize("store", ["sqlite", "oracle", "neo4j"], indirect=True)


@pytest.fixture(name="store", params=["sqlite", "oracle"])
def _store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[GraphStore]:
    store = STORES[request.param](tmp_path, ontology(), clock)
    yield store
    store.close()


@pytest.fixture(name="people")
def _people(store: GraphStore, clock: ManualClock, root: Principal) -> GraphStore:
    import_people(store, clock, read_people(PEOPLE), root)
    return store
