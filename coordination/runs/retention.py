"""Retention: the state rows of runs that ended long ago are dropped: payloads, kept places, and the marks of events delivered.

Invariant: facts stay, with the digests of what was dropped, so the ledger verifies as before. What has not ended is not touched.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from coordination.runs import delivering, families, mailbox, rows, runs
from coordination.works import micros
from kg import payloads
from kg.model import Op, StateWrite, Where
from kg.store import PAGE_MAX, GraphStore, Request

#: Runs and marks that one pruning looks at; more come with the next.
PAGES_MAX: Final = 100
#: Removals of one commit.
ROWS_MAX: Final = 2_000


def prune(store: GraphStore, before: datetime) -> int:
    """Drop what runs that ended before a moment left beside the facts; how many rows that were. A second time drops nothing."""
    gone = 0
    for state in sorted(runs.ENDS):
        where = [Where("state", Op.EQ, state), Where("ended", Op.LT, before)]
        after = None
        for _ in range(PAGES_MAX):
            page = store.find(runs.RUN, where, after=after, first=PAGE_MAX)
            for run in page.items:
                # INVARIANT I3: as ended as it was read; a faulted run that a person takes up again meanwhile keeps its place.
                gone += _dropped(store, _left(store, run.id, before), {run.id: run.version})
            after = page.next
            if after is None:
                break
    return gone + _dropped(store, _marks(store, micros(before)), {})


def _left(store: GraphStore, run: str, before: datetime) -> list[StateWrite]:
    strands = store.scan(rows.KIND, prefix=f"{run}/", first=PAGE_MAX)
    gone = [*payloads.forgotten(store, run), *(StateWrite(rows.KIND, row.key, None) for row in strands)]
    gone += families.forgotten(store, run, before)
    return gone if mailbox.box(store, run) is None else [*gone, *mailbox.emptied(store, run)]


def _dropped(store: GraphStore, gone: Sequence[StateWrite], expects: Mapping[str, int]) -> int:
    parts = [gone[start : start + ROWS_MAX] for start in range(0, len(gone), ROWS_MAX)]
    results = store.commit_many([Request([], None, expects, part) for part in parts]) if parts else []
    return sum(len(part) for part, made in zip(parts, results, strict=True) if not isinstance(made, Exception))


def _marks(store: GraphStore, before: int) -> list[StateWrite]:
    found: list[StateWrite] = []
    after = ""
    for _ in range(PAGES_MAX):
        page = store.scan(delivering.EVENT, after=after, first=PAGE_MAX)
        found += [
            StateWrite(delivering.EVENT, row.key, None, expect=row.revision)
            for row in page
            if "event" not in row.value and row.value["at"] < before
        ]
        if len(page) < PAGE_MAX:
            break
        after = page[-1].key
    return found
