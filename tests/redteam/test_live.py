"""The attacks that have a network face, word by word over HTTP against a process of its own; its log is read at the end."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from api.graphql.ids import entity_id, global_id
from tests.api.test_oidc import FORGED
from tests.redteam.live import EMAIL, HOOK_SECRET, Live, attacked
from tests.redteam.words import FLOODS, guesses

VIEWER = "{ viewer { uid } }"
WAITING = """{ decisions(where: {outcome: {eq: "needs_approval"}}) { nodes { id target } } }"""
ANSWER = """mutation($d: ID!) { approve(decision: $d) { met repeated errors { code message } approval { id } } }"""
EDIT = """mutation($d: ID!, $e: JSON!) { editProposal(decision: $d, edit: $e, reason: "better so") {
  proposal { id } errors { code message } } }"""
RECORD = """mutation($c: String!, $p: JSON!) { ingestRecord(class: $c, properties: $p) {
  outcome errors { code message } } }"""
#: Ways to write this machine, of which P is the port.
HERE = (
    "http://127.0.0.1:P/", "https://127.0.0.1:P/", "https://localhost:P/", "https://2130706433:P/",
    "https://0x7f000001:P/", "https://[::1]:P/", "https://[::ffff:127.0.0.1]:P/", "https://0.0.0.0:P/",
    "file:///etc/passwd", "https://user:pass@127.0.0.1:P/", "https://169.254.169.254/latest/meta-data/",
)  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with pytest.MonkeyPatch.context() as patch:
        import os

        for name in [name for name in os.environ if name.startswith("NOESIS_")]:
            patch.delenv(name)
        with attacked(tmp_path_factory.mktemp("live")) as made:
            yield made


def test_a_true_token_and_a_key_open(live: Live) -> None:
    assert live.ask(VIEWER, token=live.door.token()).data()["viewer"]["uid"] == 'User::"anna"'
    assert live.ask(VIEWER).data()["viewer"]["uid"] == 'User::"carl"'


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_opens_nothing_and_hears_no_more_than_any_other(live: Live, how: str) -> None:
    told = live.ask(VIEWER, token=FORGED[how](live.door))
    wrong = live.ask(VIEWER, token="noesis_wrong")
    assert (wrong.status, wrong.json["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert told.status == 401
    assert "anna" not in told.text
    # What is too long for a key is refused by its shape, before anybody looks at it.
    assert told.text == wrong.text or (how == "too long" and "is not `Bearer <key>`" in told.text)


def test_nobody_gets_in_without_a_key(live: Live) -> None:
    headers = {"content-type": "application/json"}
    for more in ({}, {"authorization": ""}, {"authorization": "Basic Y2FybDpjYXJs"}, {"x-forwarded-for": "127.0.0.1"}):
        told = live.send("POST", "/graphql", json.dumps({"query": VIEWER}).encode(), {**headers, **more})
        assert told.status == 401, more
    assert live.send("GET", "/metrics").status == 401


def hidden(live: Live) -> str:
    """The id of the item that a clerk may not see."""
    (found,) = live.ask('{ items(where: {sku: {eq: "H-1"}}) { nodes { id } } }').data()["items"]["nodes"]
    return str(found["id"])


@pytest.mark.parametrize("query", guesses("item"))
def test_a_guessed_id_is_answered_like_one_that_is_not_there(live: Live, query: str) -> None:
    id = hidden(live)
    raw = entity_id(id)
    answers = []
    for asked in (raw, raw[:-4] + ("0000" if raw[-4:] != "0000" else "1111")):
        shown = global_id("Item", asked)
        told = live.ask(query.replace("ID", shown), who="anna")
        answers.append((told.status, told.text.replace(shown, "ID").replace(asked, "ID")))
    assert answers[0] == answers[1]
    assert "Hidden" not in str(answers)


def test_cursors_orders_counts_and_search_are_no_oracle(live: Live) -> None:
    page = "{ items(first: 1, orderBy: {field: sku, direction: DESC}) { nodes { sku } pageInfo { endCursor } } }"
    field = live.ask(page)
    if "errors" in field.json:
        page = "{ items(first: 3) { nodes { sku } pageInfo { endCursor } } }"
    cursor = live.ask(page).data()["items"]["pageInfo"]["endCursor"]
    for text in (cursor, cursor[:-2] + "xx", "H-1", "", "../../x", "A" * 5_000):
        told = live.ask("query($a: String) { items(after: $a) { nodes { sku } } }", who="anna", a=text)
        assert "H-1" not in told.text
        assert told.status == 200
    seen = live.ask("{ items { nodes { sku owner } totalCount { count } } }", who="anna").data()["items"]
    assert seen["totalCount"]["count"] == len(seen["nodes"])
    assert "H-1" not in [node["sku"] for node in seen["nodes"]]
    for where in ('{sku: {eq: "H-1"}}', '{title: {prefix: "Hidden"}}', f'{{owner: {{eq: "{EMAIL}"}}}}'):
        told = live.ask(f"{{ items(where: {where}) {{ nodes {{ id }} totalCount {{ count }} }} }}", who="anna")
        assert told.json["data"] is None or told.json["data"]["items"]["nodes"] == [], where
    for text in ("Hidden House", EMAIL, "hid*", '"Hidden" OR 1=1'):
        told = live.ask("query($t: String!) { search(text: $t) { hits { entity { id } } } }", who="anna", t=text)
        assert hidden(live) not in told.text


@pytest.mark.parametrize(("query", "said"), FLOODS)
def test_a_flood_in_one_question_is_refused_before_anything_runs(live: Live, query: str, said: str) -> None:
    told = live.ask(query)
    error = told.json["errors"][0]
    assert error["extensions"]["code"] == "TOO_COSTLY"
    assert said in error["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps([{"query": VIEWER}] * 50).encode(), 400),
        (b'{"query": "{ viewer { uid } }", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 400),
        (b'{"query": "' + b"x" * 1_100_000 + b'"}', 413),
        (b'{"query": "{ viewer { uid } }", "query": 7}', 400),
        (b"\xff\xfe{", 400),
        (b"", 400),
    ],
    ids=["batch", "deep", "large", "twice", "not UTF-8", "empty"],
)
def test_a_body_that_is_no_question_is_one_sentence(live: Live, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {live.keys['carl']}"}
    told = live.send("POST", "/graphql", body, headers)
    assert told.status == status
    assert "Traceback" not in told.text
    assert len(told.json["errors"]) == 1


def waits(live: Live) -> tuple[str, str]:
    """The decision that waits for a boss, and its target."""
    found = live.until(lambda: live.ask(WAITING).data()["decisions"]["nodes"], "something waits")
    return found[-1]["id"], found[-1]["target"]


def refused(told: Any, name: str) -> str:
    found = told.data()[name]
    assert not found.get("met"), found
    assert found["errors"], found
    return str(found["errors"][0]["code"])


@pytest.mark.parametrize(
    ("cls", "properties"),
    [
        ("Approval", {"answer": "approve", "principal": 'User::"carl"'}),
        ("Decision", {"outcome": "allow", "action": "apply", "principal": 'Agent::"counter"'}),
        ("Rule", {"name": "mine", "text": "permit(principal, action, resource);", "status": "active"}),
        ("Control", {"scope": "global", "state": "run"}),
        ("ApiKey", {"name": "mine", "hash": "00", "subject": 'User::"carl"'}),
        ("User", {"name": "mallory", "person": "nobody"}),
    ],
)
def test_no_record_of_the_platform_is_forged_by_a_boss(live: Live, cls: str, properties: dict[str, str]) -> None:
    told = live.ask(RECORD, who="bea", c=cls, p=properties)
    assert refused(told, "ingestRecord") in {"BAD_INPUT", "DENIED", "FORBIDDEN"}


def test_no_approval_is_replayed_and_nobody_approves_an_own_edit_under_another_name(live: Live) -> None:
    done = '{ items(where: {sku: {eq: "A2"}}) { nodes { title version } } }'
    first, target = waits(live)
    refused(live.ask(ANSWER, who="anna", d=first), "approve")
    edit = {"values": {target: {"title": "Valve two!"}}}
    found = live.ask(EDIT, who="bea", d=first, e=edit).data()["editProposal"]
    assert found["errors"] == []

    def again() -> str | None:
        new = [node["id"] for node in live.ask(WAITING).data()["decisions"]["nodes"] if node["id"] != first]
        return str(new[0]) if new else None

    second = str(live.until(again, "the edit is decided again"))
    for who in ("bea", "bea2"):
        refused(live.ask(ANSWER, who=who, d=second), "approve")
    # An answer to what was superseded opens nothing, neither that nor what took its place.
    live.ask(ANSWER, d=first)
    refused(live.ask(ANSWER, who="bea2", d=second), "approve")
    assert [node["id"] for node in live.ask(WAITING).data()["decisions"]["nodes"]].count(second) == 1
    assert live.ask(done).data()["items"]["nodes"][0]["title"] == "Valve"
    assert live.ask(ANSWER, d=second).data()["approve"]["met"] is True
    (item,) = live.until(
        lambda: [n for n in live.ask(done).data()["items"]["nodes"] if n["title"] == "Valve two!"], "it is applied"
    )
    told = live.ask(ANSWER, d=second).data()["approve"]
    assert told["errors"] or told["repeated"]
    assert live.ask(done).data()["items"]["nodes"] == [item], "the answer is not used twice"


def test_no_webhook_reaches_this_machine(live: Live) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        here.setblocking(False)
        port = str(here.getsockname()[1])
        for number, address in enumerate(HERE):
            title = f"call {address.replace('P', port, 1)}!"
            told = live.ask(RECORD, c="Item", p={"sku": f"call{number}", "title": title, "stock": 1})
            assert told.data()["ingestRecord"]["errors"] == []
        states = '{ proposals(where: {operation: {eq: "item.call"}}) { nodes { state } } }'

        def ended() -> bool:
            found = [node["state"] for node in live.ask(states).data()["proposals"]["nodes"]]
            return len(found) == len(HERE) and set(found) <= {"failed", "denied"}

        live.until(ended, "every call is refused")
        with pytest.raises(BlockingIOError):
            here.accept()


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/graphql/../../noesis.toml", "//etc/passwd",
        "/.noesis/graph.db", "/noesis.toml", "/graphql%00.db", "/..%5c..%5cetc%5cpasswd", "/static/..%2f..%2fnoesis.toml",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(live: Live, path: str) -> None:
    told = live.send("GET", path, None, {"authorization": f"Bearer {live.keys['carl']}"})
    assert told.status in (400, 404)
    assert "root:" not in told.text
    assert "ontology" not in told.text


def test_no_header_forges_a_line_or_another_host(live: Live) -> None:
    body = json.dumps({"query": VIEWER, "operationName": "a\n2026-01-01 forged line\x1b[31m"}).encode()
    headers: dict[str, str | bytes] = {
        "content-type": "application/json", "authorization": f"Bearer {live.keys['carl']}",
        "user-agent": b"x\x1b[31m forged agent", "traceparent": "00-\tforged trace-01", "x-request-id": "\x1b]0;forged",
    }  # fmt: skip
    live.send("POST", "/graphql", body, headers)
    live.send("GET", "/%0d%0aforged%20path%0aGET", None, headers)
    live.ask('{ items(where: {sku: {eq: "x\\nforged where"}}) { nodes { id } } nope }')
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80@127.0.0.1"):
        connection = {**headers, "host": host}
        assert live.send("POST", "/graphql", body, connection).status >= 400
    log = live.heard()
    assert "\x1b" not in log
    assert not [line for line in log.splitlines() if line.startswith(("forged", "2026-01-01 forged"))]


def test_nothing_secret_is_in_the_log_of_that_process(live: Live) -> None:
    token = live.door.token()
    live.ask(f'{{ items(where: {{owner: {{eq: "{EMAIL}"}}}}) {{ nodes {{ owner }} }} }}')
    live.ask("query($k: String) { items(after: $k) { nodes { id } } }", k=live.keys["bea"])
    live.ask(VIEWER, token=token)
    live.send("GET", f"/nowhere?key={live.keys['bea2']}&token={token}")
    log = live.heard()
    for name, secret in {**live.keys, "token": token, "hook": HOOK_SECRET, "e-mail": EMAIL}.items():
        assert secret not in log, name
    assert "Traceback" not in log
