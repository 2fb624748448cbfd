"""The service desk's first events on a file and on a Neo4j server: what the agents find, propose and apply is the same on both."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from examples.incidents.events import read_events
from examples.incidents.feed import Feed
from kg.lineage import why
from kg.values import Ref
from tests.flows.desk import ROOT, Desk, need
from tests.flows.test_incidents import LOG
from tests.parts import OpenView
from tests.services.graph import empty
from tests.services.server import running

PROJECT = ROOT / "examples" / "incidents"
EVENTS = 300


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Desk]]:
    """The same events fed to both, the work done after each batch."""
    events, server = read_events(need(LOG), EVENTS), running("neo4j")
    empty(server)
    place = {"store_url": server.url, "store_user": server.user, "store_password": server.password}
    made = [Desk(PROJECT, tmp_path_factory.mktemp("incidents"), where) for where in ({}, place)]
    for desk in made:
        for _ in Feed(desk.platform.store, events).steps():
            desk.settle()
    yield made[0], made[1]
    for desk in made:
        desk.platform.close()


def test_every_incident_is_the_same(desks: tuple[Desk, Desk]) -> None:
    file, server = (
        {one.id: (one.version, dict(one.properties)) for one in desk.reader.find("Incident", first=1_000).items}
        for desk in desks
    )
    assert len(file) > 15
    assert file == server


def test_the_same_is_proposed_for_the_same_reasons(desks: tuple[Desk, Desk]) -> None:
    def told(desk: Desk) -> list[tuple[object, ...]]:
        return sorted(
            (p.text("operation"), str(cast(Ref, p.entity["target"])), p.state, str(p.confidence), p.text("rationale"))
            for p in desk.proposals()
        )

    file, server = map(told, desks)
    assert len(file) > 15
    assert {state for _, _, state, _, _ in file} == {"applied"}
    assert file == server


def test_why_tells_the_same_road_back(desks: tuple[Desk, Desk]) -> None:
    def records(desk: Desk) -> set[str]:
        applied = min(
            (p for p in desk.proposals("incident.route") if p.state == "applied"),
            key=lambda p: (-len(p.evidence), str(p.entity["target"])),
        )
        answer = why(desk.platform.store, OpenView(), str(applied.entity["target"]), "predictedTeam", depth=8)
        return {node.label for node in answer.walk() if node.kind == "record"}

    file, server = map(records, desks)
    assert file
    assert file == server


def test_both_ledgers_hold(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    positions = [desk.platform.store.head().position for desk in desks]
    assert [desk.platform.store.verify() for desk in desks] == positions
    assert positions[0] == positions[1]
