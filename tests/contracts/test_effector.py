"""The contract of port Effector, over Webhook and a local server: it says truthfully whether the effect happened."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from coordination.effectors.effector import Effect, Effector, Receipt
from coordination.effectors.webhook import Webhook, WebhookSettings
from coordination.errors import GiveUp, RetryLater
from tests.parts import ManualClock


@contextmanager
def target(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers each POST with this status; gives its address and what it saw."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append({"key": self.headers["Idempotency-Key"], "body": body})
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def webhook(address: str) -> tuple[Effector, dict[str, Any]]:
    effector = Webhook(WebhookSettings(b"secret", allowed=(address, "127.0.0.0/8")), ManualClock())
    return effector, {"url": f"http://{address}/hook", "body": {"n": 1}}


Make = Callable[[str], tuple[Effector, dict[str, Any]]]


@pytest.fixture(name="make", params=[webhook], ids=["Webhook"])
def _make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def effect(payload: dict[str, Any]) -> Effect:
    return Effect("e1", "key-1", "parcel.send", "p1", "proposal-1", payload, datetime(2026, 3, 2, tzinfo=UTC))


def test_what_happened_gives_a_receipt_and_carries_the_key(make: Make) -> None:
    with target(200) as (address, seen):
        effector, payload = make(address)
        receipt = effector.act(effect(payload))
    assert isinstance(receipt, Receipt)
    assert [request["key"] for request in seen] == ["key-1"]
    assert effector.kind


def test_acting_again_carries_the_same_key(make: Make) -> None:
    with target(200) as (address, seen):
        effector, payload = make(address)
        effector.act(effect(payload))
        effector.act(effect(payload))
    assert {request["key"] for request in seen} == {"key-1"}
    assert len({request["body"] for request in seen}) == 1


def test_what_surely_did_not_happen_is_tried_again_later(make: Make) -> None:
    with target(503) as (address, _):
        effector, payload = make(address)
        with pytest.raises(RetryLater):
            effector.act(effect(payload))
    with pytest.raises(RetryLater):
        effector.act(effect(payload))  # the server is gone


def test_what_never_will_happen_is_given_up(make: Make) -> None:
    with target(422) as (address, _):
        effector, payload = make(address)
        with pytest.raises(GiveUp):
            effector.act(effect(payload))


def test_what_nobody_knows_is_neither(make: Make) -> None:
    with target(500) as (address, _):
        effector, payload = make(address)
        with pytest.raises(Exception, match="500") as unknown:
            effector.act(effect(payload))
    assert not isinstance(unknown.value, RetryLater | GiveUp)


def test_it_is_asked_by_key_only_where_it_can_be(make: Make) -> None:
    with target(200) as (address, seen):
        effector, payload = make(address)
        if effector.can_look_up:
            assert effector.look_up(effect(payload)) is None
        else:
            with pytest.raises(Exception, match="e1"):
                effector.look_up(effect(payload))
    assert not seen
