"""Break-glass from outside: GraphQL and the command line open, close and review it; all that is told under it is on record."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import run
from api.graphql.ids import entity_id
from api.metrics import Metrics
from api.platform import Noesis
from api.standing import rows
from governance.breakglass import PREFIX
from governance.people import ensure_principal
from governance.rules import add
from kg.model import Op, Where
from tests.api.client import Client
from tests.api.parts import SYSTEM, key
from tests.api.test_cli import ONTOLOGY
from tests.parts import ManualClock

OPEN = "mutation($reason: String!, $minutes: Int! = 60) { openBreakGlass(reason: $reason, minutes: $minutes) { %s } }"
FIELDS = "breakGlass { id ... on BreakGlass { holder reason validTo } } errors { code message }"
RULES = (
    '@id("emergency-read") permit(principal, action == Action::"read", resource) when { context.breakGlass };',
    '@id("emergency-open") permit(principal in Role::"on-call", action == Action::"configure", resource is BreakGlass) '
    'when { context has operation && context.operation == "breakglass.open" };',
)


@pytest.fixture(name="olga")
def _olga(platform: Noesis) -> Client:
    """Who is on call: may read nothing, may open."""
    ensure_principal(platform.store, platform.clock, "User", "olga", SYSTEM, roles=["on-call"])
    for rule in RULES:
        add(platform.store, platform.clock, platform.ontology, rule, SYSTEM, "a test needs it")
    return Client(platform, key(platform, 'User::"olga"'))


def readings(platform: Noesis) -> list[Any]:
    return list(platform.store.find("Reading", first=100).items)


def test_graphql_opens_it_and_every_reading_is_on_record(
    platform: Noesis, olga: Client, clock: ManualClock, client: Client
) -> None:
    assert olga.data("{ customers { nodes { name } } }")["customers"]["nodes"] == []
    opened = olga.data(OPEN % FIELDS, reason="orders stand still")["openBreakGlass"]
    assert opened["errors"] == []
    assert opened["breakGlass"]["holder"] == 'User::"olga"'
    for _ in range(2):
        assert len(olga.data("{ customers { nodes { name rating } } }")["customers"]["nodes"]) == 3
        olga.data('{ customer(id: "customer0001") { id } }')
    several = [r for r in readings(platform) if r["subjectCount"] == 3]
    assert [set(r["told"]) for r in several] == [{"Customer.*", "Customer.name", "Customer.rating"}] * 2
    single = [r for r in readings(platform) if r["subjects"] == ("customer0001@1",)]
    assert [r["told"] for r in single] == [("Customer.*",)] * 2
    assert {r["breakGlass"] for r in [*several, *single]} == {platform.store.find("BreakGlass", first=1).items[0].id}
    clock.advance(3600)
    assert olga.data("{ customers { nodes { name } } }")["customers"]["nodes"] == []
    again = client.data("{ breakGlasses { nodes { id holder } } }")["breakGlasses"]["nodes"]
    assert [g["holder"] for g in again] == ['User::"olga"']
    review = 'mutation($id: ID!) { reviewBreakGlass(id: $id, finding: "unjustified", comment: "asked") { %s } }'
    shown = client.data(review % "breakGlass { ... on BreakGlass { finding } } errors { code }", id=again[0]["id"])
    assert shown["reviewBreakGlass"] == {"breakGlass": {"finding": "unjustified"}, "errors": []}
    assert (
        olga.data(review % "errors { code }", id=again[0]["id"])["reviewBreakGlass"]["errors"][0]["code"] == "CONFLICT"
    )


def test_a_stranger_learns_of_nobodys_emergency(platform: Noesis, olga: Client, clock: ManualClock) -> None:
    """An id follows from the holder's name and a number, so whoever knows names could ask after each of them."""
    opened = olga.data(OPEN % FIELDS, reason="orders stand still")["openBreakGlass"]
    ids = [entity_id(opened["breakGlass"]["id"]), PREFIX + "0" * 26]
    stranger = Client(platform, key(platform, _user(platform, "stranger")))
    asked = {
        "breakglass.close": 'mutation($id: ID!) { closeBreakGlass(id: $id, reason: "mine") { errors { code message } } }',
        "breakglass.review": 'mutation($id: ID!) { reviewBreakGlass(id: $id, finding: "justified", comment: "c") '
        "{ errors { code message } } }",
    }
    for over in (False, True):
        if over:
            clock.advance(7_200)
        for activity, mutation in asked.items():
            decided = platform.store.count("Decision")
            told = [stranger.post(mutation, {"id": id}).text.replace(id, "ID") for id in ids]
            assert told[0] == told[1]
            assert "NOT_FOUND" in told[0]
            assert platform.store.count("Decision") == decided + 2, "each try is on record, so the log tells no more"
            last = platform.store.find("Decision", [Where("operation", Op.EQ, activity)], first=100).items
            assert [one["outcome"] for one in last[-2:]] == ["deny"] * 2
    closed = olga.data(asked["breakglass.close"], id=ids[0])["closeBreakGlass"]
    assert "is over already" in closed["errors"][0]["message"], "whoever holds it is told how it stands"


def _user(platform: Noesis, name: str) -> str:
    ensure_principal(platform.store, platform.clock, "User", name, SYSTEM)
    return f'User::"{name}"'


