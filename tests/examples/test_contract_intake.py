"""Contract intake: readings proven by their spans, signatures by amount and deviation, deadlines that remind months later."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from examples.contract_intake.functions import obligations, unproven
from kg.model import Cause, Put
from tests.examples.office import Office, filled, killed_often, rewritten, spare

DAY = 86_400.0
#: Readers that make things up, in the place of the plain ones; the workflow is not touched.
INVENTING = """
from dataclasses import replace

from agents.reasoners.asked import Asked
from coordination.acting import Answer
from examples.contract_intake.agents import AGENTS as PLAIN


def worse(plain):
    def read(asked, context):
        found = plain.respond(asked, context)
        if "fee" in found.output["terms"]:
            found.output["terms"]["fee"]["value"] = "800.00"
        return found

    return replace(plain, respond=read)


AGENTS = tuple(worse(agent) if "extractor" in agent.name else agent for agent in PLAIN)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return filled("contract_intake", tmp_path_factory.mktemp("contracts"))


@pytest.fixture
def office(made: tuple[Path, Path], tmp_path: Path) -> Iterator[Office]:
    with spare(made, tmp_path) as office:
        yield office


def contract(office: Office, number: str) -> Any:
    (found,) = office.all("Contract", contractNo=number)
    return found


def until(office: Office, day: str) -> None:
    office.later((datetime.fromisoformat(f"{day}T00:00:01").replace(tzinfo=UTC) - office.clock.now()).total_seconds())


def test_a_small_usual_contract_needs_nobody_and_its_clauses_stand_in_the_text(office: Office) -> None:
    office.play({"contract": "K-1"})
    found = contract(office, "K-1")
    assert (found["status"], found["risk"], found["known"]) == ("accepted", "low", True)
    assert "deviations" not in found.properties
    text = str(found["text"])
    for clause in office.all("Clause"):
        assert str(clause["says"]) in text[int(str(clause["from"])) : int(str(clause["to"]))]
    assert {str(clause["kind"]) for clause in office.all("Clause")} == {"payment", "liability", "notice"}
    assert office.open() == []


