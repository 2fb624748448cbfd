"""Credit decision: two validated results or none, time-outs that ask again, and grants that rules hold back."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.credit_decision.functions import extract, score
from governance.decide import decide
from governance.principals import Principal
from governance.verdict import Request, Resource
from kg.model import Cause, Put
from kg.values import Money, Value
from tests.examples.office import Office, filled, killed_often, spare

HOUR = 3_600.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return filled("credit_decision", tmp_path_factory.mktemp("credit"))


@pytest.fixture
def office(made: tuple[Path, Path], tmp_path: Path) -> Iterator[Office]:
    with spare(made, tmp_path) as office:
        yield office


def reply(office: Office, run: str, rating: int, id: str = "reply") -> None:
    office.engine.signal(run, {"id": id, "source": "bureau", "type": "bureau.replied", "data": {"rating": rating}})
    office.settle()


def application(office: Office, number: str) -> Any:
    (found,) = office.all("Application", applicationNo=number)
    return found


def test_a_small_credit_with_a_good_score_is_granted(office: Office) -> None:
    run = office.play({"application": "A-1"})
    assert application(office, "A-1")["status"] == "received", "nothing is scored before both results are there"
    reply(office, run, 2)
    assert office.output(run)["status"] == "granted"
    found = application(office, "A-1")
    assert (found["status"], found["score"]) == ("granted", 817)
    assert str(found["report"]).startswith("Score 817")


def test_a_large_one_waits_for_an_officer(office: Office) -> None:
    run = office.play({"application": "A-2"})
    reply(office, run, 1)
    assert application(office, "A-2")["status"] == "scored"
    office.answer("olive")
    assert office.output(run)["status"] == "granted"


@pytest.mark.parametrize("silent", [True, False])
def test_without_the_officers_yes_nothing_is_granted(office: Office, silent: bool) -> None:
    run = office.play({"application": "A-2"})
    reply(office, run, 1)
    if silent:
        for _ in range(8):
            office.later(24 * HOUR)
    else:
        office.answer("olive", "reject", "too much")
    assert office.state(run) == "faulted"
    assert application(office, "A-2")["status"] == "scored"


def test_a_bad_score_is_declined(office: Office) -> None:
    run = office.play({"application": "A-3"})
    reply(office, run, 2)
    assert office.output(run)["status"] == "declined"
    assert office.open() == []


def test_a_form_without_an_income_is_never_scored(office: Office) -> None:
    run = office.play({"application": "A-4"})
    assert office.state(run) == "faulted"
    assert "income" in str(office.engine.run(run).error)
    assert "score" not in application(office, "A-4").properties


def test_a_silent_bureau_is_asked_three_times_then_an_officer(office: Office) -> None:
    run = office.play({"application": "A-1"})
    for asked in (1, 2, 3):
        assert len(office.all("BureauRequest")) == asked
        office.later(1.01 * HOUR)
        office.later(0.25 * HOUR)
    assert "no usable answer" in str(office.open()[0]["reason"])
    office.answer("olive")
    assert application(office, "A-1")["score"] == 607
    office.answer("olive")
    assert office.output(run) == {"status": "granted", "score": 607}


def test_an_answer_that_does_not_validate_counts_as_none(office: Office) -> None:
    run = office.play({"application": "A-1"})
    reply(office, run, 12, "strange")
    assert application(office, "A-1")["status"] == "received"
    office.later(0.1 * HOUR)
    assert len(office.all("BureauRequest")) == 2
    reply(office, run, 2, "right")
    assert office.output(run)["status"] == "granted"


def test_killed_after_any_commit_it_grants_once(made: tuple[Path, Path], tmp_path: Path) -> None:
    def drive(office: Office) -> None:
        run = office.play({"application": "A-2"}, id="a-2")
        if not office.engine.run(run).ended:
            reply(office, run, 1)
        office.answer("olive")

    def check(office: Office) -> None:
        assert office.state("a-2") == "completed"
        assert len(office.all("BureauRequest")) == 1
        assert [e["operation"] for e in office.all("Effect", status="done")].count("credit.grant") == 1

    killed_often(made, tmp_path, drive, check)


def test_an_income_of_nothing_is_no_income(office: Office) -> None:
    found = application(office, "A-1")
    text = str(found["text"]).replace("60.000", "0")
    cause = Cause("corrected", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put(found.id, "Application", {"text": text})], cause)
    run = office.play({"application": "A-1"})
    assert "$.income: 0 is less than the minimum of 1" in str(office.engine.run(run).error)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Income: 60.000 EUR, debts 2.000, years: 8", {"income": 60_000, "debts": 2_000, "years": 8}),
        ("Income: 60,000 EUR; debts 12,000; years: 8", {"income": 60_000, "debts": 12_000, "years": 8}),
        ("income 1,234,567 debts 0 years in the job 12", {"income": 1_234_567, "debts": 0, "years": 12}),
        ("income 60000.50, debts 12,5, years 8", {"years": 8}),
        ("income 1234,567 debts 1234.567 years 1.23", {}),
        ("income " + "-" * 19 + "7; debts " + "-" * 20 + "8", {"income": 7}),
        ("Income 30.000, debts none, years: 3", {"income": 30_000, "years": 3}),
        ("Income 30.000; debts: see letter. 5 children", {"income": 30_000}),
    ],
)
def test_a_number_is_taken_whole_and_only_where_it_belongs_to_its_name(text: str, facts: dict[str, int]) -> None:
    assert extract(text) == facts


@pytest.mark.parametrize(
    ("facts", "rating", "requested", "total"),
    [
        ({"income": 100, "debts": 0, "years": 40}, 1, 0, 850),
        ({"income": 100, "debts": 0, "years": 0}, 1, 0, 800),
        ({"income": 100, "debts": 50, "years": 0}, 2, 50, 520),
        ({"income": 100, "debts": 9_000, "years": 0}, 9, 0, 300),
        ({"income": 100, "debts": 9_000, "years": 10}, 1, 0, 525),
    ],
)
def test_the_score_is_what_its_parts_make_within_its_bounds(
    facts: dict[str, int], rating: int, requested: float, total: int
) -> None:
    assert score(facts, rating, requested)["score"] == total


@pytest.mark.parametrize(
    ("requested", "rating", "ends"), [("10000.00", 2, "granted"), ("10000.01", 2, "scored"), ("6000.00", 8, "scored")]
)
def test_above_ten_thousand_or_below_650_points_an_officer_grants(
    office: Office, requested: str, rating: int, ends: str
) -> None:
    wanted = Put(application(office, "A-1").id, "Application", {"requested": Money(Decimal(requested), "EUR")})
    office.platform.store.commit([wanted], Cause("wanted", "ingest", 'Service::"ingest"'))
    run = office.play({"application": "A-1"})
    reply(office, run, rating)
    assert application(office, "A-1")["status"] == ends
    assert len(office.open()) == (ends == "scored")


def test_the_report_says_how_the_score_came_about() -> None:
    made = score({"income": 60_000, "debts": 3_000, "years": 8}, 2, 6_000)
    assert made == {"score": 812, "report": "Score 812 (800, burden -38, years +80, bureau -30)."}


def test_what_is_granted_says_how_much_and_why(office: Office) -> None:
    run = office.play({"application": "A-2"})
    reply(office, run, 1)
    (question,) = office.open()
    assert list(question["required"]) == ["credit-officer=credit-officer:1"]
    office.answer("olive")
    found = application(office, "A-2")
    (proposal,) = office.all("Proposal", operation="credit.grant")
    assert (proposal["amount"], proposal["rationale"]) == (found["requested"], found["report"])
    assert office.output(run) == {"status": "granted", "score": found["score"]}


def test_what_is_declined_says_why(office: Office) -> None:
    run = office.play({"application": "A-3"})
    reply(office, run, 2)
    found = application(office, "A-3")
    (proposal,) = office.all("Proposal", operation="credit.decline")
    assert (found["status"], proposal["rationale"]) == ("declined", found["report"])
    assert office.output(run) == {"status": "declined", "score": found["score"]}
    assert office.all("Proposal", operation="credit.grant") == []


@pytest.mark.parametrize(
    ("debts", "points", "status"),
    [(1_400, 450, "scored"), (1_404, 449, "declined"), (600, 650, "granted"), (604, 649, "scored")],
)
def test_450_points_are_not_declined_and_650_need_no_officer(
    office: Office, debts: int, points: int, status: str
) -> None:
    found = application(office, "A-1")
    text = f"Income 1.000; debts {debts}; years 0"
    wanted = Put(found.id, "Application", {"text": text, "requested": Money(Decimal("0.00"), "EUR")})
    office.platform.store.commit([wanted], Cause("wanted", "ingest", 'Service::"ingest"'))
    reply(office, office.play({"application": "A-1"}), 1)
    found = application(office, "A-1")
    assert (found["score"], found["status"]) == (points, status)


@pytest.mark.parametrize(("years", "fits"), [(60, True), (61, False)])
def test_nobody_is_in_a_job_for_more_than_sixty_years(office: Office, years: int, fits: bool) -> None:
    found = application(office, "A-1")
    wanted = Put(found.id, "Application", {"text": f"Income 60.000; debts 0; years {years}"})
    office.platform.store.commit([wanted], Cause("wanted", "ingest", 'Service::"ingest"'))
    assert office.state(office.play({"application": "A-1"})) == ("waiting" if fits else "faulted")


@pytest.mark.parametrize(("rating", "counts"), [(0, False), (1, True), (9, True), (10, False)])
def test_a_rating_is_from_one_to_nine(office: Office, rating: int, counts: bool) -> None:
    run = office.play({"application": "A-1"})
    reply(office, run, rating)
    assert (application(office, "A-1")["status"] != "received") == counts


def test_the_bureau_has_an_hour_and_is_asked_again_after_five_minutes_then_ten(office: Office) -> None:
    run = office.play({"application": "A-1"})
    for asked, pause in ((1, 5), (2, 10)):
        office.later(0.99 * HOUR)
        assert ("reply", "waiting") in office.steps(run)
        office.later(0.02 * HOUR)
        assert ("reply", "waiting") not in office.steps(run)
        assert len(office.all("BureauRequest")) == asked
        office.later((pause - 2) * 60)
        assert len(office.all("BureauRequest")) == asked
        office.later(3 * 60)
        assert len(office.all("BureauRequest")) == asked + 1
    assert office.open() == []
    office.later(1.01 * HOUR)
    (question,) = office.open()
    assert [str(one).partition("=")[2] for one in question["required"]] == ["credit-officer:1"]
    assert str(question["reason"]) == (
        "Application A-1: the bureau gives no usable answer; go on as if it were the worst?"
    )
    for request in office.all("BureauRequest"):
        (edge,) = office.platform.store.expand([request.id], "asks")[request.id]
        assert (request["applicationNo"], edge.entity.id) == ("A-1", application(office, "A-1").id)
    office.later(47 * HOUR)
    assert office.state(run) == "waiting"
    office.later(2 * HOUR)
    assert office.state(run) == "faulted"


def test_the_workflow_may_do_its_own_and_nothing_else(office: Office) -> None:
    operations = ("bureau.ask", "application.score", "credit.grant", "credit.decline")
    assert office.permitted(("credit.decision", "other"), operations, ("Application", "BureauRequest")) == {
        "credit.decision bureau.ask BureauRequest", "credit.decision application.score Application",
        "credit.decision credit.decline Application",
    }, "nothing is granted without a score"  # fmt: skip


@pytest.mark.parametrize(
    ("points", "currency", "outcome"),
    [
        (650, "EUR", "allow"),
        (650, "USD", "deny"),
        (649, "EUR", "needs_approval"),
        (450, "EUR", "needs_approval"),
        (449, "EUR", "deny"),
    ],
)
def test_a_grant_is_in_euros_and_never_below_450_points(
    office: Office, points: int, currency: str, outcome: str
) -> None:
    context: dict[str, Value] = {"operation": "credit.grant", "amount": Decimal("1.00"), "currency": currency}
    scored = Resource("Application", "a", {"score": points})
    asked = Request(Principal("Agent", "credit.decision"), "apply", scored, context)
    assert decide(asked, office.platform.rules()).outcome == outcome


@pytest.mark.parametrize("missing", ["income", "debts", "years"])
def test_a_form_that_lacks_a_number_is_never_scored(office: Office, missing: str) -> None:
    found = application(office, "A-1")
    text = "; ".join(f"{name} 8" for name in ("income", "debts", "years") if name != missing)
    office.platform.store.commit(
        [Put(found.id, "Application", {"text": text})], Cause("lacking", "ingest", 'Service::"ingest"')
    )
    run = office.play({"application": "A-1"})
    assert office.state(run) == "faulted"
    assert f"'{missing}' is a required property" in office.engine.run(run).error["detail"]
