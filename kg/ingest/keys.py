"""How records of a source find their entity: keys and aliases as state rows that map to opaque ids.

Invariant: one key leads to one id. Key rows are made with `expect=ABSENT`, so two processes never make two entities for one
key: the second gets ConflictError and looks again. Values of personal properties stand in keys only as digests.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from kg.ingest.unfit import Unfit
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Value, instant, plain

KIND_KEY = "key"
#: Separates the parts of a key of a state row, and the parts of one key value.
PART = "\x1f"
SUBPART = "\x1e"
KEY_MAX = 1_000


def key_text(value: Value) -> str:
    """The normalised text of one key value."""
    if isinstance(value, str):
        text = unicodedata.normalize("NFC", str(value)).strip()
    elif isinstance(value, bool) or not isinstance(value, int | Decimal | date):
        raise Unfit("cannot be a key; use a text, a number or a date")
    elif isinstance(value, datetime):
        text = instant(value)
    else:
        text = plain(value) if isinstance(value, Decimal) else str(value)
    if not text:
        raise Unfit("is empty; a record needs its key")
    if len(text) > KEY_MAX:
        raise Unfit(f"is longer than {KEY_MAX:,} characters; a key is short")
    if PART in text or SUBPART in text:
        raise Unfit("holds a control character; remove it")
    return text


def digest(text: str) -> str:
    """A personal key as it may stand in state rows and origins."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def key_class(ontology: Ontology, cls: str, names: Sequence[str]) -> str:
    """The class in whose name a key is kept: the topmost ancestor that has all its properties, so subclasses share keys.

    For an alias that is no property it is the topmost ancestor.
    """
    has = set(names) <= set(ontology.cls(cls).properties)
    found = cls
    for ancestor in sorted(_ancestors(ontology, cls)):
        fits = not has or set(names) <= set(ontology.cls(ancestor).properties)
        if fits and found in ontology.subclasses(ancestor):
            found = ancestor
    return found


def _ancestors(ontology: Ontology, cls: str) -> list[str]:
    return [name for name in ontology.classes if cls in ontology.subclasses(name)]


class KeySpace:
    """One kind of key: it makes the key of the state row (class, property, several joined by ``+``, value) from texts."""

    def __init__(self, ontology: Ontology, cls: str, names: Sequence[str]) -> None:
        personal = ontology.personal(cls)
        self._hidden = [name in personal for name in names]
        self._any_hidden = any(self._hidden)
        self._opening = PART.join((key_class(ontology, cls, names), "+".join(names), ""))

    def name(self, texts: Sequence[str]) -> str:
        """The value part: the texts joined, personal ones as digests."""
        if self._any_hidden:
            texts = [digest(text) if hidden else text for text, hidden in zip(texts, self._hidden, strict=True)]
        return texts[0] if len(texts) == 1 else SUBPART.join(texts)

    def key(self, texts: Sequence[str]) -> str:
        """The key of the state row."""
        return self._opening + self.name(texts)


def entity_id(store: GraphStore, ontology: Ontology, cls: str, **key: Value) -> str | None:
    """The id to which a key leads, e.g. ``entity_id(store, ontology, "Customer", customerNo="123")``; None where unknown."""
    wanted = KeySpace(ontology, cls, tuple(key)).key([key_text(value) for value in key.values()])
    found = store.state(KIND_KEY, [wanted]).get(wanted)
    return str(found.value["id"]) if found else None
