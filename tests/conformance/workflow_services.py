"""Local stand-ins for the public services that the conformance features call: a pet store, and a service that checks logins.

They answer what the scenarios need, in the form of the real ones, made here; nothing leaves this machine.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PETS = [{"id": number, "name": f"pet-{number}", "status": "available", "tags": []} for number in (1, 2, 3)]
_ID = {"name": "petId", "in": "path", "required": True, "type": "integer"}
_STATUS = {"name": "status", "in": "query", "required": True, "type": "array", "items": {"type": "string"}}
DESCRIPTION: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Pets", "version": "1.0.0"},
    "host": "petstore.swagger.io",
    "basePath": "/v2",
    "schemes": ["https"],
    "paths": {
        "/pet/findByStatus": {
            "get": {
                "operationId": "findPetsByStatus",
                "parameters": [_STATUS],
                "responses": {"200": {"description": "pets"}},
            }
        },
        "/pet/{petId}": {
            "get": {"operationId": "getPetById", "parameters": [_ID], "responses": {"200": {"description": "a pet"}}}
        },
    },
}


def _petstore(path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, Any]:
    if path == "/v2/swagger.json":
        return 200, DESCRIPTION
    if path == "/v2/pet/findByStatus":
        return 200, [pet for pet in PETS if pet["status"] in query.get("status", [])]
    found = [pet for pet in PETS if path == f"/v2/pet/{pet['id']}"]
    return (200, found[0]) if found else (404, {"code": 404, "message": "not found"})


def _logins(path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, Any]:
    # Where a secret is used it may not stand in the address.
    path = {"/login": "/basic-auth/anna/pass-one", "/token": "/bearer/token-one"}.get(path, path)
    _, kind, user, password = [*path.split("/"), "", "", ""][:4]
    if kind == "bearer":
        right = headers.get("authorization") == f"Bearer {user}"
        return (200, {"authenticated": True}) if right else (401, {"authenticated": False})
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if kind != "basic-auth" or headers.get("authorization") != wanted:
        return 401, {"authenticated": False}
    return 200, {"authenticated": True, "user": user}


class _Failing:
    """Answers 503 so often as the path says, then 200: /times/N."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, Any]:
        with self._lock:
            self._seen[path] = seen = self._seen.get(path, 0) + 1
        wanted = int(path.rpartition("/")[2])
        return (503, {"attempt": seen}) if seen <= wanted else (200, {"attempt": seen})


@contextmanager
def services() -> Iterator[Callable[[str], str]]:
    """Run the stand-ins; what is handed out maps a public address to its local one, and refuses any other."""
    hosts = {"petstore.swagger.io": _petstore, "httpbin.org": _logins, "flaky.example": _Failing()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            _, host, rest = parts.path.split("/", 2)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = hosts[host](f"/{rest}", parse_qs(parts.query), headers)
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def route(address: str) -> str:
        parts = urlsplit(address)
        if parts.hostname not in hosts:
            raise AssertionError(f"a scenario calls {parts.hostname}, which has no stand-in")
        query = f"?{parts.query}" if parts.query else ""
        return f"http://127.0.0.1:{server.server_port}/{parts.hostname}{parts.path}{query}"

    try:
        yield route
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
