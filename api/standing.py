"""Standing: how far the parts of an installation are, read from its store and index when somebody asks.

Invariant: every look is bounded in rows, and a part that cannot be asked is left out of the numbers and named as down. Feeds
the metrics and /readyz; changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from api.platform import Noesis
from coordination import lanes, works
from coordination.feed import CURSOR
from coordination.reconciler import EVER
from governance.breakglass import moment, stage, unreviewed
from kg.errors import NoesisError
from kg.indexer import lag as index_lag
from kg.indexer import standing as index_standing
from kg.store import PAGE_MAX

#: Pieces of open work that are counted, soonest due first; a longer queue shows as this many.
OPEN_MAX: Final = PAGE_MAX
#: Effects of one state that are counted.
EFFECTS_MAX: Final = PAGE_MAX
Row = tuple[str, str, str, Mapping[str, float]]


def feed_lag(platform: Noesis) -> int:
    """Changes that coordination has not read yet."""
    kind, key = CURSOR
    row = platform.store.state(kind, [key]).get(key)
    return max(0, platform.store.head().position - (int(row.value) if row is not None else 0))


def rows(platform: Noesis) -> Iterator[Row]:
    """The gauges of this installation: (name, help, label's name, value by label)."""
    up = {"store": 1.0}
    try:
        yield "noesis_position", "Position of the last change.", "", {"": platform.store.head().position}
        yield "noesis_feed_lag_changes", "Changes that coordination has not read.", "", {"": feed_lag(platform)}
        yield "noesis_work_open", f"Open work by queue, at most {OPEN_MAX:,}.", "queue", _open(platform)
        yield "noesis_break_glass_unreviewed", "Break-glass open, or over and not reviewed.", "stage", _glass(platform)
        yield "noesis_effects_open", "Effects begun and not ended, by state.", "status", _effects(platform)
        if platform.index is None:
            yield (
                "noesis_index_lag_changes",
                "Changes that the index has not taken.",
                "",
                {"": index_lag(platform.store, platform.ontology)},
            )
    except NoesisError:
        up["store"] = 0.0
    if platform.index is not None:
        try:
            found = index_standing(platform.store, platform.ontology, platform.index.info())
            up["index"] = 1.0
            behind: Mapping[str, float] = {"": found.behind}
        except NoesisError:
            up["index"] = 0.0
            behind = _away(platform)
        yield "noesis_index_lag_changes", "Changes that the index has not taken.", "", behind
    yield "noesis_up", "Whether a part answers.", "part", up


def _away(platform: Noesis) -> Mapping[str, float]:
    try:
        return {"": index_lag(platform.store, platform.ontology)}
    except NoesisError:
        return {}


def _open(platform: Noesis) -> Mapping[str, float]:
    cards = platform.acting.agents() if platform.acting is not None else {}
    found: Counter[str] = Counter({lanes.shown(lane): 0 for lane in lanes.every(cards.values())})
    for row in platform.store.scan(works.KIND, due=EVER, first=OPEN_MAX):
        found[lanes.shown(lanes.of(cards.get(works.of(row).agent)))] += 1
    return {queue: float(count) for queue, count in found.items()}


def _glass(platform: Noesis) -> Mapping[str, float]:
    now = moment(platform.store, platform.clock)
    found: Counter[str] = Counter({"open": 0, "over": 0})
    found.update(stage(glass, now) for glass in unreviewed(platform.store))
    return {name: float(count) for name, count in found.items()}


def _effects(platform: Noesis) -> Mapping[str, float]:
    from coordination.effects import EFFECT
    from kg.model import Op, Where

    return {
        state: float(platform.store.count(EFFECT, [Where("status", Op.EQ, state)], at_most=EFFECTS_MAX))
        for state in ("intent", "in_doubt")
    }
