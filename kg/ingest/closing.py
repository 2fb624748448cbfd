"""Takes back what rows gave that are gone from a full snapshot.

Invariant: only after the whole table was read without a doubt about any row's name, and never where more than the declared share
of its rows would go. An entity closes when no row of any source gives it any more; its history stays.
"""

from kg.errors import ConflictError, StoreBusyError
from kg.ingest import rejects
from kg.ingest.batch import KIND_GIVES, KIND_ROW, TRIES_MAX, Run, givers, read_state
from kg.ingest.keys import KIND_KEY, PART
from kg.ingest.seen import PAGE, Seen
from kg.model import Close, Put, State, StateWrite, Unlink, Write


def close_gone(run: Run, seen: Seen, unnamed: int) -> None:
    """Close what is gone, or say in the report why not."""
    total, gone = _find(run, seen)
    if not gone:
        return
    table = run.plan.table
    if unnamed:
        run.tally.problems.append(
            f"{table.table}: {gone} rows are gone, but {unnamed} rows could not be read, which may be the same; "
            "nothing was closed. Repair the rows and run it again"
        )
        return
    if gone > table.close_at_most * total:
        run.tally.problems.append(
            f"{table.table}: {gone} of {total} rows are gone, more than close_at_most {table.close_at_most:g} allows; "
            "nothing was closed. Check the source, or raise close_at_most for one run"
        )
        return
    for page in seen.gone():
        _retry(run, page)


def _find(run: Run, seen: Seen) -> tuple[int, int]:
    prefix, after = run.name(""), ""
    total = gone = 0
    while page := run.store.scan(KIND_ROW, prefix, after, first=PAGE):
        total += len(page)
        gone += seen.missing([state.key.removeprefix(prefix) for state in page])
        after = page[-1].key
    return total, gone


def _retry(run: Run, names: list[str]) -> None:
    for _ in range(TRIES_MAX):
        try:
            _close(run, names)
        except ConflictError:
            continue
        return
    raise StoreBusyError(f"{run.plan.table.table!r}: another ingest keeps writing the same rows; run it again later")


def _close(run: Run, names: list[str]) -> None:
    rows = read_state(run.store, KIND_ROW, [run.name(name) for name in names])
    keys = read_state(
        run.store,
        KIND_KEY,
        list({k for row in rows.values() for targets in row.value["links"].values() for k in targets}),
    )
    entities = run.store.get(sorted({str(row.value["id"]) for row in rows.values()}))
    writes: list[Write] = []
    state: list[StateWrite] = []
    closed = 0
    for row in rows.values():
        id = str(row.value["id"])
        state.append(StateWrite(KIND_ROW, row.key, None, row.revision))
        state.append(StateWrite(KIND_GIVES, PART.join((id, row.key)), None))
        for relation, targets in row.value["links"].items():
            for target in (str(keys[key].value["id"]) for key in targets if key in keys):
                writes.append(Unlink(id, relation, target))
                note = rejects.DANGLING + PART.join((target, row.key, relation))
                state.append(StateWrite(rejects.KIND_REJECT, note, None))
        if id not in entities:
            continue
        others = [other for other in givers(run.store, id) if other.key not in rows]
        if not others:
            writes.append(Close(id, origin=_origin(run, row)))
            closed += 1
            continue
        kept = {name for other in others for name in other.value["gives"]}
        dropped = frozenset(set(row.value["gives"]) - kept)
        writes.append(Put(id, entities[id].cls, unset=dropped, origin=_origin(run, row)))
        # What both gave may now stand as the gone row said it: the next run of the others says it again.
        state += [
            StateWrite(KIND_ROW, other.key, {**other.value, "hash": ""}, other.revision)
            for other in others
            if set(other.value["gives"]) & set(row.value["gives"])
        ]
    cause = run.cause(f"{len(rows)} rows gone from {run.plan.table.table}", 0, 0) if writes else None
    run.store.commit(writes, cause, state=state)
    run.tally.closed += closed


def _origin(run: Run, row: State) -> str:
    name = row.key.removeprefix(run.name(""))
    return f"{run.plan.mapping.source}.{run.plan.table.table}/{name}"
