"""Guards: what is refused before anything looks at a request: a foreign Host header, a page of another origin.

A server on loopback can be reached by any page the user has open, through a name that its owner points at 127.0.0.1 (DNS
rebinding); so the Host header must be one of ours. Invariant: an answer carries a CORS permission for a page of `allowed_origins`
and for no other, and never one for cookies. Holds for sockets too.
"""

from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import loopback
from api.graphql.codes import ErrorCode
from api.graphql.http import PURPOSE, refusal
from api.settings import Settings

ANY = frozenset({str(IPv4Address(0)), str(IPv6Address(0))})

#: What every answer carries: it is for this caller alone, and is what it says it is.
HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
#: What the browser of a page of an allowed origin is told when it asks first, and need not ask again for ten minutes.
PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": f"authorization, content-type, accept, traceparent, {PURPOSE}",
    "access-control-max-age": "600",
}


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; empty where it is malformed."""
    try:
        return (urlsplit(f"//{host.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Guards:
    """ASGI middleware around the whole API."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.allowed_origins)
        self._names = frozenset(host_name(name) for name in (*settings.allowed_hosts, settings.host)) - ANY
        #: Bound to every address and told no names, a server cannot know what it is called.
        self._open = settings.host in ANY and not settings.allowed_hosts

    def fault(self, headers: Headers) -> str | None:
        """What is wrong with the headers, or None."""
        name = host_name(headers.get("host", ""))
        if not (name and (loopback(name) or name in self._names or self._open)):
            return f"host {name or 'none'} is not one of this server; add it to allowed_hosts if it should be"
        origin = headers.get("origin")
        if origin is None or origin.rstrip("/").lower() in self._origins:
            return None
        if urlsplit(origin).netloc.lower() == headers.get("host", "").strip().lower():
            return None
        return f"pages of {origin[:200]} may not call this server; add the origin to allowed_origins if they should"

    def _permission(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that let a browser hand the answer to the page, where its origin is allowed."""
        origin = headers.get("origin", "")
        if not origin or origin.rstrip("/").lower() not in self._origins:
            return ()
        return (b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or refuse it."""
        known = scope["type"] in ("http", "websocket")
        headers = Headers(scope=scope) if known else Headers()
        fault = self.fault(headers) if known else None
        permission = self._permission(headers) if fault is None else ()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS, *permission]
            await send(message)

        if permission and scope.get("method") == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=PREFLIGHT)(scope, receive, guarded)
        elif fault is None:
            await self._app(scope, receive, guarded if scope["type"] == "http" else send)
        elif scope["type"] == "http":
            await refusal(403, ErrorCode.FORBIDDEN, fault)(scope, receive, guarded)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": fault[:120]})
