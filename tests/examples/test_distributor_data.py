"""The distributor's source systems and the truth of what was planted in them agree, before and after the live phase."""

import filecmp
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from itertools import product
from pathlib import Path

import pytest

from examples.distributor.generate import generate, main
from examples.distributor.live import apply_live, read_events
from examples.distributor.truth import Truth, read_truth
from tests.examples import distributor_rules as rules
from tests.examples.distributor_rules import Desk

SEEDS = (7, 8, 2026)
KINDS: dict[str, Callable[[Desk], dict[str, str]]] = {
    "replenishment": rules.replenishments,
    "late_delivery": rules.late_orders,
    "credit_hold": rules.holds,
}
FILES = [
    "crm.db",
    "erp.db",
    "helpdesk.jsonl",
    "logistics.csv",
    "route_incidents.csv",
    "live/events.jsonl",
    "truth.json",
]


@pytest.fixture(scope="module", params=SEEDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Desk, Desk]:
    """One seed's truth, its systems after the base load, and after the live phase."""
    folder = tmp_path_factory.mktemp("distributor")
    truth = generate(folder, request.param)
    base = rules.read(folder)
    apply_live(folder)
    return truth, base, rules.read(folder)


def planted(truth: Truth, kind: str, *phases: str) -> dict[str, str]:
    return {s.expected.target: s.expected.action for s in truth.of(kind, *phases)}


def test_there_is_enough_of_everything(made: tuple[Truth, Desk, Desk]) -> None:
    truth, base, _ = made
    counts = {name: len(rows) for name, rows in base.tables.items()}
    least = {"accounts": 300, "customers": 300, "products": 150, "sales_orders": 5_000, "tickets": 2_000}
    assert all(counts[name] >= number for name, number in least.items()), counts
    situations = sum(len(truth.of(kind)) for kind in KINDS)
    assert situations >= 60
    assert 0.8 <= len(truth.decoys) / situations <= 1.25
    assert len(truth.of("ticket_routing")) >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_the_rules_over_the_files_give_exactly_the_planted_truth(made: tuple[Truth, Desk, Desk], kind: str) -> None:
    truth, base, live = made
    assert KINDS[kind](base) == planted(truth, kind, "base")
    assert KINDS[kind](live) == planted(truth, kind, "base", "live")


def test_nothing_is_late_but_what_was_planted_so(made: tuple[Truth, Desk, Desk]) -> None:
    truth, base, live = made
    known = {s.expected.target for s in truth.of("late_delivery")}
    known |= {d.target for d in truth.decoys if d.kind == "late_delivery" and d.variant != "not_late"}
    for desk in (base, live):
        still_out = [row for row in desk.tables["sales_orders"] if row["status"] not in ("delivered", "cancelled")]
        late = {r["order_no"] for r in still_out if datetime.fromisoformat(r["promised_at"]).date() < desk.today}
        assert late == known


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_misfires_while_only_some_systems_have_moved_on(made: tuple[Truth, Desk, Desk], kind: str) -> None:
    truth, base, live = made
    moving = [
        ("calendar", "invoices"),
        ("products", "sales_orders"),
        ("logistics",),
        ("route_incidents",),
        ("tickets",),
    ]
    for choice in product((False, True), repeat=len(moving)):
        moved = {name for names, chosen in zip(moving, choice, strict=True) if chosen for name in names}
        mixed = Desk({name: (live if name in moved else base).tables[name] for name in base.tables})
        found = KINDS[kind](mixed).items()
        assert planted(truth, kind, "base").items() <= found <= planted(truth, kind).items(), moved


def test_no_target_is_both_situation_and_decoy_and_none_is_planted_twice(made: tuple[Truth, Desk, Desk]) -> None:
    truth, _, _ = made
    targets = Counter((s.kind, s.expected.target) for s in truth.situations)
    targets.update((d.kind, d.target) for d in truth.decoys)
    assert set(targets.values()) == {1}


def test_every_planted_key_stands_in_its_system(made: tuple[Truth, Desk, Desk]) -> None:
    truth, _, live = made
    columns = {
        "crm_account": ("accounts", "account_id"),
        "erp_customer": ("customers", "customer_no"),
        "email_domain": ("accounts", "domain"),
        "order": ("sales_orders", "order_no"),
        "product": ("products", "product_no"),
        "purchase_order": ("purchase_orders", "po_no"),
        "route": ("logistics", "route"),
        "incident": ("route_incidents", "incident_id"),
        "ticket": ("tickets", "ticket_id"),
        "payment_plan": ("payment_plans", "plan_id"),
        "discount_offer": ("discount_offers", "offer_id"),
        "invoices": ("invoices", "invoice_no"),
    }
    known = {name: {row[column] for row in live.tables[table]} for name, (table, column) in columns.items()}
    for item in (*truth.situations, *truth.decoys):
        for name, value in item.keys.items():
            values = value if isinstance(value, list) else [value]
            assert set(values) - {None} <= known[name], (item, name)


def test_the_systems_spell_the_same_things_differently(made: tuple[Truth, Desk, Desk]) -> None:
    _, base, _ = made
    accounts = rules.accounts_by_customer(base)
    assert len({row["account_id"] for row in accounts.values()}) == len(base.tables["customers"])
    same_number = 0
    for customer in base.tables["customers"]:
        account = accounts[customer["customer_no"]]
        assert customer["name"] != account["legal_name"]
        assert customer["vat_no"] != account["vat_number"]
        same_number += int(customer["customer_no"]) == int(account["account_id"].split("-")[1])
    assert same_number < 10
    orders = {row["order_no"] for row in base.tables["sales_orders"]}
    assert not orders & {row["order_ref"] for row in base.tables["logistics"]}
    assert all(row["created_at"].endswith("Z") for row in base.tables["tickets"])
    assert all(datetime.fromisoformat(row["promised_at"]).tzinfo for row in base.tables["logistics"])
    assert not any(datetime.fromisoformat(row["promised_at"]).tzinfo for row in base.tables["sales_orders"])
    domains = {row["requester_email"].split("@")[1] for row in base.tables["tickets"]}
    assert domains - {domain.lower() for domain in domains}


