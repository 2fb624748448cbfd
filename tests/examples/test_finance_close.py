"""The month-end close: four looks at once, exceptions answered, two signatures, and nothing posted without them."""

import re
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from agents.context import Context
from api.bootstrap import build
from coordination.proposals import Proposal
from coordination.workflow.document import parse
from examples.finance_close.agents import detect
from governance.principals import load_principal
from governance.rules import retire
from kg.model import Cause, Entity, Put
from kg.values import Money
from tests.examples.office import Office, filled, killed_often, spare

#: Room for a busy machine; whoever waits goes on as soon as it holds.
SECONDS_MAX = 120
FEBRUARY = {"period": "2026-02"}
EXCEPTIONS = {
    ("outlier", "2026-02-006"),
    ("duplicate", "2026-02-061"),
    ("no-voucher", "2026-02-015"),
    ("same-person", "2026-02-023"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return filled("finance_close", tmp_path_factory.mktemp("close"))


@pytest.fixture
def office(made: tuple[Path, Path], tmp_path: Path) -> Iterator[Office]:
    with spare(made, tmp_path) as office:
        yield office


def test_a_close_with_exceptions_is_posted_after_three_people_said_yes(office: Office) -> None:
    run = office.play(FEBRUARY)
    found = {(str(f["kind"]), str(f["says"]).split()[0]) for f in office.all("Finding")}
    assert found == EXCEPTIONS
    (question,) = office.answer("anna")
    assert "2026-02-015 has no voucher" in str(question["reason"])
    assert {f["state"] for f in office.all("Finding")} == {"accepted"}
    for user in ("carl", "anna"):
        office.answer(user)
        assert office.all("Posting") == [], "the controller alone, or with an accountant, posts nothing"
    office.answer("dora")
    assert office.output(run)["exceptions"] == 4
    (posting,) = office.all("Posting")
    (period,) = office.all("Period", period="2026-02")
    assert posting["total"] == period["turnover"] == Money(sum_of(office, "2026-02"), "EUR")
    assert str(period["summary"]).startswith("2026-02: 4400 Revenue")
    decided = {(d["operation"], d["outcome"]) for d in office.all("Decision")}
    assert {("journal.post", "needs_approval"), ("journal.post", "allow")} <= decided


def test_a_month_without_exceptions_asks_only_for_signatures(office: Office) -> None:
    run = office.play({"period": "2026-01"})
    assert [str(d["operation"]) for d in office.open()] == ["journal.post"]
    for user in ("carl", "dora"):
        office.answer(user)
    assert office.output(run)["exceptions"] == 0


@pytest.mark.parametrize("answers", [("anna:reject",), ("anna:approve", "carl:approve", "dora:reject")])
def test_a_no_leaves_nothing_posted(office: Office, answers: tuple[str, ...]) -> None:
    run = office.play(FEBRUARY)
    for given in answers:
        user, _, answer = given.partition(":")
        office.answer(user, "reject" if answer == "reject" else "approve", "not like this")
    assert office.state(run) == "faulted"
    assert "not like this" in office.engine.run(run).error["detail"]
    assert office.all("Posting") == []


@pytest.mark.parametrize("answered", [(), ("anna",), ("anna", "carl")])
def test_silence_leaves_nothing_posted(office: Office, answered: tuple[str, ...]) -> None:
    run = office.play(FEBRUARY)
    for user in answered:
        office.answer(user)
    for _ in range(3):
        office.later(5 * 86_400)
    assert office.state(run) == "faulted"
    assert office.all("Posting") == []


def test_no_agent_posts_behind_the_close(office: Office) -> None:
    text = yaml.safe_load((office.project / "workflow.yaml").read_text("utf-8"))
    post = text["do"][-1]["post"]
    rogue = {**text, "document": {**text["document"], "namespace": "rogue"}, "do": [text["do"][0], {"post": post}]}
    who = load_principal(office.platform.store, 'User::"root"')
    post["with"] |= {"amount": {"value": 1, "currency": "EUR"}, "rationale": "trust me", "link": {}}
    post["with"]["set"] = {"period": "2026-02"}
    rogue_id = office.engine.register(parse(yaml.safe_dump(rogue)), who)
    run = office.engine.start(rogue_id, FEBRUARY, who.uid)
    office.settle()
    assert (office.state(run), office.engine.run(run).error["status"]) == ("faulted", 403)
    assert office.all("Posting") == []


@pytest.mark.parametrize("count", [1_000, 1_001])
def test_a_period_of_more_entries_than_a_look_takes_is_not_closed_in_part(office: Office, count: int) -> None:
    (pattern, *rest) = office.all("LedgerEntry", period="2026-01")
    more = [
        Put(f"e-{n}", "LedgerEntry", {**pattern.properties, "entryNo": f"e-{n}", "counterparty": f"c-{n}"})
        for n in range(count - 1 - len(rest))
    ]
    office.platform.store.commit(more, Cause("more", "test", 'Service::"test"'))
    run = office.play({"period": "2026-01"})
    if count == 1_000:
        (period,) = office.all("Period", period="2026-01")
        assert (period["entries"], [d["operation"] for d in office.open()]) == (1_000, ["journal.post"])
        return
    assert office.state(run) == "faulted"
    assert "2026-01 has more than 1,000 entries" in office.engine.run(run).error["detail"]
    assert office.open() == []


def test_more_findings_than_a_page_holds_are_all_asked_about(office: Office) -> None:
    pattern = office.all("LedgerEntry", period="2026-01")[0]
    doubtful = {k: v for k, v in pattern.properties.items() if k != "voucher"} | {
        "enteredBy": "mia",
        "releasedBy": "mia",
    }
    more = [
        Put(f"e-{n}", "LedgerEntry", {**doubtful, "entryNo": f"e-{n}", "counterparty": f"c-{n // 2}"})
        for n in range(50)
    ]
    office.platform.store.commit(more, Cause("more", "test", 'Service::"test"'))
    office.play({"period": "2026-01"})
    found = office.all("Finding")
    assert len(found) == 125, "two against each of fifty, and one against each repeated one"
    (question,) = office.answer("anna")
    # The words may be too many for one question; how many findings there are is not.
    assert str(question["reason"]).startswith("Close 2026-01 with 125 findings: e-0 has no voucher; ")
    assert {f["state"] for f in office.all("Finding")} == {"accepted"}


def test_a_finding_that_is_refused_does_not_pass_for_none(office: Office) -> None:
    platform = office.platform
    who = load_principal(platform.store, 'User::"root"')
    retire(platform.store, platform.clock, platform.ontology, "agents-prepare", who, "by mistake")
    run = office.play(FEBRUARY)
    assert office.state(run) == "faulted"
    assert "finding.raise was denied" in office.engine.run(run).error["detail"]
    assert office.all("Posting") == []


def test_killed_after_any_commit_it_posts_once(made: tuple[Path, Path], tmp_path: Path) -> None:
    def drive(office: Office) -> None:
        office.play(FEBRUARY, id="close-2026-02")
        for user in ("anna", "carl", "dora"):
            office.answer(user)

    def check(office: Office) -> None:
        assert office.state("close-2026-02") == "completed"
        assert len(office.all("Posting")) == 1
        assert len(office.all("Finding", state="accepted")) == 4
        effects = [str(e["operation"]) for e in office.all("Effect", status="done")]
        assert effects.count("journal.post") == 1
        assert sorted(effects).count("finding.raise") == 4

    killed_often(made, tmp_path, drive, check)


def test_four_looks_at_once_take_at_most_seven_tenths_of_one_after_another(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    """Each read of a specialist waits as long as a remote ledger would; real threads, real time."""
    real = Context.find

    def slow(self: Context, *args: Any, **kwargs: Any) -> Any:
        time.sleep(1)
        return real(self, *args, **kwargs)

    # It registers another close under the same name, which the others must not find.
    with spare(made, tmp_path) as office:
        settings = office.settings
    body = yaml.safe_load((made[0] / "workflow.yaml").read_text("utf-8"))
    looks = body["do"][1]["look"]["fork"]["branches"]
    taken: dict[str, float] = {}
    with patch.object(Context, "find", slow):
        for name, look in (("close", {"fork": {"branches": looks}}), ("serial", {"do": looks})):
            platform = build(settings, acting=True)
            assert platform.runtime is not None
            assert platform.worker is not None
            engine = platform.runtime.engine
            text = {"document": {**body["document"], "name": name}, "do": [body["do"][0], {"look": look}]}
            who = load_principal(platform.store, 'User::"root"')
            workflow = engine.register(parse(yaml.safe_dump(text)), who)
            platform.worker.start()
            began = time.monotonic()
            run = engine.start(workflow, FEBRUARY, who.uid)
            while not engine.run(run).ended and time.monotonic() < began + SECONDS_MAX:
                time.sleep(0.01)
            taken[name] = time.monotonic() - began
            assert engine.run(run).state == "completed"
            platform.worker.stop()
            platform.close()
    assert taken["close"] <= 0.7 * taken["serial"], taken


def sum_of(office: Office, period: str) -> Any:
    amounts = [entry["amount"] for entry in office.all("LedgerEntry", period=period)]
    return sum(amount.amount for amount in amounts if isinstance(amount, Money))


@pytest.mark.parametrize(
    ("amounts", "outliers"),
    [
        (("10", "10", "10", "100"), []),
        (("10", "10", "10", "100.01"), ["e-3"]),
        (("-10", "-10", "-10", "-10"), []),
        (("-10", "10", "-10", "-100.01"), ["e-3"]),
        (("0", "0", "0", "50"), []),
    ],
)
def test_an_outlier_is_more_than_ten_times_the_usual_whichever_way_the_money_went(
    amounts: tuple[str, ...], outliers: list[str]
) -> None:
    entries = [
        Entity(
            f"e-{n}",
            "LedgerEntry",
            1,
            {
                "entryNo": f"e-{n}",
                "account": "4400",
                "period": "p",
                "counterparty": str(n),
                "amount": Money(Decimal(amount), "EUR"),
            },
            1,
        )
        for n, amount in enumerate(amounts)
    ]
    context: Any = SimpleNamespace(evidence=lambda *read: ())
    assert [draft.target for draft in detect(entries[0], entries, context)] == outliers


def proposals(office: Office, operation: str) -> list[Proposal]:
    return [Proposal(found) for found in office.all("Proposal", operation=operation)]


def test_each_look_says_what_it_rests_on(office: Office) -> None:
    office.play(FEBRUARY)
    entries = office.all("LedgerEntry", period="2026-02")
    (collected,), (summed,) = proposals(office, "period.collect"), proposals(office, "period.summarise")
    for whole in (collected, summed):
        assert {item.id for item in whole.evidence} == {entry.id for entry in entries}
    subledgers = {entry["subledger"] for entry in entries}
    assert collected.text("rationale") == f"{len(entries)} entries of {len(subledgers)} subledgers."
    (period,) = office.all("Period", period="2026-02")
    assert period["entries"] == len(entries)
    sums = {str(entry["account"]): Decimal(0) for entry in entries}
    for entry in entries:
        money: Any = entry["amount"]
        sums[str(entry["account"])] += money.amount
    text = "; ".join(f"{account} {amount:,.2f} EUR" for account, amount in sorted(sums.items()))
    assert (summed.text("rationale"), period["summary"]) == (text, f"2026-02: {text}")
    for finding in proposals(office, "finding.raise"):
        assert [item.id for item in finding.evidence] == [finding.text("target")]


def test_a_finding_says_what_is_wrong_with_which_entry(office: Office) -> None:
    office.play(FEBRUARY)
    said = {str(finding["kind"]): str(finding["says"]) for finding in office.all("Finding")}
    entry = {str(entry["entryNo"]): entry for entry in office.all("LedgerEntry", period="2026-02")}
    assert said["duplicate"] == f"2026-02-061 repeats an entry for {entry['2026-02-061']['counterparty']}"
    assert said["same-person"] == f"2026-02-023 was entered and released by {entry['2026-02-023']['enteredBy']}"
    assert said["no-voucher"] == "2026-02-015 has no voucher"
    assert re.fullmatch(r"2026-02-006 is \d+ times the usual of its account", said["outlier"])
    for finding in office.all("Finding"):
        (edge,) = office.platform.store.expand([finding.id], "holdsAgainst")[finding.id]
        assert str(finding["says"]).startswith(f"{edge.entity['entryNo']} ")
        assert (finding["period"], finding["state"]) == ("2026-02", "open")
    assert {f"{p.text('rationale')}" for p in proposals(office, "finding.raise")} == {f"{s}." for s in said.values()}
    (question,) = office.open()
    assert [str(one).partition("=")[2] for one in question["required"]] == ["accountant:1"]
    assert str(question["reason"]) == "Close 2026-02 with 4 findings: " + "; ".join(sorted(said.values()))


def test_what_is_posted_says_what_it_closes(office: Office) -> None:
    run = office.play(FEBRUARY)
    office.answer("anna")
    (question,) = office.open()
    assert list(question["required"]) == ["two-signatures=controller:1,finance-director:1"]
    office.answer("carl")
    office.answer("dora")
    (posting,), (period,) = office.all("Posting"), office.all("Period", period="2026-02")
    assert (posting["period"], posting["exceptions"]) == ("2026-02", 4)
    (edge,) = office.platform.store.expand([posting.id], "closes")[posting.id]
    assert edge.entity.id == period.id
    (proposal,) = proposals(office, "journal.post")
    assert (proposal.entity["amount"], proposal.text("rationale")) == (period["turnover"], period["summary"])
    assert office.output(run) == {"posted": "2026-02", "exceptions": 4, "proposal": proposal.id}


def test_an_accountant_has_five_days(office: Office) -> None:
    run = office.play(FEBRUARY)
    office.later(4.9 * 86_400)
    assert len(office.open()) == 1
    office.later(0.2 * 86_400)
    assert (office.state(run), office.engine.run(run).error["status"]) == ("faulted", 408)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, ["duplicate"]),
        ({"counterparty": "other"}, []),
        ({"account": "other"}, []),
        ({"amount": Money(Decimal("10.01"), "EUR")}, []),
    ],
)
def test_an_entry_is_the_same_by_account_partner_and_amount(change: dict[str, Any], kinds: list[str]) -> None:
    same = {"account": "4400", "period": "p", "counterparty": "c", "amount": Money(Decimal(10), "EUR")}
    entries = [
        Entity("e-1", "LedgerEntry", 1, {**same, "entryNo": "e-1"}, 1),
        Entity("e-2", "LedgerEntry", 1, {**same, "entryNo": "e-2", **change}, 1),
    ]
    context: Any = SimpleNamespace(evidence=lambda *read: ())
    found = list(detect(entries[0], entries, context))
    assert [str(draft.writes[0].set["kind"]) for draft in found if isinstance(draft.writes[0], Put)] == kinds
    assert [draft.target for draft in found] == ["e-2"] * len(kinds)


