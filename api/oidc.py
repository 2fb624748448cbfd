"""OpenID Connect: who a bearer token from the company's own issuer stands for.

Invariants: only the algorithms listed here, so `none` and every shared secret are refused; signature, issuer, audience and times
are all checked; keys come from the configured issuer alone, whatever a token's header asks for (`jku`, `x5u`, `jwk`). A token names
a user of the graph, and what it claims never gives a role that the graph does not. RFC 7519, RFC 7517, RFC 8725.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from api.auth import loopback
from api.errors import SettingsError
from governance.errors import KeyRejectedError, PrincipalError
from governance.people import ensure_principal
from governance.principals import NAME_MAX, Principal, load_principal
from kg.clock import Clock
from kg.errors import NoesisError
from kg.model import Op, Where
from kg.store import GraphStore, Head
from kg.values import Json

if TYPE_CHECKING:
    import jwt

#: Asymmetric signatures only: with a shared secret (HS…) a public key could be used to sign.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: Characters of a token; keys of one issuer; bytes of one answer of it.
TOKEN_MAX: Final = 12_000
KEYS_MAX: Final = 100
ANSWER_MAX: Final = 500_000
#: How long keys are used without asking again, how often an unknown key id may ask, how long keys serve while the issuer is away.
FRESH_SECONDS: Final = 600.0
ASK_SECONDS: Final = 30.0
STALE_SECONDS: Final = 86_400.0
FETCH_SECONDS: Final = 5.0
SERVICE: Final = Principal("Service", "oidc")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are taken. `roles` maps a word of `roles_claim` to a role; with `provision` an unknown user is made."""

    issuer: str
    audience: tuple[str, ...]
    user_claim: str = "sub"
    roles_claim: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    leeway_seconds: float = 60.0
    provision: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        safe = parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))
        if not safe or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError(
                f"oidc_issuer {self.issuer[:200]!r} is no issuer; write it as https://login.example.com/tenant"
            )
        if not self.audience:
            raise SettingsError(
                "oidc_issuer needs oidc_audience; without it, tokens made for other programs would be taken"
            )


class Fetch(Protocol):
    """Gets a JSON document from the issuer."""

    def __call__(self, url: str) -> Json:
        """The document; raises NoesisError where there is none."""


def looks_like_token(text: str) -> bool:
    """Whether a bearer text has the form of a signed JWT (three parts); an API key never has."""
    return text.count(".") == 2


@dataclass(frozen=True, slots=True)
class _Keys:
    """The issuer's keys by id, as last read."""

    by_id: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    read: float | None = None
    asked: float | None = None


