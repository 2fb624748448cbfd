"""The ontology as facts of the graph: every process reads the same Turtle from it, and its history is the graph's own.

Invariant: texts are stored only after they loaded together with the platform's, so what is stored can always be used. Does not
move data to a changed class: what no longer fits is refused when it is written next.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from kg.clock import Clock
from kg.model import Cause, Close, Commit, Put, Write
from kg.ontology.ontology import Ontology, load
from kg.store import PAGE_MAX, GraphStore

CLASS: Final = "Ontology"


def stored_texts(store: GraphStore) -> dict[str, str]:
    """The Turtle files of the graph by name; none where no project was set up."""
    page = store.find(CLASS, first=PAGE_MAX)
    return {str(entity["file"]): str(entity["turtle"]) for entity in page.items}


def store_texts(
    store: GraphStore, clock: Clock, platform: Mapping[str, str], texts: Mapping[str, str], agent: str
) -> tuple[Ontology, Commit]:
    """Make these the graph's Turtle files; files no longer named are closed. The same files again change nothing."""
    ontology = load({**platform, **texts})
    writes: list[Write] = [Put(_id(name), CLASS, {"file": name, "turtle": text}) for name, text in texts.items()]
    writes.extend(Close(_id(name)) for name in stored_texts(store) if name not in texts)
    cause = Cause(
        clock.id(), "ontology.load", agent, f"ontology {ontology.digest[:12]}", attributes={"digest": ontology.digest}
    )
    return ontology, store.commit(writes, cause)


def _id(name: str) -> str:
    """The id is made from the file's name, so that two processes that set up one project meet in one entity."""
    return "ontology-" + hashlib.sha256(name.encode()).hexdigest()[:26]
