"""Tokens of OAuth 2 and OpenID Connect: asked for at the authority, kept in this process until they end, and nowhere else.

Invariants: whoever hears a secret, or a token that a secret opened, is listed with the secret; an authority is one that the
settings name; no token and no answer of an authority stands in an error, a log or a fact. A token that could not be had means that
the effect surely did not happen.
"""

import base64
import hashlib
import hmac
import json
import secrets as entropy
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from coordination.effectors.addresses import Resolve
from coordination.effectors.http_call import Reach, Target, send, target_of
from coordination.errors import EffectorError, GiveUp, RetryLater
from kg.values import Json, canonical

#: Tokens that one process keeps; beyond it the oldest is asked for anew.
TOKENS_MAX: Final = 1_000
#: How long a token counts whose authority does not say, and how much sooner than it ends it is let go.
LIFE_SECONDS: Final = 60.0
EARLY_SECONDS: Final = 10.0
GRANTS: Final = frozenset(
    {"client_credentials", "password", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"}
)
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, until when it counts (on the monotonic clock), and what renews it."""

    value: str
    until: float
    refresh: str = ""


@dataclass(slots=True)
class Tokens:
    """The tokens of this process."""

    now: Callable[[], float] = time.monotonic
    _kept: dict[str, Token] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __repr__(self) -> str:
        return "Tokens(…)"

    def kept(self, key: str) -> Token | None:
        """The token under a key, whether or not it ended."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: str, token: Token) -> None:
        """Keep a token."""
        with self._lock:
            self._kept.pop(key, None)
            if len(self._kept) >= TOKENS_MAX:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = token

    def drop(self, key: str) -> None:
        """Forget a token that its target did not take."""
        with self._lock:
            self._kept.pop(key, None)


@dataclass(frozen=True, slots=True)
class Authority:
    """How tokens are asked for: what was declared, with its secrets filled in by `open` for the host that is to hear them."""

    scheme: str
    reach: Reach
    resolving: Resolve
    tokens: Tokens
    open: Callable[[Target], Mapping[str, Any]]
    known: Callable[[Target], bool]

    def token(self, target: Target, fresh: bool = False) -> tuple[str, bool]:
        """A token for calls of the target, and whether it was kept from before."""
        # INVARIANT: the target hears what the secrets opened, so it must be listed with them too.
        declared = self.open(target)
        key = hashlib.sha256(f"{self.scheme}{canonical(dict(declared))}{target.authority}".encode()).hexdigest()
        kept = self.tokens.kept(key)
        if kept is not None and not fresh and self.tokens.now() < kept.until:
            return kept.value, True
        try:
            token = self._asked(declared, kept.refresh if kept is not None and not fresh else "")
        except EffectorError as error:
            raise RetryLater(f"there is no token yet: {error}") from error
        self.tokens.keep(key, token)
        return token.value, False

    def _asked(self, declared: Mapping[str, Any], refresh: str) -> Token:
        endpoint = self._endpoint(declared)
        declared = self.open(endpoint)
        if refresh:
            try:
                return self._token(
                    endpoint, declared, {"grant_type": "refresh_token", "refresh_token": refresh}, refresh
                )
            except GiveUp:
                # It ended before its time; the grant itself may still hold.
                pass
        return self._token(endpoint, declared, granted(declared))

    def _endpoint(self, declared: Mapping[str, Any]) -> Target:
        authority = str(declared.get("authority") or "").rstrip("/")
        if self.scheme == "oauth2":
            endpoints = declared.get("endpoints") or {}
            path = str(endpoints.get("token") or "/oauth2/token")
            return self._place(path if urlsplit(path).scheme else f"{authority}/{path.lstrip('/')}")
        place = self._place(authority if authority.endswith(_WELL_KNOWN) else authority + _WELL_KNOWN)
        found = _read(place, send("GET", place, {"accept": "application/json"}, None, self.reach, self.resolving).body)
        return self._place(found.get("token_endpoint"))

    def _place(self, address: Json) -> Target:
        place = target_of(address, self.reach.allowed, "token")
        if not self.known(place):
            # Rules decide on the host that is called: a payload must not reach another by calling it an authority.
            raise GiveUp(
                f"{place.host} is no authority that the settings know; list it with a secret of [effectors.http]"
            )
        return place

    def _token(self, endpoint: Target, declared: Mapping[str, Any], form: dict[str, Json], refresh: str = "") -> Token:
        headers = {"accept": "application/json"}
        _as_client(declared.get("client") or {}, endpoint, form, headers)
        encoding = str((declared.get("request") or {}).get("encoding") or "application/x-www-form-urlencoded")
        headers["content-type"] = encoding
        body = canonical(form) if encoding == "application/json" else urlencode(form, doseq=True)
        response = send("POST", endpoint, headers, body.encode(), self.reach, self.resolving, _REFUSED)
        if response.status in _REFUSED:
            why = _reason(response.body)
            raise GiveUp(f"{endpoint.host} refused with 401, so there is no token ({why}); correct the credentials")
        found = _read(endpoint, response.body)
        value, life = found.get("access_token"), found.get("expires_in")
        if not isinstance(value, str) or not value or not value.isprintable():
            raise GiveUp(f"{endpoint.host} answered without an access_token; correct the token endpoint")
        _issued(value, declared.get("issuers"))
        length = float(life) if isinstance(life, int | float) and not isinstance(life, bool) else LIFE_SECONDS
        early = min(EARLY_SECONDS, length / 10)
        again = found.get("refresh_token")
        return Token(value, self.tokens.now() + length - early, again if isinstance(again, str) else refresh)


#: What an authority answers to credentials that it does not take (RFC 6749, 5.2).
_REFUSED: Final = frozenset({400, 401, 403})


def granted(declared: Mapping[str, Any]) -> dict[str, Json]:
    """What a token request says; GiveUp where the grant is none that can be had without a person."""
    grant = str(declared.get("grant") or "")
    if grant not in GRANTS:
        raise GiveUp(f"the grant {grant[:80]!r} is not served; use one of {', '.join(sorted(GRANTS))}")
    form: dict[str, Json] = {"grant_type": grant}
    if declared.get("scopes"):
        form["scope"] = " ".join(map(str, declared["scopes"]))
    if declared.get("audiences"):
        form["audience"] = [str(item) for item in declared["audiences"]]
    if grant == "password":
        form |= {name: str(declared.get(name) or "") for name in ("username", "password")}
    subject, actor = declared.get("subject") or {}, declared.get("actor") or {}
    if grant == "refresh_token":
        form["refresh_token"] = str(subject.get("token") or "")
    elif grant in GRANTS - {"client_credentials", "password"}:
        for name, token in (("subject", subject), ("actor", actor)):
            if token:
                form |= {f"{name}_token": str(token.get("token")), f"{name}_token_type": str(token.get("type"))}
    return form


def _as_client(client: Mapping[str, Any], endpoint: Target, form: dict[str, Json], headers: dict[str, str]) -> None:
    """How the client says who it is (RFC 6749, 2.3; RFC 7523)."""
    how = str(client.get("authentication") or ("client_secret_post" if client else "none"))
    name, secret = str(client.get("id") or ""), str(client.get("secret") or "")
    if how == "client_secret_basic":
        pair = f"{quote(name, safe='')}:{quote(secret, safe='')}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return
    if name:
        form["client_id"] = name
    if how == "client_secret_post":
        form["client_secret"] = secret
    elif how in ("client_secret_jwt", "private_key_jwt"):
        form["client_assertion_type"] = _JWT_BEARER
        made = _assertion(name, secret, f"{endpoint.scheme}://{endpoint.authority}{endpoint.path}")
        form["client_assertion"] = made if how == "client_secret_jwt" else str(client.get("assertion") or "")
    elif how != "none":
        raise GiveUp(f"the client authentication {how[:80]!r} is not known; use one of the specification")


def _assertion(name: str, secret: str, audience: str) -> str:
    now = int(time.time())
    claims = {"iss": name, "sub": name, "aud": audience, "jti": entropy.token_hex(16), "iat": now, "exp": now + 60}
    parts = [_encoded(canonical(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _encoded(signature)])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _issued(token: str, issuers: Json) -> None:
    """GiveUp where issuers are declared and the token is not from one of them."""
    if not issuers:
        return
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        claims = None
    if not isinstance(claims, dict) or claims.get("iss") not in issuers:
        raise GiveUp("the token is not from one of the declared issuers; correct `issuers` or the authority")


def _read(place: Target, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise GiveUp(f"{place.host} answered with no JSON object; correct the authority")
    return found


def _reason(body: bytes) -> str:
    """The error code of RFC 6749, if it is one: nothing else of an answer is repeated."""
    known = (
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    )
    try:
        found = json.loads(body)
    except ValueError:
        return "no reason given"
    code = found.get("error") if isinstance(found, dict) else None
    return code if code in known else "no reason given"
