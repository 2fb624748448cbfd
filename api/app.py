"""The ASGI application: /graphql, /healthz and /readyz behind the guards. Made by a call, so nothing happens at import.

Invariant: it refuses to be made where it would answer other machines without a key. It does not own the platform: whoever
built that closes it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from api.auth import check_binding
from api.graphql.codes import ErrorCode, shown
from api.graphql.http import GraphQLApp, refusal
from api.graphql.schema import Schema, build_schema
from api.guards import Guards
from api.platform import Noesis
from api.threads import Threads
from api.ticker import Ticker

GRAPHQL = "/graphql"


def create_app(platform: Noesis, schema: Schema | None = None) -> Starlette:
    """The application that serves this platform, with the schema of its ontology; raises BindingError or OntologyError."""
    settings = platform.settings
    check_binding(settings)
    threads = Threads(settings.threads_max)
    ticker = Ticker(platform.store, threads, settings.feed_poll_seconds)
    graphql = GraphQLApp(schema or build_schema(platform.ontology, settings), platform, threads, ticker)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        """Ready when the store answers; whoever may not be told more is told no more."""
        try:
            await threads.run(platform.store.head)
        except Exception as error:
            _, message = shown(error, platform.clock)
            return JSONResponse({"status": "unavailable", "reason": message}, 503)
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if platform.committed is not None:
            platform.committed(ticker.ring)
        yield
        threads.close()

    async def failed(_request: Request, error: Exception) -> Response:
        code, message = shown(error, platform.clock)
        return refusal(500, code, message)

    async def missed(_request: Request, error: Any) -> Response:
        code = ErrorCode.NOT_FOUND if error.status_code == 404 else ErrorCode.BAD_INPUT
        return refusal(error.status_code, code, f"{error.detail}; the API is at {GRAPHQL}")

    return Starlette(
        routes=[
            Route(GRAPHQL, graphql),
            WebSocketRoute(GRAPHQL, graphql),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        middleware=[Middleware(Guards, settings=settings)],
        exception_handlers={HTTPException: missed, Exception: failed},
        lifespan=lifespan,
    )
