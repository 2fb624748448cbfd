"""One HTTP call within bounds: the transport under the effectors that call out over HTTP.

Invariants: it connects only to an address that was checked, follows no redirect, reads no more than RESPONSE_MAX bytes, and ends
at one deadline whatever the other side does. It never repeats by itself: repeating is durable work, so it survives a crash.
"""

import ipaddress
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from coordination.effectors.addresses import Resolve, checked
from coordination.errors import EffectorError, GiveUp, RetryLater

if TYPE_CHECKING:
    import httpx

#: Bytes of a request and of a response that are handled.
REQUEST_MAX: Final = 1_000_000
RESPONSE_MAX: Final = 65_536
#: The longest wait that a target may ask for.
RETRY_AFTER_MAX_SECONDS: Final = 3_600.0
#: Answers that say "not now" without having acted.
_NOT_NOW: Final = frozenset({425, 429, 503})


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header gives them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where calls may go and how long they may take.

    `allowed` lists hosts and networks that may be private or plain HTTP; `deadline_seconds` bounds one try.
    """

    allowed: tuple[str, ...] = ()
    deadline_seconds: float = 10.0
    connect_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, headers in lower case, and the body as far as it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def target_of(url: object, allowed: Sequence[str], kind: str) -> Target:
    """The parts of a URL that may be called; GiveUp where it may not. Looks nothing up."""
    if not isinstance(url, str):
        raise GiveUp("the payload names no url; give url and body")
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise GiveUp(f"{url[:200]!r} holds a character that no address may; encode it")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise GiveUp(f"{url[:200]!r} is not a URL: {error}") from error
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise GiveUp(f"{url[:200]!r} is not a {kind} address; use https://host/path without a user name")
    if parts.scheme == "http" and not {host, f"{host}:{port}"} & set(allowed):
        raise GiveUp(f"{host} would be called without encryption; use https, or allow the host in the {kind} settings")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def send(
    method: str, target: Target, headers: Mapping[str, str], body: bytes | None, reach: Reach, resolving: Resolve,
    taking: frozenset[int] = frozenset(),
) -> Response:  # fmt: skip
    """Make one call; RetryLater where it surely did not arrive, EffectorError where nobody knows.

    `taking`: statuses of refusals that are given back, for who has an answer to them.
    """
    import httpx

    address = checked(target.host, target.port, reach.allowed, resolving)
    place = f"[{address}]" if ":" in address else address
    deadline = _Deadline(reach.deadline_seconds)
    timeout = httpx.Timeout(reach.deadline_seconds, connect=reach.connect_seconds)
    try:
        with (
            deadline,
            httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client,
            client.stream(
                method,
                f"{target.scheme}://{place}:{target.port}{target.path}",
                content=body,
                headers={"host": target.authority, **headers},
                extensions={"sni_hostname": _sni(target.host), "trace": deadline.watch},
            ) as response,
        ):
            if response.status_code not in taking:
                _unless_refused(target, response)
            return Response(response.status_code, dict(response.headers), _body(response))
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise RetryLater(f"{target.host} cannot be reached: {error or type(error).__name__}") from error
    except httpx.HTTPError as error:
        what = f"no answer within {reach.deadline_seconds:g} s" if deadline.passed else str(error)
        raise EffectorError(
            f"{target.host} was called and did not answer clearly ({what or type(error).__name__}); it is repeated with its key"
        ) from error


def _unless_refused(target: Target, response: "httpx.Response") -> None:
    status = response.status_code
    if status in _NOT_NOW:
        raise RetryLater(f"{target.host} answered {status}: not now", _retry_after(response))
    if status >= 500 or status == 408:
        raise EffectorError(f"{target.host} answered {status}; it is repeated with its key")
    if 300 <= status < 400:
        raise GiveUp(f"{target.host} answered {status}, a redirect, which is not followed; give the final address")
    if status >= 400:
        raise GiveUp(f"{target.host} refused with {status}; correct the payload or the target")


def _body(response: "httpx.Response") -> bytes:
    excerpt = bytearray()
    for chunk in response.iter_raw(8_192):
        excerpt += chunk
        if len(excerpt) >= RESPONSE_MAX:
            break
    return bytes(excerpt[:RESPONSE_MAX])


def _sni(host: str) -> str:
    """The name for TLS: certificates for bare addresses are checked against the address itself."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


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