@dataclass(slots=True)
class Oidc:
    """Verifies tokens. `fetch` reads from the issuer; thread-safe."""

    issuer: Issuer
    store: GraphStore
    clock: Clock
    fetch: Fetch
    _keys: _Keys = field(default_factory=_Keys)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, token: str, end: Head | None = None) -> Principal:
        """The principal that a token stands for; KeyRejectedError, with one and the same text, for whatever is wrong with it."""
        claims = self._claims(token)
        name = claims.get(self.issuer.user_claim)
        if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
            raise KeyRejectedError
        granted = self._granted(claims)
        try:
            principal = load_principal(self.store, Principal("User", name).uid, end=end)
        except PrincipalError:
            if not self.issuer.provision or self._known(name):
                raise KeyRejectedError from None
            ensure_principal(self.store, self.clock, "User", name, SERVICE, roles=sorted(granted or ()))
            principal = load_principal(self.store, Principal("User", name).uid)
        # A token narrows what the graph grants, as a scoped key does; what the issuer took away is gone with the next token.
        return principal if granted is None else replace(principal, roles=principal.roles & granted)

    def _known(self, name: str) -> bool:
        """Whether there is a user of this name that may not act: a disabled one is not made anew."""
        return bool(self.store.find("User", [Where("name", Op.EQ, name)], first=1).items)

    def _granted(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        if self.issuer.roles_claim is None:
            return None
        words = claims.get(self.issuer.roles_claim, ())
        listed: Sequence[object] = words.split() if isinstance(words, str) else words if isinstance(words, list) else ()
        return frozenset(
            self.issuer.roles[word] for word in listed if isinstance(word, str) and word in self.issuer.roles
        )

    def _claims(self, token: str) -> Mapping[str, Any]:
        import jwt

        if len(token) > TOKEN_MAX or not token.isascii():
            raise KeyRejectedError
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header)
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]] if header.get("alg") in ALGORITHMS else [],
                audience=self.issuer.audience,
                issuer=self.issuer.issuer,
                options={
                    "require": ["exp", "iat", "iss", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            self._in_time(claims)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise KeyRejectedError from None
        return claims

    def _in_time(self, claims: Mapping[str, Any]) -> None:
        """Times are held against the platform's own clock, with the leeway of the settings on each side."""
        now, leeway = self.clock.now().timestamp(), self.issuer.leeway_seconds
        times: dict[str, float] = {}
        for name in ("exp", "iat", "nbf"):
            at = claims.get(name)
            if (
                isinstance(at, bool)
                or not isinstance(at, int | float | None)
                or (isinstance(at, float) and not isfinite(at))
            ):
                raise KeyRejectedError
            if at is not None:
                times[name] = at
        if now >= times["exp"] + leeway or any(now < times[name] - leeway for name in ("iat", "nbf") if name in times):
            raise KeyRejectedError

    def _key(self, header: Mapping[str, Any]) -> "jwt.PyJWK":
        import jwt

        id, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS or not isinstance(id, str) or len(id) > NAME_MAX or "crit" in header:
            raise KeyRejectedError
        form = self._current(id)
        # A key is used for what it is for and nothing else: no RSA key checks an EC signature, none checks another `alg`.
        if (
            form is None
            or form.get("alg", algorithm) != algorithm
            or _kind(algorithm) != (form["kty"], form.get("crv"))
        ):
            raise KeyRejectedError
        return jwt.PyJWK.from_dict(dict(form), algorithm)

    def _current(self, id: str) -> Mapping[str, Any] | None:
        found = self._cached(id)
        if found is not None:
            return found
        # One asks; whoever comes meanwhile waits only where no keys were ever read: an issuer that hangs, and tokens with made-up
        # key ids, would else take every thread of the API. What is known goes on serving.
        if not self._asking.acquire(blocking=self._keys.read is None):
            return self._usable(self._keys, id, self.clock.monotonic())
        try:
            if (found := self._cached(id)) is not None or self._asked_lately():
                return found or self._usable(self._keys, id, self.clock.monotonic())
            now = self.clock.monotonic()
            try:
                keys = _Keys(_read(self.fetch, self.issuer.issuer), now, now)
            except NoesisError:
                keys = replace(self._keys, asked=now)
            with self._lock:
                self._keys = keys
        finally:
            self._asking.release()
        return self._usable(keys, id, now)

    def _cached(self, id: str) -> Mapping[str, Any] | None:
        with self._lock:
            keys = self._keys
        fresh = keys.read is not None and self.clock.monotonic() - keys.read < FRESH_SECONDS
        return keys.by_id.get(id) if fresh else None

    def _asked_lately(self) -> bool:
        asked = self._keys.asked
        return asked is not None and self.clock.monotonic() - asked < ASK_SECONDS

    @staticmethod
    def _usable(keys: _Keys, id: str, now: float) -> Mapping[str, Any] | None:
        return keys.by_id.get(id) if keys.read is not None and now - keys.read < STALE_SECONDS else None


def _kind(algorithm: str) -> tuple[str, str | None]:
    """Key type and curve of an algorithm (RFC 7518, RFC 8037)."""
    if algorithm == "EdDSA":
        return "OKP", "Ed25519"
    curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
    return ("EC", curves[algorithm]) if algorithm in curves else ("RSA", None)


def _read(fetch: Fetch, issuer: str) -> dict[str, Mapping[str, Any]]:
    """The signing keys of an issuer by id (OpenID Connect Discovery 1.0); raises NoesisError where they cannot be had."""
    found = fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if not isinstance(found, dict) or found.get("issuer") != issuer or not isinstance(found.get("jwks_uri"), str):
        raise NoesisError(f"{issuer} publishes no configuration of its own; check oidc_issuer, letter by letter")
    document = fetch(found["jwks_uri"])
    listed = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, Mapping[str, Any]] = {}
    for form in (listed if isinstance(listed, list) else [])[:KEYS_MAX]:
        if (
            isinstance(form, dict)
            and form.get("use", "sig") == "sig"
            and isinstance(form.get("kid"), str)
            and "kty" in form
        ):
            keys[form["kid"]] = form
    return keys


def fetch_json(url: str) -> Json:
    """A JSON document over HTTPS (plain HTTP from this machine only), without redirects, bounded in time and size."""
    import httpx

    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback(parts.hostname or "")):
        raise NoesisError(f"{url[:200]} is not https; the issuer's keys are read over https only")
    try:
        with (
            httpx.Client(timeout=FETCH_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            body = b""
            for chunk in response.iter_bytes(65_536):
                body += chunk
                if len(body) > ANSWER_MAX:
                    raise NoesisError(f"{url[:200]} answered more than {ANSWER_MAX:,} bytes")
    except httpx.HTTPError as error:
        raise NoesisError(f"{url[:200]} cannot be read: {error or type(error).__name__}") from error
    try:
        form: Json = json.loads(body)
    except ValueError as error:
        raise NoesisError(f"{url[:200]} answered no JSON") from error
    return form


__all__ = ["ALGORITHMS", "Fetch", "Issuer", "Oidc", "fetch_json", "looks_like_token"]
