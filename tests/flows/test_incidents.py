"""The service desk on its first 10,000 events, fed as they happened: detectors find each turn and each long wait exactly, and the
router acts at the first event of an incident on nothing but what was before it.

The incidents are the BPI Challenge 2013 log, doi:10.4121/uuid:a7ce5c55-03a7-4583-b855-98b86e1a2b07.
"""

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from agents.acting import LocalActing
from agents.context import Search
from coordination.proposals import Draft, Proposal
from examples.incidents.agents.precedents import vote
from examples.incidents.agents.team_router import FEW, SHOWN
from examples.incidents.events import Event, batches, read_events
from examples.incidents.feed import SOURCE, Feed, incident_id
from examples.incidents.replay import main
from governance.approvals import approve
from governance.principals import load_principal
from governance.rules import load_rules
from kg.embedders.hashing import HashingEmbedder
from kg.errors import SourceError
from kg.indexer import Indexer
from kg.indexes.edge import EdgeIndex
from kg.ingest import load_mapping
from kg.ingest.mapping_file import all_picks
from kg.lineage import why
from kg.model import Entity, Op, Put, Where
from kg.search import search
from kg.store import GraphStore
from kg.values import Ref
from kg.view import View
from tests.flows.desk import DATA, ROOT, Desk, need
from tests.parts import OpenView

PROJECT = ROOT / "examples" / "incidents"
LOG = DATA / "incidents" / "bpic2013_incidents.csv"
EVENTS = 10_000
WEEK = timedelta(days=7)
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Told:
    """What the log itself says, read with nothing of the example's code."""

    turns: Counter[str]
    ended: Counter[str]
    waiting: frozenset[str]
    first: Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def told() -> Told:
    with need(LOG).open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: datetime.fromisoformat(row["time:timestamp"]))[:EVENTS]
    turns: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    waiting: set[str] = set()
    first: dict[str, Mapping[str, str]] = {}
    end = datetime.fromisoformat(rows[-1]["time:timestamp"])
    by_incident: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        first.setdefault(row["case:concept:name"], row)
        by_incident.setdefault(row["case:concept:name"], []).append(row)
    for number, own in by_incident.items():
        path = [team for team, _ in itertools.groupby(row["org:group"] for row in own)]
        turns[number] = sum(one == other for one, other in zip(path, path[2:], strict=False))
        for waits, group in itertools.groupby(own, key=lambda row: row["lifecycle:transition"] == "Wait - User"):
            if waits:
                start = next(group)
                after = next(
                    (row for row in own[own.index(start) :] if row["lifecycle:transition"] != "Wait - User"), None
                )
                until = datetime.fromisoformat(after["time:timestamp"]) if after else end
                if until - datetime.fromisoformat(start["time:timestamp"]) > WEEK:
                    if after:
                        ended[number] += 1
                    else:
                        waiting.add(number)
    return Told(+turns, ended, frozenset(waiting), first)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return read_events(need(LOG), EVENTS)


