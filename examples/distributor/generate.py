"""Writes the four source systems of the distributor, the events of its live day and the truth of what was planted, into one
folder. The same seed and day give the same rows. It judges nothing and reads nothing back.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from examples.distributor import deliveries, orders, parties, routes, tickets
from examples.distributor.company import Company
from examples.distributor.live import write_events
from examples.distributor.situations import credit_hold, late_delivery, replenishment, ticket_routing
from examples.distributor.truth import Situation, Truth

DEFAULT_DAY = date(2026, 3, 2)
DEFAULT_SEED = 7


def found_company(seed: int, day: date) -> Company:
    """Make the whole company in memory: ordinary rows, planted ones, live events and the truth."""
    company = Company(seed, day)
    parties.add_parties(company)
    routes.add_incidents(company)
    orders.draft_orders(company)
    tickets.draft_tickets(company)
    stock = replenishment.plant(company)
    late = late_delivery.plant(company)
    holds = credit_hold.plant(company)
    orders.set_credit_limits(company)
    orders.number_orders(company)
    orders.add_order_rows(company)
    tickets.number_tickets(company)
    ticket_routing.write_all(company)
    credit_hold.add_events(company, holds)
    for item in (
        *replenishment.reveal(company, stock),
        *late_delivery.reveal(company, late),
        *credit_hold.reveal(holds),
        *ticket_routing.reveal(company),
    ):
        if isinstance(item, Situation):
            company.situations.append(item)
        else:
            company.decoys.append(item)
    deliveries.add_deliveries(company)
    return company


def generate(out_dir: str | Path, seed: int = DEFAULT_SEED, as_of: date = DEFAULT_DAY) -> Truth:
    """Write the systems' files, live/events.jsonl and truth.json into a folder, and give the truth."""
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    company = found_company(seed, as_of)
    for system in (company.crm, company.erp, company.helpdesk, company.logistics):
        system.write(folder)
    write_events(folder, company.live)
    truth = Truth(seed, as_of.isoformat(), tuple(company.situations), tuple(company.decoys))
    truth.write(folder / "truth.json")
    return truth


def main(arguments: list[str] | None = None) -> int:
    """Run the generator from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.distributor.generate", description="Write the demo's systems."
    )
    parser.add_argument("out_dir", type=Path, help="folder to write to")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--as-of", type=date.fromisoformat, default=DEFAULT_DAY, help="the business day, YYYY-MM-DD")
    chosen = parser.parse_args(arguments)
    try:
        truth = generate(chosen.out_dir, chosen.seed, chosen.as_of)
    except OSError as problem:
        print(f"Cannot write to {chosen.out_dir}: {problem.strerror}. Name a folder you may write to.", file=sys.stderr)
        return 1
    print(f"{chosen.out_dir}: {len(truth.situations)} situations and {len(truth.decoys)} decoys planted.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
