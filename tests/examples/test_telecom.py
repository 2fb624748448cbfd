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
