"""Family: a root run and the runs that it started, itself and through those; how many these are is counted and bounded.

Invariants: the count is rewritten, at the revision it was read at, in the commit that starts the run (I7), so many workers start no
more than the bound together, and a start that is lost or done again counts once (I3). It never falls while one of them may go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zlib import crc32

from coordination.runs import runs
from coordination.runs.runs import Run
from coordination.workflow.faults import fault
from kg.model import ABSENT, Op, State, StateWrite, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import Ref

#: A row a share of the count of one root run; what it holds is how many runs were started of that share.
COUNT: Final = "family"
#: Each has its part of the bound. Strands begin with different ones, so many that start at once seldom meet in the same row.
SHARES: Final = 16
#: Pages of the runs of one family, started by one page of others.
PAGES_MAX: Final = 1_000


@dataclass(slots=True)
class Family:
    """The count as one turn reads it, and what the turn adds; good for one commit."""

    root: str
    limit: int
    first: int
    read: dict[str, State]
    added: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, store: GraphStore, run: Run, strand: str, limit: int) -> "Family":
        """The family of a run, for a strand of it (its key) that starts others."""
        root, first = _root(store, run), crc32(strand.encode()) % SHARES
        return cls(root, limit, first, store.state(COUNT, [_key(root, share) for share in range(SHARES)]))

    def start(self) -> None:
        """Count one more; Fault where the bound is reached."""
        # Of a bound that was lowered meanwhile the shares alone would leave more.
        whole = sum(map(self._counted, range(SHARES)))
        for turn in range(SHARES if whole < self.limit else 0):
            share = (self.first + turn) % SHARES
            if self._counted(share) < self.limit // SHARES + (share < self.limit % SHARES):
                self.added[share] = self.added.get(share, 0) + 1
                return
        raise fault(
            "runtime",
            f"run {self.root} started {self.limit:,} runs, itself and through those, the bound of one run and all that it "
            "starts; end the circle, or start a new run",
        )

    def rows(self) -> list[StateWrite]:
        """What goes with the commit that starts them."""
        made = []
        for share in self.added:
            key = _key(self.root, share)
            before = self.read.get(key)
            # INVARIANT I7: of two that take the last place one finds the row changed.
            expect = ABSENT if before is None else before.revision
            made.append(StateWrite(COUNT, key, {"started": self._counted(share)}, expect=expect))
        return made

    def _counted(self, share: int) -> int:
        row = self.read.get(_key(self.root, share))
        return (0 if row is None else int(row.value["started"])) + self.added.get(share, 0)


def forgotten(store: GraphStore, run: str, before: datetime) -> list[StateWrite]:
    """The removal of a root run's count where all of its family ended before a moment; nothing where one may still start more."""
    counts = store.scan(COUNT, prefix=f"{run}/", first=SHARES)
    if not counts or not all(_over(one, before) for one in _members(store, run)):
        return []
    return [StateWrite(COUNT, row.key, None, expect=row.revision) for row in counts]


def _members(store: GraphStore, root: str) -> Iterator[Run]:
    parents = [root]
    while parents:
        asked, parents = parents[:PAGE_MAX], parents[PAGE_MAX:]
        where, after = [Where("parent", Op.IN, tuple(map(Ref, asked)))], None
        for _ in range(PAGES_MAX):
            page = store.find(runs.RUN, where, after=after, first=PAGE_MAX)
            yield from map(Run, page.items)
            parents += [one.id for one in page.items]
            after = page.next
            if after is None:
                break


def _over(run: Run, before: datetime) -> bool:
    ended = run.entity.get("ended")
    return run.ended and isinstance(ended, datetime) and ended < before


def _root(store: GraphStore, run: Run) -> str:
    found = run
    for _ in range(run.depth):
        parent = runs.read(store, found.text("parent")) if found.text("parent") else None
        if parent is None:
            break
        found = parent
    return found.id


def _key(root: str, share: int) -> str:
    return f"{root}/{share:02d}"
