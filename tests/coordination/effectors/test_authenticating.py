"""Authentication of calls against real servers: credentials reach whom they are for, tokens are kept and renewed, nothing leaks."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from coordination.effectors.digest import Asked, answer, challenge_of
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.openapi import OpenApi
from coordination.effectors.secrets import Secret
from coordination.effectors.tokens import Tokens
from coordination.errors import GiveUp, RetryLater
from tests.coordination.effectors.parts import effect
from tests.coordination.server import Server, reply, serving

PASSWORD = "s3cret-pass"


class Time:
    """A clock that tests move."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Authority:
    """A token endpoint after RFC 6749, with discovery, over a server that is also what is called."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.given = 0
        self.life: Any = 100
        self.refresh = False
        self.taken = True
        self.forms: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.token = lambda number: f"token-{number}"
        server.answer = self.answer

    def answer(self, handler: Any) -> None:
        got = self.server.got[-1]
        if got.path.endswith("openid-configuration"):
            found = {"token_endpoint": f"http://{self.server.host}/oidc/token"}
            reply(handler, 200, json.dumps(found).encode(), content_type="application/json")
        elif got.path in ("/oauth2/token", "/oidc/token", "/t"):
            self.issue(handler, got)
        elif got.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens:
            reply(handler, 200, b'{"ok":true}', content_type="application/json")
        else:
            reply(handler, 401, PASSWORD.encode())

    def issue(self, handler: Any, got: Any) -> None:
        text = got.body.decode()
        form = json.loads(text) if got.headers["content-type"] == "application/json" else {
            name: found[0] if len(found) == 1 else found for name, found in parse_qs(text).items()
        }  # fmt: skip
        self.forms.append({**form, "authorization": got.headers.get("authorization")})
        if not self.taken or (form["grant_type"] == "refresh_token" and form["refresh_token"] not in ("r1", "r2")):
            reply(handler, 400, json.dumps({"error": "invalid_client", "error_description": PASSWORD}).encode())
            return
        self.given += 1
        value = self.token(self.given)
        self.tokens.add(value)
        more = {"refresh_token": f"r{self.given}"} if self.refresh else {}
        found = {"access_token": value, "token_type": "Bearer", "expires_in": self.life, **more}
        reply(handler, 200, json.dumps(found).encode(), content_type="application/json")


def http(server: Server, time: Time | None = None, hosts: tuple[str, ...] = ()) -> Http:
    heard = frozenset({server.host, *hosts})
    secrets = {
        "pass": Secret(PASSWORD, heard),
        "pair": Secret(f"anna:{PASSWORD}", heard),
        "ready": Secret(base64.b64encode(b"anna:x").decode(), heard),
        "object": Secret(json.dumps({"username": "anna", "password": PASSWORD, "token": "tok-1"}), heard),
        "elsewhere": Secret(PASSWORD, frozenset({"login.example"})),
    }
    return Http(HttpSettings(Reach((server.host,), 20.0), secrets=secrets, tokens=Tokens(time or Time())))


def call(made: Http, server: Server, authentication: Any, **more: Any) -> Any:
    return made.act(effect({"url": f"http://{server.host}/x", "authentication": authentication, **more})).detail


def oauth(server: Server, scheme: str = "oauth2", **more: Any) -> dict[str, Any]:
    client = {"id": "runtime", "secret": {"secret": "pass"}}
    said = {"authority": f"http://{server.host}", "grant": "client_credentials", "client": client}
    return {scheme: {**said, **more}}


BASIC = "Basic " + base64.b64encode(f"anna:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    ("declared", "header"),
    [
        ({"basic": {"username": "anna", "password": {"secret": "pass"}}}, BASIC),
        ({"basic": {"username": {"secret": "object", "at": ["username"]}, "password": {"secret": "pass"}}}, BASIC),
        ({"basic": {"use": "pair"}}, BASIC),
        ({"basic": {"use": "object"}}, BASIC),
        ({"basic": {"use": "ready"}}, "Basic " + base64.b64encode(b"anna:x").decode()),
        ({"bearer": {"token": {"secret": "pass"}}}, f"Bearer {PASSWORD}"),
        ({"bearer": {"use": "pass"}}, f"Bearer {PASSWORD}"),
        ({"bearer": {"use": "object"}}, "Bearer tok-1"),
    ],
)
def test_basic_and_bearer_arrive(declared: Any, header: str) -> None:
    with serving() as server:
        call(http(server), server, declared)
        assert server.got[0].headers["authorization"] == header


def wanted(header: str, method: str, algorithm: str, body: bytes) -> bool:
    """Whether a digest answer is right, worked out as RFC 7616 says."""
    said = {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}
    hashed = (lambda text: hashlib.sha256(text.encode()).hexdigest()) if "256" in algorithm else (
        lambda text: hashlib.md5(text.encode()).hexdigest()
    )  # fmt: skip
    first = hashed(f"anna:a realm:{PASSWORD}")
    if algorithm.endswith("-sess"):
        first = hashed(f"{first}:n0nce:{said['cnonce']}")
    whole = f":{hashed(body.decode())}" if said.get("qop") == "auth-int" else ""
    second = hashed(f"{method}:{said['uri']}{whole}")
    middle = f":{said['nc']}:{said['cnonce']}:{said['qop']}" if "qop" in said else ""
    return said["response"] == hashed(f"{first}:n0nce{middle}:{second}") and said.get("opaque") == "op,aque"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth,auth-int", ""])
def test_a_digest_challenge_is_answered(algorithm: str, qop: str) -> None:
    with serving() as server:

        def challenge(handler: Any) -> None:
            got = server.got[-1]
            said = got.headers.get("authorization", "")
            if said.startswith("Digest ") and wanted(said, "POST", algorithm, got.body):
                reply(handler, 200, b"in")
                return
            asked = f'Basic realm="x", Digest realm="a realm", nonce="n0nce", opaque="op,aque", algorithm={algorithm}'
            reply(handler, 401, b"", www_authenticate=asked + (f', qop="{qop}"' if qop else ""))

        server.answer = challenge
        declared = {"digest": {"username": "anna", "password": {"secret": "pass"}}}
        assert call(http(server), server, declared, body={"n": 1})["content"] == "in"
        assert [got.headers.get("authorization", "")[:6] for got in server.got] == ["", "Digest"]
        assert len({got.headers["idempotency-key"] for got in server.got}) == 1
        wrong = {"digest": {"username": "anna", "password": "no"}}
        with pytest.raises(GiveUp, match="refused with 401"):
            call(http(server), server, wrong)


def test_the_example_of_rfc_7616_comes_out() -> None:
    challenge = challenge_of(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert challenge is not None
    said = answer(
        challenge,
        Asked("GET", "/dir/index.html", b"", "Mufasa", "Circle of Life"),
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in said


@pytest.mark.parametrize(
    "header", ["", "Basic realm=x", "Digest", 'Digest nonce="x", algorithm=TURN', "=,=" * 5_000, "a=" * 50_000]
)
def test_a_challenge_that_is_none_is_refused_soon(header: str) -> None:
    assert challenge_of(header) is None


def test_a_token_is_asked_for_once_and_again_when_it_ends() -> None:
    time = Time()
    with serving() as server:
        authority, made = Authority(server), http(server, time)
        declared = oauth(server, scopes=["api", "b"], audiences=["one", "two"])
        assert call(made, server, declared)["content"] == {"ok": True}
        call(made, server, declared)
        assert authority.given == 1
        (form,) = authority.forms
        assert (form["client_id"], form["client_secret"], form["scope"], form["audience"]) == (
            "runtime", PASSWORD, "api b", ["one", "two"]
        )  # fmt: skip
        time.now += 95
        call(made, server, declared)
        assert authority.given == 2
        call(made, server, oauth(server, scopes=["other"]))
        assert authority.given == 3
        authority.tokens.clear()
        assert call(made, server, declared)["content"] == {"ok": True}
        assert authority.given == 4, "a kept token that is refused is asked for anew"
        authority.token = lambda number: f"never {number}".replace(" ", "-")
        authority.issue, kept = (lambda handler, _: reply(handler, 200, b'{"access_token":"none"}')), authority.issue
        authority.tokens.clear()
        with pytest.raises(GiveUp, match="refused with 401"):
            call(made, server, declared)
        assert kept


def test_the_password_grant_renews_by_its_refresh_token() -> None:
    time = Time()
    with serving() as server:
        authority, made = Authority(server), http(server, time)
        authority.refresh = True
        declared = oauth(server, grant="password", username="anna", password={"secret": "pass"})
        for _ in range(4):
            assert call(made, server, declared)["content"] == {"ok": True}
            time.now += 95
        said = [(form["grant_type"], form.get("refresh_token"), form.get("username")) for form in authority.forms]
        assert said == [
            ("password", None, "anna"),
            ("refresh_token", "r1", None),
            ("refresh_token", "r2", None),
            # r3 is refused: the grant itself still holds.
            ("refresh_token", "r3", None),
            ("password", None, "anna"),
        ]


@pytest.mark.parametrize(
    "how", ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"]
)
def test_the_client_says_who_it_is_as_declared(how: str) -> None:
    with serving() as server:
        authority = Authority(server)
        client = {"id": "run:time", "secret": {"secret": "pass"}, "assertion": "a.b.c", "authentication": how}
        call(http(server), server, oauth(server, client=client, request={"encoding": "application/json"}))
        (form,) = authority.forms
    basic = "Basic " + base64.b64encode(f"run%3Atime:{PASSWORD}".encode()).decode()
    assert form["authorization"] == (basic if how == "client_secret_basic" else None)
    assert form.get("client_secret") == (PASSWORD if how == "client_secret_post" else None)
    if how == "private_key_jwt":
        assert form["client_assertion"] == "a.b.c"
    if how == "client_secret_jwt":
        head, claims, signature = form["client_assertion"].split(".")
        signed = hmac.new(PASSWORD.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
        assert base64.urlsafe_b64decode(signature + "==") == signed
        assert json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"] == "run:time"


def test_oidc_finds_its_endpoint_and_issuers_are_held_to() -> None:
    with serving() as server:
        authority, made = Authority(server), http(server)
        for ending in ("", "/.well-known/openid-configuration"):
            declared = oauth(server, "oidc", authority=f"http://{server.host}{ending}")
            assert call(made, server, declared)["content"] == {"ok": True}
        assert [got.path for got in server.got[:3]] == ["/.well-known/openid-configuration", "/oidc/token", "/x"]
        claims = base64.urlsafe_b64encode(json.dumps({"iss": "https://good"}).encode()).rstrip(b"=").decode()
        authority.token = lambda number: f"h{number}.{claims}.s"
        assert call(made, server, oauth(server, issuers=["https://good"]))["content"] == {"ok": True}
        with pytest.raises(GiveUp, match="declared issuers"):
            call(made, server, oauth(server, issuers=["https://bad"]))


def test_a_token_that_cannot_be_had_means_that_nothing_happened() -> None:
    with serving() as server:
        authority, made = Authority(server), http(server)
        authority.taken = False
        with pytest.raises(GiveUp, match=r"401, so there is no token \(invalid_client\)") as refused:
            call(made, server, oauth(server))
        assert PASSWORD not in str(refused.value)
        for status in (500, 503):
            server.answer = lambda handler, status=status: reply(handler, status, PASSWORD.encode())
            with pytest.raises((RetryLater, GiveUp)) as later:
                made.act(effect({"url": f"http://{server.host}/x", "authentication": oauth(server)}))
            assert isinstance(later.value, RetryLater)
            assert PASSWORD not in str(later.value)
        assert "/x" not in {got.path for got in server.got}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"basic": {"username": "a", "password": {"secret": "elsewhere"}}}, "not for 127.0.0.1"),
        ({"bearer": {"use": "elsewhere"}}, "not for 127.0.0.1"),
        ({"digest": {"use": "elsewhere"}}, "not for 127.0.0.1"),
        ({"oauth2": {"authority": "https://login.example", "grant": "client_credentials",
                     "client": {"id": "x", "secret": {"secret": "elsewhere"}}}}, "not for 127.0.0.1"),
        ({"oauth2": {"authority": "https://login.example", "grant": "client_credentials",
                     "client": {"id": "x", "secret": {"secret": "pass"}}}}, "not for login.example"),
        ({"oauth2": {"authority": "http://169.254.169.254", "grant": "client_credentials"}}, "without encryption"),
        ({"oauth2": {"authority": "https://10.0.0.1", "grant": "client_credentials"}}, "10.0.0.1"),
        ({"oauth2": {"authority": "https://evil.example", "grant": "client_credentials"}}, "is no authority"),
        ({"oauth2": {"authority": "HOST", "grant": "authorization_code"}}, "'authorization_code' is not served"),
        ({"bearer": {"token": "a\r\nX: y"}}, "no header may"),
        ({"kerberos": {}}, "basic, bearer, digest"),
        ("basic", "basic, bearer, digest"),
        ({"basic": {"use": "nobody"}}, "no secret 'nobody'"),
    ],
)  # fmt: skip
def test_who_may_not_hear_a_secret_hears_nothing(declared: Any, said: str) -> None:
    with serving() as server:
        declared = json.loads(json.dumps(declared).replace('"HOST"', f'"http://{server.host}"'))
        with pytest.raises(GiveUp, match=re.escape(said)):
            call(http(server), server, declared)
        assert not server.got


def test_an_operation_of_a_description_is_called_as_whom() -> None:
    with serving() as server:
        Authority(server)
        document: Mapping[str, Any] = {
            "openapi": "3.0.3",
            "servers": [{"url": f"http://{server.host}"}],
            "paths": {"/o": {"get": {"operationId": "o", "responses": {"200": {"description": "x"}}}}},
        }
        made = OpenApi(http(server).settings, {"shop": document})
        payload = {"document": "shop", "operation": "o", "authentication": oauth(server)}
        assert made.act(effect(payload)).detail["content"] == {"ok": True}


def test_no_text_of_ours_shows_a_token_or_secret() -> None:
    with serving() as server:
        Authority(server)
        made = http(server)
        asked = effect({"url": f"http://{server.host}/x", "authentication": oauth(server)})
        shown = repr(made) + repr(made.act(asked)) + repr(made.simulate(asked))
    assert "token-1" not in shown
    assert PASSWORD not in shown