def test_a_shipment_tells_the_same_moment_as_its_order(made: tuple[Truth, Desk, Desk]) -> None:
    _, base, _ = made
    orders = {str(int(row["order_no"].split("-")[1])): row for row in base.tables["sales_orders"]}
    shipments = [row for row in base.tables["logistics"] if row["order_ref"]]
    for row in shipments:
        local = datetime.fromisoformat(orders[row["order_ref"]]["promised_at"]).replace(tzinfo=rules.BERLIN)
        assert local == datetime.fromisoformat(row["promised_at"])
    products = {row["product_no"]: row["weight_kg"] for row in base.tables["products"]}
    lines = base.by("order_lines", "order_no")
    for row in shipments[:200]:
        order = orders[row["order_ref"]]
        kilograms = sum(line["quantity"] * products[line["product_no"]] for line in lines[order["order_no"]])
        assert float(row["weight_lb"]) == pytest.approx(kilograms * 2.2046, rel=0.01, abs=0.1)


def test_approvals_and_departments_follow_the_stated_rules(made: tuple[Truth, Desk, Desk]) -> None:
    truth, base, _ = made
    products = {row["product_no"]: row for row in base.tables["products"]}
    for item in truth.of("replenishment"):
        row = products[item.expected.target]
        assert item.expected.needs_approval == (row["reorder_qty"] * row["unit_cost"] > 5_000)
        assert ("logistics" in item.needs_departments) == (
            "blocked" in item.variant or item.variant == "incident_opens"
        )
    for item in truth.of("late_delivery"):
        assert item.expected.needs_approval == (item.expected.action == "credit")
    approvals = Counter(s.expected.needs_approval for s in truth.of("replenishment"))
    assert min(approvals[True], approvals[False]) >= 5


def test_one_department_alone_misses_at_least_a_third(made: tuple[Truth, Desk, Desk]) -> None:
    truth, _, _ = made
    situations = [s for kind in KINDS for s in truth.of(kind)]
    for department in ("crm", "erp", "helpdesk", "logistics"):
        alone = [s for s in situations if s.needs_departments == (department,)]
        assert len(alone) / len(situations) <= 0.67, department


def test_a_discount_planned_for_a_customer_to_be_held_is_a_conflict(made: tuple[Truth, Desk, Desk]) -> None:
    truth, base, _ = made
    planned = {row["account_id"] for row in base.tables["discount_offers"] if row["status"] == "planned"}
    conflicts = {s.keys["crm_account"] for s in truth.of("credit_hold") if s.conflict}
    assert len(conflicts) >= 5
    assert conflicts == planned & {s.keys["crm_account"] for s in truth.of("credit_hold")}


def test_live_tickets_wait_for_a_team_and_hardly_one_repeats_an_older_text(made: tuple[Truth, Desk, Desk]) -> None:
    truth, base, live = made
    teams = {s.expected.target: s.expected.params["team"] for s in truth.of("ticket_routing")}
    older = {row["ticket_id"] for row in base.tables["tickets"]}
    arrived = [row for row in live.tables["tickets"] if row["ticket_id"] not in older]
    assert {row["ticket_id"] for row in arrived} == set(teams)
    assert all(row["team"] is None and row["status"] == "open" for row in arrived)
    assert all(row["team"] for row in base.tables["tickets"])
    assert set(teams.values()) == {row["team"] for row in base.tables["tickets"]}
    known = {row["body"] for row in base.tables["tickets"]}
    assert sum(row["body"] in known for row in arrived) <= len(arrived) / 10


def test_the_live_phase_changes_every_system_and_twice_is_once(tmp_path: Path) -> None:
    generate(tmp_path)
    before = rules.read(tmp_path).tables
    events = read_events(tmp_path)
    assert apply_live(tmp_path) == len(events)
    once = rules.read(tmp_path).tables
    changed = {name for name in before if before[name] != once[name]}
    assert changed == {"calendar", "products", "sales_orders", "invoices", "logistics", "route_incidents", "tickets"}
    apply_live(tmp_path)
    assert rules.read(tmp_path).tables == once


def test_live_events_can_be_applied_a_few_at_a_time(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        generate(folder)
    total = apply_live(whole)
    applied = [apply_live(parts, first, 25) for first in range(0, total, 25)]
    assert sum(applied) == total
    assert rules.read(whole) == rules.read(parts)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        generate(tmp_path / name, seed)
    same, different, missing = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", FILES, shallow=False)
    assert (same, different, missing) == (FILES, [], [])
    _, different, _ = filecmp.cmpfiles(tmp_path / "one", tmp_path / "other", FILES, shallow=False)
    assert different == FILES


def test_another_day_moves_everything_with_it(tmp_path: Path) -> None:
    truth = generate(tmp_path, 7, date(2026, 7, 15))
    assert rules.late_orders(rules.read(tmp_path)) == planted(truth, "late_delivery", "base")
    apply_live(tmp_path)
    for kind, find in KINDS.items():
        assert find(rules.read(tmp_path)) == planted(truth, kind)


def test_the_truth_reads_back_as_written(tmp_path: Path) -> None:
    truth = generate(tmp_path)
    assert read_truth(tmp_path / "truth.json") == truth


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("a file")
    assert main([str(tmp_path / "taken")]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "Name a folder" in message
