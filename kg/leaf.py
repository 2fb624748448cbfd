"""What a ledger leaf says: the canonical texts that are hashed, and the salted commitments that stand in them for values.

Invariant I14: no text built here holds a property value or an origin, only SHA-256(salt || canonical bytes), so that values
and salts can be dropped later while every proof stays valid. A cause is sealed into a chain, so that a cause without
changes is bound as well. Texts are RFC 8785 JSON, written by hand in key order because the ledger is verified at speed.
"""

import hashlib
import json
from collections.abc import Sequence
from json.encoder import encode_basestring as quote

from kg.values import canonical

SALT_BYTES = 16
#: Key of the note that names the erasures of a row, beside the commitments; no property is called so.
ERASURE = ""
#: What the first cause is chained to.
NO_SEAL = bytes(32)
_sha256 = hashlib.sha256
_loads = json.JSONDecoder().decode


def commitment(salt: bytes, text: str) -> str:
    """SHA-256(salt || UTF-8 bytes) in hexadecimal."""
    return _sha256(salt + text.encode()).hexdigest()


def optional(text: str | None) -> str:
    """The JSON of a text that may be missing."""
    return "null" if text is None else quote(text)


def cause_text(
    id: str,
    activity: str,
    agent: str,
    reason: str,
    on_behalf_of: str | None,
    inputs: Sequence[tuple[str, int]],
    attributes: str,
) -> str:
    """The canonical JSON of a cause; `attributes` is canonical JSON already."""
    used = ",".join([f"[{quote(id)},{version}]" for id, version in inputs])
    return (
        f'{{"activity":{quote(activity)},"agent":{quote(agent)},"attributes":{attributes},"id":{quote(id)},'
        f'"inputs":[{used}],"on_behalf_of":{optional(on_behalf_of)},"reason":{quote(reason)}}}'
    )


def seal(prior: bytes, at: str, cause: str, request: str, first: int, last: int) -> bytes:
    """The link that binds a cause, its time and its positions to all causes before: SHA-256(0x02 || canonical JSON).

    `cause` and `request` are commitments to the cause's content and to the writes it came with.
    """
    text = (
        f'{{"at":"{at}","cause":"{cause}","first":{first},"last":{last},"prior":"{prior.hex()}","request":"{request}"}}'
    )
    return _sha256(b"\x02" + text.encode()).digest()


def rest_text(origin: str | None, properties: str) -> str:
    """What the commitment for the non-personal part is made over; `properties` is canonical JSON."""
    return f'{{"origin":{optional(origin)},"properties":{properties}}}'


def personal_commitments(personal: str | None, salts: bytes, erased: str | None = None) -> str:
    """The canonical JSON {name: commitment} of personal properties.

    `personal` is the canonical JSON of the values, `salts` holds one salt a name in sorted order, `erased` the canonical
    JSON of the commitments whose values are gone. Raises ValueError where one of them is written otherwise.
    """
    if personal is None and erased is None:
        if salts:
            raise ValueError("salts without values")
        return "{}"
    made: dict[str, str] = {}
    if personal is not None:
        texts: list[str] = []
        start = 0
        for name, value in _loads(personal).items():
            text = quote(value) if type(value) is str else canonical(value)
            made[name] = commitment(salts[start : start + SALT_BYTES], text)
            texts.append(f"{quote(name)}:{text}")
            start += SALT_BYTES
        # Written in another way, the same values would hide an altered byte.
        if not texts or f"{{{','.join(texts)}}}" != personal or list(made) != sorted(made):
            raise ValueError("personal values are not canonical")
    if len(salts) != SALT_BYTES * len(made):
        raise ValueError("not one salt a value")
    if erased is not None:
        kept = _loads(erased)
        if ERASURE not in kept or canonical(kept) != erased or kept.keys() & made.keys():
            raise ValueError("erased values are not canonical")
        del kept[ERASURE]
        return canonical(made | kept)
    return f"{{{','.join([f'{quote(name)}:{chr(34)}{hexes}{chr(34)}' for name, hexes in made.items()])}}}"


def entity_text(
    prefix: str,
    changed: str,
    cls: str,
    id: str,
    kind: str,
    personal: str,
    position: int,
    rest: str,
    valid_from: str | None,
    valid_to: str | None,
    version: int,
) -> str:
    """What is hashed for an entity change; `prefix` comes from `leaf_prefix`, `changed` and `personal` are JSON."""
    start = "null" if valid_from is None else f'"{valid_from}"'
    end = "null" if valid_to is None else f'"{valid_to}"'
    return (
        f'{prefix}"changed":{changed},"class":{quote(cls)},"id":{quote(id)},"kind":"{kind}","personal":{personal},'
        f'"position":{position},"rest":"{rest}","valid_from":{start},"valid_to":{end},"version":{version}}}'
    )


def relation_text(
    prefix: str, cls: str, source: str, kind: str, position: int, relation: str, rest: str, target: str
) -> str:
    """What is hashed for a relation change; `rest` is empty for the end of a relation, which carries no values."""
    return (
        f'{prefix}"class":{quote(cls)},"id":{quote(source)},"kind":"{kind}","position":{position},'
        f'"relation":{quote(relation)},"rest":"{rest}","target":{quote(target)}}}'
    )


def leaf_prefix(at: str, seal: bytes) -> str:
    """The start of every leaf of one commit: its time and the seal of its cause."""
    return f'{{"at":"{at}","cause":"{seal.hex()}",'