@pytest.fixture(scope="module")
def desk(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The desk after the feed, its work done after each batch; the tests go on from it in the order of this file."""
    desk = Desk(PROJECT, tmp_path_factory.mktemp("incidents"))
    for _ in Feed(desk.platform.store, events).steps():
        desk.settle()
    yield desk
    desk.platform.close()


def target(proposal: Proposal) -> str:
    return str(cast(Ref, proposal.entity["target"]))


def per_incident(desk: Desk, operation: str) -> Counter[str]:
    """How many proposals each incident got, by its id."""
    return Counter(map(target, desk.proposals(operation)))


def by_id(counts: Mapping[str, int]) -> dict[str, int]:
    return {incident_id(number): count for number, count in counts.items()}


def test_the_mapping_says_how_the_log_reads(events: list[Event]) -> None:
    """Against the log read with nothing of the example's code; only the leaking column and what nobody asks for stay out."""
    mapping = load_mapping(PROJECT / "mapping.yaml")
    (table,) = mapping.tables
    assert (mapping.source, table.table) == (SOURCE, "events")
    with LOG.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {pick.column for pick in all_picks(table)}
    assert set(rows[0]) - columns == {"organization country", "organization involved", "org:role"}
    for event in events[::7]:
        row = rows[event.row - 1]
        assert event.at == datetime.fromisoformat(row["time:timestamp"])
        assert (event.incident, event.team, event.person, event.country, event.product) == (
            row["case:concept:name"],
            row["org:group"],
            row["org:resource"],
            row["resource country"],
            row["product"],
        )
        assert (event.status, event.transition, event.impact) == (
            row["concept:name"],
            row["lifecycle:transition"],
            row["impact"],
        )


def test_a_log_with_a_bad_row_is_not_fed(events: list[Event], tmp_path: Path) -> None:
    del events
    lines = LOG.read_text(encoding="utf-8").splitlines()[:4]
    bad = tmp_path / "log.csv"
    bad.write_text("\n".join([*lines, lines[-1].rpartition(",")[0] + ",soon"]))
    with pytest.raises(SourceError, match=r"the first is row 4: .*'soon' is not an ISO 8601 date"):
        read_events(bad)
    incident, _, rest = lines[-1].split(",", 2)
    bad.write_text("\n".join([*lines, f"{incident},,{rest}"]))
    with pytest.raises(SourceError, match=r"row 4 of the log says no team"):
        read_events(bad)


def test_every_event_is_a_version_of_its_incident(desk: Desk, events: list[Event], told: Told) -> None:
    store = desk.platform.store
    assert store.count("Incident", at_most=10_000) == len(told.first) == 954
    for number in list(told.first)[::100]:
        own = sorted((event for event in events if event.incident == number), key=lambda event: (event.at, event.row))
        states = [(v["changedAt"], v["team"], v["transition"]) for v in store.history(incident_id(number))]
        fed = [(event.at, event.team, event.transition) for event in own]
        # Versions that agents or two rows of one second made say nothing new.
        assert [key for key, _ in itertools.groupby(states)] == [key for key, _ in itertools.groupby(fed)]
        origins = {change.origin for change in store.changes_of(incident_id(number)) if change.origin}
        assert origins <= {f"bpic2013.events/{event.row}" for event in own}


def test_each_turn_of_ping_pong_is_found_once(desk: Desk, told: Told) -> None:
    assert (len(told.turns), told.turns.total()) == (260, 659)
    assert per_incident(desk, "incident.escalate") == by_id(told.turns)


def test_each_long_wait_for_the_user_is_found_once(desk: Desk, told: Told) -> None:
    assert (len(told.ended), told.ended.total()) == (57, 62)
    both = told.ended + Counter(told.waiting)
    assert both.total() == 191
    assert per_incident(desk, "user.remind") == by_id(both)


def test_findings_are_in_the_graph_and_nothing_failed(desk: Desk) -> None:
    detectors = desk.proposals("incident.escalate", "user.remind")
    assert {proposal.state for proposal in detectors} == {"applied"}
    assert desk.platform.store.count("Finding", at_most=10_000) == len(detectors) == 659 + 191


def test_each_incident_is_routed_once_and_a_weak_vote_waits_for_a_dispatcher(desk: Desk, told: Told) -> None:
    routed = desk.proposals("incident.route")
    assert Counter(map(target, routed)) == by_id(dict.fromkeys(told.first, 1))
    for proposal in routed:
        assert proposal.state == ("waiting_approval" if proposal.confidence < Decimal("0.3") else "applied")
    waiting = next(proposal for proposal in routed if proposal.state == "waiting_approval")
    platform = desk.platform
    decision = desk.reader.expand([waiting.id], "decidedBy")[waiting.id][0].entity
    dora = load_principal(platform.store, 'User::"dora"')
    rules = load_rules(platform.store, platform.ontology)
    assert approve(platform.store, platform.clock, rules, decision.id, dora, "approve", "Plausible.").met
    desk.settle()
    assert desk.reader.get([waiting.id])[waiting.id]["state"] == "applied"
    assert "predictedTeam" in desk.reader.get([target(waiting)])[target(waiting)].properties


def test_a_choice_names_precedents_that_were_there_before(desk: Desk) -> None:
    cited = 0
    for proposal in desk.proposals("incident.route"):
        facts = desk.reader.versions([(fact.id, fact.version) for fact in proposal.evidence])
        incident = facts[proposal.evidence[0].id, proposal.evidence[0].version]
        precedents = [facts[fact.id, fact.version] for fact in proposal.evidence[1:]]
        assert len(precedents) <= SHOWN
        for precedent in precedents:
            assert cast(datetime, precedent["changedAt"]) < cast(datetime, incident["openedAt"])
            assert precedent.since <= cast(int, proposal.entity["contextPosition"])
            assert str(precedent["incidentNo"]) in proposal.text("rationale")
        cited += bool(precedents)
    assert cited > 700


def drafts_at_the_start(desk: Desk, number: str) -> tuple[Draft, ...]:
    """What the router says of an incident at the position of its creation by the graph alone, whatever was learnt since."""
    store, acting = desk.platform.store, desk.platform.acting
    assert acting is not None
    created = store.history(incident_id(number))[0]
    change = store.changes(created.since - 1, 1)[0]
    drafts, _ = replace(cast(LocalActing, acting), searches=None).act("team-router", change, created, created.since)
    return drafts


def considered(draft: Draft) -> int:
    return int(draft.rationale.split(" precedents")[0].rsplit(" ", 1)[1])


def test_nothing_after_the_first_event_is_seen(desk: Desk, events: list[Event]) -> None:
    """At its pinned position each incident is routed as it was live, when nothing later was there yet.

    Those for which the graph gave so few that the index was asked are left out: an index has no past to ask again.
    """
    live = {target(proposal): proposal for proposal in desk.proposals("incident.route")}
    again = [(event, drafts_at_the_start(desk, event.incident)[0]) for event in events if event.first]
    compared = [(event, draft) for event, draft in again if considered(draft) >= FEW]
    for event, draft in compared:
        proposal = live[incident_id(event.incident)]
        assert draft.writes == proposal.writes
        assert draft.confidence == proposal.confidence
        assert draft.rationale == proposal.text("rationale")
        assert draft.evidence == proposal.evidence
    assert len(compared) > 400


def test_other_later_events_change_no_choice(desk: Desk, events: list[Event], tmp_path: Path) -> None:
    """The same feed up to an incident's first event, and from there on every event completes its incident at one team."""
    begins = next(index for index, event in enumerate(events) if event.first and index > 4_000)
    other = [*events[: begins + 1], *(replace(event, team="X1", status="Completed") for event in events[begins + 1 :])]
    second = Desk(PROJECT, tmp_path)
    try:
        for _ in Feed(second.platform.store, other[: begins + 2_000]).steps():
            pass
        for event in [event for event in events[: begins + 1] if event.first][-100:]:
            (one,), (two,) = (drafts_at_the_start(where, event.incident) for where in (second, desk))
            assert (one.writes, one.confidence, one.rationale) == (two.writes, two.confidence, two.rationale)
            assert [fact.id for fact in one.evidence] == [fact.id for fact in two.evidence]
        later = next(event for event in other[begins + 1_500 :] if event.first).incident
        assert "X1" in drafts_at_the_start(second, later)[0].rationale
    finally:
        second.platform.close()


def test_where_the_graph_gives_few_the_index_gives_more(desk: Desk, events: list[Event], tmp_path: Path) -> None:
    platform, embedder = desk.platform, HashingEmbedder()
    index = EdgeIndex(tmp_path / "index", embedder)

    def searches(view: View) -> Search:
        return lambda text, classes, first: (
            search(platform.store, index, embedder, view, platform.ontology, text, classes, first).hits
        )

    try:
        Indexer(platform.store, index, embedder, platform.ontology).run()
        indexed = replace(cast(LocalActing, platform.acting), searches=searches)
        more = 0
        for event in [event for event in events if event.first][-200:]:
            (alone,) = drafts_at_the_start(desk, event.incident)
            created = platform.store.history(incident_id(event.incident))[0]
            change = platform.store.changes(created.since - 1, 1)[0]
            (draft,), _ = indexed.act("team-router", change, created, created.since)
            if considered(alone) >= FEW:
                assert draft == alone
            else:
                assert considered(draft) >= considered(alone)
                more += considered(draft) > considered(alone)
        assert more >= 10
    finally:
        index.close()


def test_the_replay_command_says_what_was_proposed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], events: list[Event]
) -> None:
    del events
    assert main([str(LOG), "--events", "400", "--home", str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {(words[0], words[1]) for words in lines} >= {
        ("incident.escalate", "applied"),
        ("incident.route", "applied"),
    }
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "bpic2013_incidents.csv" in capsys.readouterr().err


def test_a_killed_feed_goes_on_where_it_was(events: list[Event], tmp_path: Path) -> None:
    stores = [Desk(PROJECT, tmp_path / name) for name in ("whole", "killed")]
    try:
        whole, killed = (one.platform.store for one in stores)
        for _ in Feed(whole, events[:600]).steps():
            pass
        for _ in itertools.islice(Feed(killed, events[:600]).steps(), 40):
            pass
        for _ in Feed(killed, events[:600]).steps():
            pass
        assert list(Feed(killed, events[:600]).steps()) == []

        def standing(store: GraphStore) -> list[tuple[str, Mapping[str, object]]]:
            return [(one.id, dict(one.properties)) for one in store.find("Incident", first=1_000).items]

        assert standing(killed) == standing(whole)
    finally:
        for one in stores:
            one.platform.close()


def test_names_are_masked_for_staff_and_agents(desk: Desk) -> None:
    person = desk.reader.find("Person", first=1).items[0]
    assert "firstName" in person.properties
    assert "firstName" in desk.reader_of("sten").get([person.id])[person.id].masked
    assert desk.reader_of("sten").find("Person", [Where("firstName", Op.EQ, person["firstName"])]).items == ()
    assert "firstName" in desk.reader_of("ada").get([person.id])[person.id].properties


def test_why_leads_from_a_prediction_to_rows_of_the_log(desk: Desk) -> None:
    applied = next(p for p in desk.proposals("incident.route") if p.state == "applied" and len(p.evidence) > SHOWN)
    told = str(why(desk.platform.store, OpenView(), target(applied), "predictedTeam", depth=8))
    assert "bpic2013.events/" in told
    assert "team-router" in told
    assert "desk-agents" in told


def test_the_ledger_holds(desk: Desk) -> None:
    store = desk.platform.store
    assert store.verify() == store.head().position


def test_the_leaking_column_is_not_in_the_graph(desk: Desk) -> None:
    names = set(desk.platform.ontology.classes["Incident"].properties)
    assert not any("organi" in name.lower() for name in names)


def incident(number: str, **values: object) -> Entity:
    day = datetime.fromisoformat("2012-01-01T00:00:00+00:00")
    held = {"incidentNo": number, "product": "P", "firstTeam": "A", "team": "A", "country": "SE", "status": "Completed"}
    more = {"firstPerson": Ref("p"), "openedAt": day, "changedAt": day, **values}
    return Entity(number, "Incident", 1, cast("Mapping[str, str]", {**held, **more}), 1)


def test_without_precedents_the_first_team_keeps_it() -> None:
    choice = vote(incident("new"), [])
    assert (choice.team, choice.share, choice.considered, choice.precedents) == ("A", 1.0, 0, ())


def test_precedents_of_the_product_outvote_the_rule_and_the_nearest_comes_first() -> None:
    moved = [incident("near", team="B"), incident("far", team="B", country="PL"), incident("kept", product="Q")]
    choice = vote(incident("new"), moved)
    assert choice.team == "B"
    assert [(p.entity.id, p.shares[0]) for p in choice.precedents] == [("near", "product"), ("far", "product")]
    assert choice.others == ("A",)


def test_batches_end_where_incidents_begin_and_days_end(events: Sequence[Event]) -> None:
    for batch in batches(events):
        begins = [event for event in batch if event.first]
        assert begins == list(batch[len(batch) - len(begins) :])
        assert len({event.at for event in begins}) <= 1
        assert len({event.at.date() for event in batch}) == 1


def test_a_draft_only_predicts(desk: Desk, events: list[Event]) -> None:
    for event in [event for event in events if event.first][::200]:
        for draft in drafts_at_the_start(desk, event.incident):
            assert [type(write) for write in draft.writes] == [Put]
            assert {name for write in draft.writes for name in cast(Put, write).set} == {"predictedTeam"}
