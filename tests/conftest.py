"""What holds for every test: a skip is a failure where every service is required, and no time limit makes a property flaky."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import place
from tests.contracts.stores import STORES

_REQUIRED = os.environ.get("REQUIRE_SERVICES") == "1"
settings.register_profile("noesis", deadline=None, print_blob=True)
settings.load_profile("noesis")


def _strict(report: Any) -> Any:
    """The report, a skip turned into a failure: what is not there cannot have been tested."""
    if _REQUIRED and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_SERVICES=1, yet: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _strict((yield))


@pytest.fixture(params=["oracle", "neo4j"])
def on_both(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a test whose graph stands nowhere in particular on the oracle, then on a real Neo4j server."""
    made: list[Any] = []

    def make(schema: Any, clock: Any) -> Any:
        made.append(STORES[request.param](tmp_path, schema, clock))
        return made[-1]

    monkeypatch.setattr(place, "make", make)
    yield
    for store in made:
        store.close()
