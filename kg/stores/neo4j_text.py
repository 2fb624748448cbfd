"""Text search by Neo4j's full-text index over the `text` that each current version carries.

Invariant: only the properties that the ontology declares searchable are in it; a class whose declaration changed is written
anew before it is searched. The query is plain words, any of which may match; it has no syntax that could be malformed.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kg.store import Schema
from kg.stores.keys import page_size
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import Server, fetch
from kg.stores.neo4j_write import text_of, texts
from kg.stores.rows import properties

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

#: Entities whose text is written anew in one transaction.
STEP: Final = 1_000
WORDS_MAX: Final = 64
_WORD = re.compile(r"\w+")


def refresh(server: Server, schema: Schema) -> None:
    """Write the text of every class anew whose searchable properties are other than when it was written."""
    for cls, noted in server.rows(query("text_classes")):
        names = "\n".join(texts(schema, cls))
        if names == noted:
            continue
        after = ""
        while page := server.rows(query("text_page"), cls=cls, after=after, first=STEP):
            rows = [[position, text_of(schema, cls, properties(props, mine))] for _, position, props, mine in page]
            server.write(partial(_run, name="text_set", values={"rows": rows}))
            after = page[-1][0]
        server.write(partial(_run, name="text_noted", values={"cls": cls, "properties": names}))


def _run(tx: "ManagedTransaction", name: str, values: dict[str, Any]) -> None:
    fetch(tx, query(name), values)


def search(server: Server, text: str, classes: Sequence[str], first: int) -> list[tuple[str, float]]:
    """Ids and scores, best first, ties by id."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))[:WORDS_MAX]
    if not words:
        return []
    server.rows(query("text_wait"))
    match = " OR ".join(f'"{word}"' for word in words)
    found = server.rows(query("text_search"), query=match, classes=list(classes), first=page_size(first))
    return [(id, score) for id, score in found]
