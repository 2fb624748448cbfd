"""HR onboarding: a board that fills itself, departments side by side, reminders and waits of days, and a welcome that two sign."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coordination.proposals import Proposal
from governance.approvals import approve
from governance.principals import load_principal
from tests.examples.office import Office, filled, killed_often, spare

DAY = 86_400.0
HIRE = {"hire": "H-1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return filled("hr_onboarding", tmp_path_factory.mktemp("hr"))


@pytest.fixture
def office(made: tuple[Path, Path], tmp_path: Path) -> Iterator[Office]:
    with spare(made, tmp_path) as office:
        yield office


def confirm(office: Office, *users: str) -> None:
    """Each user answers the question of their own department."""
    platform = office.platform
    for user in users:
        who = load_principal(platform.store, f'User::"{user}"')
        for decision in office.open():
            if any(role in str(decision["required"]) for role in (f"{role}:" for role in who.roles)):
                approve(platform.store, office.clock, platform.rules(), decision.id, who, "approve")
        office.settle()


def hire(office: Office) -> Any:
    (found,) = office.all("Hire", hireNo="H-1")
    return found


def test_the_board_fills_itself_in_the_order_of_what_is_known(office: Office) -> None:
    office.play(HIRE)
    found = hire(office)
    assert (found["equipment"], found["access"], found["desk"]) == ("workstation", "mail, workstation", "floor 3")
    written = [str(e["operation"]) for e in sorted(office.all("Effect"), key=lambda e: e.since)]
    assert written.index("board.equipment") < written.index("board.access")
    assert len(office.open()) == 3, "three departments are asked at the same time"


def test_all_confirm_days_pass_and_two_sign(office: Office) -> None:
    run = office.play(HIRE)
    confirm(office, "ines", "faro", "pia")
    assert hire(office)["status"] == "prepared"
    office.later(12 * DAY)
    assert office.open() == [], "it waits until the day before the first day"
    office.later(1.1 * DAY)
    confirm(office, "hugo")
    assert hire(office)["status"] == "prepared", "HR alone welcomes nobody"
    confirm(office, "mara")
    assert office.output(run) == {"welcomed": "H-1"}
    assert hire(office)["status"] == "welcomed"


def test_a_silent_department_is_reminded_twice_then_hr_steps_in(office: Office) -> None:
    office.play(HIRE)
    confirm(office, "ines", "pia")
    for asked in (1, 2, 3):
        assert Counter(str(r["asked"]) for r in office.all("Reminder")) == {"it": 1, "payroll": 1, "facilities": asked}
        office.later(2.01 * DAY)
    (question,) = office.open()
    assert "facilities was asked three times" in str(question["reason"])
    confirm(office, "hugo")
    assert hire(office)["status"] == "prepared"


def test_a_no_or_silence_welcomes_nobody(office: Office) -> None:
    run = office.play(HIRE)
    confirm(office, "ines", "faro", "pia")
    office.later(13.5 * DAY)
    office.answer("mara", "reject", "the contract was withdrawn")
    assert office.state(run) == "faulted"
    assert hire(office)["status"] == "prepared"


def test_killed_after_any_commit_nobody_is_reminded_or_welcomed_twice(made: tuple[Path, Path], tmp_path: Path) -> None:
    def drive(office: Office) -> None:
        office.play(HIRE, id="h-1")
        confirm(office, "ines", "faro", "pia")
        if hire(office)["status"] == "prepared" and not office.open():
            office.later(13.5 * DAY)
        confirm(office, "hugo", "mara")

    def check(office: Office) -> None:
        assert office.state("h-1") == "completed"
        assert Counter(str(r["asked"]) for r in office.all("Reminder")) == {"it": 1, "payroll": 1, "facilities": 1}
        assert [e["operation"] for e in office.all("Effect", status="done")].count("hire.welcome") == 1

    killed_often(made, tmp_path, drive, check)


@pytest.mark.parametrize(
    ("number", "equipment", "desk"), [("H-2", "laptop and phone", "floor 1"), ("H-3", "laptop", "floor 2")]
)
def test_the_job_says_what_is_needed_and_each_line_what_it_rests_on(
    office: Office, number: str, equipment: str, desk: str
) -> None:
    office.play({"hire": number})
    (found,) = office.all("Hire", hireNo=number)
    lines = {"equipment": equipment, "access": f"mail, {equipment}", "desk": desk}
    assert {line: found[line] for line in lines} == lines
    for line, value in lines.items():
        (proposal,) = [Proposal(p) for p in office.all("Proposal", operation=f"board.{line}", state="applied")]
        assert (proposal.text("agent"), proposal.text("rationale")) == (line, f"{line}: {value}")
        assert [item.id for item in proposal.evidence] == [found.id]


QUESTIONS = {
    "it": ("ines", "Are equipment and access ready for H-1, who starts on 2026-03-16?"),
    "facilities": ("faro", "Is the desk ready for H-1, who starts on 2026-03-16?"),
    "payroll": ("pia", "Is the pay set up for H-1, who starts on 2026-03-16?"),
}


def required(decision: Any) -> list[str]:
    """By which roles, and how many of each, a question is to be answered."""
    return [one.partition("=")[2] for one in decision["required"]]


def test_each_department_is_asked_its_own_question(office: Office) -> None:
    office.play(HIRE)
    asked = {required(decision)[0].partition(":")[0]: decision for decision in office.open()}
    assert {name: required(decision) for name, decision in asked.items()} == {name: [f"{name}:1"] for name in QUESTIONS}
    assert {name: str(decision["reason"]) for name, decision in asked.items()} == {
        name: text for name, (_, text) in QUESTIONS.items()
    }
    for reminder in office.all("Reminder"):
        (edge,) = office.platform.store.expand([reminder.id], "concerns")[reminder.id]
        assert edge.entity.id == hire(office).id
    confirm(office, "ines", "faro", "pia")
    assert hire(office)["done"] == ("it", "facilities", "payroll")


@pytest.mark.parametrize("silent", QUESTIONS)
def test_whoever_is_silent_is_asked_every_two_days_then_hr_for_three(office: Office, silent: str) -> None:
    run = office.play(HIRE)
    confirm(office, *(user for name, (user, _) in QUESTIONS.items() if name != silent))
    for asked in (1, 2, 3):
        assert Counter(str(r["asked"]) for r in office.all("Reminder")) == dict.fromkeys(QUESTIONS, 1) | {silent: asked}
        office.later(1.9 * DAY)
        assert [required(decision) for decision in office.open()] == [[f"{silent}:1"]]
        office.later(0.1 * DAY)
    (question,) = office.open()
    assert required(question) == ["hr:1"]
    assert str(question["reason"]) == f"{silent} was asked three times about H-1; is it settled?"
    office.later(2.9 * DAY)
    assert office.state(run) in ("running", "waiting")
    office.later(0.2 * DAY)
    assert (office.state(run), office.engine.run(run).error["status"]) == ("faulted", 408)
    assert hire(office)["status"] == "signed"


def test_a_department_that_says_no_is_not_asked_again(office: Office) -> None:
    run = office.play(HIRE)
    who = load_principal(office.platform.store, 'User::"pia"')
    (question,) = [decision for decision in office.open() if required(decision) == ["payroll:1"]]
    approve(office.platform.store, office.clock, office.platform.rules(), question.id, who, "reject", "no bank account")
    office.settle()
    assert office.state(run) == "faulted"
    assert "no bank account" in office.engine.run(run).error["detail"]
    assert len(office.all("Reminder")) == 3


def test_both_are_asked_from_midnight_of_the_day_before(office: Office) -> None:
    office.play(HIRE)
    confirm(office, "ines", "faro", "pia")
    before = (datetime(2026, 3, 15, tzinfo=UTC) - office.clock.now()).total_seconds()
    office.later(before - 1)
    assert office.open() == []
    office.later(2)
    (question,) = office.open()
    assert required(question) == ["hr:1,manager:1"]


def test_who_is_late_for_the_first_day_is_welcomed_at_once(office: Office) -> None:
    office.clock.advance(30 * DAY)
    office.play(HIRE)
    confirm(office, "ines", "faro", "pia")
    assert [str(decision["operation"]) for decision in office.open()] == ["hire.welcome"]


def test_each_agent_may_do_its_own_and_nothing_else(office: Office) -> None:
    agents = ("equipment", "access", "desk", "hr.onboarding", "other")
    operations = (
        "board.equipment",
        "board.access",
        "board.desk",
        "board.complete",
        "hire.welcome",
        "department.remind",
    )
    assert office.permitted(agents, operations, ("Hire", "Reminder")) == {
        "equipment board.equipment Hire", "desk board.desk Hire", "hr.onboarding board.complete Hire",
        "hr.onboarding hire.welcome Hire", "hr.onboarding department.remind Reminder",
    }, "access not before the equipment is known"  # fmt: skip


def test_the_board_is_offered_until_a_round_writes_nothing(office: Office) -> None:
    run = office.play(HIRE)
    rounds = [task for task, state in office.steps(run) if (task, state) == ("sources", "completed")]
    assert len(rounds) < 4
