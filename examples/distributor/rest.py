"""Whether a graph has come to rest: every change was read, all work done, and the index says what the graph says.

Invariant: it only reads machine rows; work that waits for a person, or was put aside, counts as at rest.
"""

from datetime import UTC, datetime, timedelta

from coordination import feed, works
from kg.indexer import CURSOR_KEY, CURSOR_KIND
from kg.store import PAGE_MAX, GraphStore


def behind(store: GraphStore) -> int:
    """Changes that no agent has looked at yet."""
    rows = store.state(feed.CURSOR[0], [feed.CURSOR[1]])
    return store.head().position - (int(rows[feed.CURSOR[1]].value) if rows else 0)


def open_work(store: GraphStore) -> int:
    """Pieces of work that are claimed, or ready and not waiting for a day or more (as what expires an approval does)."""
    tomorrow = works.micros(datetime.now(UTC) + timedelta(days=1))
    count, after = 0, ""
    while rows := store.scan(works.KIND, after=after, first=PAGE_MAX):
        found = [works.of(row) for row in rows]
        count += sum(w.state == works.CLAIMED or (w.state == works.READY and w.until < tomorrow) for w in found)
        after = rows[-1].key
    return count


def at_rest(store: GraphStore) -> bool:
    """Whether nothing is left to do for agents."""
    return behind(store) == 0 and open_work(store) == 0 and behind(store) == 0


def indexed(store: GraphStore) -> bool:
    """Whether the indexer has looked at every change of the source systems' load."""
    rows = store.state(CURSOR_KIND, [CURSOR_KEY])
    value = rows[CURSOR_KEY].value if rows else None
    position = value.get("position", 0) if isinstance(value, dict) else int(value or 0)
    return bool(position >= store.head().position)
