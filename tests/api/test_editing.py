"""Editing a waiting proposal from outside: read by the ontology, within what the editor may see, refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import run
from api.editing import TEXT_MAX, parse_edit
from api.errors import BadRequestError
from api.platform import Noesis
from coordination import proposals
from coordination.proposals import MOVES, OPEN, Draft, Origin, Proposal
from governance.approvals import CLOSED
from governance.decisions import record
from governance.people import ensure_principal
from governance.principals import Principal
from governance.rules import add
from governance.verdict import Request, Requirement, Resource, Verdict
from kg.model import Cause, Link, Put
from tests.api.client import Client
from tests.api.parts import SYSTEM, key

EDIT = """mutation($edit: JSON!, $reason: String! = "better so") {
  editProposal(decision: "decision1", edit: $edit, reason: $reason) {
    proposal { id ... on Proposal { state editors editReason } } errors { code message } } }"""


@pytest.fixture(name="waits")
def _waits(platform: Noesis) -> str:
    """A proposal that changes a customer and waits for an admin; its id."""
    ensure_principal(platform.store, platform.clock, "Agent", "seller", SYSTEM)
    write = Put("customer0000", "Customer", {"rating": 5, "email": "new@example.org"})
    put = proposals.put(
        Draft("customer.update", "customer0000", (write,)),
        Origin("seller", "1", None, "work", "hash", 1, 1), 0, ("pii@Customer",),
    )  # fmt: skip
    request = Request(Principal("Agent", "seller"), "apply", Resource("Customer", "customer0000"), {})
    verdict = Verdict("needs_approval", required=(Requirement("big", {"admin": 1}),), reason="needs approval: big")
    writes = (put, *record("decision1", request, verdict), Link(put.id, "decidedBy", "decision1"))
    platform.store.commit(writes, Cause("proposed", "act", 'Agent::"seller"'))
    proposal = Proposal(platform.store.get([put.id])[put.id])
    platform.store.commit([proposal.move("waiting_approval")], Cause("waits", "decide", "t"))
    return put.id


def test_an_edit_is_a_new_proposal_of_the_caller(platform: Noesis, client: Client, waits: str) -> None:
    found = client.data(EDIT, edit={"values": {"customer0000": {"rating": 3, "email": None}}})["editProposal"]
    assert found["errors"] == []
    assert found["proposal"]["editors"] == ['User::"local"']
    new = next(p for p in platform.store.find("Proposal").items if p.id != waits)
    (write,) = Proposal(new).writes
    assert isinstance(write, Put)
    assert (dict(write.set), write.unset) == ({"rating": 3}, frozenset({"email"}))
    assert platform.store.get([waits])[waits]["state"] == "superseded"
    again = client.data(EDIT, edit={"values": {"customer0000": {"rating": 2}}})["editProposal"]
    assert "is superseded" in again["errors"][0]["message"]
    query = 'mutation { %s(decision: "decision1") { met approval { id } errors { code message } } }'
    for name in ("approve", "reject"):
        told = client.data(query % name)[name]
        assert (told["met"], told["approval"], told["errors"][0]["code"]) == (False, None, "CONFLICT")
        assert "no longer open: its proposal is superseded" in told["errors"][0]["message"]
    assert platform.store.find("Approval").items == ()


def test_an_answer_given_before_the_edit_is_not_told_as_if_it_counted(
    platform: Noesis, client: Client, waits: str
) -> None:
    query = 'mutation { approve(decision: "decision1") { met repeated errors { code } } }'
    assert client.data(query)["approve"] == {"met": True, "repeated": False, "errors": []}
    assert client.data(query)["approve"] == {"met": True, "repeated": True, "errors": []}
    proposal = Proposal(platform.store.get([waits])[waits])
    platform.store.commit([proposal.move("superseded", "edited")], Cause("moved", "t", "t"))
    assert client.data(query)["approve"] == {"met": False, "repeated": False, "errors": [{"code": "CONFLICT"}]}


def test_what_closes_a_decision_are_the_states_that_wait_for_nobody() -> None:
    assert set(MOVES) - set(OPEN) | {"applying"} == CLOSED


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no JSON object"),
        ({}, "an edit has values, payload or amount"),
        ({"target": "customer0001"}, "not target"),
        ({"values": {"customer0001": {"rating": 1}}}, "writes no entity"),
        ({"values": {"customer0000": {"rating": "five"}}}, "rating"),
        ({"values": {"customer0000": {"rating": 2**60}}}, "rating"),
        ({"values": {"customer0000": {"nothing": 1}}}, "nothing"),
        ({"values": {"customer0000": 7}}, "no JSON object"),
        ({"values": {"customer0000": {"rating": 5}}}, "changes nothing"),
        ({"payload": {"url": "x"}}, "has no payload"),
        ({"payload": {"x": float(10**300)}}, "has no payload"),
        ({"amount": 7}, "amount is written as"),
        ({"amount": {"amount": "1e999999", "currency": "EUR"}}, "amount"),
        ({"amount": {"amount": "1.00", "currency": "€\u0000"}}, "amount"),
    ],
)
def test_what_is_no_edit_is_said_in_a_sentence(client: Client, waits: str, given: Any, said: str) -> None:
    found = client.data(EDIT, edit=given)["editProposal"]
    assert found["proposal"] is None
    assert said in found["errors"][0]["message"]
    assert found["errors"][0]["code"] != "INTERNAL"


def test_what_may_not_be_seen_is_not_edited(platform: Noesis, waits: str) -> None:
    seen = "when { resource is Proposal || resource is Decision };"
    text = f'@id("answers") permit(principal == User::"cara", action, resource) {seen}'
    add(platform.store, platform.clock, platform.ontology, text, SYSTEM, "a test needs it")
    ensure_principal(platform.store, platform.clock, "User", "cara", SYSTEM)
    cara = Client(platform, key(platform, 'User::"cara"'))
    found = cara.data(EDIT, edit={"values": {"customer0000": {"rating": 1}}})["editProposal"]
    assert (found["errors"][0]["code"], "may not see" in found["errors"][0]["message"]) == ("FORBIDDEN", True)
    shop = Client(platform, key(platform, 'Service::"shop"'))
    found = shop.data(EDIT, edit={"values": {}})["editProposal"]["errors"][0]
    assert (found["code"], "there is no decision" in found["message"]) == ("NOT_FOUND", True)
    nothing = shop.data(EDIT.replace("decision1", "nothing"), edit={"values": {}})["editProposal"]["errors"][0]
    assert nothing["code"] == "NOT_FOUND", "as where there is none"


def test_the_text_of_an_edit_is_bounded() -> None:
    for text in ("{", "[" * 100_000, '{"values": ' + "1" * TEXT_MAX + "}"):
        with pytest.raises(BadRequestError):
            parse_edit(text)
    assert parse_edit(json.dumps({"values": {}})) == {"values": {}}


def test_the_command_line_refuses_what_is_no_edit(
    platform: Noesis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (("approve", "decision1", "--edit", "{"), "is no JSON"),
        (("approve", "--edit", "{}"), "name the decision"),
        (("approve", "decision1", "--all-of", "x"), "name one decision"),
    ):
        assert run(["--home", str(tmp_path), *arguments]) in (1, 2)
        assert said in capsys.readouterr().err.replace("\n", " ")
