"""Who may ask: keys, the local user, the binding, the Host header and pages of other origins."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.app import create_app
from api.auth import loopback
from api.errors import BindingError
from api.platform import Noesis
from api.settings import Settings
from governance import apikeys
from tests.api.client import Client
from tests.api.parts import SYSTEM, key
from tests.parts import ManualClock

VIEWER = "{ viewer { uid roles local } }"


def test_without_a_key_this_machine_is_the_local_user(client: Client) -> None:
    assert client.data(VIEWER)["viewer"] == {"uid": 'User::"local"', "roles": ["admin"], "local": True}


def test_the_local_user_of_the_settings_needs_no_entity(platform: Noesis) -> None:
    settings = Settings(local_user="me", local_roles=("staff",))
    viewer = Client(replace(platform, settings=settings)).data(VIEWER)["viewer"]
    assert viewer == {"uid": 'User::"me"', "roles": ["staff"], "local": True}


def test_a_key_is_its_subject_with_the_roles_of_now(platform: Noesis) -> None:
    client = Client(platform, key(platform, 'User::"anna"'), peer=("203.0.113.9", 1))
    assert client.data(VIEWER)["viewer"] == {"uid": 'User::"anna"', "roles": ["staff"], "local": False}


@pytest.mark.parametrize(
    "header",
    ["Bearer noesis_x_y", "Bearer", "Bearer ", "Basic Zm9v", "noesis_x_y", "Bearer " + "x" * 9_000, "Bearer é"],
)
def test_a_wrong_key_never_falls_back_to_the_local_user(client: Client, header: str) -> None:
    answer = client.http.post("/graphql", json={"query": VIEWER}, headers={"authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["errors"][0]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "\n" not in error["message"]


def test_an_expired_or_revoked_key_is_401(platform: Noesis, clock: ManualClock) -> None:
    expires = clock.now() + timedelta(hours=1)
    text, entity = apikeys.create(platform.store, clock, "short", 'User::"anna"', SYSTEM, expires=expires)
    client = Client(platform, text)
    assert client.post(VIEWER).status_code == 200
    clock.advance(3_601)
    assert client.post(VIEWER).status_code == 401
    fresh = Client(platform, key(platform, 'User::"anna"'))
    assert fresh.post(VIEWER).status_code == 200
    revoked, entity = apikeys.create(platform.store, clock, "gone", 'User::"anna"', SYSTEM)
    apikeys.revoke(platform.store, clock, entity.id, SYSTEM, "lost")
    assert Client(platform, revoked).post(VIEWER).status_code == 401


def test_without_a_key_other_machines_are_nobody(platform: Noesis) -> None:
    for peer in ("203.0.113.9", "192.168.1.2", "testclient"):
        assert Client(platform, peer=(peer, 1)).post(VIEWER).status_code == 401


def test_keyless_can_be_turned_off(platform: Noesis) -> None:
    client = Client(replace(platform, settings=Settings(keyless=False)))
    assert client.post(VIEWER).status_code == 401
    assert client.post("{ __schema { types { name } } }").status_code == 401
    assert client.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_a_server_open_to_others_without_keys_does_not_start(platform: Noesis, host: str) -> None:
    with pytest.raises(BindingError, match="keyless = false") as refused:
        create_app(replace(platform, settings=Settings(host=host)))
    assert "\n" not in str(refused.value)
    create_app(replace(platform, settings=Settings(host=host, keyless=False)))


def test_what_is_loopback() -> None:
    assert all(map(loopback, ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST."]))
    assert not any(map(loopback, ["0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io", "", "1"]))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8400", "127.0.0.1.nip.io", "localhost.evil.example", "", "[", "a b"]
)
def test_a_foreign_host_header_is_refused(client: Client, host: str) -> None:
    answer = client.http.post("/graphql", json={"query": VIEWER}, headers={"host": host})
    assert answer.status_code == 403
    assert "allowed_hosts" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8400", "[::1]:8400", "portal.example.com"])
def test_our_own_names_are_taken(platform: Noesis, host: str) -> None:
    client = Client(replace(platform, settings=Settings(allowed_hosts=("portal.example.com",))))
    assert client.http.post("/graphql", json={"query": VIEWER}, headers={"host": host}).status_code == 200


def test_pages_of_other_origins_are_refused(platform: Noesis) -> None:
    client = Client(replace(platform, settings=Settings(allowed_origins=("https://portal.example.com",))))
    for origin, status in {
        "http://evil.example": 403,
        "null": 403,
        "http://127.0.0.1:9999": 403,
        "http://127.0.0.1:8400": 200,
        "https://portal.example.com": 200,
    }.items():
        answer = client.http.post(
            "/graphql", json={"query": VIEWER}, headers={"origin": origin, "host": "127.0.0.1:8400"}
        )
        assert answer.status_code == status, origin
