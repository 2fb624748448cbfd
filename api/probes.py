"""Probes: the small HTTP server at which a worker or an indexer answers /healthz, /readyz and /metrics.

Invariants: it is there only where `metrics_port` is set, on loopback unless `metrics_host` says otherwise, and beyond loopback
/metrics asks for `metrics_key`; it reads no body, and each request has a deadline. The API answers the same paths itself.
"""

import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from api.auth import key_of, loopback
from api.errors import BindingError, SettingsError, UnauthenticatedError
from api.health import Health
from api.metrics import Metrics
from api.settings import Settings

#: Seconds that one request may take to arrive.
REQUEST_SECONDS: Final = 5.0
#: Requests answered at once; more are turned away.
AT_ONCE_MAX: Final = 16
Answer = tuple[int, bytes, str]
_JSON: Final = "application/json"


def opens(key: str | None, settings: Settings) -> bool:
    """Whether what a caller sent is the key of the metrics."""
    wanted = settings.metrics_key
    return (
        wanted is not None and key is not None and hmac.compare_digest(key.encode(), wanted.get_secret_value().encode())
    )


def check_probes(settings: Settings) -> None:
    """Raise BindingError where the metrics would be open to other machines without a key."""
    if settings.metrics_port is not None and settings.metrics_key is None and not loopback(settings.metrics_host):
        raise BindingError(
            f"metrics_host {settings.metrics_host} is reached by other machines; set metrics_key, or metrics_host = 127.0.0.1"
        )


@dataclass(slots=True)
class Probes:
    """Answers until it is stopped."""

    settings: Settings
    metrics: Metrics
    health: Health
    _server: ThreadingHTTPServer | None = None
    _free: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE_MAX))

    def start(self) -> int:
        """Listen; the port. SettingsError where it cannot be bound."""
        check_probes(self.settings)
        host, port = self.settings.metrics_host, self.settings.metrics_port or 0
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(self._answer, self._free))
        except OSError as error:
            raise SettingsError(
                f"{host}:{port} cannot be bound ({error.strerror}); choose another metrics_port or metrics_host"
            ) from None
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="noesis-probes", daemon=True).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.health.close()

    def _answer(self, path: str, authorization: str | None) -> Answer:
        if path == "/healthz":
            return 200, b'{"status":"ok"}', _JSON
        if path == "/readyz":
            found = self.health.look()
            return 200 if found.ready else 503, json.dumps(found.form()).encode(), _JSON
        if path != "/metrics":
            return 404, b'{"error":"there are /healthz, /readyz and /metrics"}', _JSON
        try:
            given = key_of(authorization)
        except UnauthenticatedError:
            given = None
        if self.settings.metrics_key is not None and not opens(given, self.settings):
            return 401, b'{"error":"send Authorization: Bearer and the metrics_key"}', _JSON
        body, kind = self.metrics.text()
        return 200, body, kind


def _handler(
    answer: Callable[[str, str | None], Answer], free: threading.BoundedSemaphore
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        server_version = "noesis"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer one path."""
            if not free.acquire(blocking=False):
                self._send(503, b'{"error":"too many ask at once"}', _JSON)
                return
            try:
                self._send(*answer(self.path.partition("?")[0], self.headers.get("Authorization")))
            finally:
                free.release()

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            if status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: what asks every few seconds would fill the log."""

    return Handler