def test_reminders_come_before_the_day_and_not_of_what_was_done(office: Office) -> None:
    run = office.play({"contract": "K-1"})
    assert sorted((str(o["dueOn"]), str(o["what"])) for o in office.all("Obligation")) == [
        ("2026-05-01", "pay the first fee"),
        ("2026-12-31", "give notice, or it runs on"),
        ("2027-03-31", "it ends"),
    ]
    until(office, "2026-04-16")
    assert [str(o["state"]) for o in office.all("Obligation")] == ["open"] * 3
    until(office, "2026-04-17")
    (first,) = office.all("Obligation", state="reminded")
    assert first["what"] == "pay the first fee"
    (notice,) = office.all("Obligation", what="give notice, or it runs on")
    done = Cause(office.clock.id(), "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(notice.id, "Obligation", {"state": "done"})], done)
    until(office, "2027-03-18")
    assert office.output(run) == {"contract": "K-1", "status": "accepted"}
    assert Counter(str(o["state"]) for o in office.all("Obligation")) == {"reminded": 2, "done": 1}


@pytest.mark.parametrize(
    ("number", "signers"), [("K-2", ["finn"]), ("K-3", ["finn", "dana", "dirk"]), ("K-4", ["lena"]), ("K-9", ["finn"])]
)
def test_amount_and_deviations_say_who_signs(office: Office, number: str, signers: list[str]) -> None:
    office.play({"contract": number})
    for signer in signers:
        assert contract(office, number)["status"] == "read", f"not before {signer} signs"
        office.answer(signer)
    assert contract(office, number)["status"] == "accepted"


def test_one_director_is_not_two_and_others_do_not_count(office: Office) -> None:
    office.play({"contract": "K-3"})
    for signer in ("finn", "dana", "lena"):
        office.answer(signer)
    assert contract(office, "K-3")["status"] == "read"
    office.answer("dora")
    assert contract(office, "K-3")["status"] == "accepted"


def written(office: Office, number: str, *changes: tuple[str, str]) -> None:
    """The contract came with other words."""
    found = contract(office, number)
    text = str(found["text"])
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    cause = Cause(office.clock.id(), "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(found.id, "Contract", {"text": text})], cause)


@pytest.mark.parametrize(
    ("number", "change", "deviations"),
    [
        ("K-1", ("within 30 days", "within 31 days"), ("payment: 31 days, we grant 30 days",)),
        ("K-1", ("given 90 days", "given 91 days"), ("notice: 91 days, we grant 90 days",)),
        ("K-1", ("limited to", "UNLIMITED up to"), ("liability: UNLIMITED up to the yearly fee",)),
        ("K-7", ("Payment: 30 days", "Payment: at once"), ("payment: at once, we grant 30 days",)),
        ("K-7", ("Notice: 90 days\n", ""), ("no clause on notice",)),
    ],
)
def test_each_way_to_leave_the_standard_is_a_deviation_that_legal_signs(
    office: Office, number: str, change: tuple[str, str], deviations: tuple[str, ...]
) -> None:
    written(office, number, change)
    office.play({"contract": number})
    assert (contract(office, number)["deviations"], contract(office, number)["risk"]) == (deviations, "high")
    assert [decision["required"] for decision in office.open()] == [("legal=legal:1",)]


def test_only_another_contract_that_says_all_the_same_is_a_duplicate(office: Office) -> None:
    written(office, "K-6", ("from 2026-04-01", "from 2026-05-01"))
    for number in ("K-1", "K-4", "K-6", "K-1"):
        office.play({"contract": number})
        assert "duplicateOf" not in contract(office, number).properties, number


def test_of_two_counterparties_of_one_name_neither_is_known(office: Office) -> None:
    twin = Put("twin", "Counterparty", {"counterpartyNo": "P-9", "partyName": "Castell Ltd"})
    office.platform.store.commit([twin], Cause(office.clock.id(), "ingest", 'Service::"ingest"'))
    assert office.output(office.play({"contract": "K-1"}))["status"] == "refused"
    assert contract(office, "K-1")["known"] is False


@pytest.mark.parametrize(("fee", "signers"), [("10,000.00", 0), ("10,000.01", 1), ("100,000.00", 1), ("100,000.01", 2)])
def test_a_limit_is_passed_by_a_cent(office: Office, fee: str, signers: int) -> None:
    written(office, "K-1", ("8,000.00", fee))
    office.play({"contract": "K-1"})
    assert sum(len(decision["required"]) for decision in office.open()) == signers


def test_what_is_due_on_one_day_is_kept_apart(office: Office) -> None:
    written(office, "K-7", ("Notice: 90 days", "Notice: 0 days"))
    office.play({"contract": "K-7"})
    owed = sorted((str(o["dueOn"]), str(o["what"])) for o in office.all("Obligation"))
    assert owed[1:] == [("2027-03-31", "give notice, or it runs on"), ("2027-03-31", "it ends")]
    contracts = {
        edge.entity["contractNo"] for o in office.all("Obligation") for edge in related(office, o.id, "owedUnder")
    }
    assert contracts == {"K-7"}


def related(office: Office, id: str, relation: str) -> Any:
    return office.platform.store.expand([id], relation, first=10)[id]


def test_a_deviation_is_named(office: Office) -> None:
    office.play({"contract": "K-4"})
    assert contract(office, "K-4")["deviations"] == ("liability: unlimited",)
    (open_,) = office.open()
    assert open_["required"] == ("legal=legal:1",)


def test_an_unknown_counterparty_and_a_duplicate_cannot_be_signed_by_anybody(office: Office) -> None:
    office.play({"contract": "K-1"})
    for number, why in (("K-5", "known"), ("K-6", "duplicateOf")):
        told = office.output(office.play({"contract": number}))
        assert (told["status"], contract(office, number)["status"]) == ("refused", "refused")
        assert "known-and-new" in told["why"]
        assert why in contract(office, number).properties
    assert contract(office, "K-6")["duplicateOf"] == "K-1"
    assert office.open() == []


@pytest.mark.parametrize("silent", [True, False])
def test_without_the_signature_nothing_is_owed(office: Office, silent: bool) -> None:
    run = office.play({"contract": "K-2"})
    if silent:
        office.later(8 * DAY)
    else:
        office.answer("finn", "reject", "we do not need it")
    assert office.output(run)["status"] == "refused"
    assert office.all("Obligation") == []


def test_what_the_first_reader_cannot_read_the_second_does(office: Office) -> None:
    office.play({"contract": "K-7"})
    assert contract(office, "K-7")["status"] == "accepted"
    states = Counter((str(a["agent"]), str(a["state"])) for a in office.all("AgentAnswer"))
    assert states[("extractor", "poor")] == 2, "tried again once"
    assert states[("form-extractor", "good")] == 1


@pytest.mark.parametrize(("answer", "status"), [("approve", "returned"), ("reject", "with a person")])
def test_what_no_reader_reads_goes_to_a_person_in_five_parts(office: Office, answer: Any, status: str) -> None:
    run = office.play({"contract": "K-8"})
    (advice,) = office.all("Recommendation")
    assert advice["what"] == "Return contract K-8 to its sender"
    assert advice["evidence"] == (contract(office, "K-8").id,)
    assert "confidence is 0" in str(advice["rationale"])
    assert {"alternatives", "risk"} <= set(advice.properties)
    office.answer("lena", answer)
    assert office.output(run)["status"] == contract(office, "K-8")["status"] == status


def test_a_reader_that_makes_a_fee_up_is_caught_by_its_own_span(made: tuple[Path, Path], tmp_path: Path) -> None:
    """Other agents, the same workflow: 800 EUR would have needed nobody's signature."""
    with spare(rewritten(made, tmp_path, "agents.py", lambda _: INVENTING), tmp_path) as office:
        office.play({"contract": "K-3"})
        assert [a["state"] for a in office.all("AgentAnswer", agent="extractor")] == ["good", "good"]
        (advice,) = office.all("Recommendation")
        assert contract(office, "K-3").get("status") is None
    assert "confidence" in str(advice["rationale"]), "the other reader reads no prose"


def test_a_span_that_does_not_hold_the_value_is_unproven() -> None:
    terms = {
        name: {"value": value, "from": at, "to": at + 10}
        for name, value, at in (("start", "2026-04-01", 0), ("end", "2026-03-01", 11))
    }
    assert unproven("2026-04-01 2026-04-30", {"terms": terms, "clauses": {}}) == [
        "end: '2026-03-01' does not stand at 11 to 21",
        "it ends before it starts",
    ]


@pytest.mark.parametrize("fee", ["8000.00", "0.00", "00", "48000.0", "4", ""])
def test_a_part_of_a_number_does_not_stand_there(fee: str) -> None:
    text = "2026-04-01 2026-04-30 The fee is 48,000.00 EUR"
    terms = {
        name: {"value": value, "from": at, "to": to}
        for name, value, at, to in (("start", "2026-04-01", 0, 10), ("end", "2026-04-30", 11, 21), ("fee", fee, 22, 99))
    }
    assert unproven(text, {"terms": terms, "clauses": {}}) == [f"fee: {fee!r} does not stand at 22 to 99"]
    terms["fee"]["value"] = "48000.00"
    assert unproven(text, {"terms": terms, "clauses": {}}) == []
    liability = {"liability": {"value": "Unlimited", "from": 0, "to": 10}}
    assert unproven(text, {"terms": terms, "clauses": liability}) == [
        "liability: 'Unlimited' does not stand at 0 to 10"
    ]


def test_one_day_may_be_both_beginning_and_end_and_words_without_a_number_are_no_days() -> None:
    terms = {name: {"value": "2026-04-01", "from": 0, "to": 10} for name in ("start", "end")}
    assert unproven("2026-04-01", {"terms": terms, "clauses": {}}) == []
    clauses = {"payment": {"value": "at once"}, "notice": {"value": "90 days"}}
    terms["end"]["value"] = "2027-03-31"
    assert [(item["what"], item["due"]) for item in obligations({"terms": terms, "clauses": clauses})] == [
        ("pay the first fee", "2026-04-01"),
        ("give notice, or it runs on", "2026-12-31"),
        ("it ends", "2027-03-31"),
    ]


def test_without_a_clause_there_is_no_deadline_of_it() -> None:
    terms = {name: {"value": value} for name, value in (("start", "2026-04-01"), ("end", "2027-03-31"))}
    found = obligations({"terms": terms, "clauses": {}})
    assert found == [{"what": "it ends", "due": "2027-03-31", "remind": "2027-03-17"}]


def test_killed_after_any_commit_it_is_signed_once_and_reminds_once(made: tuple[Path, Path], tmp_path: Path) -> None:
    def drive(office: Office) -> None:
        office.play({"contract": "K-2"}, id="k-2")
        office.answer("finn")
        until(office, "2027-03-18")

    def check(office: Office) -> None:
        assert office.state("k-2") == "completed"
        done = Counter(str(e["operation"]) for e in office.all("Effect", status="done"))
        assert (done["contract.accept"], done["obligation.keep"], done["obligation.remind"]) == (1, 3, 3)

    killed_often(made, tmp_path, drive, check)
