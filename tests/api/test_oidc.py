"""Tokens of an issuer: a real one on this machine publishes real keys; what is forged, stale or meant for others opens nothing."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from api.errors import SettingsError
from api.oidc import ASK_SECONDS, FRESH_SECONDS, STALE_SECONDS, Issuer, Oidc, fetch_json, looks_like_token
from governance.errors import KeyRejectedError
from governance.people import ensure_principal, import_people
from governance.peoplefile import read_people
from governance.principals import Principal
from kg.errors import NoesisError
from tests.governance.world import ontology
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

AUDIENCE = "noesis-api"
ROOT = Principal("Service", "setup")
RSA = rsa.generate_private_key(65537, 2048)
SECOND = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def published(key: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


@dataclass
class Login:
    """An issuer on this machine."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [published(RSA, "k1"), published(EC, "e1")])
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def configuration(self) -> dict[str, Any]:
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}


@pytest.fixture
def login() -> Iterator[Login]:
    with issuing() as made:
        yield made


@contextmanager
def issuing() -> Iterator[Login]:
    """An issuer that answers as long as the block."""
    made = Login()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            documents: Mapping[str, object] = {
                "/.well-known/openid-configuration": made.configuration(),
                "/keys": {"keys": made.keys},
            }
            body = made.answers.get(self.path) or json.dumps(documents.get(self.path)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Door:
    login: Login
    clock: ManualClock
    oidc: Oidc

    def token(
        self, key: Any = RSA, kid: str = "k1", algorithm: str = "RS256", headers: Any = None, **claims: Any
    ) -> str:
        now = int(self.clock.now().timestamp())
        whole = {"iss": self.login.url, "aud": AUDIENCE, "sub": "anna", "iat": now, "exp": now + 300, **claims}
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers={"kid": kid, **(headers or {})})


def open_door(login: Login, clock: ManualClock | None = None, **more: Any) -> Door:
    clock = clock or ManualClock()
    store = DictStore(ontology(), clock)
    people = "roles: [clerk, boss]\nusers:\n  - {name: anna, roles: [clerk, boss]}\n  - {name: ben}\n"
    import_people(store, clock, read_people(people, "people.yaml"), ROOT)
    issuer = Issuer(login.url, (AUDIENCE,), **more)
    return Door(login, clock, Oidc(issuer, store, clock, fetch_json))


@pytest.fixture
def door(login: Login) -> Door:
    return open_door(login)


def test_a_token_of_the_issuer_opens_as_its_user(door: Door) -> None:
    principal = door.oidc(door.token())
    assert (principal.uid, principal.roles) == ('User::"anna"', {"clerk", "boss"})
    assert door.oidc(door.token(EC, "e1", "ES256")).id == "anna"
    assert door.oidc(door.token(algorithm="PS256")).id == "anna"
    assert len(door.login.asked) == 2, "keys are read once"


def part(form: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(form).encode()).rstrip(b"=").decode()


def unsigned(door: Door, algorithm: str) -> str:
    payload = door.token().split(".")[1]
    return f"{part({'alg': algorithm, 'kid': 'k1', 'typ': 'JWT'})}.{payload}."


