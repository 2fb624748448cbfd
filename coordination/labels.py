"""Labels: which sensitivity labels guard what a proposal repeats, so that it shows nobody what the entities themselves would not.

Invariant I10: a proposal's writes, payload and words are seen only by who may read every label of the values in them. Decides
nothing: the View does, when somebody reads.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from coordination.proposals import Draft
from kg.model import Input, Put
from kg.needles import Needles, spelled
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import canonical

#: Characters from which a value is looked for in a text; shorter ones occur by chance.
LONG: Final = 3


def labels_of(store: GraphStore, ontology: Ontology, draft: Draft, read: Sequence[Input] = ()) -> tuple[str, ...]:
    """The labels, as label@class, of the properties that a draft sets and of what its words and payload quote.

    They are looked for in its evidence, and those of its payload in everything that was `read` for it too.
    """
    return tuple(sorted({*_written(ontology, draft), *_quoted(store, ontology, draft, read)}))


def _written(ontology: Ontology, draft: Draft) -> Iterator[str]:
    for write in draft.writes:
        if isinstance(write, Put) and write.cls in ontology.classes:
            for name, label in _labelled(ontology, write.cls).items():
                if name in write.set:
                    yield f"{label}@{write.cls}"


def _quoted(store: GraphStore, ontology: Ontology, draft: Draft, read: Sequence[Input]) -> Iterator[str]:
    payload = canonical(dict(draft.payload))
    words = "\n".join((draft.rationale, *draft.alternatives, payload))
    named = {(item.id, item.version) for item in draft.evidence}
    # What leaves is held against all that was read: a draft that names no evidence says nothing of where its values come from.
    known = named | {(item.id, item.version) for item in read if draft.payload}
    held: dict[tuple[str, str], set[str]] = {}
    for key, entity in store.versions(sorted(known)).items():
        text = words if key in named else payload
        for name, label in _labelled(ontology, entity.cls).items():
            if name in entity.properties:
                held.setdefault((f"{label}@{entity.cls}", text), set()).update(spelled(entity.properties[name]))
    for (label, text), values in held.items():
        if any(len(value) >= LONG and value in text for value in values) or Needles(values).met(text):
            yield label


def _labelled(ontology: Ontology, cls: str) -> dict[str, str]:
    found = ontology.classes.get(cls)
    properties = found.properties.items() if found is not None else ()
    return {name: known.sensitivity for name, known in properties if known.sensitivity is not None}
