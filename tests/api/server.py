"""A real uvicorn on a free port of loopback, in a thread, for tests that need real sockets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from api.serving import configured
from api.settings import Settings

#: Seconds in which a server has started or stopped.
SECONDS_MAX = 20


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(app: ASGIApp, settings: Settings | None = None) -> Iterator[str]:
    """The address of a server that runs as long as the block."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        server = _Server(configured(app, settings or Settings()))
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        assert server.ready.wait(SECONDS_MAX), "the server did not start"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(SECONDS_MAX)
            assert not thread.is_alive(), "the server did not stop"
