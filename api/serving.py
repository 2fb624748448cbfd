"""How uvicorn serves the application: its bounds, in one place for the command line and the tests.

Invariant: it ends within `shutdown_seconds_max` of being told, also while somebody follows the change log. It opens no port: the
caller hands it a bound socket.
"""

import uvicorn
from starlette.types import ASGIApp

from api.settings import Settings

#: Requests and sockets at once; more are answered 503 at once.
CONCURRENCY_MAX = 1_000
#: Seconds a connection may idle between requests.
KEEP_ALIVE_SECONDS = 30
#: Messages of one socket read ahead.
QUEUE_MAX = 16


def configured(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """The configuration of a server for this application."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=settings.body_bytes_max,
        ws_max_queue=QUEUE_MAX,
        limit_concurrency=CONCURRENCY_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds_max,
    )
