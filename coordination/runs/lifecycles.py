"""The lifecycle events of a whole run, as a reader may see them: every version of the run and of its steps, in the log's order.

Invariant: a step that the reader may not see gives no event. Reads only.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from coordination.errors import StateError
from coordination.runs import runs
from coordination.runs.lifecycle import Sources, told
from kg.model import Cursor, Entity, Op, Where
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json
from kg.view import View

#: Steps of one run whose events are told.
STEPS_MAX: Final = 100_000


def events(store: GraphStore, view: View, run: str, at: int | None = None) -> list[dict[str, Json]]:
    """The events of a run, up to a position; StateError where there is none that may be seen."""
    reader = Reader(store, view, at)
    entity = reader.get([run]).get(run)
    if entity is None or entity.cls != runs.RUN:
        raise StateError(f"there is no run {run[:80]!r}; list the runs to see which there are")
    sources = sources_of(store, view)
    versions = [*reader.history(run), *(version for step in steps(reader, run) for version in reader.history(step.id))]
    return [
        event for version in sorted(versions, key=lambda item: item.since) for event in told(sources, entity, version)
    ]


def steps(reader: Reader, run: str, *more: Where) -> Sequence[Entity]:
    """The steps of a run, at most STEPS_MAX."""
    found: list[Entity] = []
    after: Cursor | None = None
    while len(found) < STEPS_MAX:
        page = reader.find(runs.STEP, [Where("run", Op.EQ, run), *more], after=after, first=PAGE_MAX - 1)
        found += page.items
        after = page.next
        if after is None:
            break
    return found


def sources_of(store: GraphStore, view: View) -> Sources:
    """The facts as a reader may see them."""

    def waiting(run: str, position: int) -> Sequence[Entity]:
        return steps(Reader(store, view, position), run, Where("state", Op.EQ, "waiting"))

    def moment(position: int) -> datetime:
        changes = store.changes(position - 1, 1)
        return changes[0].at if changes else datetime.fromtimestamp(0, UTC)

    return Sources(
        Reader(store, view).versions, waiting, lambda ids, position: Reader(store, view, position).get(ids), moment
    )
