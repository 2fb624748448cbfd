"""Digest access authentication (RFC 7616): reads a challenge, answers it. Pure but for the client nonce, which the caller gives.

Invariant: the password goes into a hash only. Of several challenges the strongest known one is answered.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

#: Characters of a challenge that are read.
CHALLENGE_MAX: Final = 8_192
_PART: Final = re.compile(r'([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][\w-]*)')
_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    "SHA-256": lambda text: hashlib.sha256(text).hexdigest(),
    "MD5": lambda text: hashlib.md5(text, usedforsecurity=False).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server asks for."""

    realm: str
    nonce: str
    algorithm: str
    session: bool
    qop: str
    opaque: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that is to be made, and who makes it."""

    method: str
    path: str
    body: bytes
    username: str
    password: str


def challenge_of(header: str) -> Challenge | None:
    """The challenge to answer, None where a header holds none that is known."""
    found: list[dict[str, str]] = []
    for part in _PART.finditer(header[:CHALLENGE_MAX]):
        name, quoted, bare, scheme = part.groups()
        if scheme:
            found.append({"scheme": scheme.lower()})
        elif found:
            found[-1].setdefault(name.lower(), quoted if quoted is not None else bare)
    known = [challenge for given in found if (challenge := _challenge(given)) is not None]
    order = list(_HASHES)
    return min(known, key=lambda challenge: order.index(challenge.algorithm), default=None)


def _challenge(given: Mapping[str, str]) -> Challenge | None:
    named = given.get("algorithm", "MD5").upper()
    algorithm, session = named.removesuffix("-SESS"), named.endswith("-SESS")
    offered = [word.strip().lower() for word in given.get("qop", "").split(",") if word.strip()]
    qop = next((word for word in ("auth", "auth-int") if word in offered), "")
    if given.get("scheme") != "digest" or not given.get("nonce") or algorithm not in _HASHES or (offered and not qop):
        return None
    return Challenge(given.get("realm", ""), given["nonce"], algorithm, session, qop, given.get("opaque"))


def answer(challenge: Challenge, asked: Asked, cnonce: str) -> str:
    """The value of the Authorization header."""
    hashed = _HASHES[challenge.algorithm]

    def over(*parts: str) -> str:
        return hashed(":".join(parts).encode())

    first = over(asked.username, challenge.realm, asked.password)
    if challenge.session:
        first = over(first, challenge.nonce, cnonce)
    whole = [hashed(asked.body)] if challenge.qop == "auth-int" else []
    second = over(asked.method, asked.path, *whole)
    count = "00000001"
    middle = [count, cnonce, challenge.qop] if challenge.qop else []
    user = asked.username.replace("\\", "\\\\").replace('"', '\\"')
    quoted = {
        "username": user,
        "realm": challenge.realm,
        "nonce": challenge.nonce,
        "uri": asked.path,
        "response": over(first, challenge.nonce, *middle, second),
        **({"opaque": challenge.opaque} if challenge.opaque is not None else {}),
        **({"cnonce": cnonce} if challenge.qop or challenge.session else {}),
    }
    plain = {
        "algorithm": challenge.algorithm + ("-sess" if challenge.session else ""),
        **({"qop": challenge.qop, "nc": count} if challenge.qop else {}),
    }
    return "Digest " + ", ".join(
        [
            *(f'{name}="{value}"' for name, value in quoted.items()),
            *(f"{name}={value}" for name, value in plain.items()),
        ]
    )
