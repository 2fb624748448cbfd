"""What a ledger leaf says: the canonical texts that are hashed, and the salted commitments that stand in them for values.

Invariant I14: no text built here holds a property value or an origin, only SHA-256(salt || canonical bytes), so that values
and salts can be dropped later while every proof stays valid. A cause is sealed into a chain, so that a cause without
changes is bound as well. Texts are RFC 8785 JSON, written by hand in key order because the ledger is verified at speed.
"""

import hashlib
from collections.abc import Sequence
from json.encoder import encode_basestring as quote

from kg.ledger import leaf_hash
from kg.values import Json, canonical

SALT_BYTES = 16
#: What the first cause is chained to.
NO_SEAL = bytes(32)
_sha256 = hashlib.sha256


def commitment(salt: bytes, text: str) -> str:
    """SHA-256(salt || UTF-8 bytes) in hexadecimal."""
    return _sha256(salt + text.encode()).hexdigest()


def _optional(text: str | None) -> str:
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
        f'"inputs":[{used}],"on_behalf_of":{_optional(on_behalf_of)},"reason":{quote(reason)}}}'
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
    return f'{{"origin":{_optional(origin)},"properties":{properties}}}'


def personal_commitments(personal: dict[str, Json], salts: bytes, kept: dict[str, str] | None = None) -> str:
    """The canonical JSON {name: commitment} of personal properties.

    `salts` holds one salt a name in sorted order; `kept` the commitments of values that were erased.
    """
    made = dict(kept or {})
    for number, name in enumerate(sorted(personal)):
        if name in made:
            raise ValueError(f"{name} is both kept and erased")
        salt = salts[number * SALT_BYTES : (number + 1) * SALT_BYTES]
        made[name] = commitment(salt, canonical(personal[name]))
    return canonical(made)


def entity_leaf(
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
) -> bytes:
    """The leaf hash of an entity change; `prefix` comes from `leaf_prefix`, `changed` and `personal` are JSON."""
    start = "null" if valid_from is None else f'"{valid_from}"'
    end = "null" if valid_to is None else f'"{valid_to}"'
    text = (
        f'{prefix}"changed":{changed},"class":{quote(cls)},"id":{quote(id)},"kind":"{kind}","personal":{personal},'
        f'"position":{position},"rest":"{rest}","valid_from":{start},"valid_to":{end},"version":{version}}}'
    )
    return leaf_hash(text.encode())


def relation_leaf(
    prefix: str, cls: str, source: str, kind: str, position: int, relation: str, rest: str, target: str
) -> bytes:
    """The leaf hash of a relation change; `rest` is empty for the end of a relation, which carries no values."""
    text = (
        f'{prefix}"class":{quote(cls)},"id":{quote(source)},"kind":"{kind}","position":{position},'
        f'"relation":{quote(relation)},"rest":"{rest}","target":{quote(target)}}}'
    )
    return leaf_hash(text.encode())


def leaf_prefix(at: str, seal: bytes) -> str:
    """The start of every leaf of one commit: its time and the seal of its cause."""
    return f'{{"at":"{at}","cause":"{seal.hex()}",'