def test_each_agent_may_do_its_own_and_nothing_else(office: Office) -> None:
    agents = ("collector", "summary", "anomaly-detector", "compliance-checker", "finance.close", "other")
    operations = ("period.collect", "period.summarise", "finding.raise", "finding.accept", "journal.post")
    assert office.permitted(agents, operations, ("Period", "LedgerEntry", "Finding", "Posting")) == {
        "collector period.collect Period", "summary period.summarise Period",
        "anomaly-detector finding.raise LedgerEntry", "compliance-checker finding.raise LedgerEntry",
        "finance.close finding.accept Finding", "finance.close journal.post Posting",
    }  # fmt: skip


def test_only_euros_are_posted(office: Office) -> None:
    asked = ("finance.close",), ("journal.post",), ("Posting",)
    assert len(office.permitted(*asked)) == 1
    assert office.permitted(*asked, currency="USD") == set()


def test_what_was_accepted_before_is_not_asked_about_again(office: Office) -> None:
    old = {"period": "2026-02", "kind": "outlier", "says": "2026-02-099 was looked at", "state": "accepted"}
    cause = Cause("old", "ingest", 'Service::"ingest"')
    office.platform.store.commit([Put("finding-old", "Finding", old)], cause)
    run = office.play(FEBRUARY)
    (question,) = office.answer("anna")
    assert "2026-02-099" not in str(question["reason"])
    for user in ("carl", "dora"):
        office.answer(user)
    assert office.output(run)["exceptions"] == 4