def signed_with_the_public_key(door: Door, algorithm: str = "HS256") -> str:
    """The confusion attack: the published key used as a shared secret."""
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = f"{part({'alg': algorithm, 'kid': 'k1', 'typ': 'JWT'})}.{door.token().split('.')[1]}"
    mark = hmac.new(public, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def altered(door: Door) -> str:
    head, payload, mark = door.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{head}.{part({**claims, 'sub': 'root'})}.{mark}"


FORGED: Mapping[str, Callable[[Door], str]] = {
    "no signature": lambda d: unsigned(d, "none"),
    "no signature, oddly spelled": lambda d: unsigned(d, "nOnE"),
    "signature left out": lambda d: unsigned(d, "RS256"),
    "public key as a secret": signed_with_the_public_key,
    "altered claims": altered,
    "another's key": lambda d: d.token(SECOND),
    "unknown key id": lambda d: d.token(SECOND, "k2"),
    "key id as a path": lambda d: d.token(kid="../../dev/null"),
    "key id as a query": lambda d: d.token(kid="k1' OR '1'='1"),
    "no key id": lambda d: jwt.encode({"sub": "anna"}, RSA, "RS256"),
    "an EC key for an RSA signature": lambda d: d.token(kid="e1"),
    "key in the header": lambda d: d.token(SECOND, "mine", headers={"jwk": published(SECOND, "mine")}),
    "key address in the header": lambda d: d.token(SECOND, "mine", headers={"jku": "http://127.0.0.1:1/keys"}),
    "critical extension": lambda d: d.token(headers={"crit": ["b64"], "b64": False}),
    "another audience": lambda d: d.token(aud="somebody-else"),
    "no audience": lambda d: d.token(aud=None),
    "another issuer": lambda d: d.token(iss="https://evil.example.com"),
    "an issuer that begins alike": lambda d: d.token(iss=f"{d.login.url}/evil"),
    "expired": lambda d: d.token(exp=int(d.clock.now().timestamp()) - 61),
    "never expires": lambda d: d.token(exp=None),
    "expires beyond all numbers": lambda d: d.token(exp=10**400),
    "expires in words": lambda d: d.token(exp="tomorrow"),
    "issued in the future": lambda d: d.token(iat=int(d.clock.now().timestamp()) + 120),
    "not yet valid": lambda d: d.token(nbf=int(d.clock.now().timestamp()) + 120),
    "nobody": lambda d: d.token(sub=None),
    "unknown user": lambda d: d.token(sub="mallory"),
    "a service's name": lambda d: d.token(sub='x" or Service::"setup'),
    "an empty user": lambda d: d.token(sub=""),
    "a user that is a list": lambda d: d.token(sub=["anna"]),
    "a control character": lambda d: d.token(sub="anna\x00"),
    "too long": lambda d: d.token(more="x" * 20_000),
    "not ASCII": lambda d: d.token() + "é",
    "empty parts": lambda d: "..",
    "deep JSON": lambda d: f"{base64.urlsafe_b64encode(b'[' * 9_000).decode()}.e30.e30",
}


@pytest.mark.parametrize("how", FORGED)
def test_whatever_is_wrong_with_a_token_it_opens_nothing_and_says_no_more(door: Door, how: str) -> None:
    with pytest.raises(KeyRejectedError) as refused:
        door.oidc(FORGED[how](door))
    assert str(refused.value) == str(KeyRejectedError())
    assert door.oidc(door.token()).id == "anna"


@given(text=st.text(max_size=200), dots=st.lists(st.integers(0, 200), max_size=3))
def test_any_text_is_refused_the_same_way(text: str, dots: list[int]) -> None:
    for place in dots:
        text = text[:place] + "." + text[place:]
    oidc = Oidc(
        Issuer("https://login.example.com", ("a",)), DictStore(ontology(), ManualClock()), ManualClock(), nothing
    )
    with pytest.raises(KeyRejectedError):
        oidc(text)


def nothing(url: str) -> Any:
    raise NoesisError(f"{url} is away")


def test_the_clocks_may_differ_by_the_leeway(door: Door) -> None:
    token = door.token(exp=int(door.clock.now().timestamp()) + 10)
    door.clock.advance(65)
    assert door.oidc(token).id == "anna"
    door.clock.advance(10)
    with pytest.raises(KeyRejectedError):
        door.oidc(token)


def test_a_new_key_is_found_and_a_withdrawn_one_ends(door: Door) -> None:
    assert door.oidc(door.token()).id == "anna"
    door.login.keys = [published(SECOND, "k2")]
    door.clock.advance(ASK_SECONDS)
    assert door.oidc(door.token(SECOND, "k2")).id == "anna"
    with pytest.raises(KeyRejectedError):
        door.oidc(door.token())


def test_unknown_key_ids_do_not_make_us_ask_again_and_again(door: Door) -> None:
    door.oidc(door.token())
    asked = len(door.login.asked)
    for n in range(50):
        with pytest.raises(KeyRejectedError):
            door.oidc(door.token(SECOND, f"made-up-{n}"))
    assert len(door.login.asked) == asked


def test_known_keys_serve_while_the_issuer_is_away_but_not_for_ever(door: Door) -> None:
    door.oidc(door.token())
    door.login.answers["/keys"] = b"<html>maintenance</html>"
    door.clock.advance(FRESH_SECONDS + 1)
    assert door.oidc(door.token()).id == "anna"
    door.clock.advance(STALE_SECONDS)
    with pytest.raises(KeyRejectedError):
        door.oidc(door.token())


def test_a_configuration_of_another_issuer_is_not_taken(door: Door) -> None:
    forged = json.dumps({"issuer": "https://evil.example.com", "jwks_uri": f"{door.login.url}/keys"}).encode()
    door.login.answers["/.well-known/openid-configuration"] = forged
    with pytest.raises(KeyRejectedError):
        door.oidc(door.token())


def test_an_endless_answer_is_cut(door: Door) -> None:
    door.login.answers["/keys"] = b"[" + b"0," * 400_000 + b"0]"
    with pytest.raises(NoesisError, match="more than"):
        fetch_json(f"{door.login.url}/keys")


def test_claims_narrow_roles_by_the_map_and_never_widen_them(login: Login) -> None:
    door = open_door(login, roles_claim="groups", roles={"g-clerk": "clerk", "g-admin": "admin"})
    assert door.oidc(door.token(groups=["g-clerk", "g-admin", "boss"])).roles == {"clerk"}
    assert door.oidc(door.token(groups="g-clerk other")).roles == {"clerk"}
    for nothing_granted in (None, [], 7, {"g-clerk": 1}, [["g-clerk"]]):
        assert door.oidc(door.token(groups=nothing_granted)).roles == frozenset()


def test_a_user_is_made_only_where_that_is_wanted(login: Login) -> None:
    door = open_door(login, roles_claim="groups", roles={"g-clerk": "clerk"}, provision=True)
    made = door.oidc(door.token(sub="nora", groups=["g-clerk"]))
    assert (made.uid, made.roles) == ('User::"nora"', {"clerk"})
    cause = door.oidc.store.causes([door.oidc.store.changes(door.oidc.store.head().position - 1)[0].cause])
    assert next(iter(cause.values())).agent == 'Service::"oidc"'
    again = door.oidc(door.token(sub="nora", groups=["g-clerk"]))
    assert again.entity == made.entity


def test_a_disabled_user_stays_out_also_where_users_are_made(login: Login) -> None:
    from kg.model import Cause, Op, Put, Where

    door = open_door(login, provision=True)
    ensure_principal(door.oidc.store, door.clock, "User", "carl", ROOT)
    (carl,) = door.oidc.store.find("User", [Where("name", Op.EQ, "carl")]).items
    door.oidc.store.commit([Put(carl.id, "User", {"disabled": True})], Cause("off", "test", ROOT.uid))
    with pytest.raises(KeyRejectedError):
        door.oidc(door.token(sub="carl"))


@pytest.mark.parametrize(
    "url", ["http://login.example.com", "login.example.com", "https://", "https://a?b=c", "ftp://a"]
)
def test_an_issuer_is_an_https_address(url: str) -> None:
    with pytest.raises(SettingsError, match="oidc_issuer"):
        Issuer(url, ("a",))
    with pytest.raises(SettingsError, match="oidc_audience"):
        Issuer("https://login.example.com", ())


def test_keys_and_tokens_are_told_apart() -> None:
    assert looks_like_token("a.b.c")
    assert not looks_like_token("noesis_abc_def")


def test_many_threads_share_one_read_of_the_keys(door: Door) -> None:
    token, found = door.token(), []
    threads = [threading.Thread(target=lambda: found.append(attempt(door, token))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["anna"] * 16
    assert len(door.login.asked) == 2


#: How long an issuer hangs: whoever waited for it would be seen to, also on a busy machine.
HANGING_SECONDS = 60.0


def test_an_issuer_that_hangs_holds_up_nobody_but_the_one_who_asks_it(door: Door) -> None:
    assert door.oidc(door.token()).id == "anna"
    door.clock.advance(FRESH_SECONDS + 1)
    known, made_up = door.token(), door.token(SECOND, "made-up")
    began, leave = threading.Event(), threading.Event()
    fetch = door.oidc.fetch

    def hanging(url: str) -> Any:
        began.set()
        assert leave.wait(HANGING_SECONDS)
        return fetch(url)

    door.oidc.fetch = hanging
    asking = threading.Thread(target=attempt, args=(door, made_up))
    asking.start()
    try:
        assert began.wait(HANGING_SECONDS)
        found: list[str] = []
        others = [threading.Thread(target=lambda t=t: found.append(attempt(door, t))) for t in (known, made_up)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join(HANGING_SECONDS / 2)
        assert sorted(found) == ["", "anna"]
    finally:
        leave.set()
        asking.join()


def attempt(door: Door, token: str) -> str:
    try:
        return door.oidc(token).id
    except KeyRejectedError:
        return ""


def test_the_library_of_times_is_not_asked(door: Door) -> None:
    """The platform's clock decides, so a test's (and a simulation's) time is the time."""
    door.clock.jump(timedelta(days=4000).total_seconds())
    assert abs(door.clock.now().timestamp() - time.time()) > 86_400
    assert door.oidc(door.token()).id == "anna"
