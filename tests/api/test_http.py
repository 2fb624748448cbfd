"""GraphQL over HTTP: media types, status codes, methods, bodies; the rules that the outside audit asks too."""

import json
from dataclasses import replace
from typing import Any

import pytest

from api.platform import Noesis
from api.settings import Settings
from tests.api.client import Client

MODERN = "application/graphql-response+json"
LEGACY = "application/json"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, LEGACY),
        ("*/*", LEGACY),
        (LEGACY, LEGACY),
        (MODERN, f"{MODERN}; charset=utf-8"),
        (f"{MODERN}, {LEGACY};q=0.9", f"{MODERN}; charset=utf-8"),
        (f"{MODERN};q=0.1, {LEGACY}", LEGACY),
        (f"{MODERN}; charset=utf-8", f"{MODERN}; charset=utf-8"),
        ("text/plain", LEGACY),
        (f"{MODERN};q=x", LEGACY),
    ],
)
def test_the_answer_has_the_media_type_asked_for(client: Client, accept: str | None, media: str) -> None:
    client.http.headers.pop("accept", None)
    headers = {} if accept is None else {"accept": accept}
    answer = client.post("{ __typename }", None, **headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("query", ["{ nope }", "{", "query($n: Int!) { __typename @skip(if: $n) }", "{ viewer }"])
def test_what_was_not_executed_has_no_data_and_400_in_the_modern_type(client: Client, query: str) -> None:
    modern = client.post(query, None, accept=MODERN)
    assert modern.status_code == 400
    assert "data" not in modern.json()
    legacy = client.post(query, None, accept=LEGACY)
    assert legacy.status_code == 200
    assert "data" not in legacy.json()
    assert modern.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"


def test_a_field_that_failed_is_200_with_data(client: Client) -> None:
    answer = client.post('{ node(id: "") { id } viewer { uid } }', None, accept=MODERN)
    assert answer.status_code == 200
    assert answer.json()["data"]["node"] is None
    assert answer.json()["data"]["viewer"]["uid"]


def test_queries_by_get_and_mutations_only_by_post(client: Client) -> None:
    assert client.http.get("/graphql", params={"query": "{ __typename }"}).json()["data"] == {"__typename": "Query"}
    refused = client.http.get("/graphql", params={"query": 'mutation { stop(reason: "x") { state } }'})
    assert 400 <= refused.status_code < 500
    assert refused.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"
    assert client.data("{ controls { nodes { state } } }")["controls"]["nodes"] == []
    assert client.http.put("/graphql", json={"query": "{ __typename }"}).status_code == 405


def test_a_subscription_that_asks_for_one_answer_is_told_how_to_ask(client: Client) -> None:
    refused = client.http.post("/graphql", json={"query": "subscription { changes(after: 0) { position } }"})
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert "text/event-stream" in error["message"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/plain, application/json",
    ],
)
def test_only_json_is_taken_so_no_foreign_page_can_post_unasked(client: Client, kind: str) -> None:
    answer = client.http.post("/graphql", content=b'{"query": "{ __typename }"}', headers={"content-type": kind})
    assert answer.status_code == 415
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"1", b"{}", b'{"query": 1}', b'{"query": "{ __typename }", "variables": []}',
     b'{"query": "{ __typename }", "variables": 7}', b'{"query": "{ __typename }", "extensions": 7}', b"\xff\xfe",
     b'{"query": "{ __typename }", "operationName": 7}', b'[{"query": "{ __typename }"}]', b"[" * 50_000],
)  # fmt: skip
def test_a_malformed_body_is_a_clear_refusal(client: Client, body: bytes) -> None:
    answer = client.http.post("/graphql", content=body, headers={"content-type": LEGACY})
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["errors"][0]
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert "Traceback" not in answer.text


def test_a_body_has_a_bound(platform: Noesis) -> None:
    client = Client(replace(platform, settings=Settings(body_bytes_max=1_000)))
    answer = client.post("{ __typename " + " " * 2_000 + "}")
    assert answer.status_code == 413
    assert "more than 1,000 bytes" in answer.json()["errors"][0]["message"]
    assert client.post("{ __typename }").status_code == 200


def test_health_and_what_is_not_there(client: Client) -> None:
    assert client.http.get("/healthz").json() == {"status": "ok"}
    assert client.http.get("/readyz").json()["status"] == "ok"
    missing = client.http.get("/nope")
    assert missing.status_code == 404
    assert missing.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    client.platform.store.close()
    assert client.http.get("/readyz").status_code == 503


def test_no_answer_carries_a_cors_permission(client: Client) -> None:
    asked = client.http.options(
        "/graphql", headers={"origin": "http://evil.example", "access-control-request-method": "POST"}
    )
    assert asked.status_code >= 400
    for answer in (asked, client.post("{ __typename }")):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_of_an_allowed_origin_may_call_from_a_browser(platform: Noesis) -> None:
    page = "https://portal.example.com"
    client = Client(replace(platform, settings=Settings(allowed_origins=(page + "/",))))
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    told = client.http.options("/graphql", headers={"origin": page, **asked})
    assert (told.status_code, told.text) == (204, "")
    assert told.headers["access-control-allow-origin"] == page
    assert "POST" in told.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(told.headers["access-control-allow-headers"].split(", "))
    for answer in (
        client.post("{ __typename }", origin=page),
        client.post("{", origin=page, authorization="Bearer no"),
    ):
        assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (page, "origin")
        assert "access-control-allow-credentials" not in answer.headers
    evil = client.http.options("/graphql", headers={"origin": "https://evil.example", **asked})
    for answer in (evil, client.post("{ __typename }", origin="https://evil.example"), client.post("{ __typename }")):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_answers_are_kept_by_no_cache_and_guessed_by_no_browser(client: Client) -> None:
    refused = client.http.get("/healthz", headers={"host": "evil.example"})
    for answer in (client.post("{ __typename }"), client.http.get("/nope"), refused):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_ide_is_served(client: Client) -> None:
    answer = client.http.get("/graphql", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "script" not in answer.text
    assert "there is no page here: POST" in answer.json()["errors"][0]["message"]


def _body(**parts: Any) -> bytes:
    return json.dumps(parts).encode()


def test_json_with_a_charset_is_json(client: Client) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert client.http.post("/graphql", content=_body(query="{ __typename }"), headers=headers).status_code == 200
