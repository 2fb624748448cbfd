"""HTTP and OpenAPI effects against a real server: checked before, bounded, and no secret where it does not belong."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from coordination.effectors.effector import repeatable
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.openapi import OpenApi
from coordination.effectors.secrets import Secret
from coordination.effects import RECEIPT_MAX, receipt_text
from coordination.errors import EffectorError, GiveUp, RetryLater
from tests.coordination.effectors.parts import effect
from tests.coordination.server import Server, reply, serving


def settings(server: Server, **more: Any) -> HttpSettings:
    secrets = {"token": Secret("s3cret", frozenset({server.host})), "other": Secret("x", frozenset({"crm.example"}))}
    return HttpSettings(Reach((server.host,), more.pop("deadline_seconds", 20.0)), secrets=secrets, **more)


def call(server: Server, payload: Mapping[str, Any], **more: Any) -> Any:
    return Http(settings(server, **more)).act(effect(payload))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET", "PATCH"])
def test_method_query_headers_body_and_key_arrive(method: str) -> None:
    with serving() as server:
        payload = {
            "method": method.lower(),
            "url": f"http://{server.host}/orders",
            "query": {"dry": True, "tag": ["a", "b c"]},
            "headers": {"X-Trace": "1", "Authorization": {"secret": "token", "prefix": "Bearer "}},
            "body": {"n": 1},
        }
        receipt = call(server, payload)
        (got,) = server.got
    assert got.path == "/orders?dry=true&tag=a&tag=b+c"
    assert (got.headers["authorization"], got.headers["x-trace"]) == ("Bearer s3cret", "1")
    assert got.headers["idempotency-key"] == "key1"
    assert json.loads(got.body) == {"n": 1}
    assert receipt.detail["content"] == {"ok": True} or receipt.detail["content"] == '{"ok":true}'


def test_the_answer_is_the_receipt() -> None:
    with serving() as server:
        server.answer = lambda h: reply(h, 201, b'{"id": 7, "total": 1.5}', content_type="application/json")
        receipt = call(server, {"url": server.url})
    assert receipt.reference == "7"
    assert (receipt.detail["status"], receipt.detail["content"]) == (201, {"id": 7, "total": 1.5})


@pytest.mark.parametrize(
    "body",
    [b'{"x": "\\ud800"}', b'{"x": NaN}', b'{"x": 1e999}', b"[" * 60_000, b'{"x": ' + b"9" * 5_000 + b"}", b"\xff{"],
)
def test_a_poisoned_answer_is_kept_as_the_text_that_came(body: bytes) -> None:
    with serving() as server:
        server.answer = lambda h: reply(h, 200, body, content_type="application/json")
        receipt = call(server, {"url": server.url})
    assert receipt.detail["content"] == body.decode(errors="replace")
    receipt_text(receipt.detail).encode()


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"method": "BREW"}, "is no method"),
        ({"url": "file:///etc/passwd"}, "not a http address"),
        ({"url": "http://10.0.0.1/"}, "without encryption"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "not a public address"),
        ({"url": "https://localhost:1/"}, "not a public address"),
        ({"url": "http://{host}/a b"}, "encode it"),
        ({"url": "http://{host}/\r\nX: y"}, "encode it"),
        ({"headers": {"Host": "other"}}, "may not be set"),
        ({"headers": {"Content-Length": "1"}}, "may not be set"),
        ({"headers": {"X": "a\r\nEvil: 1"}}, "control character"),
        ({"headers": {"X": {"secret": "nobody"}}}, "no secret"),
        ({"headers": {"X": {"secret": "other"}}}, "is not for 127.0.0.1"),
        ({"query": ["a"]}, "query is not an object"),
        ({"body": "x" * 1_000_001}, "keep to 1,000,000"),
    ],
)
def test_what_may_not_be_is_refused_before_anything_is_sent(payload: dict[str, Any], said: str) -> None:
    with serving() as server:
        given = {"url": server.url, **payload}
        given["url"] = given["url"].replace("{host}", server.host)
        with pytest.raises(GiveUp, match=said):
            call(server, given)
        assert not server.got


def test_a_secret_shows_up_nowhere() -> None:
    with serving() as server:
        http = Http(settings(server))
        payload = {"url": server.url, "headers": {"authorization": {"secret": "token"}}}
        told = str(http) + str(http.simulate(effect(payload))) + str(http.act(effect(payload)))
    assert "s3cret" not in told


@pytest.mark.parametrize(("status", "error"), [(503, RetryLater), (500, EffectorError), (404, GiveUp), (302, GiveUp)])
def test_it_says_truthfully_what_it_knows(status: int, error: type[Exception]) -> None:
    with serving() as server:
        server.answer = lambda h: reply(h, status)
        with pytest.raises(error):
            call(server, {"url": server.url})


@pytest.mark.parametrize(
    ("method", "honours", "may"),
    [("POST", False, False), ("POST", True, True), ("PUT", False, True), ("GET", False, True)],
)
def test_what_may_be_repeated_goes_by_method_or_by_the_target(method: str, honours: bool, may: bool) -> None:
    with serving() as server:
        http = Http(settings(server, honours_key=honours))
        assert repeatable(http, effect({"method": method, "url": server.url})) is may


def test_nothing_is_called_by_the_twin() -> None:
    with serving() as server:
        receipt = Http(settings(server)).simulate(effect({"url": server.url, "body": {"a": 1}}))
        assert not server.got
    assert receipt.detail["would"] == {
        "method": "POST",
        "url": f"http://{server.host}/hook",
        "headers": ["accept", "content-type", "idempotency-key", "user-agent"],
        "bytes": 7,
    }


def described(server: Server, version: int = 3) -> dict[str, Any]:
    order = {
        "type": "object",
        "required": ["sku"],
        "additionalProperties": False,
        "properties": {"sku": {"type": "string", "minLength": 2}, "units": {"type": "integer", "minimum": 1}},
    }
    parameters = [
        {"name": "shop", "in": "path", "required": True, "schema": {"type": "string"}, "type": "string"},
        {"name": "dry", "in": "query", "schema": {"type": "boolean"}, "type": "boolean"},
        {"name": "kind", "in": "header", "schema": {"enum": ["a", "b"]}, "enum": ["a", "b"]},
    ]
    if version == 2:
        body = {"in": "body", "name": "order", "required": True, "schema": {"$ref": "#/definitions/Order"}}
        operation = {"operationId": "order", "parameters": [*parameters, body]}
        at = {"swagger": "2.0", "host": server.host, "basePath": "/v2", "schemes": ["http"]}
        return {**at, "definitions": {"Order": order}, "paths": {"/shops/{shop}/orders": {"post": operation}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
    operation = {
        "operationId": "order",
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
    }
    return {
        "openapi": "3.0.3",
        "servers": [{"url": f"http://{server.host}/{{base}}", "variables": {"base": {"default": "v2"}}}],
        "components": {"schemas": {"Order": order}},
        "paths": {"/shops/{shop}/orders": {"post": operation}},
    }


GOOD = {
    "document": "shop",
    "operation": "order",
    "parameters": {"shop": "a/b", "dry": True, "kind": "a"},
    "body": {"sku": "bolt"},
}


@pytest.mark.parametrize("version", [2, 3])
def test_an_operation_is_found_checked_and_called(version: int) -> None:
    with serving() as server:
        OpenApi(settings(server), {"shop": described(server, version)}).act(effect(GOOD))
        (got,) = server.got
    assert got.path == "/v2/shops/a%2Fb/orders?dry=true"
    assert got.headers["kind"] == "a"
    assert json.loads(got.body) == {"sku": "bolt"}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"document": "other"}, "known are shop"),
        ({"operation": "cancel"}, "no operation 'cancel'"),
        ({"parameters": {}}, "needs the parameter 'shop'"),
        ({"parameters": {"shop": ".."}}, "may not be"),
        ({"parameters": {"shop": "x", "more": 1}}, "takes no parameter 'more'"),
        ({"parameters": {"shop": "x", "dry": "yes"}}, "dry is not a boolean"),
        ({"parameters": {"shop": "x", "kind": "c"}}, "none of a, b"),
        ({"body": None}, "needs a body"),
        ({"body": {}}, "lacks 'sku'"),
        ({"body": {"sku": "b"}}, "does not fit"),
        ({"body": {"sku": "bolt", "units": 0}}, "out of range"),
        ({"body": {"sku": "bolt", "units": True}}, "units is not a integer"),
        ({"body": {"sku": "bolt", "x": 1}}, "may hold no 'x'"),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_what_does_not_fit_the_description_is_not_sent(version: int, payload: dict[str, Any], said: str) -> None:
    with serving() as server:
        api = OpenApi(settings(server), {"shop": described(server, version)})
        with pytest.raises(GiveUp, match=said):
            api.act(effect({**GOOD, **payload}))
        with pytest.raises(GiveUp, match=said):
            api.simulate(effect({**GOOD, **payload}))
        assert not server.got


def test_references_in_circles_and_out_of_the_document_end() -> None:
    with serving() as server:
        for target in ("#/components/schemas/Order", "https://elsewhere.example/x"):
            document = described(server)
            document["components"]["schemas"]["Order"] = {"$ref": target}
            with pytest.raises(GiveUp):
                OpenApi(settings(server), {"shop": document}).act(effect(GOOD))
        document = described(server)
        document["components"]["schemas"]["Order"] = {"allOf": [{"$ref": "#/components/schemas/Order"}]}
        with pytest.raises(GiveUp, match="nested deeper"):
            OpenApi(settings(server), {"shop": document}).act(effect(GOOD))
        assert not server.got


def test_an_answer_is_read_so_far_and_says_so() -> None:
    with serving() as server:
        server.answer = lambda h: reply(h, 200, b"x" * 200_000)
        receipt = call(server, {"url": server.url})
    assert len(receipt.detail["content"]) == 65_536
    assert receipt.detail["truncated"] is True
    assert len(receipt_text({**receipt.detail, "content": "\x01" * 65_536})) < RECEIPT_MAX
