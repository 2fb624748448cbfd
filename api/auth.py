"""Authentication: who a request comes from. By API key; without one only from this machine, and only where settings allow it.

Invariants: a server that others can reach never answers without a key, which is checked when it starts and again at each
request by the peer's address; a key that is sent is always checked, so a wrong one never falls back to the local user. Tokens
of the company's own issuer (`api.oidc`) are told apart from keys by their form. Here a person's open break-glass is found, anew
for each request.
"""

import ipaddress
from dataclasses import dataclass, replace
from typing import Protocol

from api.errors import BindingError, UnauthenticatedError
from api.platform import Noesis
from api.settings import Settings
from governance.breakglass import carried
from governance.errors import PrincipalError
from governance.principals import Principal, load_principal, with_purpose
from kg.store import Head

SCHEME = "bearer"
#: Characters of an Authorization header.
HEADER_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and whether without a key."""

    principal: Principal
    local: bool = False


def loopback(host: str) -> bool:
    """Whether an address or name means this machine only."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_binding(settings: Settings) -> None:
    """Raise BindingError where these settings would open the API to other machines without a key."""
    if settings.keyless and not loopback(settings.host):
        raise BindingError(
            f"host {settings.host} is reached by other machines, and keyless is on; set keyless = false (every request then "
            "needs a key) or host = 127.0.0.1"
        )


def key_of(authorization: str | None) -> str | None:
    """The key in an Authorization header, None where there is no header; UnauthenticatedError for another scheme."""
    if authorization is None:
        return None
    scheme, _, key = authorization.partition(" ")
    if len(authorization) > HEADER_MAX or scheme.lower() != SCHEME or not key.strip():
        raise UnauthenticatedError("the Authorization header is not `Bearer <key>`; send it so")
    return key.strip()


def local_principal(platform: Noesis, end: Head | None = None) -> Principal:
    """The user that acts without a key: as the graph knows it, else with the roles that settings give it."""
    settings = platform.settings
    named = Principal("User", settings.local_user, frozenset(settings.local_roles))
    try:
        return load_principal(platform.store, named.uid, end=end)
    except PrincipalError:
        return named


class Identify(Protocol):
    """Finds out who a request comes from, now; `end` is the end of the log, where it was read already."""

    def __call__(self, end: Head | None = None) -> Caller:
        """Who asks; UnauthenticatedError or KeyRejectedError where nobody known does."""


def reading_for(identify: Identify, purpose: str | None) -> Identify:
    """The same caller, who says what it reads for; raises PrincipalError where that is no word for a purpose."""
    if purpose is None:
        return identify

    def with_its_purpose(end: Head | None = None) -> Caller:
        caller = identify(end)
        return replace(caller, principal=with_purpose(caller.principal, purpose))

    return with_its_purpose


def identifier(platform: Noesis, authorization: str | None, peer: str | None) -> Identify:
    """A function that finds out who this request comes from, now; it calls the store.

    Raises UnauthenticatedError or KeyRejectedError with one sentence.
    """
    key = key_of(authorization)
    settings = platform.settings

    def identify(end: Head | None = None) -> Caller:
        if key is not None:
            return Caller(carried(platform.store, platform.clock, platform.authenticate(key, end), end))
        if settings.keyless and loopback(settings.host) and peer is not None and loopback(peer):
            return Caller(carried(platform.store, platform.clock, local_principal(platform, end), end), local=True)
        raise UnauthenticatedError

    return identify
