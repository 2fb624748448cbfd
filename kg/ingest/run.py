"""Runs a mapping over a source: rows to records to commits, table by table, batch by batch.

Invariant: memory does not grow with the source; what is committed stays, and a run that was killed goes on where it was, since
unchanged rows write nothing and a cursor is committed with its rows.
"""

import gc
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kg import tracing
from kg.clock import Clock
from kg.ingest import rejects
from kg.ingest.batch import KIND_CURSOR, Draft, Run, draft_of, relink, write
from kg.ingest.closing import close_gone
from kg.ingest.mapping import Mapping_
from kg.ingest.plan import Plan
from kg.ingest.record import Record, Refusal
from kg.ingest.report import IngestReport, Tally
from kg.ingest.seen import Seen
from kg.ingest.sources.location import open_source
from kg.ingest.sources.row import Row, Source
from kg.jq import Jq
from kg.model import StateWrite
from kg.ontology import Ontology
from kg.store import GraphStore, Progress

BATCH_ROWS = 1_000


def check_mapping(mapping: Mapping_, ontology: Ontology) -> None:
    """Raise MappingError where a mapping asks for what the ontology does not have."""
    for table in mapping.tables:
        Plan(mapping, table, ontology)


def ingest(
    store: GraphStore,
    ontology: Ontology,
    clock: Clock,
    mapping: Mapping_,
    location: str | Path,
    *,
    progress: Progress | None = None,
    retry_rejects: bool = False,
) -> IngestReport:
    """Bring the source at a location into the graph; with `retry_rejects` run only the kept rejects again.

    A log is refused: its rows are states of one entity in time, and here a key has one row; `read_log` serves feeds.
    Raises MappingError and SourceError; bad rows raise nothing, they become rejects.
    """
    started = clock.monotonic()
    tally = Tally()
    plans = [Plan(mapping, table, ontology) for table in mapping.tables]
    for table in mapping.tables:
        if table.log:
            raise mapping.error(
                table.line,
                f"{table.table!r} is a log, which a feed brings in event by event; run the project's feed (its README)",
            )
    source = open_source(location, single=len(plans) == 1)
    try:
        with tracing.span(tracing.INGEST, source=mapping.source, tables=len(plans)), Jq() as jq:
            for plan in plans:
                run = Run(store, clock, plan, source.name, tally)
                relink(run)
                if retry_rejects:
                    _retry(run, jq)
                else:
                    _table(run, source, jq, progress)
    finally:
        gc.unfreeze()
        source.close()
    tally.dangling = rejects.count_dangling(store, mapping)
    return tally.report(clock.monotonic() - started)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _read(plan: Plan, rows: Iterator[Row], jq: Jq) -> Iterator[list[Record | Refusal]]:
    """The records of each batch of rows, read one batch ahead: while the store works on one, the next is mapped."""
    batches = _batches(rows)

    def following() -> list[Record | Refusal] | None:
        batch = next(batches, None)
        return None if batch is None else plan.read(batch, jq)

    with ThreadPoolExecutor(1, "noesis-ingest") as reader:
        coming = reader.submit(following)
        while (found := coming.result()) is not None:
            coming = reader.submit(following)
            yield found


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows read, what of them is to be written, and the draft of that, which may still be in the making."""

    found: list[Record | Refusal]
    records: list[Record]
    refusals: list[Refusal]
    draft: Future[Draft]


def _drafted(run: Run, seen: Seen, reading: Iterator[list[Record | Refusal]]) -> Iterator[_Batch]:
    """The batches, each drafted while the one before is committed: the store and this process work at the same time."""
    with ThreadPoolExecutor(1, "noesis-ingest-draft") as drafter:
        before: _Batch | None = None
        try:
            for found in reading:
                records, refusals = _first_of_each(found, seen)
                batch = _Batch(found, records, refusals, drafter.submit(draft_of, run, records))
                if before is not None:
                    yield before
                before = batch
        except Exception:
            # What was read before the source broke goes in.
            if before is not None:
                yield before
            raise
        if before is not None:
            yield before


def _table(run: Run, source: Source, jq: Jq, progress: Progress | None) -> None:
    plan = run.plan
    saved = run.store.state(KIND_CURSOR, [run.name("")]) if plan.table.cursor else {}
    since = rejects.restore({"value": saved[run.name("")].value}) if saved else None
    unnamed = 0
    with Seen() as seen:
        rows = source.rows(plan.table, plan.wanted(since["value"] if since else None))
        for batch in _drafted(run, seen, _read(plan, rows, jq)):
            found, records, refusals = batch.found, batch.records, batch.refusals
            run.tally.records += len(found)
            run.tally.unchanged += len(found) - len(records) - len(refusals)
            refused = write(run, records, refusals, _cursor(records), batch.draft.result())
            unnamed += sum(refusal.name is None for refusal in refused)
            now = run.clock.now()
            seen.refuse([rejects.refused(plan.mapping, plan.table, refusal, now).key for refusal in refused])
            if run.tally.records == len(found):
                # Libraries are loaded by now; their objects need not be walked at each collection (a quarter of the time).
                gc.freeze()
            if progress is not None:
                progress(run.tally.records, run.tally.records)
        if plan.table.cursor is None:
            rejects.clear_stale(run.store, plan.mapping, plan.table, seen.refused)
        if plan.table.full:
            close_gone(run, seen, unnamed)


def _first_of_each(found: list[Record | Refusal], seen: Seen) -> tuple[list[Record], list[Refusal]]:
    """The records whose key comes for the first time; a later one that says something else is refused with both numbers."""
    named = [item for item in found if item.name is not None]
    hashes = [(str(item.name), item.row.number, item.hash if isinstance(item, Record) else "") for item in named]
    earlier = seen.add(hashes)
    records: list[Record] = []
    refusals: list[Refusal] = []
    for item in found:
        if isinstance(item, Refusal):
            refusals.append(item)
        elif (before := earlier.get(item.row.number)) is None:
            records.append(item)
        elif before[1] != item.hash:
            reason = f"row {item.row.number} has the key of row {before[0]} and says something else; correct one"
            # The reject must not take the name of the first row, which did go in.
            refusals.append(Refusal(item.row, reason, f"{item.name} (row {item.row.number})"))
    return records, refusals


def _cursor(records: list[Record]) -> Any:
    values = [record.cursor for record in records if record.cursor is not None]
    return rejects.keep({"value": values[-1]})["value"] if values else None


def _retry(run: Run, jq: Jq) -> None:
    pairs = rejects.again(run.store, run.plan.mapping, run.plan.table)
    while batch := list(islice(pairs, BATCH_ROWS)):
        found = run.plan.read([row for _, row in batch], jq)
        run.tally.records += len(found)
        records = [item for item in found if isinstance(item, Record)]
        refused = write(run, records, [item for item in found if isinstance(item, Refusal)])
        now = run.clock.now()
        still = {rejects.refused(run.plan.mapping, run.plan.table, refusal, now).key for refusal in refused}
        done = [StateWrite(rejects.KIND_REJECT, key, None) for key, _ in batch if key not in still]
        if done:
            run.store.commit((), None, state=done)
