"""The webhook against a real server: signed, keyed, bounded, and only where it may go."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from coordination.effectors.addresses import checked, public
from coordination.effectors.effector import Effect
from coordination.effectors.webhook import EXCERPT_MAX, REQUEST_MAX, Webhook, WebhookSettings
from coordination.errors import EffectorError, GiveUp, RetryLater
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Put
from kg.store import GraphStore
from tests.coordination.plant import card, plant
from tests.coordination.server import Server, drip, reply, serving
from tests.parts import ManualClock

SECRET = b"a secret of the test"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def effect(url: str, body: Any = None) -> Effect:
    payload = {"url": url, "body": {"hello": "wörld"} if body is None else body}
    return Effect("e1", "key-1", "notice.send", "t1", "p1", payload, datetime(2026, 3, 2, tzinfo=UTC))


def webhook(server: Server | None = None, **more: Any) -> Webhook:
    allowed = (server.host,) if server else ()
    return Webhook(WebhookSettings(SECRET, more.pop("allowed", allowed), **more), ManualClock())


def test_it_is_signed_and_carries_the_key(server: Server) -> None:
    receipt = webhook(server).act(effect(server.url))
    (got,) = server.got
    assert receipt.detail == {"status": 200, "answer": '{"ok":true}'}
    assert json.loads(got.body) == {"hello": "wörld"}
    assert got.path == "/hook?x=1"
    assert got.headers["host"] == server.host
    assert got.headers["idempotency-key"] == got.headers["webhook-id"] == "key-1"
    moment = got.headers["webhook-timestamp"]
    assert moment == str(int(ManualClock().now().timestamp()))
    digest = hmac.new(SECRET, f"key-1.{moment}.".encode() + got.body, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (500, EffectorError, "repeated with its key"),
        (408, EffectorError, "repeated with its key"),
        (503, RetryLater, "not now"),
        (404, GiveUp, "refused with 404"),
        (302, GiveUp, "redirect"),
    ],
)
def test_answers_steer(server: Server, status: int, error: type[Exception], words: str) -> None:
    server.answer = lambda handler: reply(handler, status, location=server.url)
    with pytest.raises(error, match=words):
        webhook(server).act(effect(server.url))
    assert len(server.got) == 1, "no redirect is followed and nothing repeats by itself"


def test_a_target_may_ask_for_a_wait_within_bounds(server: Server) -> None:
    for asked, waits in (("30", 30.0), ("999999999", 3600.0), ("soon", None)):
        server.answer = lambda handler, asked=asked: reply(handler, 429, retry_after=asked)  # type: ignore[misc]
        with pytest.raises(RetryLater) as raised:
            webhook(server).act(effect(server.url))
        assert raised.value.seconds == waits


def test_an_endless_answer_is_cut(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b"y" * 5_000_000)
    receipt = webhook(server).act(effect(server.url))
    assert len(receipt.detail["answer"]) == EXCERPT_MAX


def test_dripping_headers_end_at_the_deadline(server: Server) -> None:
    server.answer = drip
    with pytest.raises(EffectorError, match=r"no answer within 0\.3 s"):
        webhook(server, deadline_seconds=0.3).act(effect(server.url))


def test_a_dripping_body_ends_at_the_deadline(server: Server) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000000")
        handler.end_headers()
        drip(handler)

    server.answer = answer
    with pytest.raises(EffectorError, match=r"no answer within 0\.3 s"):
        webhook(server, deadline_seconds=0.3).act(effect(server.url))


def test_nobody_there_is_not_now() -> None:
    with serving() as server:
        gone = server.url
        hook = webhook(server)
    with pytest.raises(RetryLater, match="cannot be reached"):
        hook.act(effect(gone))


def test_a_private_address_is_refused_unless_allowed(server: Server) -> None:
    url = server.url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(GiveUp, match="not a public address"):
        webhook().act(effect(url))
    assert not server.got
    webhook(server).act(effect(server.url))
    with pytest.raises(GiveUp, match="not a public address"):
        webhook(server).act(effect("https://127.0.0.1:1/"))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "names no url"),
        ({"url": 7}, "names no url"),
        ({"url": "ftp://example.com/"}, "not a webhook address"),
        ({"url": "https://user:pass@example.com/"}, "not a webhook address"),
        ({"url": "https://"}, "not a webhook address"),
        ({"url": "https://example.com:99999/"}, "is not a URL"),
        ({"url": "http://example.com/"}, "without encryption"),
    ],
)
def test_bad_addresses_are_one_sentence(payload: dict[str, Any], words: str) -> None:
    given = effect("x")
    with pytest.raises(GiveUp, match=words):
        webhook().act(Effect(given.id, given.key, "o", "t", "p", payload, given.intended))


def test_a_huge_body_is_refused(server: Server) -> None:
    with pytest.raises(GiveUp, match="keep to"):
        webhook(server).act(effect(server.url, {"x": "y" * REQUEST_MAX}))
    assert not server.got


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "192.168.1.1",
        "127.0.0.2",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::",
    ],
)
def test_no_private_address_hides(address: str) -> None:
    with pytest.raises(GiveUp, match="not a public address"):
        checked("example.com", 443, (), lambda host, port: [address])


def test_every_address_of_a_name_is_checked_and_resolved_once() -> None:
    with pytest.raises(GiveUp):
        checked("example.com", 443, (), lambda host, port: ["93.184.216.34", "10.0.0.1"])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    assert checked("example.com", 443, (), rebinding) == "93.184.216.34"
    assert len(asked) == 1


def test_it_connects_to_the_checked_address_whatever_the_name_says_later(server: Server) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    name = f"hooks.test:{server.port}"
    hook = Webhook(WebhookSettings(SECRET, (name,)), ManualClock(), rebinding)
    hook.act(effect(f"http://{name}/"))
    assert asked == ["hooks.test"], "the name is never resolved a second time"
    assert server.got[0].headers["host"] == name


def test_networks_and_names_are_allowed() -> None:
    private = {"resolving": lambda host, port: ["10.1.2.3"]}
    assert checked("a.test", 443, ("10.0.0.0/8",), **private) == "10.1.2.3"
    assert checked("a.test", 443, ("a.test:443",), **private) == "10.1.2.3"
    with pytest.raises(GiveUp):
        checked("a.test", 444, ("a.test:443", "11.0.0.0/8"), **private)


def test_an_unknown_name_is_not_now() -> None:
    def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    with pytest.raises(RetryLater, match="has no address now"):
        checked("nowhere.test", 443, (), nobody)


def test_public_means_public() -> None:
    import ipaddress

    assert public(ipaddress.ip_address("93.184.216.34"))
    assert public(ipaddress.ip_address("2606:2800:220:1::1"))


def test_from_proposal_to_the_server(server: Server) -> None:
    """The whole road: a failure, a durable wait, the same key again, the receipt."""
    statuses = iter([500, 200])
    server.answer = lambda handler: reply(handler, next(statuses), b"thanks")

    def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [
            Draft("notice.send", entity.id, effector="webhook", payload={"url": server.url, "body": {"id": entity.id}})
        ]

    p = plant(
        [card("teller", Wake("Ticket", on=frozenset({"created"})))], {"teller": tell}, effectors=[webhook(server)]
    )
    p.put(Put("t", "Ticket", {}))
    p.run()
    p.later()
    assert p.one()["state"] == "applied"
    first, second = server.got
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    (done,) = p.store.find("Effect").items
    assert "thanks" in str(done["receipt"])
