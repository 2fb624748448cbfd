"""API keys: ``noesis_<id>_<secret>`` for programs and scripts, kept as salted hashes, scoped, expiring, revocable.

Invariants: the secret leaves `create` once and is stored nowhere; a key gives no role that its subject does not have now; hash and
salt carry the label `secret`, which no View shows. Knows nothing of HTTP.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from governance.errors import GovernanceError, KeyRejectedError, PrincipalError
from governance.principals import NAME_MAX, Principal, load_principal
from kg.clock import Clock
from kg.model import Cause, Entity, Input, Put
from kg.store import GraphStore, Head
from kg.unseen import unseen
from kg.values import Value

CLASS: Final = "ApiKey"
PREFIX: Final = "noesis"
SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16
#: Characters of a key text; a longer one is refused unread.
TEXT_MAX: Final = 200


def create(
    store: GraphStore, clock: Clock, name: str, subject: str, author: Principal, *, roles: Iterable[str] | None = None,
    expires: datetime | None = None,
) -> tuple[str, Entity]:  # fmt: skip
    """A new key for a subject (``Service::"erp"``) and its entity; `roles` None lets it use all roles of the subject."""
    if not 0 < len(name) <= NAME_MAX:
        raise GovernanceError(f"a key needs a name of at most {NAME_MAX} characters; say what it is for")
    if mark := unseen(name):
        raise GovernanceError(f"the name of the key holds {mark}, which nobody sees; type it anew")
    owner = load_principal(store, subject)
    scoped = None if roles is None else frozenset(roles)
    if scoped is not None and scoped - owner.roles:
        extra = ", ".join(sorted(scoped - owner.roles))
        raise GovernanceError(
            f"{owner.uid} does not have the role {extra}; give it the role first, or leave it out of the key"
        )
    if expires is not None and expires <= clock.now():
        raise GovernanceError("the key would be expired at once; give a later time")
    id, secret, salt = clock.id(), clock.entropy(SECRET_BYTES).hex(), clock.entropy(SALT_BYTES).hex()
    values: dict[str, Value] = {"name": name, "subject": owner.uid, "salt": salt, "hash": _hash(salt, secret)}
    if scoped is not None:
        values["scopedRoles"] = tuple(sorted(scoped))
    if expires is not None:
        values["expires"] = expires
    cause = Cause(clock.id(), "apikey.create", author.uid, f"key for {owner.uid}", _behalf(author))
    store.commit([Put(id, CLASS, values)], cause, {id: 0})
    return f"{PREFIX}_{id}_{secret}", store.get([id])[id]


def revoke(store: GraphStore, clock: Clock, id: str, author: Principal, reason: str) -> None:
    """Make a key useless from now on; revoking it again changes nothing."""
    key = store.get([id]).get(id)
    if key is None or key.cls != CLASS:
        raise GovernanceError(f"there is no API key {id[:80]!r}; list the keys first")
    if key.get("revoked") is not True:
        cause = Cause(clock.id(), "apikey.revoke", author.uid, reason, _behalf(author), (Input(id, key.version),))
        store.commit([Put(id, CLASS, {"revoked": True})], cause, {id: key.version})


def verify(store: GraphStore, clock: Clock, text: str, end: Head | None = None) -> Principal:
    """The principal that a key stands for; KeyRejectedError, one and the same, for whatever is wrong with it."""
    prefix, _, rest = text.partition("_") if len(text) <= TEXT_MAX and text.isascii() else ("", "", "")
    id, _, secret = rest.partition("_")
    key = store.get([id]).get(id) if prefix == PREFIX and id else None
    known = key is not None and key.cls == CLASS
    # Hashed and compared in any case, so that the time does not tell whether the id exists.
    salt, expected = (str(key["salt"]), str(key["hash"])) if key is not None and known else ("", "")
    fits = hmac.compare_digest(_hash(salt, secret), expected)
    if key is None or not known or not fits or key.get("revoked") is True:
        raise KeyRejectedError
    expires = key.get("expires")
    if expires is not None and (not isinstance(expires, datetime) or expires <= clock.now()):
        raise KeyRejectedError
    try:
        principal = load_principal(store, str(key["subject"]), end=end)
    except PrincipalError:
        raise KeyRejectedError from None
    scoped = key.get("scopedRoles")
    return principal if scoped is None else replace(principal, roles=principal.roles & frozenset(_texts(scoped)))


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()


def _hash(salt: str, secret: str) -> str:
    # A slow hash protects passwords, which people choose and others guess. This secret is 256 random bits: nobody can try
    # them through, so SHA-256 is enough, and a request costs a microsecond instead of 50 ms of scrypt.
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()


def _behalf(author: Principal) -> str | None:
    return author.on_behalf_of.uid if author.on_behalf_of is not None else None
