"""HTTP: an effect as one call of any method. The payload names `method`, `url`, `query`, `headers` and `body` (JSON) or `text`.

`authentication` says as whom, as `authenticating` takes it.

Invariants: a header value may be ``{"secret": NAME}``, which is filled in here, for the hosts that the settings allow to hear it,
and stands in no fact; the key travels as Idempotency-Key. PUT, DELETE and reads are repeatable by what HTTP says of them, others
where the settings say that the targets honour the key.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from coordination.effectors.addresses import Resolve, resolve
from coordination.effectors.authenticating import Means, authenticated, scheme_of
from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.effectors.http_call import REQUEST_MAX, RESPONSE_MAX, Reach, Response, Target, send, target_of
from coordination.effectors.secrets import Secret, reveal
from coordination.effectors.tokens import Tokens
from coordination.errors import EffectorError, GiveUp, RetryLater
from kg.errors import ValueDomainError
from kg.payloads import sound
from kg.values import Json, canonical

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"})
#: Methods that may be repeated (RFC 9110, 9.2.2).
REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
HEADERS_MAX: Final = 50
#: Headers that are ours to set.
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key", "upgrade"})
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
#: Headers of the answer that go into the receipt.
_KEPT: Final = ("content-type", "location", "etag")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """`reach` bounds where calls go; `honours_key`: whether a POST or PATCH may be repeated with its key."""

    reach: Reach = field(default_factory=Reach)
    honours_key: bool = False
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, checked but for the address of its host."""

    method: str
    target: Target
    headers: Mapping[str, str]
    body: bytes | None
    authentication: Json = None


@dataclass(frozen=True, slots=True)
class Http:
    """Effector of kind ``http``."""

    settings: HttpSettings
    resolving: Resolve = resolve
    kind: str = field(default="http", init=False)
    can_look_up: bool = field(default=False, init=False)

    @property
    def idempotent(self) -> bool:
        """As the settings say of the targets; `repeatable` says it of one effect."""
        return self.settings.honours_key

    def repeatable(self, effect: Effect) -> bool:
        """By the method, or where the target honours the key."""
        return self.settings.honours_key or str(effect.payload.get("method", "POST")).upper() in REPEATABLE

    def act(self, effect: Effect) -> Receipt:
        """Make the call once; RetryLater, GiveUp or EffectorError as the port says."""
        request = request_of(effect, effect.payload, self.settings)
        try:
            return perform(request, self.settings, self.resolving)
        except (RetryLater, EffectorError) as error:
            # Whoever says `once` retries by its own policy; an answer to what may be repeated is as good as a refusal.
            answered = f"{request.target.host} answered " in str(error)
            if effect.payload.get("once") and answered and (isinstance(error, RetryLater) or self.repeatable(effect)):
                raise GiveUp(str(error)) from error
            raise

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: HTTP has no way to ask by key."""
        raise EffectorError(f"a target over HTTP cannot be asked whether effect {effect.id} happened; ask its owner")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """As the payload declares."""
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        """What would be called."""
        return simulated(request_of(effect, effect.payload, self.settings))


def request_of(effect: Effect, payload: Mapping[str, Json], settings: HttpSettings) -> Request:
    """The call that a payload describes; GiveUp where it describes none."""
    method = str(payload.get("method", "POST")).upper()
    if method not in METHODS:
        raise GiveUp(f"{method[:20]!r} is no method; use one of {', '.join(sorted(METHODS))}")
    target = target_of(_with_query(payload.get("url"), payload.get("query")), settings.reach.allowed, "http")
    body, kind = _body(payload)
    if body is not None and len(body) > REQUEST_MAX:
        raise GiveUp(f"the body of {effect.operation} has {len(body):,} bytes; keep to {REQUEST_MAX:,}")
    ours = {"user-agent": "noesis-http/1", "idempotency-key": effect.key, "accept": "application/json, */*;q=0.5"}
    given = _headers(payload.get("headers") or {}, target, settings.secrets)
    declared = payload.get("authentication")
    if declared is not None:
        scheme_of(declared)
    return Request(method, target, {**ours, **({"content-type": kind} if kind else {}), **given}, body, declared)


def perform(request: Request, settings: HttpSettings, resolving: Resolve) -> Receipt:
    """Make a call and read its answer."""

    def make(more: Mapping[str, str], taking: frozenset[int]) -> Response:
        headers = {**request.headers, **more}
        return send(request.method, request.target, headers, request.body, settings.reach, resolving, taking)

    if request.authentication is None:
        return _receipt(make({}, frozenset()))
    means = Means(settings.secrets, settings.reach, resolving, settings.tokens)
    return _receipt(authenticated(request.authentication, request.target, request.method, request.body, make, means))


def simulated(request: Request) -> Receipt:
    """What a call would be: no header values, since they may be secret."""
    target = request.target
    return Receipt(
        "",
        {
            "would": {
                "method": request.method,
                "url": f"{target.scheme}://{target.authority}{target.path.partition('?')[0]}",
                "headers": sorted(request.headers),
                "bytes": len(request.body or b""),
            }
        },
    )


def _with_query(url: object, query: Json) -> object:
    if not query or not isinstance(url, str):
        return url
    if not isinstance(query, Mapping):
        raise GiveUp("the query is not an object; give names with values")
    text = urlencode({name: _text(value) for name, value in query.items()}, doseq=True)
    return f"{url}{'&' if '?' in url else '?'}{text}"


def _text(value: Json) -> Json:
    """A query value: lists repeat the name, everything else as JSON writes it but strings as they are."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value if isinstance(value, str) else canonical(value)


def _body(payload: Mapping[str, Json]) -> tuple[bytes | None, str]:
    if payload.get("text") is not None:
        return str(payload["text"]).encode(), "text/plain; charset=utf-8"
    if payload.get("body") is None:
        return None, ""
    return canonical(payload["body"]).encode(), "application/json"


def _headers(given: Json, target: Target, secrets: Mapping[str, Secret]) -> dict[str, str]:
    if not isinstance(given, Mapping) or len(given) > HEADERS_MAX:
        raise GiveUp(f"headers are an object of at most {HEADERS_MAX} names; correct the payload")
    made: dict[str, str] = {}
    for name, value in given.items():
        lower = str(name).lower()
        if not _NAME.match(lower) or lower in _OURS:
            raise GiveUp(f"the header {str(name)[:80]!r} may not be set by a payload; leave it out")
        text = reveal(value, target, secrets) if isinstance(value, Mapping) else str(value)
        if any(ord(character) < 32 and character != "\t" for character in text):
            raise GiveUp(f"the header {lower!r} holds a control character; correct it")
        made[lower] = text
    return made


def _receipt(response: Response) -> Receipt:
    text = response.body.decode(errors="replace").replace("\x00", "")
    content: Json = text
    if "json" in response.headers.get("content-type", "") and text:
        with suppress(ValueError, RecursionError, ValueDomainError):
            found = json.loads(text)
            # What no JSON text holds, as half a character, stays the text that came.
            sound(found, "the answer")
            content = found
    kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
    reference = kept.get("location", "")
    if not reference and isinstance(content, Mapping):
        reference = str(content.get("id", ""))
    detail: dict[str, Json] = {"status": response.status, "headers": kept, "content": content}
    if len(response.body) >= RESPONSE_MAX:
        detail["truncated"] = True
    return Receipt(reference[:2_000], detail)
