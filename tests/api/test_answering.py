"""Pages of links and the notices that carry them: a GET decides nothing, a POST is a governed answer, nothing withheld is told."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.effect_settings import EffectorTables, NoticeTable
from api.effectors import make_effectors
from api.errors import SettingsError
from api.platform import Noesis
from coordination import proposals
from coordination.effectors.effector import Effect, Receipt
from coordination.effectors.notice import Notice, NoticeSettings
from coordination.effectors.smtp import Smtp, SmtpSettings
from coordination.errors import GiveUp
from coordination.proposals import Draft, Origin, Proposal
from governance.decisions import record
from governance.links import Keys
from governance.people import ensure_principal
from governance.principals import Principal, load_principal
from governance.verdict import Request, Requirement, Resource, Verdict
from kg.model import Cause, Link, Put
from kg.values import Json
from tests.api.client import Client
from tests.api.parts import SYSTEM
from tests.coordination.effectors.parts import effect, mailing

KEY = "0123456789abcdef0123456789abcdef"
TABLE = NoticeTable(
    url="http://127.0.0.1:8400", keys=("link",), by="webhook", address="http://127.0.0.1:9/hook", minutes=60
)
PERSON = 'User::"amy"'


@pytest.fixture(name="noticing")
def _noticing(platform: Noesis) -> Noesis:
    """The platform with notices, a manager who has an address, and a decision that waits for one."""
    ensure_principal(platform.store, platform.clock, "User", "amy", SYSTEM, roles=["admin"])
    ensure_principal(platform.store, platform.clock, "Agent", "seller", SYSTEM)
    amy = load_principal(platform.store, PERSON)
    platform.store.commit([Put(str(amy.entity), "User", {"email": "amy@example.org"})], Cause("mail", "people", "t"))
    update = {"effectors": EffectorTables(notice=TABLE), "secrets": {"link": SecretStr(KEY)}}
    settings = platform.settings.model_copy(update=update)
    return replace(platform, settings=settings)


def waits(platform: Noesis, rationale: str = "stock is <b>low</b>", labels: tuple[str, ...] = ()) -> str:
    draft = Draft(
        "order.create", "customer0000", (Put("customer0000", "Customer", {"rating": 5}),), rationale=rationale
    )
    put = proposals.put(draft, Origin("seller", "1", None, "work", "hash", 1, 1), 0, labels)
    request = Request(
        Principal("Agent", "seller"), "apply", Resource("Customer", "customer0000"), {"operation": "order.create"}
    )
    verdict = Verdict("needs_approval", required=(Requirement("big", {"admin": 1}),), reason="needs approval: big")
    writes = (put, *record("decision1", request, verdict), Link(put.id, "decidedBy", "decision1"))
    platform.store.commit(writes, Cause("proposed", "act", 'Agent::"seller"'))
    proposal = Proposal(platform.store.get([put.id])[put.id])
    platform.store.commit([proposal.move("waiting_approval")], Cause("waits", "decide", "t"))
    return put.id


class Carrier:
    """What carries notices, kept."""

    kind, idempotent, can_look_up = "webhook", True, False

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Json]] = []

    def act(self, effect: Effect) -> Receipt:
        self.sent.append(effect.payload)
        return Receipt("ref", {"status": 200, "answer": str(effect.payload)})


def notice(platform: Noesis, carrier: Any) -> Notice:
    settings = NoticeSettings(TABLE.url, Keys({"link": KEY.encode()}), "webhook", TABLE.address)
    return Notice(settings, carrier, platform.store, platform.clock, platform.view)


def told(platform: Noesis, person: str = PERSON, **more: Any) -> Any:
    carrier = Carrier()
    payload = {"person": person, "decision": "decision1", **more}
    receipt = notice(platform, carrier).act(effect(payload))
    assert "token" not in json.dumps(dict(receipt.detail)), "the token stands in no receipt"
    (sent,) = carrier.sent
    return sent


def way(platform: Noesis) -> tuple[TestClient, str]:
    """A browser without a key, and the path of a fresh link."""
    link = urlsplit(told(platform)["body"]["link"])
    http = Client(platform, peer=("203.0.113.9", 4)).http
    return http, f"{link.path}?{link.query}"


def token(path: str) -> str:
    return parse_qs(urlsplit(path).query)["token"][0]


def position(platform: Noesis) -> int:
    return platform.store.head().position


def test_opening_the_link_shows_what_is_asked_and_decides_nothing(noticing: Noesis) -> None:
    waits(noticing)
    http, path = way(noticing)
    before = position(noticing)
    for _ in range(3):
        page = http.get(path)
        assert page.status_code == 200
        assert http.head(path).status_code in (200, 405)
    assert position(noticing) == before
    assert "order.create" in page.text
    assert "stock is &lt;b&gt;low&lt;/b&gt;" in page.text, "what the graph holds is text"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "same-origin")
    assert "<script" not in page.text


def test_the_post_is_the_persons_own_governed_answer_once(noticing: Noesis) -> None:
    waits(noticing)
    http, path = way(noticing)
    form = {"token": token(path), "answer": "approve", "comment": "fine"}
    done = http.post(path, data=form, headers={"origin": "http://127.0.0.1:8400"})
    assert (done.status_code, "on record" in done.text) == (200, True)
    (answer,) = noticing.store.find("Approval").items
    assert (answer["principal"], answer["comment"]) == (PERSON, "fine")
    for other in (http.post(path, data=form), http.post(path, data={**form, "answer": "reject"}), http.get(path)):
        assert other.status_code == 403
        assert "used already" in other.text
    assert len(noticing.store.find("Approval").items) == 1
    assert token(path) not in json.dumps(
        [{k: str(v) for k, v in e.properties.items()} for cls in ("Decision", "Approval", "Proposal")
         for e in noticing.store.find(cls, first=100).items]
    )  # fmt: skip


def test_a_proposal_that_moved_on_is_not_answered_by_an_old_link(noticing: Noesis) -> None:
    proposal = Proposal(noticing.store.get([waits(noticing)]).popitem()[1])
    http, path = way(noticing)
    noticing.store.commit([proposal.move("superseded", "edited")], Cause("moved", "t", "t"))
    refused = http.post(path, data={"token": token(path), "answer": "approve"})
    assert (refused.status_code, "has changed since" in refused.text) == (403, True)
    assert not noticing.store.find("Approval").items


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("token=x&answer=approve", "application/x-www-form-urlencoded", "opens nothing"),
        ("answer=approve", "application/x-www-form-urlencoded", "opens nothing"),
        ("token=TOKEN&answer=maybe", "application/x-www-form-urlencoded", "approve or reject"),
        ("token=TOKEN", "application/x-www-form-urlencoded", "approve or reject"),
        ("token=TOKEN&answer=approve&answer=reject", "application/x-www-form-urlencoded", "says something twice"),
        ('{"token": "TOKEN", "answer": "approve"}', "application/json", "sent as a form"),
        ("token=TOKEN&answer=approve", "text/plain", "sent as a form"),
        ("token=TOKEN&answer=approve&comment=" + "x" * 60_000, "application/x-www-form-urlencoded", "shorten"),
        ("token=TOKEN&answer=approve&comment=" + "x" * 20_000, "application/x-www-form-urlencoded", "shorten"),
        ("&".join(f"f{n}=1" for n in range(50)), "application/x-www-form-urlencoded", "no form"),
        ("token=%ff&answer=approve", "application/x-www-form-urlencoded", "no form"),
    ],
)
def test_what_is_no_answer_is_refused_in_a_sentence(noticing: Noesis, body: str, kind: str, said: str) -> None:
    waits(noticing)
    http, path = way(noticing)
    text = body.replace("TOKEN", token(path))
    refused = http.post("/answer", content=text, headers={"content-type": kind})
    assert (refused.status_code in (400, 403), said in refused.text) == (True, True), refused.text
    assert not noticing.store.find("Approval").items


def test_other_pages_cannot_post_it_and_without_notices_there_is_no_way(noticing: Noesis, platform: Noesis) -> None:
    waits(noticing)
    http, path = way(noticing)
    form = {"token": token(path), "answer": "approve"}
    for origin in ("https://evil.example", "null"):
        assert http.post(path, data=form, headers={"origin": origin}).status_code == 403
    assert http.put(path, data=form).status_code == 405
    assert Client(platform).http.get(path).status_code == 404
    assert not noticing.store.find("Approval").items


def test_a_notice_tells_what_its_receiver_may_see_and_nothing_labelled(noticing: Noesis) -> None:
    waits(noticing, "her mail is c0@example.org", ("pii@Customer",))
    sent = told(noticing)
    assert sent["url"] == TABLE.address
    assert "c0@example.org" not in json.dumps(sent)
    assert "What: order.create" in sent["body"]["lines"]
    assert re.match(r"http://127\.0\.0\.1:8400/answer\?token=n1\.link\.", sent["body"]["link"])


@pytest.mark.parametrize(
    "payload",
    [
        {"person": 'User::"anna"', "decision": "decision1", "to": "evil@example.com"},
        {"person": PERSON, "decision": "decision1", "breakGlass": "b"},
        {"person": PERSON},
        {"person": PERSON, "decision": "nothing"},
        {"person": PERSON, "decision": "customer0000"},
        {"person": PERSON, "breakGlass": "decision1"},
        {"person": 'User::"nobody"', "decision": "decision1"},
        {"person": 'Agent::"seller"', "decision": "decision1"},
        {"person": 'Service::"shop"', "decision": "decision1"},
        {"person": 7, "decision": "decision1"},
        # Who may not see the decision is told nothing of it, not even that it is there.
        {"person": 'User::"blind"', "decision": "decision1"},
    ],
)
def test_a_notice_goes_to_nobody_else_and_says_nothing_else(noticing: Noesis, payload: dict[str, Any]) -> None:
    waits(noticing)
    ensure_principal(noticing.store, noticing.clock, "User", "blind", SYSTEM)
    carrier = Carrier()
    for act in (notice(noticing, carrier).act, notice(noticing, carrier).simulate):
        with pytest.raises(GiveUp):
            act(effect(payload))
    assert carrier.sent == []


def test_i5_who_stands_behind_a_proposal_gets_no_link(noticing: Noesis) -> None:
    request = Request(load_principal(noticing.store, PERSON), "apply", Resource("Order", "new"), {})
    verdict = Verdict("needs_approval", required=(Requirement("big", {"admin": 1}),))
    noticing.store.commit(record("decision1", request, verdict), Cause("own", "t", "t"))
    with pytest.raises(GiveUp, match="stands behind"):
        told(noticing)


def test_by_mail_it_goes_to_the_persons_own_address(noticing: Noesis) -> None:
    waits(noticing, "line\r\nBcc: evil@example.com")

    def address(id: str, name: str) -> str | None:
        return str(noticing.store.get([id])[id][name])

    with mailing() as mail:
        smtp = Smtp(SmtpSettings("127.0.0.1", mail.port, "noesis@corp.example", tls="none", seconds=20), address)
        made = Notice(
            NoticeSettings(TABLE.url, Keys({"link": KEY.encode()})), smtp, noticing.store, noticing.clock, noticing.view
        )
        made.act(effect({"person": PERSON, "decision": "decision1"}))
    ((receivers, text),) = mail.taken
    assert receivers == ["amy@example.org"]
    assert "/answer?token=3Dn1." in text or "/answer?token=n1." in text
    assert not re.search(r"^Bcc:", text, re.MULTILINE)


def test_settings_that_cannot_work_are_refused(noticing: Noesis) -> None:
    def make(secrets: dict[str, SecretStr], **table: Any) -> Any:
        update = {
            "effectors": EffectorTables(notice=TABLE.model_copy(update=table)),
            "secrets": secrets,
            "webhook_secret": SecretStr("s") if table.get("by") != "smtp" else None,
        }
        settings = noticing.settings.model_copy(update=update)
        return make_effectors(settings, noticing.clock, noticing.store, noticing.view)

    good = {"link": SecretStr(KEY)}
    assert [effector.kind for effector in make(good)] == ["webhook", "notice"]
    for secrets, table, said in (
        ({}, {}, "not there"),
        ({"link": SecretStr("short")}, {}, "32 bytes"),
        (good, {"by": "smtp"}, "effectors.smtp"),
        (good, {"address": ""}, "names no address"),
    ):
        with pytest.raises(Exception, match=said) as refused:
            make(secrets, **table)
        assert isinstance(refused.value, SettingsError) or "link key" in str(refused.value)
