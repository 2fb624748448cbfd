"""The service desk's whole log, 65,533 events, fed as they happened: how well incidents are routed, whether the detectors miss
none, and what it costs.

The detectors run through the whole runtime (feed, work, decision, effect). The router acts at the head right after a test
incident's first event, when nothing later is in the graph yet. Split: the completed incidents in order of their first event,
the first 70 % to learn from, the rest to test; the bars are the simple rules on the same part, computed in the same run.
Data: BPI Challenge 2013, doi:10.4121/uuid:a7ce5c55-03a7-4583-b855-98b86e1a2b07.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

from agents.acting import LocalActing
from api.bootstrap import build
from api.platform import Noesis
from api.project import prepare
from api.settings import load_settings
from benchmarks.result import Result, at_least, within
from coordination.runtime import Runtime
from examples.incidents.events import Event, read_events
from examples.incidents.feed import Feed, incident_id
from kg.model import Op, Put, Where
from kg.store import GraphStore

ROOT = Path(__file__).resolve().parents[1]
LOG = ROOT.parent / "shared" / "data" / "incidents" / "bpic2013_incidents.csv"
ROUTER: Final = "team-router"
#: Of the completed incidents, how many parts of ten are learnt from.
LEARN_TENTHS: Final = 7
BAR_PERCENT: Final = 75.0
BAR_MS: Final = 15.0
BAR_EVENTS: Final = 500.0
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the log says: first and last event of each incident, who is tested, how often which rule is right, what to detect."""

    first: Mapping[str, Event]
    last: Mapping[str, Event]
    test: frozenset[str]
    keeps: float
    product: float
    turns: int
    waits: int


@dataclass(slots=True)
class Replay:
    """What a replay gave."""

    right: int = 0
    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0


def truth(events: Sequence[Event]) -> Truth:
    """Read off the log alone."""
    own: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.row)):
        own[event.incident].append(event)
    first, last = {n: many[0] for n, many in own.items()}, {n: many[-1] for n, many in own.items()}
    done = sorted((n for n in own if last[n].status == "Completed"), key=lambda n: (first[n].at, n))
    cut = LEARN_TENTHS * len(done) // 10
    learn, test = done[:cut], done[cut:]
    by_product: dict[str, Counter[str]] = defaultdict(Counter)
    for number in learn:
        by_product[first[number].product][last[number].team] += 1
    usual = Counter(last[number].team for number in learn).most_common(1)[0][0]
    guess = {product: teams.most_common(1)[0][0] for product, teams in by_product.items()}
    end = max(event.at for event in events)
    return Truth(
        first,
        last,
        frozenset(test),
        100 * sum(last[n].team == first[n].team for n in test) / len(test),
        100 * sum(last[n].team == guess.get(first[n].product, usual) for n in test) / len(test),
        sum(_turns(many) for many in own.values()),
        sum(_long_waits(many, end) for many in own.values()),
    )


def _turns(own: Sequence[Event]) -> int:
    path = [team for team, _ in groupby(event.team for event in own)]
    return sum(one == other for one, other in zip(path, path[2:], strict=False))


def _long_waits(own: Sequence[Event], end: datetime) -> int:
    runs = [next(run).at for _, run in groupby(own, key=lambda event: event.transition == "Wait - User")]
    waits = own[0].transition == "Wait - User"
    spans = list(zip(runs, [*runs[1:], end], strict=True))[0 if waits else 1 :: 2]
    return sum(until - start > WEEK for start, until in spans)


def replay(platform: Noesis, events: Sequence[Event], told: Truth) -> Replay:
    """Feed everything; detectors work after each batch, the router is asked at each test incident's first event."""
    acting = platform.acting
    assert isinstance(acting, LocalActing)
    due: deque[str] = deque()
    detectors = replace(acting, loaded={name: one for name, one in acting.loaded.items() if name != ROUTER})
    runtime = Runtime(platform.store, platform.clock, platform.ontology, detectors, (), due.append)
    done, start = Replay(), time.perf_counter()
    for batch in Feed(platform.store, events).steps():
        asked = time.perf_counter()
        for event in batch:
            if event.first and event.incident in told.test:
                before = time.perf_counter()
                chosen = _routed(acting, platform.store, event.incident)
                done.milliseconds.append(1_000 * (time.perf_counter() - before))
                done.right += chosen == told.last[event.incident].team
        start += time.perf_counter() - asked
        while runtime.pump() or due:
            while due:
                runtime.handle(due.popleft())
    done.seconds = time.perf_counter() - start
    return done


def _routed(acting: LocalActing, store: GraphStore, number: str) -> str:
    created = store.get([incident_id(number)])[incident_id(number)]
    change = store.changes(created.since - 1, 1)[0]
    (draft,), _ = acting.act(ROUTER, change, created, store.head().position)
    (write,) = draft.writes
    assert isinstance(write, Put)
    return str(write.set["predictedTeam"])


def run() -> list[Result]:
    """Routing, its cost, the feed with detectors, and what they found; nothing where the data is not beside the repository."""
    if not LOG.exists():
        print(f"incidents: {LOG.name} is not beside the repository, nothing is measured", file=sys.stderr)
        return []
    events = read_events(LOG)
    told = truth(events)
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(project=ROOT / "examples" / "incidents", home=Path(folder), durable=False)
        prepare(settings)
        platform = build(settings, acting=True)
        done = replay(platform, events, told)
        found = {
            kind: platform.store.count("Finding", [Where("kind", Op.EQ, kind)], at_most=len(events))
            for kind in ("ping-pong", "long-wait")
        }
        platform.close()
    percent = 100 * done.right / len(told.test)
    kept, product = "first team keeps it", "most frequent team of the product"
    return [
        at_least("incidents routed right, learning live", percent, "%", BAR_PERCENT, kept, told.keeps),
        at_least("incidents routed right, other rule", percent, "%", BAR_PERCENT, product, told.product),
        within("route one incident, p50", statistics.median(done.milliseconds), "ms", BAR_MS),
        at_least("incident events, detectors deciding", len(events) / done.seconds, "events/s", BAR_EVENTS),
        _exactly("ping-pong turns found", found["ping-pong"], told.turns, "turns"),
        _exactly("long waits found", found["long-wait"], told.waits, "waits"),
    ]


def _exactly(name: str, ours: int, wanted: int, unit: str) -> Result:
    return Result(name, ours, unit, "in the log", wanted, ours / wanted, f"= {wanted:,} {unit}", ours == wanted)
