"""Payloads: values too large for a row, kept once by their SHA-256 in state rows beside the facts, in the same transaction.

Invariant: a key is the digest of what it holds, so what is read back is what a fact's digest promised; one owner's payloads are
never another's. Does not decide what is large: its callers do, by INLINE_MAX.
"""

import hashlib
import json
from typing import Final

from kg.errors import StoreError, ValueDomainError
from kg.model import StateWrite
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json

KIND: Final = "payload"
#: Characters of JSON that stay where they are.
INLINE_MAX: Final = 16_384
#: Characters of one payload.
PAYLOAD_MAX: Final = 16_000_000
#: Pages of one owner's payloads that `forgotten` looks at.
PAGES_MAX: Final = 100
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def text_of(value: Json) -> str:
    """The JSON text of a value, keys in the order they were made."""
    return _ENCODER.encode(value)


def sound(value: Json, what: str) -> str:
    """The JSON text of a value that came from outside; ValueDomainError where no such text can be kept."""
    try:
        text = text_of(value)
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        said = "it holds half a character" if isinstance(error, UnicodeEncodeError) else str(error)[:200]
        raise ValueDomainError(f"{what} cannot be kept as JSON: {said}; correct the value") from None
    return text


def digest_of(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def row(owner: str, text: str) -> tuple[str, StateWrite]:
    """The digest of a text and the row that keeps it; writing it again writes the same. ValueDomainError where it is too large."""
    if len(text) > PAYLOAD_MAX:
        raise ValueDomainError(
            f"a payload of {len(text):,} characters exceeds {PAYLOAD_MAX:,}; keep it outside and name it"
        )
    digest = digest_of(text)
    return digest, StateWrite(KIND, f"{owner}/{digest}", {"text": text})


def read(store: GraphStore, owner: str, digest: str) -> Json:
    """The value of a payload; StoreError where it is gone or is not what its digest says."""
    key = f"{owner}/{digest}"
    found = store.state(KIND, [key]).get(key)
    if found is None:
        raise StoreError(f"payload {digest[:12]} of {owner} is gone; it was pruned, or the file is older than the fact")
    text = str(found.value["text"])
    if digest_of(text) != digest:
        raise StoreError(f"payload {digest[:12]} of {owner} is not what its digest says; restore a backup")
    return json.loads(text)


def forgotten(store: GraphStore, owner: str) -> list[StateWrite]:
    """The removal of an owner's payloads; facts keep their digests."""
    rows, after = [], ""
    for _ in range(PAGES_MAX):
        page = store.scan(KIND, prefix=f"{owner}/", after=after, first=PAGE_MAX)
        rows += [StateWrite(KIND, found.key, None) for found in page]
        if len(page) < PAGE_MAX:
            break
        after = page[-1].key
    return rows
