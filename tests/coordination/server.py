"""A real HTTP server in a thread, which answers as a test tells it and remembers what it got."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Got:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """The server's address, its requests, and how it answers."""

    port: int
    got: list[Got] = field(default_factory=list)
    answer: Answer = lambda handler: reply(handler, 200, b'{"ok":true}')

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send header bytes one by one for as long as the other side listens."""
    try:
        for _ in range(10_000):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.01)
    except OSError:
        return


@contextmanager
def serving() -> Iterator[Server]:
    made: list[Server] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            made[0].got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            made[0].answer(self)

        def log_message(self, *_: object) -> None:
            return

    for verb in ("GET", "PUT", "DELETE", "PATCH"):
        setattr(Handler, f"do_{verb}", Handler.do_POST)

    class Http(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what some tests are about."""

    with Http(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.block_on_close = False
        made.append(Server(http.server_address[1]))
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made[0]
        http.shutdown()
        thread.join()
