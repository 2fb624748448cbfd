"""Support escalation: agents answer what rules let them answer, people the rest, in time or one level higher."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from coordination.proposals import Proposal
from kg.model import Cause, Link, Put
from kg.values import Money
from tests.examples.office import Office, filled, spare

HOUR = 3_600.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return filled("support_escalation", tmp_path_factory.mktemp("support"))


@pytest.fixture
def office(made: tuple[Path, Path], tmp_path: Path) -> Iterator[Office]:
    with spare(made, tmp_path) as office:
        yield office


def ticket(office: Office, number: str) -> tuple[object, object]:
    (found,) = office.all("Ticket", ticketNo=number)
    return found["status"], found.get("topic")


def test_what_an_article_answers_is_answered_at_once(office: Office) -> None:
    for number, topic in (("T-1", "login"), ("T-2", "billing")):
        assert office.output(office.play({"ticket": number}))["topic"] == topic
        assert ticket(office, number) == ("resolved", topic)
    assert office.open() == []


def test_a_large_refund_waits_for_a_supervisor(office: Office) -> None:
    run = office.play({"ticket": "T-3"})
    assert ticket(office, "T-3") == ("open", "billing")
    office.answer("hella")
    assert ticket(office, "T-3") == ("open", "billing"), "the head of support is no supervisor"
    office.answer("sami")
    assert office.output(run)["answer"] == "We give the double charge back."


def test_a_no_to_the_refund_refunds_nothing_and_a_person_takes_over(office: Office) -> None:
    run = office.play({"ticket": "T-3"})
    office.answer("sami", "reject", "it was one charge")
    assert ticket(office, "T-3") == ("open", "billing")
    office.answer("sami")
    assert office.output(run)["status"] == "handed over"


def test_what_is_urgent_is_not_resolved_by_an_agent(office: Office) -> None:
    run = office.play({"ticket": "T-4"})
    (denied,) = office.all("Proposal", operation="ticket.resolve")
    assert denied["state"] == "denied"
    office.answer("sami")
    assert office.output(run) == {
        "ticket": "T-4", "status": "handed over", "topic": "outage", "answer": 'taken by User::"sami"',
    }  # fmt: skip


def test_after_four_hours_of_silence_it_goes_one_level_higher(office: Office) -> None:
    run = office.play({"ticket": "T-5"})
    office.later(3.9 * HOUR)
    assert "will you take it" in str(office.open()[0]["reason"])
    office.later(0.2 * HOUR)
    assert "within four hours" in str(office.open()[0]["reason"])
    office.answer("hella")
    assert office.output(run)["status"] == "handed over"


def test_where_nobody_answers_the_ticket_stays_open(office: Office) -> None:
    run = office.play({"ticket": "T-5"})
    office.later(4.1 * HOUR)
    office.later(24.1 * HOUR)
    assert office.state(run) == "faulted"
    assert ticket(office, "T-5") == ("open", "other")


def test_a_customers_third_open_ticket_is_urgent(office: Office) -> None:
    (customer,) = office.all("Customer", customerNo="C-1")
    more = Put("t-6", "Ticket", {"ticketNo": "T-6", "text": "And hats?", "status": "open"})
    cause = Cause("third", "ingest", 'Service::"ingest"')
    office.platform.store.commit([more, Link("t-6", "raisedBy", customer.id)], cause)
    office.play({"ticket": "T-1"})
    assert ticket(office, "T-1") == ("open", "login")
    (found,) = office.all("Ticket", ticketNo="T-1")
    assert (found["urgent"], found["known"]) == (True, "standard customer with 3 open tickets")


def test_a_premium_customer_is_urgent_in_an_outage_alone(office: Office) -> None:
    (customer,) = office.all("Customer", customerNo="C-4")
    more = Put("t-7", "Ticket", {"ticketNo": "T-7", "text": "I cannot log in", "status": "open"})
    cause = Cause("login", "ingest", 'Service::"ingest"')
    office.platform.store.commit([more, Link("t-7", "raisedBy", customer.id)], cause)
    office.play({"ticket": "T-7"})
    assert ticket(office, "T-7") == ("resolved", "login")


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("I cannot download anything", "other"),
        ("Your site is down", "outage"),
        ("Two outages, and my invoices are down", "outage"),
        ("My invoices were charged after the outage", "billing"),
        ("LOCKED out", "login"),
        ("Hello", "other"),
    ],
)
def test_a_topic_is_told_by_whole_words(office: Office, text: str, topic: str) -> None:
    (found,) = office.all("Ticket", ticketNo="T-1")
    cause = Cause("words", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(found.id, "Ticket", {"text": text})], cause)
    office.play({"ticket": "T-1"})
    assert ticket(office, "T-1")[1] == topic


@pytest.mark.parametrize(("amount", "status"), [("100.00", "resolved"), ("100.01", "open")])
def test_a_refund_waits_from_a_cent_above_the_limit(office: Office, amount: str, status: str) -> None:
    (found,) = office.all("Ticket", ticketNo="T-3")
    cause = Cause("refund", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(found.id, "Ticket", {"charged": Money(Decimal(amount), "EUR")})], cause)
    office.play({"ticket": "T-3"})
    assert ticket(office, "T-3")[0] == status


def proposal(office: Office, operation: str) -> Proposal:
    (found,) = office.all("Proposal", operation=operation)
    return Proposal(found)


def test_each_specialist_says_what_it_rests_on(office: Office) -> None:
    office.play({"ticket": "T-1"})
    (found,) = office.all("Ticket", ticketNo="T-1")
    (customer,) = office.all("Customer", customerNo="C-1")
    (other,) = office.all("Ticket", ticketNo="T-5")
    (article,) = office.all("Article", topic="login")
    rests = {
        "ticket.classify": {found.id},
        "ticket.inform": {found.id, customer.id, other.id},
        "ticket.resolve": {found.id, article.id},
    }
    for operation, known in rests.items():
        assert {item.id for item in proposal(office, operation).evidence} == known, operation
    assert proposal(office, "ticket.classify").text("rationale") == "3 words of login."
    assert proposal(office, "ticket.inform").text("rationale") == "standard customer with 2 open tickets"
    assert proposal(office, "ticket.resolve").text("rationale") == article["solution"] == found["answer"]
    assert found["urgent"] is False
    assert "amount" not in proposal(office, "ticket.resolve").entity.properties


def test_a_refund_carries_its_amount(office: Office) -> None:
    office.play({"ticket": "T-2"})
    assert proposal(office, "ticket.resolve").entity["amount"] == Money(Decimal("19.90"), "EUR")


def test_who_is_asked_is_who_may_answer(office: Office) -> None:
    run = office.play({"ticket": "T-5"})
    (question,) = office.open()
    assert [str(one).partition("=")[2] for one in question["required"]] == ["supervisor:1"]
    assert str(question["reason"]) == "Ticket T-5 has no answer an agent may give; will you take it?"
    office.answer("hella")
    assert office.state(run) == "waiting", "the head of support is no supervisor"
    office.later(4.1 * HOUR)
    (question,) = office.open()
    assert [str(one).partition("=")[2] for one in question["required"]] == ["head-of-support:1"]
    assert str(question["reason"]) == "Ticket T-5: no supervisor answered within four hours"
    office.answer("sami")
    assert office.state(run) == "waiting", "a supervisor is not the head of support"
    office.later(23.5 * HOUR)
    assert office.state(run) == "waiting"
    office.answer("hella")
    assert office.output(run) == {
        "ticket": "T-5", "status": "handed over", "topic": "other", "answer": 'taken by User::"hella"',
    }  # fmt: skip


def test_a_no_to_taking_it_is_no_silence(office: Office) -> None:
    run = office.play({"ticket": "T-5"})
    office.answer("sami", "reject", "we do not sell umbrellas")
    assert office.state(run) == "faulted"
    assert "we do not sell umbrellas" in office.engine.run(run).error["detail"]
    assert ticket(office, "T-5") == ("open", "other")


def test_a_large_refund_asks_the_supervisor_for_it(office: Office) -> None:
    office.play({"ticket": "T-3"})
    (question,) = office.open()
    assert list(question["required"]) == ["large-refund=supervisor:1"]


def test_each_agent_may_do_its_own_and_nothing_else(office: Office) -> None:
    agents = ("classifier", "context", "resolver", "support.escalation", "other")
    operations = ("ticket.classify", "ticket.inform", "ticket.resolve", "ticket.hand-over")
    assert office.permitted(agents, operations, ("Ticket", "Customer")) == {
        "classifier ticket.classify Ticket", "context ticket.inform Ticket", "resolver ticket.resolve Ticket",
        "support.escalation ticket.hand-over Ticket",
    }  # fmt: skip
