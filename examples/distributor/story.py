"""The distributor's story end to end, on real processes: generate, ingest, index, live changes, decisions, an approval over
GraphQL, a worker killed in mid-run, one full why, the score against the planted truth, and the ledger.

Invariant: `tell` is true only if every claim it prints was checked and held; nothing is assumed. It needs no language model.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from agents.context import Search
from api.bootstrap import INDEX, agent_modules, build, make_embedder, open_store
from api.graphql.ids import global_id
from api.platform import Noesis
from api.project import OPERATOR, prepare
from api.settings import Settings, load_settings
from coordination.proposals import Proposal
from examples.distributor.claims import of_proposals, proposals
from examples.distributor.generate import generate
from examples.distributor.live import apply_live
from examples.distributor.processes import Processes, StoryError, graphql, wait_for
from examples.distributor.rest import at_rest, indexed, moved, open_work, taken
from examples.distributor.scoring import KINDS, Score, approval_to_show, score, why_to_show
from examples.distributor.silo import best_alone, score_alone
from examples.distributor.truth import Truth, read_truth
from governance import apikeys
from kg.clock import SystemClock
from kg.embedders.shared import SharedEmbedder
from kg.errors import InputError
from kg.indexes.shared import SharedIndex
from kg.ingest import ingest, load_mapping
from kg.lineage import why
from kg.reader import Reader
from kg.search import Hit, search
from kg.view import View

PROJECT = Path(__file__).parent
FILES = (
    "noesis.toml",
    "ontology.ttl",
    "people.yaml",
    "crm.yaml",
    "erp.yaml",
    "logistics.yaml",
    "helpdesk.yaml",
    "calendar.yaml",
)
#: Settings that may put the story on servers.
SERVERS = (
    *("store_url", "store_user", "store_password", "store_database"),
    *("broker_url", "qdrant_url", "qdrant_key"),
)
#: Points of recall by which all departments together must find more than the best of them alone.
LEAD_MIN = 20
#: The kinds of situation that no department sees whole.
CROSS = ("replenishment", "late_delivery", "credit_hold")
#: Proposals applied before the worker is killed, so that it dies in mid-run.
APPLIED_BEFORE_KILL = 5
WHY_LINES = 150

WAITING = """query($after: String) { proposals(where: {state: {eq: "waiting_approval"}}, first: 100, after: $after) {
  edges { node { id operation rationale decidedBy { edges { node { id outcome required } } } } } } }"""
APPROVE = """mutation($decision: ID!) { approve(decision: $decision, comment: "Seen, order it.") {
  met errors { code message } } }"""
STATE = "query($id: ID!) { proposal(id: $id) { state } }"


@dataclass(slots=True)
class Story:
    """The telling so far: what was checked, and where it goes."""

    folder: Path
    say: Callable[[str], None]
    failed: list[str] = field(default_factory=list)
    started: float = field(default_factory=monotonic)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.say(f"\n[{monotonic() - self.started:4.0f} s] {title}")

    def check(self, held: bool, claim: str) -> None:
        """Print a claim with whether it held."""
        self.say(f"   {'✓' if held else '✗ NOT SO:'} {claim}")
        if not held:
            self.failed.append(claim)


def tell(folder: Path, say: Callable[[str], None], seed: int = 7, servers: Mapping[str, str] | None = None) -> bool:
    """Tell the whole story in a folder, which is emptied first; whether all of it held.

    `servers` are settings that name servers (those of `SERVERS`); what is not among them runs embedded.
    """
    story = Story(folder, say)
    data = _project(folder, seed)
    truth = read_truth(data / "truth.json")
    story.chapter(
        f"Four departments' systems, with {len(truth.situations)} planted situations and decoys (seed {seed})"
    )
    settings = load_settings(project=folder, **{**dict.fromkeys(SERVERS), "store_user": "neo4j", **(servers or {})})
    _expect_empty(settings)
    prepared = prepare(settings)
    say(
        f"   {prepared.classes} classes, {len(prepared.agents)} agents, {prepared.rules} rules, {prepared.people} people and roles"
    )
    processes = Processes(folder, servers or {})
    platform = build(settings)
    try:
        _told(story, platform, processes, data, truth)
    except StoryError as error:
        story.check(False, str(error))
    finally:
        platform.close()
        story.check(processes.end(), "every process ended by itself when asked to")
    return not story.failed


def _expect_empty(settings: Settings) -> None:
    """Raise InputError where the server holds a graph already: the story would be told on top of it."""
    if settings.store_url is None:
        return
    _, raw, _ = open_store(settings, SystemClock())
    try:
        if raw.head().position:
            raise InputError(
                f"the graph at {settings.store_url} is not empty; name an empty database in store_database"
            )
    finally:
        raw.close()


def _project(folder: Path, seed: int) -> Path:
    """A project folder of its own, as a user would have one, with freshly generated source systems."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(PROJECT / name, folder / name)
    for name in ("agents", "rules"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    data = folder / "data"
    generate(data, seed)
    return data


def _told(story: Story, platform: Noesis, processes: Processes, data: Path, truth: Truth) -> None:
    manager, _ = apikeys.create(platform.store, platform.clock, "demo", "User::petra", OPERATOR)
    _, line = processes.start("serve", "--port", "0", "--no-worker", until="GraphQL at ")
    url = line.split("GraphQL at ")[1].split(";")[0]
    story.say(f"   noesis serve answers at {url} and follows the graph with the semantic index")
    _load(story, platform, "The departments' systems become one graph")
    _work_killed(story, platform, processes)
    _approve(story, platform, url, manager)
    _why(story, platform)
    story.chapter("The business goes on: rows change in the source systems, agents sense it in the graph")
    story.say(f"   {apply_live(data)} rows changed at the sources")
    wait_for(lambda: indexed(platform.store), "the index", lambda: taken(platform.store))
    _load(story, platform, "")
    _rest(story, platform)
    _score(story, platform, truth)
    _once(story, platform)
    story.chapter("The record")
    checked = platform.store.verify()
    story.check(True, f"the ledger verifies: {checked:,} changes, root {platform.store.head().root.hex()[:16]}…")
    again = sum(_ingest(platform).values())
    story.check(again == 0, "the same sources again: 0 new versions")


def _ingest(platform: Noesis) -> Counter[str]:
    """Bring every source in; counts of what that changed."""
    counts: Counter[str] = Counter()
    for item in platform.settings.mappings:
        plan = load_mapping(platform.settings.path(item.file))
        report = ingest(
            platform.store, platform.ontology, platform.clock, plan, platform.settings.path(item.location or "")
        )
        counts.update(created=report.created, updated=report.updated, closed=report.closed)
        counts["rejected"] += report.rejected
    return counts


def _load(story: Story, platform: Noesis, title: str) -> None:
    if title:
        story.chapter(title)
    began = monotonic()
    counts = _ingest(platform)
    story.say(
        f"   {counts['created']:,} records new, {counts['updated']:,} changed, {counts['rejected']} rejected in "
        f"{monotonic() - began:.1f} s"
    )


def _applied(platform: Noesis) -> int:
    return platform.store.count("Effect", at_most=100_000)


def _work_killed(story: Story, platform: Noesis, processes: Processes) -> None:
    """Start a worker, kill it in mid-run with SIGKILL, start another and wait for rest."""
    story.chapter("Agents of five departments at work, until one worker process is killed")
    worker, _ = processes.start("work", until="working with")
    _wait(platform, lambda: _applied(platform) >= APPLIED_BEFORE_KILL, "the first effects")
    processes.kill(worker)
    at_kill, left = _applied(platform), open_work(platform.store)
    story.say(f"   SIGKILL after {at_kill} effects; {left} pieces of work are left in the graph")
    processes.start("work", until="working with")
    _rest(story, platform)
    story.check(_applied(platform) > at_kill, f"another worker went on from the graph: {_applied(platform)} effects")


def _wait(platform: Noesis, look: Callable[[], bool], what: str) -> None:
    """Wait for something that comes about by work on the graph, for as long as any gets done."""
    wait_for(look, what, lambda: moved(platform.store))


def _rest(story: Story, platform: Noesis) -> None:
    _wait(platform, lambda: at_rest(platform.store), "rest")
    story.check(open_work(platform.store) == 0, "every piece of work is done; nothing is left to the killed worker")


def _reader(platform: Noesis) -> Reader:
    return Reader(platform.store, platform.view(OPERATOR))


def _approve(story: Story, platform: Noesis, url: str, key: str) -> None:
    story.chapter("A person decides: over GraphQL, with an API key of the purchasing manager")
    wanted = approval_to_show(_reader(platform))
    if wanted is None:
        raise StoryError("a purchase order that waits for approval")
    id = global_id("Proposal", wanted.id)
    nodes = [edge["node"] for edge in graphql(url, WAITING, key)["proposals"]["edges"]]
    node = next((node for node in nodes if node["id"] == id), None)
    if node is None:
        raise StoryError("the purchasing manager's inbox with the purchase order")
    story.say(f"   {len(nodes)} proposals wait. {node['operation']}: {node['rationale']}")
    decision = next(e["node"] for e in node["decidedBy"]["edges"] if e["node"]["outcome"] == "needs_approval")
    story.say(f"   needs {', '.join(decision['required'])}")
    answer = graphql(url, APPROVE, key, decision=decision["id"])["approve"]
    story.check(not answer["errors"] and answer["met"], "petra approves; the requirement is met")
    _wait(platform, lambda: graphql(url, STATE, key, id=id)["proposal"]["state"] == "applied", "the approved order")
    story.check(True, "it was decided again with the rules of that moment, and applied")


def _why(story: Story, platform: Noesis) -> None:
    story.chapter("Why? One decision, traced to its sources")
    shown = why_to_show(_reader(platform))
    if shown is None:
        raise StoryError("an applied remedy to explain")
    answer = why(platform.store, platform.view(OPERATOR), shown.id, depth=6)
    lines = answer.lines()
    for line in lines[:WHY_LINES]:
        story.say(f"   {line[:170]}")
    if len(lines) > WHY_LINES:
        story.say(f"   … {len(lines) - WHY_LINES} more lines: noesis -P {story.folder} why {shown.id}")
    sources = {node.label for node in answer.walk() if node.kind == "record"}
    systems = sorted(s for s in ("crm", "erp", "helpdesk", "logistics") if any(s in label for label in sources))
    story.check(len(systems) >= 3, f"one decision rests on the records of {', '.join(systems)}")


def _score(story: Story, platform: Noesis, truth: Truth) -> None:
    story.chapter("The score against the planted truth")
    reader = _reader(platform)
    unified = score(of_proposals(reader), truth)
    story.say(f"   {'':16}{'found':>8}{'missed':>8}{'false':>8}{'recall':>9}")
    for kind in KINDS:
        tally = unified.kinds[kind]
        story.say(f"   {kind:16}{len(tally.found):8}{len(tally.missed):8}{len(tally.false):8}{tally.recall:9.0%}")
    alone = _alone(platform, truth)
    name, best = best_alone(alone)
    story.say(
        f"   {'best alone: ' + name:20}{len(best.total.found):4}{len(best.total.missed):8}{len(best.total.false):8}"
        f"{best.total.recall:9.0%}"
    )
    lead = (unified.total.recall - best.total.recall) * 100
    story.check(lead >= LEAD_MIN, f"all departments together find {lead:.0f} points more than the best alone")
    # A ticket's team follows from the helpdesk's own past: what several departments must know is the other three kinds.
    together = unified.of(CROSS)
    name, best = best_alone({system: Score(found.only(CROSS)) for system, found in alone.items()})
    story.check(
        (together.recall - best.total.recall) * 100 >= LEAD_MIN and len(together.false) <= len(best.total.false),
        f"where departments must be joined: {together.recall:.0%} with {len(together.false)} false alarms against "
        f"{best.total.recall:.0%} with {len(best.total.false)} ({name} alone)",
    )


def _alone(platform: Noesis, truth: Truth) -> dict[str, Score]:
    """What each department's data gives alone, with the same agents and the same semantic search."""
    agents = [item.agent for item in agent_modules(platform.settings).values()]
    own = make_embedder(platform.settings)
    index = SharedIndex(platform.settings.home_path / INDEX, own)
    embedder = SharedEmbedder(own, index.embed)

    def searches(view: View) -> Search:
        def find(text: str, classes: Sequence[str], first: int) -> Sequence[Hit]:
            return search(platform.store, index, embedder, view, platform.ontology, text, classes, first).hits

        return find

    try:
        return score_alone(platform.store, agents, truth, searches)
    finally:
        index.close()


def _once(story: Story, platform: Noesis) -> None:
    story.chapter("Nothing was lost or doubled")
    made = [proposal for proposal in proposals(_reader(platform)) if proposal.state == "applied"]
    effects = platform.store.count("Effect", at_most=100_000)
    story.check(effects == len(made), f"{len(made)} proposals applied, {effects} effects: each exactly once")
    twice = [pair for pair, times in Counter(map(_what, made)).items() if times > 1]
    story.check(not twice, "no operation was applied twice to one target")


def _what(proposal: Proposal) -> tuple[str, str]:
    return proposal.text("operation"), proposal.text("target")
