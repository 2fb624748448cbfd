"""Authentication of calls over HTTP: basic, bearer, digest, OAuth 2 and OpenID Connect, as the specification declares them.

Invariants: what is declared names secrets (``{"secret": NAME}`` or `use`), and they are filled in here, for hosts that may hear
them; a header that was made stands in no fact. A call is repeated only after a 401, which says that nothing happened.
"""

import base64
import secrets as entropy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordination.effectors import digest
from coordination.effectors.addresses import Resolve
from coordination.effectors.http_call import Reach, Response, Target
from coordination.effectors.secrets import Secret, fields, reveal, secret_of
from coordination.effectors.tokens import Authority, Tokens
from coordination.errors import GiveUp
from kg.values import Json

SCHEMES: Final = ("basic", "bearer", "digest", "oauth2", "oidc")
#: How deep a declaration may be nested.
_DEPTH_MAX: Final = 8
_NOT_KNOWN: Final = frozenset({401})
#: Makes the call with these headers more; answers with these statuses are given back, others raise.
Make = Callable[[Mapping[str, str], frozenset[int]], Response]


@dataclass(frozen=True, slots=True)
class Means:
    """What authenticating needs of the installation."""

    secrets: Mapping[str, Secret]
    reach: Reach
    resolving: Resolve
    tokens: Tokens

    def knows(self, place: Target) -> bool:
        """Whether the settings name a host: with a secret, or as one that may be called although it is private."""
        listed = frozenset(self.reach.allowed).union(*(secret.hosts for secret in self.secrets.values()))
        return bool({place.host, f"{place.host}:{place.port}"} & listed)


def scheme_of(declared: Json) -> tuple[str, Mapping[str, Any]]:
    """The scheme of a declaration and what it says; GiveUp where it is none."""
    if isinstance(declared, Mapping):
        for scheme in SCHEMES:
            if isinstance(declared.get(scheme), Mapping):
                return scheme, declared[scheme]
    raise GiveUp(f"an authentication is one of {', '.join(SCHEMES)}, an object; correct the payload")


def authenticated(
    declared: Json, target: Target, method: str, body: bytes | None, make: Make, means: Means
) -> Response:
    """Make a call as whoever was declared."""
    scheme, said = scheme_of(declared)
    if scheme in ("oauth2", "oidc"):
        authority = Authority(
            scheme, means.reach, means.resolving, means.tokens,
            lambda host: opened(scheme, said, host, means.secrets), means.knows,
        )  # fmt: skip
        value, kept = authority.token(target)
        response = make({"authorization": f"Bearer {value}"}, _NOT_KNOWN if kept else frozenset())
        if response.status in _NOT_KNOWN:
            # A kept token may have been taken back; a 401 says that nothing happened.
            value, _ = authority.token(target, fresh=True)
            response = make({"authorization": f"Bearer {value}"}, frozenset())
        return response
    who = opened(scheme, said, target, means.secrets)
    if scheme != "digest":
        return make({"authorization": _plain(scheme, who)}, frozenset())
    response = make({}, _NOT_KNOWN)
    if response.status not in _NOT_KNOWN:
        return response
    challenge = digest.challenge_of(response.headers.get("www-authenticate", ""))
    if challenge is None:
        raise GiveUp(f"{target.host} refused with 401 and asks for no digest that is known; use another authentication")
    asked = digest.Asked(method, target.path, body or b"", str(who.get("username", "")), str(who.get("password", "")))
    return make({"authorization": digest.answer(challenge, asked, entropy.token_hex(16))}, frozenset())


def opened(scheme: str, said: Mapping[str, Any], host: Target, secrets: Mapping[str, Secret]) -> Mapping[str, Any]:
    """A declaration with the values of its secrets; GiveUp where the host may not hear one of them."""
    if "use" not in said:
        found = _filled(said, host, secrets)
        return found if isinstance(found, Mapping) else {}
    name = str(said["use"])
    text = secret_of(name, host, secrets)
    if scheme == "bearer":
        return {"token": fields(text, name).get("token") if text.startswith("{") else text}
    if scheme in ("basic", "digest") and not text.startswith("{"):
        user, colon, password = text.partition(":")
        return {"username": user, "password": password} if colon else {"encoded": text}
    return fields(text, name)


def _plain(scheme: str, who: Mapping[str, Any]) -> str:
    if scheme == "bearer":
        header = f"Bearer {who.get('token') or ''}"
    elif "encoded" in who:
        header = f"Basic {who['encoded']}"
    else:
        pair = f"{who.get('username') or ''}:{who.get('password') or ''}"
        header = "Basic " + base64.b64encode(pair.encode()).decode()
    if not header.isascii() or not header.isprintable():
        raise GiveUp("the credentials hold a character that no header may; correct them")
    return header


def _filled(value: Json, host: Target, secrets: Mapping[str, Secret], depth: int = 0) -> Json:
    if depth > _DEPTH_MAX:
        raise GiveUp("the authentication is nested too deep; correct the payload")
    if isinstance(value, Mapping):
        if (
            isinstance(value.get("secret"), str)
            and value.keys() <= {"secret", "at"}
            and depth
            and _names(value, secrets)
        ):
            return reveal(value, host, secrets)
        return {name: _filled(item, host, secrets, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, host, secrets, depth + 1) for item in value]
    return value


def _names(value: Mapping[str, Json], secrets: Mapping[str, Secret]) -> bool:
    """Whether an object names a secret; a client with a secret of its own and nothing else is no such object."""
    return "at" in value or value["secret"] in secrets
