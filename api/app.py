"""The ASGI application: /graphql, /healthz, /readyz, /metrics and, with notices, /answer, behind the guards; made by a call.

Invariant: it refuses to be made where it would answer other machines without a key. It does not own the platform: whoever
built that closes it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from api.answering import Answering
from api.auth import check_binding, identifier, key_of
from api.effectors import link_keys
from api.errors import UnauthenticatedError
from api.graphql.codes import ErrorCode, shown
from api.graphql.http import STATUS, GraphQLApp, refusal
from api.graphql.schema import Schema, build_schema
from api.guards import Guards
from api.health import Health
from api.metrics import Metrics
from api.platform import Noesis
from api.probes import opens
from api.standing import rows
from api.threads import Threads
from api.ticker import Ticker
from coordination.telling import PATH
from governance.errors import KeyRejectedError

GRAPHQL = "/graphql"


def create_app(platform: Noesis, schema: Schema | None = None) -> Starlette:
    """The application that serves this platform, with the schema of its ontology; raises BindingError or OntologyError."""
    settings = platform.settings
    check_binding(settings)
    threads = Threads(settings.threads_max)
    ticker = Ticker(platform.store, threads, settings.feed_poll_seconds)
    health = Health(platform)
    metrics = platform.metrics or Metrics()
    metrics.watch(lambda: rows(platform))
    graphql = GraphQLApp(schema or build_schema(platform.ontology, settings), platform, threads, ticker)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        """Each part with its state; 503 where one that is needed is down."""
        found = await asyncio.to_thread(health.look)
        return JSONResponse(found.form(), 200 if found.ready else 503)

    async def show_metrics(request: Request) -> Response:
        """The metrics, for whoever may use the API, and for the holder of `metrics_key`."""
        peer = request.client.host if request.client is not None else None
        authorization = request.headers.get("authorization")
        if not opens(key_of(authorization), settings):
            await threads.run(identifier(platform, authorization, peer))
        body, kind = await asyncio.to_thread(metrics.text)
        return Response(body, media_type=kind)

    async def refused(_request: Request, error: Exception) -> Response:
        code, message = shown(error, platform.clock)
        return refusal(STATUS.get(code, 400), code, message, {"WWW-Authenticate": "Bearer"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if platform.committed is not None:
            platform.committed(ticker.ring)
        yield
        threads.close()
        health.close()

    async def failed(_request: Request, error: Exception) -> Response:
        code, message = shown(error, platform.clock)
        return refusal(500, code, message)

    async def missed(_request: Request, error: Any) -> Response:
        code = ErrorCode.NOT_FOUND if error.status_code == 404 else ErrorCode.BAD_INPUT
        return refusal(error.status_code, code, f"{error.detail}; the API is at {GRAPHQL}")

    keys = link_keys(settings)
    links = (
        [Route(PATH, Answering(platform, threads, keys).handle, methods=["GET", "POST"])] if keys is not None else []
    )
    return Starlette(
        routes=[
            *links,
            Route(GRAPHQL, graphql),
            WebSocketRoute(GRAPHQL, graphql),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ],
        middleware=[Middleware(Guards, settings=settings)],
        exception_handlers={
            HTTPException: missed,
            UnauthenticatedError: refused,
            KeyRejectedError: refused,
            Exception: failed,
        },
        lifespan=lifespan,
    )
