"""Reads a log by its mapping: each row a state of one entity at a time, typed and checked like any other row.

Invariant: a row that does not fit ends the reading with an error, since a state left out would falsify what is derived from
the order. It writes nothing and sorts nothing: a feed decides the order, what follows from it, and what one commit holds.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from kg.errors import SourceError
from kg.ingest.mapping import Mapping_
from kg.ingest.plan import Plan
from kg.ingest.record import Record, Refusal
from kg.ingest.sources.location import open_source
from kg.ingest.sources.row import CHUNK_ROWS
from kg.jq import Jq
from kg.ontology import Ontology


def read_log(mapping: Mapping_, ontology: Ontology, location: str | Path) -> Iterator[Record]:
    """The rows of a mapping's one table, which is a log, in the order of the source.

    Raises MappingError where the mapping is none of a log. Where rows do not fit it raises SourceError, with their count and
    the first one's reason, so take nothing in before the last row is read.
    """
    table = mapping.tables[0]
    if len(mapping.tables) != 1 or not table.log:
        raise mapping.error(table.line, "a feed reads one table with `log: true`; add it, or move the other tables")
    plan = Plan(mapping, table, ontology)
    first: Refusal | None = None
    refused = 0
    source = open_source(location, single=True)
    try:
        with Jq() as jq:
            rows = source.rows(table, plan.wanted(None))
            while batch := list(islice(rows, CHUNK_ROWS)):
                for item in plan.read(batch, jq):
                    if isinstance(item, Record):
                        yield item
                    else:
                        first = first or item
                        refused += 1
    finally:
        source.close()
    if first is not None:
        raise SourceError(
            f"{source.name}: {refused:,} of the log's rows do not fit, the first is row {first.row.number}: {first.reason}; "
            "a feed takes all or nothing, so correct them all, or leave them out by `where`"
        )
