"""GraphQL over HTTP and WebSocket: Strawberry's view, held to the specification and to our bounds.

Answers `application/graphql-response+json` to whoever asks for it, with status 400 and no `data` where nothing was executed; a
body is read with a bound in bytes and in time; every refusal is JSON with a code. Invariant: nothing is parsed before the
caller is known.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from json import JSONDecodeError
from typing import Any

from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from api.auth import identifier, reading_for
from api.errors import UnauthenticatedError
from api.graphql.codes import ErrorCode, shown
from api.graphql.operations import Operation
from api.graphql.schema import Schema
from api.graphql.sockets import Sockets
from api.platform import Noesis
from api.threads import Threads
from api.ticker import Ticker

MODERN = "application/graphql-response+json"
LEGACY = "application/json"
#: What a browser that comes by hand is told; no page is served, since one would run beside the caller's rights.
NO_PAGE = (
    'there is no page here: POST {"query": "{ viewer { uid roles } }"} as application/json, or point a GraphQL client at this '
    "address; `noesis schema` prints the schema"
)
#: Characters of a traceparent header.
TRACE_MAX = 64
#: The header that says what the caller reads for; rules may ask (`context.purpose`).
PURPOSE = "noesis-purpose"
STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_COSTLY: 503,
    ErrorCode.INTERNAL: 500,
}


def refusal(status: int, code: ErrorCode, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal in the form of a GraphQL answer that was not executed."""
    body = {"errors": [{"message": message, "extensions": {"code": code.value}}]}
    return JSONResponse(body, status, dict(headers or {}))


def media_type(accept: str | None) -> str:
    """Which of the two media types an Accept header prefers; the older one where it does not say."""
    best, chosen = 0.0, LEGACY
    for part in (accept or "").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            quality = float(weight)
        except ValueError:
            quality = 0.0
        if name in (MODERN, LEGACY) and quality > best:
            best, chosen = quality, name
    return chosen


class _Answer(Response):
    """Carries the media type that was asked for to where the answer is made."""

    media: str = LEGACY

    def __init__(self) -> None:
        super().__init__()
        del self.headers["content-length"]
        # Strawberry's sign that no resolver chose a status.
        vars(self)["status_code"] = None


class GraphQLApp(GraphQL[Operation, None]):
    """The ASGI application at /graphql."""

    graphql_transport_ws_handler_class = Sockets

    def __init__(self, schema: Schema, platform: Noesis, threads: Threads, ticker: Ticker) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            max_subscriptions_per_connection=platform.settings.subscriptions_max,
            allowed_origins=platform.settings.allowed_origins,
        )
        self._platform = platform
        self._threads = threads
        self._ticker = ticker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or serve one socket."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            request = Request(scope, await self._bounded(scope, receive))
            response = await self._answer(request)
        except HTTPException as error:
            page = error.status_code == 404
            response = refusal(error.status_code, ErrorCode.BAD_INPUT, NO_PAGE if page else error.reason)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            # A stream of results only begins within this time; its own bound is that of each batch.
            async with asyncio.timeout(self._platform.settings.request_seconds_max):
                return await self.run(request)
        except HTTPException:
            raise
        except Exception as error:
            code, message = shown(error, self._platform.clock)
            headers = {"WWW-Authenticate": "Bearer"} if code is ErrorCode.UNAUTHENTICATED else {}
            return refusal(STATUS.get(code, 400), code, message, headers)

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """The whole body, read within its bounds, as a receive function that gives it once and then waits as before."""
        most, seconds = self._platform.settings.body_bytes_max, self._platform.settings.request_seconds_max
        if scope["method"] != "POST":
            return receive
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise HTTPException(413, f"the request has more than {most:,} bytes; send less")
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise HTTPException(408, f"the request did not arrive within {seconds:g} seconds; send it again") from None
        given = False

        async def again() -> MutableMapping[str, Any]:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return again

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Operation:
        """The operation of a request: of a known caller on HTTP, of one still to be known on a socket."""
        del response
        operation = Operation(self._platform, self._threads, self._ticker)
        if isinstance(request, Request):
            peer = request.client.host if request.client is not None else None
            known = identifier(self._platform, request.headers.get("authorization"), peer)
            operation.identify = reading_for(known, request.headers.get(PURPOSE))
            await operation.know()
            operation.trace = request.headers.get("traceparent", "")[:TRACE_MAX]
        else:
            operation.handshake = (
                request.headers.get("authorization"),
                request.client.host if request.client else None,
            )
        return operation

    async def on_ws_connect(self, context: Operation) -> dict[str, object] | None:
        """Know who is on the socket, by the handshake's header or the `authorization` of connection_init."""
        header, peer = context.handshake
        # The name of a header has no letter case: a key that was given and not seen would leave the local user acting.
        named = [value for name, value in context.connection_params.items() if name.lower() == "authorization"]
        given = named[0] if named else header
        try:
            if len(named) > 1 or not isinstance(given, str | None):
                raise UnauthenticatedError
            purpose = context.connection_params.get("purpose")
            known = identifier(self._platform, given, peer)
            context.identify = reading_for(known, None if purpose is None else str(purpose))
            await context.know()
            # What is asked on the socket later opens at its own moment.
            context.end = None
        except Exception as error:
            shown(error, self._platform.clock)
            raise ConnectionRejectionError from error
        return None

    async def parse_http_body(self, request: Any) -> Any:
        """The GraphQL request of a body; only JSON is taken, so that a page elsewhere cannot post without being asked first."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if request.method == "POST" and kind != LEGACY:
            raise HTTPException(415, f"content type {kind or 'none'} is not taken; send {LEGACY}")
        if request.method == "POST" and not isinstance(self.parse_json(await request.get_body()), dict):
            raise HTTPException(400, 'the body is no JSON object; send {"query": "…", "variables": {…}}')
        return await super().parse_http_body(request)

    def decode_json(self, data: str | bytes) -> object:
        """JSON from outside, of a body or a socket's message, also where it is nested beyond reason or no text at all."""
        try:
            return super().decode_json(data)
        except (RecursionError, ValueError):
            raise JSONDecodeError("it cannot be read", "", 0) from None

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """The answer in the making, with the media type that the request prefers."""
        answer = _Answer()
        answer.media = media_type(request.headers.get("accept"))
        return answer

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """The answer's body; without `data` where nothing was executed."""
        body = await super().process_result(request, result)
        if result.errors and result.data is None and not any(error.path for error in result.errors):
            body.pop("data", None)
        return body

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """The answer in the media type asked for; 400 in the modern one where nothing was executed."""
        response = super().create_response(response_data, sub_response)
        media = sub_response.media if isinstance(sub_response, _Answer) else LEGACY
        response.headers["content-type"] = f"{media}; charset=utf-8" if media == MODERN else media
        if media == MODERN and isinstance(response_data, dict) and "data" not in response_data:
            response.status_code = 400
        return response
