"""What is outside: an HTTP target that acts once a key, or knows no keys, and an SQL database; both count what happened there."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Target:
    """The address of the HTTP target and what it got: path, run, key."""

    port: int = 0
    got: list[tuple[str, str, str]] = field(default_factory=list)

    def happened(self, path: str, run: str, *, honours_key: bool) -> int:
        """How often it happened for a run: a target that honours keys acts once for each."""
        keys = [key for where, whose, key in self.got if where == path and whose == run]
        return len(set(keys)) if honours_key else len(keys)


@contextmanager
def target() -> Iterator[Target]:
    """The HTTP target in a thread."""
    made = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
            made.got.append((self.path, str(body["run"]), self.headers.get("idempotency-key", "")))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    class Http(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed hangs up."""

    with Http(("127.0.0.1", 0), Handler) as http:
        made.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield made
        http.shutdown()
        thread.join()


def database(path: Path) -> None:
    """An SQL database of somebody else."""
    with closing(sqlite3.connect(path)) as erp, erp:
        erp.execute("CREATE TABLE note (text TEXT)")
        erp.execute("CREATE TABLE undone (text TEXT)")


def rows(path: Path, table: str, run: str) -> int:
    """How often it happened there for a run."""
    with closing(sqlite3.connect(path)) as erp:
        return int(erp.execute(f"SELECT count(*) FROM {table} WHERE text = ?", (run,)).fetchone()[0])