def test_what_goes_wrong_is_a_user_error(platform: Noesis, olga: Client, clock: ManualClock) -> None:
    for reason, minutes, code in ((" ", 60, "CONFLICT"), ("fire", 10_000, "CONFLICT"), ("fire", 0, "CONFLICT")):
        found = olga.data(OPEN % "errors { code message }", reason=reason, minutes=minutes)["openBreakGlass"]
        assert found["errors"][0]["code"] == code
    anna = Client(platform, key(platform, 'User::"anna"'))
    assert anna.data(OPEN % "errors { code }", reason="fire")["openBreakGlass"]["errors"] == [{"code": "FORBIDDEN"}]
    olga.data(OPEN % "errors { code }", reason="fire")
    second = olga.data(OPEN % "errors { message }", reason="longer")["openBreakGlass"]["errors"][0]["message"]
    assert "is not extended" in second
    id = platform.store.find("BreakGlass", first=1).items[0].id
    close = 'mutation($id: ID!) { closeBreakGlass(id: $id, reason: "out") { errors { code } } }'
    assert anna.data(close, id=id)["closeBreakGlass"]["errors"] == [{"code": "FORBIDDEN"}]
    assert olga.data(close, id=id)["closeBreakGlass"]["errors"] == []
    clock.advance(1)
    assert olga.data("{ customers { nodes { name } } }")["customers"]["nodes"] == []
    assert olga.data(close, id=id)["closeBreakGlass"]["errors"] == [{"code": "CONFLICT"}]
    assert olga.data(close, id="nothing")["closeBreakGlass"]["errors"] == [{"code": "NOT_FOUND"}]


def test_a_service_and_a_header_do_not_get_it(platform: Noesis, olga: Client) -> None:
    olga.data(OPEN % "errors { code }", reason="fire")
    shop = Client(platform, key(platform, 'Service::"shop"'))
    for name in ("Noesis-Break-Glass", "Noesis-Purpose", "breakGlass"):
        shop.http.headers[name] = "true"
    assert shop.data("{ orders { nodes { number } } }")["orders"]["nodes"] == []


def test_metrics_tell_until_it_is_reviewed(platform: Noesis, olga: Client) -> None:
    def gauge() -> dict[str, float]:
        return next(dict(values) for name, _, _, values in rows(platform) if name == "noesis_break_glass_unreviewed")

    assert gauge() == {"open": 0, "over": 0}
    olga.data(OPEN % "errors { code }", reason="fire")
    assert gauge() == {"open": 1, "over": 0}
    metrics = Metrics()
    metrics.count("noesis.break_glass", {"what": "opened"})
    assert b'noesis_break_glass_total{what="opened"} 1.0' in metrics.text()[0]


def test_the_command_line_opens_reviews_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)
    rules = "\n".join(RULES) + '\n@id("boss") permit(principal in Role::"boss", action, resource);'
    files = {
        "noesis.toml": 'ontology = ["shop.ttl"]\nrules = "rules.cedar"\npeople = "people.yaml"\n',
        "shop.ttl": ONTOLOGY,
        "rules.cedar": rules,
        "people.yaml": "roles: [boss, on-call]\nusers: [{name: bea, roles: [boss]}, {name: olga, roles: [on-call]}]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def noesis(*arguments: str, code: int = 0) -> Any:
        assert run(["--project", str(tmp_path), *arguments]) == code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.err if code else json.loads(captured.out) if "--json" in arguments else captured.out

    noesis("init")
    assert "needs a reason" in noesis("--as", "olga", "breakglass", "open", "-m", " ", code=1)
    assert "lasts 1 to" in noesis("--as", "olga", "breakglass", "open", "-m", "fire", "--minutes", "481", code=1)
    assert noesis("--as", "olga", "breakglass", "list", "--json") == []
    opened = noesis("--as", "olga", "breakglass", "open", "-m", "fire", "--minutes", "5", "--json")
    assert noesis("--as", "olga", "breakglass", "list", "--json")[0]["stage"] == "open"
    assert 'Break-glass of User::"olga" is open: fire' in noesis("--as", "bea", "inbox")
    assert "is open" in noesis("--as", "bea", "breakglass", "review", opened["id"], "justified", "-m", "ok", code=1)
    # What is refused under it names it too.
    assert "may not" in noesis("--as", "olga", "keys", "add", "mine", "--for", "olga", code=1)
    noesis("--as", "olga", "breakglass", "close", opened["id"], "-m", "out")
    (left,) = noesis("--as", "bea", "inbox", "--json")
    assert (left["stage"], left["id"]) == ("over", opened["id"])
    assert "own break-glass" in noesis(
        "--as", "olga", "breakglass", "review", opened["id"], "justified", "-m", "ok", code=1
    )
    reviewed = noesis("--as", "bea", "breakglass", "review", opened["id"], "justified", "-m", "seen", "--json")
    assert reviewed["properties"]["finding"] == "justified"
    assert noesis("--as", "bea", "inbox", "--json") == []
    made = noesis("--as", "bea", "audit", "report", opened["id"], "--out", str(tmp_path / "report"), "--json")
    assert made["decisions"] == 1
    page = (tmp_path / "report" / "report.html").read_text()
    assert all(
        word in page for word in ("It was made under breakGlass", "reason fire", "finding justified", "comment seen")
    )
