"""Telecom: billing sees the network's outage, fraud sees three departments together, and a person stops a line or nobody does."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordination.proposals import Proposal
from kg.model import Cause, Link, Put
from kg.values import Money
from tests.examples.office import Office, filled, spare


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return filled("telecom", tmp_path_factory.mktemp("telecom"))


@pytest.fixture
def office(made: tuple[Path, Path], tmp_path: Path) -> Iterator[Office]:
    with spare(made, tmp_path) as office:
        yield office


def subscriber(office: Office, number: str) -> Any:
    (found,) = office.all("Subscriber", subscriberNo=number)
    return found


@pytest.mark.parametrize(
    ("number", "credit"), [("S-1", "applied"), ("S-2", "nothing due"), ("S-4", "applied"), ("S-5", "nothing due")]
)
def test_one_sign_alone_is_no_fraud_and_an_outage_is_credited(office: Office, number: str, credit: str) -> None:
    output = office.output(office.play({"subscriber": number}))
    assert output == {"subscriber": number, "fraud": "nothing seen", "credit": credit}
    expected = Money(Decimal("4.50"), "EUR") if credit == "applied" else None
    assert subscriber(office, number).get("credited") == expected


def test_the_credit_rests_on_the_outage(office: Office) -> None:
    office.play({"subscriber": "S-1"})
    (proposal,) = office.all("Proposal", operation="bill.credit")
    (outage,) = office.all("Outage")
    assert outage.id in {item.id for item in Proposal(proposal).evidence}


def test_a_confirmed_fraud_is_stopped_and_credited_nothing(office: Office) -> None:
    run = office.play({"subscriber": "S-3"})
    assert "onHold" not in subscriber(office, "S-3").properties
    (question,) = office.answer("fred")
    assert question["operation"] == "line.hold"
    assert office.output(run) == {"subscriber": "S-3", "fraud": "applied", "credit": "denied"}
    assert subscriber(office, "S-3")["onHold"] is True
    assert "credited" not in subscriber(office, "S-3").properties


@pytest.mark.parametrize("silent", [True, False])
def test_without_a_yes_no_line_is_stopped(office: Office, silent: bool) -> None:
    run = office.play({"subscriber": "S-3"})
    if silent:
        office.later(7.1 * 86_400)
    else:
        office.answer("fred", "reject", "I called: it is the subscriber")
    assert office.output(run)["credit"] == "applied"
    assert "onHold" not in subscriber(office, "S-3").properties


@pytest.mark.parametrize(("days", "times"), [(4, 100), (1, 10)])
def test_what_comes_days_after_a_swap_or_is_not_far_from_usual_is_no_fraud(
    office: Office, days: int, times: int
) -> None:
    """S-4 swapped its SIM on 10 February; within three days more than ten times the usual minutes would be a sign."""
    line = subscriber(office, "S-4")
    booked = {"transactionNo": "X-new", "minutesAbroad": line["usualMinutes"] * times, "day": date(2026, 2, 10 + days)}
    cause = Cause("abroad", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put("x-new", "Transaction", booked), Link("x-new", "bookedTo", line.id)], cause)
    assert office.output(office.play({"subscriber": "S-4"}))["fraud"] == "nothing seen"


def test_an_outage_is_credited_once(office: Office) -> None:
    office.play({"subscriber": "S-1"})
    assert office.output(office.play({"subscriber": "S-1"}))["credit"] == "nothing due"
    assert len(office.all("Proposal", operation="bill.credit")) == 1


def booked(office: Office, number: str, day: date, minutes: int, id: str = "x-new") -> None:
    """A transaction of a line."""
    write = Put(id, "Transaction", {"transactionNo": id.upper(), "minutesAbroad": minutes, "day": day})
    cause = Cause(f"booked-{id}", "ingest", 'Service::"ingest"')
    office.platform.store.commit([write, Link(id, "bookedTo", subscriber(office, number).id)], cause)


@pytest.mark.parametrize(("day", "seen"), [(9, False), (10, True), (13, True), (14, False)])
def test_what_comes_on_the_day_of_the_swap_and_in_the_three_after_it_counts(
    office: Office, day: int, seen: bool
) -> None:
    usual = subscriber(office, "S-4")["usualMinutes"]
    booked(office, "S-4", date(2026, 2, day), usual * 10 + 1)
    office.play({"subscriber": "S-4"})
    assert len(office.open()) == seen


def test_a_line_that_is_never_used_abroad_is_usual_with_a_minute(office: Office) -> None:
    line = subscriber(office, "S-4")
    cause = Cause("usual", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(line.id, "Subscriber", {"usualMinutes": 0})], cause)
    booked(office, "S-4", date(2026, 2, 11), 10)
    assert office.output(office.play({"subscriber": "S-4"}))["fraud"] == "nothing seen"
    booked(office, "S-4", date(2026, 2, 11), 11, "x-more")
    office.play({"subscriber": "S-4"})
    assert len(office.open()) == 1


def test_the_question_says_what_was_seen_and_rests_on_it_alone(office: Office) -> None:
    line = subscriber(office, "S-3")
    booked(office, "S-3", date(2026, 2, 12), 700)
    booked(office, "S-3", date(2026, 2, 12), 1, "x-little")
    office.play({"subscriber": "S-3"})
    (proposal,) = [Proposal(p) for p in office.all("Proposal", operation="line.hold")]
    (case,) = [c for c in office.all("SupportCase", about="sim-swap") if of(office, c, "raisedBy") == line.id]
    odd = {t.id for t in office.all("Transaction") if of(office, t, "bookedTo") == line.id and t["minutesAbroad"] > 150}
    assert len(odd) == 2
    assert {item.id for item in proposal.evidence} == {line.id, case.id, *odd}
    assert proposal.text("rationale") == (
        f"SIM swapped in {case['caseNo']}, then 1100 minutes abroad; usual are {line['usualMinutes']} a week."
    )
    assert proposal.number("priority") == 20
    (question,) = office.open()
    assert list(question["required"]) == ["hold=fraud-desk:1"]


def of(office: Office, entity: Any, relation: str) -> str:
    (edge,) = office.platform.store.expand([entity.id], relation)[entity.id]
    return edge.entity.id


@pytest.mark.parametrize(
    ("fee", "credit"), [("29.99", "3.00"), ("44.95", "4.50"), ("44.85", "4.48"), ("30.00", "3.00")]
)
def test_the_credit_is_the_share_of_the_month_to_a_cent(office: Office, fee: str, credit: str) -> None:
    line = subscriber(office, "S-1")
    cause = Cause("fee", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(line.id, "Subscriber", {"monthlyFee": Money(Decimal(fee), "EUR")})], cause)
    office.play({"subscriber": "S-1"})
    (proposal,) = [Proposal(p) for p in office.all("Proposal", operation="bill.credit")]
    expected = Money(Decimal(credit), "EUR")
    assert subscriber(office, "S-1")["credited"] == expected
    assert proposal.entity["amount"] == expected
    assert proposal.text("rationale") == "3 days without a network in north: O-1."
    (region,) = office.all("Region", region="north")
    (outage,) = office.all("Outage")
    assert {item.id for item in proposal.evidence} == {line.id, region.id, outage.id}


def test_outages_of_one_place_are_credited_together(office: Office) -> None:
    (region,) = office.all("Region", region="north")
    more = Put("o-2", "Outage", {"outageNo": "O-2", "days": 2})
    cause = Cause("second", "ingest", 'Service::"ingest"')
    office.platform.store.commit([more, Link("o-2", "struck", region.id)], cause)
    office.play({"subscriber": "S-1"})
    assert subscriber(office, "S-1")["credited"] == Money(Decimal("7.50"), "EUR")


def test_each_agent_may_do_its_own_and_nothing_else(office: Office) -> None:
    agents = ("fraud", "billing", "telecom.complaint")
    assert office.permitted(agents, ("line.hold", "bill.credit"), ("Subscriber", "Outage")) == {
        "fraud line.hold Subscriber", "billing bill.credit Subscriber",
    }  # fmt: skip


def test_a_line_that_was_let_go_is_credited_as_any_other(office: Office) -> None:
    cause = Cause("free", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(subscriber(office, "S-1").id, "Subscriber", {"onHold": False})], cause)
    assert office.output(office.play({"subscriber": "S-1"}))["credit"] == "applied"


def test_two_swaps_make_one_question(office: Office) -> None:
    again = Put("k-new", "SupportCase", {"caseNo": "K-NEW", "about": "sim-swap", "day": date(2026, 2, 10)})
    cause = Cause("again", "ingest", 'Service::"ingest"')
    office.platform.store.commit([again, Link("k-new", "raisedBy", subscriber(office, "S-3").id)], cause)
    office.play({"subscriber": "S-3"})
    assert len(office.all("Proposal", operation="line.hold")) == 1
