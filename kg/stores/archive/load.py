"""Reads an archive into an empty store: first it is checked from end to end, then its rows are saved as commits are.

Invariant: nothing is written before the whole file was found to be undamaged and its ledger to verify; what was broken off
between two batches is marked and taken up again by the same file only. A marked graph serves nobody.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Protocol

from kg.errors import ArchiveError, LedgerError
from kg.leaf import NO_SEAL
from kg.model import State
from kg.store import GraphStore, Progress
from kg.stores.archive.export import STEP, Report
from kg.stores.archive.file import opened
from kg.stores.archive.source import Source
from kg.stores.carried import Batch, Carrier
from kg.stores.check import Record, Row, check
from kg.stores.rows import HeadRow, StateRow
from kg.values import canonical

#: The machine row of a graph whose import is not finished; its value is the digest of the archive.
MARK: Final = ("import", "archive")
#: Changes, causes or machine rows saved at once at least; a cause is never split.
BATCH: Final = 2_000


class Store(GraphStore, Carrier, Protocol):
    """A store that a graph can be moved into."""


def unfinished(store: GraphStore) -> State | None:
    """The mark of an import that was broken off, None where there is none."""
    return store.state(MARK[0], [MARK[1]]).get(MARK[1])


def load(store: Store, path: Path, progress: Progress | None = None) -> Report:
    """Read the archive into the store; ArchiveError where file or store cannot be used, which stays empty then."""
    head, bare = store.vacancy()
    mark = unfinished(store)
    if mark is None and (head.causes or not bare):
        raise ArchiveError("the store holds a graph already; import into an empty one (another home or database)")
    with opened(path) as raw:
        told = _Told(progress)
        report, seals = _checked(raw, head.causes, told)
        if mark is not None and (mark.value != report.digest or seals != head.seal):
            raise ArchiveError("another archive was being imported here; name that one, or empty the store")
        try:
            store.receive(_batches(Source(raw), report.digest, head, told))
        except LedgerError as error:
            raise _wrong(error) from None
    return report


class _Told:
    """Counts both passes as one work."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.total = 0
        self._done = 0

    def one(self) -> None:
        """One change more was read."""
        self._done += 1
        if self._progress is not None and self._done % STEP == 0:
            self._progress(self._done, self.total)


def _checked(raw: IO[bytes], causes: int, told: _Told) -> tuple[Report, bytes]:
    """What the archive holds, after all of it was checked, and the seal of the cause with this number."""
    source = Source(raw)
    told.total = 2 * source.head.position
    for _ in source.state_rows():
        pass
    seals = {0: NO_SEAL}

    def sealed() -> Iterator[Row]:
        for row in source.cause_rows():
            if row[0] == causes:
                seals[causes] = row[12]
            yield row

    record = Record(source.head, sealed(), source.change_rows(told.one), source.inputs, source.nodes)
    try:
        check(record)
    except LedgerError as error:
        raise _wrong(error) from None
    digest = source.end()
    head = source.head
    return Report(head.causes, head.position, source.states, source.root.hex(), digest), seals.get(causes, b"")


def _wrong(error: LedgerError) -> ArchiveError:
    where = str(error).split(";", 1)[0]
    return ArchiveError(f"the archive does not verify: {where}; make it again with `noesis export`")


def _batches(source: Source, digest: str, start: HeadRow, told: _Told) -> Iterator[Batch]:
    """The rows behind `start` in batches: the mark and the machine rows, the facts, and the end of the mark."""
    batch = Batch(start)
    batch.state[MARK] = StateRow(*MARK, 1, None, canonical(digest))
    for state in source.state_rows():
        batch.state[state.kind, state.key] = state
        if len(batch.state) >= BATCH:
            yield batch
            batch = Batch(start)
    for cause in source.facts(told.one):
        if cause.row.number <= start.causes:
            continue
        row = cause.row
        batch.causes.append(row)
        for change, version, link in cause.changes:
            batch.add(change, version, link)
        at = row.at if row.last >= row.first else batch.head.at
        batch.head = HeadRow(row.last, at, row.number, row.seal)
        if len(batch.changes) + len(batch.causes) >= BATCH:
            yield batch
            batch = Batch(batch.head)
    if source.end() != digest:
        raise ArchiveError("the archive was changed while it was read; import it again")
    yield batch
    yield Batch(batch.head, state={MARK: None})
