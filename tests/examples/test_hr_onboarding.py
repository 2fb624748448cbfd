"""HR onboarding: a board that fills itself, departments side by side, reminders and waits of days, and a welcome that two sign."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
