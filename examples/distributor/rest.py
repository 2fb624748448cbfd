"""Whether a graph has come to rest: every change was read, all work done, and the index says what the graph says.

Invariant: it only reads machine rows; work that waits for a person, or was put aside, counts as at rest.
"""

from datetime import UTC, datetime, timedelta

from coordination import feed, works
from coordination.reconciler import EVER
from kg.indexer import CURSOR_KEY, CURSOR_KIND
from kg.store import GraphStore

#: Pieces of open work that are counted at most.
OPEN_MAX = 10_000


def behind(store: GraphStore) -> int:
    """Changes that no agent has looked at yet."""
    rows = store.state(feed.CURSOR[0], [feed.CURSOR[1]])
    return store.head().position - (int(rows[feed.CURSOR[1]].value) if rows else 0)


def open_work(store: GraphStore) -> int:
    """Pieces of work that are claimed, or ready and not waiting for a day or more (as what expires an approval does)."""
    tomorrow = works.micros(datetime.now(UTC) + timedelta(days=1))
    found = [works.of(row) for row in store.scan(works.KIND, due=EVER, first=OPEN_MAX)]
    return sum(w.state == works.CLAIMED or (w.state == works.READY and w.until < tomorrow) for w in found)


def moved(store: GraphStore) -> tuple[int, int, int]:
    """What changes as long as anything goes on: the end of the log, how far it was read, the work that is open."""
    return store.head().position, behind(store), open_work(store)


def at_rest(store: GraphStore) -> bool:
    """Whether nothing is left to do for agents."""
    end = store.head().position
    # The end of the log is where it was: what ended meanwhile would have moved it, and made work that was not looked at.
    return behind(store) == 0 and open_work(store) == 0 and store.head().position == end


def taken(store: GraphStore) -> int:
    """How far the indexer has looked at the log."""
    rows = store.state(CURSOR_KIND, [CURSOR_KEY])
    value = rows[CURSOR_KEY].value if rows else None
    return int(value.get("position", 0) if isinstance(value, dict) else value or 0)


def indexed(store: GraphStore) -> bool:
    """Whether the indexer has looked at every change of the source systems' load."""
    return taken(store) >= store.head().position
