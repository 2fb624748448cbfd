"""Webhook: an effect as one signed HTTP POST. The payload names `url` and `body`; the key travels as Idempotency-Key.

Invariants: it connects only to an address that was checked, follows no redirect, reads no more than RESPONSE_MAX bytes, and ends
at one deadline whatever the other side does. It never repeats by itself: repeating is durable work, so it survives a crash.
Signed by the Standard Webhooks scheme: webhook-id, webhook-timestamp, webhook-signature ``v1,base64(hmac-sha256(id.time.body))``.
"""

import base64
import hashlib
import hmac
import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from coordination.effectors.addresses import Resolve, checked, resolve
from coordination.effectors.effector import Effect, Receipt
from coordination.errors import EffectorError, GiveUp, RetryLater
from kg.clock import Clock
from kg.values import Json, canonical

if TYPE_CHECKING:
    import httpx

#: Bytes of a request and of a response that are handled.
REQUEST_MAX: Final = 1_000_000
RESPONSE_MAX: Final = 65_536
#: Characters of the answer that go into the receipt.
EXCERPT_MAX: Final = 2_000
#: The longest wait that a target may ask for.
RETRY_AFTER_MAX_SECONDS: Final = 3_600.0
#: Answers that say "not now" without having acted.
_NOT_NOW: Final = frozenset({425, 429, 503})


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`secret` signs; `allowed` lists hosts and networks that may be private or plain HTTP; `deadline_seconds` bounds one try."""

    secret: bytes
    allowed: tuple[str, ...] = ()
    deadline_seconds: float = 10.0
    connect_seconds: float = 5.0
    honours_key: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """Effector of kind ``webhook``."""

    settings: WebhookSettings
    clock: Clock
    resolving: Resolve = resolve
    kind: str = field(default="webhook", init=False)
    can_look_up: bool = field(default=False, init=False)

    @property
    def idempotent(self) -> bool:
        """As the settings say of the targets."""
        return self.settings.honours_key

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: a webhook's target cannot be asked."""
        raise EffectorError(f"a webhook cannot be asked whether effect {effect.id} happened; repeat it with its key")

    def act(self, effect: Effect) -> Receipt:
        """Send the effect once; RetryLater, GiveUp or EffectorError as the port says."""
        target = self._target(effect.payload)
        body = canonical(effect.payload.get("body", {})).encode()
        if len(body) > REQUEST_MAX:
            raise GiveUp(f"the body of {effect.operation} has {len(body):,} bytes; keep to {REQUEST_MAX:,}")
        address = checked(target.host, target.port, self.settings.allowed, self.resolving)
        return self._send(target, address, body, self._headers(effect, target, body))

    def _target(self, payload: Mapping[str, Json]) -> Target:
        url = payload.get("url")
        if not isinstance(url, str):
            raise GiveUp("the payload names no url; give url and body")
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise GiveUp(f"{url[:200]!r} is not a URL: {error}") from error
        host = parts.hostname or ""
        if parts.scheme not in ("https", "http") or not host or parts.username is not None:
            raise GiveUp(f"{url[:200]!r} is not a webhook address; use https://host/path without a user name")
        if parts.scheme == "http" and not {host, f"{host}:{port}"} & set(self.settings.allowed):
            raise GiveUp(
                f"{host} would be called without encryption; use https, or allow the host in the webhook settings"
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, path)

    def _headers(self, effect: Effect, target: Target, body: bytes) -> dict[str, str]:
        moment = str(int(self.clock.now().timestamp()))
        return {
            "host": f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}",
            "content-type": "application/json",
            "user-agent": "noesis-webhook/1",
            "idempotency-key": effect.key,
            "webhook-id": effect.key,
            "webhook-timestamp": moment,
            "webhook-signature": sign(self.settings.secret, effect.key, moment, body),
        }

    def _send(self, target: Target, address: str, body: bytes, headers: dict[str, str]) -> Receipt:
        import httpx

        place = f"[{address}]" if ":" in address else address
        deadline = _Deadline(self.settings.deadline_seconds)
        timeout = httpx.Timeout(self.settings.deadline_seconds, connect=self.settings.connect_seconds)
        try:
            with (
                deadline,
                httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "POST",
                    f"{target.scheme}://{place}:{target.port}{target.path}",
                    content=body,
                    headers=headers,
                    extensions={"sni_hostname": _sni(target.host), "trace": deadline.watch},
                ) as response,
            ):
                return _receipt(target, response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise RetryLater(f"{target.host} cannot be reached: {error or type(error).__name__}") from error
        except httpx.HTTPError as error:
            what = f"no answer within {self.settings.deadline_seconds:g} s" if deadline.passed else str(error)
            raise EffectorError(
                f"{target.host} was called and did not answer clearly ({what or type(error).__name__}); it is repeated with its key"
            ) from error


def sign(secret: bytes, id: str, moment: str, body: bytes) -> str:
    """The value of webhook-signature for a body (Standard Webhooks 1.0, symmetric)."""
    digest = hmac.new(secret, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _sni(host: str) -> str:
    """The name for TLS: certificates for bare addresses are checked against the address itself."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _receipt(target: Target, response: "httpx.Response") -> Receipt:
    status = response.status_code
    if status in _NOT_NOW:
        raise RetryLater(f"{target.host} answered {status}: not now", _retry_after(response))
    if status >= 500 or status == 408:
        raise EffectorError(f"{target.host} answered {status}; it is repeated with its key")
    if 300 <= status < 400:
        raise GiveUp(f"{target.host} answered {status}, a redirect, which is not followed; give the final address")
    if status >= 400:
        raise GiveUp(f"{target.host} refused with {status}; correct the payload or the target")
    excerpt = bytearray()
    for chunk in response.iter_raw(8_192):
        excerpt += chunk
        if len(excerpt) >= RESPONSE_MAX:
            break
    text = bytes(excerpt[:EXCERPT_MAX]).decode(errors="replace").replace("\x00", "")
    return Receipt(response.headers.get("location", "")[:EXCERPT_MAX], {"status": status, "answer": text[:EXCERPT_MAX]})


def _retry_after(response: "httpx.Response") -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), RETRY_AFTER_MAX_SECONDS) if text.isdigit() else None


class _Deadline:
    """Shuts the connection down when the time is up: the client's own timeouts begin anew with every byte that drips in."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: Any = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of the connection's socket (httpx trace extension)."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.passed:
                    _shut_down(self._socket)

    def _shut(self) -> None:
        with self._lock:
            self.passed = True
            if self._socket is not None:
                _shut_down(self._socket)


def _shut_down(connection: Any) -> None:
    import socket

    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
