"""Labels: which sensitivity labels guard what a proposal repeats, so that it shows nobody what the entities themselves would not.

Invariant I10: a proposal's writes, payload and words are seen only by who may read every label of the values in them. Decides
nothing: the View does, when somebody reads.
"""

from collections.abc import Iterator
from typing import Final

from coordination.proposals import Draft
from kg.model import Put
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Value, canonical, encode

#: Characters from which a value is looked for in a text; shorter ones occur by chance.
LONG: Final = 3


def labels_of(store: GraphStore, ontology: Ontology, draft: Draft) -> tuple[str, ...]:
    """The labels, as label@class, of the properties that a draft sets and of the labelled evidence that its words quote."""
    return tuple(sorted({*_written(ontology, draft), *_quoted(store, ontology, draft)}))


def _written(ontology: Ontology, draft: Draft) -> Iterator[str]:
    for write in draft.writes:
        if isinstance(write, Put) and write.cls in ontology.classes:
            for name, label in _labelled(ontology, write.cls).items():
                if name in write.set:
                    yield f"{label}@{write.cls}"


def _quoted(store: GraphStore, ontology: Ontology, draft: Draft) -> Iterator[str]:
    words = "\n".join((draft.rationale, *draft.alternatives, canonical(dict(draft.payload))))
    for entity in store.versions([(item.id, item.version) for item in draft.evidence]).values():
        for name, label in _labelled(ontology, entity.cls).items():
            if name in entity.properties and _quotes(words, entity.properties[name]):
                yield f"{label}@{entity.cls}"


def _quotes(text: str, value: Value) -> bool:
    """Whether a text holds a value, or an item of it, word for word."""
    forms = [encode(item) for item in (value if isinstance(value, tuple) else (value,))]
    shown = [str(next(iter(form.values()), "")) if isinstance(form, dict) else str(form) for form in forms]
    return any(len(one) >= LONG and one in text for one in shown)


def _labelled(ontology: Ontology, cls: str) -> dict[str, str]:
    found = ontology.classes.get(cls)
    properties = found.properties.items() if found is not None else ()
    return {name: known.sensitivity for name, known in properties if known.sensitivity is not None}
