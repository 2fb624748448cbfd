"""The labels of entities on Neo4j: their class and every class above it, kept like the ontology as it changes.

Invariant: what labels a class was given last is noted in the graph; where the ontology gives others now, every current entity
of the class is labelled anew, page by page, before the next commit of this process. Shows only; the record does not hold labels.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kg.store import Schema
from kg.stores import neo4j_show as show
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import Server, fetch

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

#: Entities labelled anew in one transaction.
STEP: Final = 1_000


def refresh(server: Server, schema: Schema) -> None:
    """Label the entities of every class anew whose labels are other than when they were written."""
    for cls, noted in server.rows(query("label_classes")):
        wanted, former = show.labels(schema, cls), noted or [show.label(cls)]
        if wanted == noted:
            continue
        after: str | None = ""
        while after is not None and wanted != former:
            values = {"cls": cls, "after": after, "first": STEP, "former": former, "labels": wanted}
            ((after,),) = server.write(partial(_run, name="label_page", values=values))
        server.write(partial(_run, name="labels_noted", values={"cls": cls, "labels": wanted}))


def _run(tx: "ManagedTransaction", name: str, values: dict[str, Any]) -> list[list[Any]]:
    return fetch(tx, query(name), values)
