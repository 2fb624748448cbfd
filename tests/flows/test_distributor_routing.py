"""Routing by meaning: with the real embedding model, tickets worded as none before find the team by what they are about."""

from pathlib import Path

import pytest

from examples.distributor.agents.ticket_router import PRECEDENTS, vote
from examples.distributor.claims import of_proposals, proposals
from examples.distributor.generate import generate
from examples.distributor.live import apply_live
from examples.distributor.scoring import score
from kg.indexer import Indexer
from kg.model import Entity, Put
from kg.search import Hit
from tests.flows.distributor import Desk


def hit(team: str, score: float) -> Hit:
    return Hit(Entity(f"{team}{score}", "Ticket", 1, {"team": team}, 1), score, ("dense",))


def test_the_vote_weighs_precedents_by_how_near_they_came() -> None:
    team, share, others = vote([hit("billing", 0.3), hit("returns", 0.2), hit("returns", 0.2), hit("technical", 0.1)])
    assert (team, str(share), others) == ("returns", "0.5000", ("billing", "technical"))


def test_a_tie_goes_by_name_so_that_every_worker_votes_alike() -> None:
    assert vote([hit("technical", 0.2), hit("billing", 0.2)])[0] == "billing"


@pytest.mark.slow
def test_precedents_found_by_meaning_route_four_of_five_tickets(tmp_path: Path) -> None:
    truth = generate(tmp_path / "data")
    desk = Desk(tmp_path / "home", tmp_path / "data", index=True)
    platform = desk.platform
    try:
        assert platform.index is not None
        assert platform.embedder is not None
        desk.ingest("helpdesk")
        apply_live(desk.data)
        desk.ingest("helpdesk")
        Indexer(platform.store, platform.index, platform.embedder, platform.ontology).run()
        desk.settle()
        tally = score(of_proposals(desk.reader), truth).kinds["ticket_routing"]
        assert tally.recall >= 0.8, tally
        assert len(tally.false) == len(tally.missed)
        for proposal in proposals(desk.reader):
            named = desk.reader.versions([(fact.id, fact.version) for fact in proposal.evidence]).values()
            teams = {fact["team"] for fact in named if "team" in fact.properties}
            assert teams == {write.set["assignedTeam"] for write in proposal.writes if isinstance(write, Put)}
            assert 2 <= len(proposal.evidence) <= PRECEDENTS + 1
    finally:
        platform.close()
