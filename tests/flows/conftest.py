"""Where the graph of a flow stands: in a file, or on a real Neo4j server that is emptied first."""

import pytest

from tests.services.graph import empty
from tests.services.server import running


@pytest.fixture(scope="module", params=["sqlite", "neo4j"])
def place(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings that put a flow there; every test of the module that asks for its desk runs at both."""
    if request.param == "sqlite":
        return {}
    server = running("neo4j")
    empty(server)
    return {"store_url": server.url, "store_user": server.user, "store_password": server.password}
