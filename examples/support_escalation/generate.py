"""Writes a small support desk: customers, articles, and one ticket for each way through the workflow."""

import argparse
import csv
import random
from pathlib import Path

ARTICLES = (
    {"topic": "billing", "solution": "We give the double charge back.", "refunds": "yes"},
    {"topic": "login", "solution": "Use the link we sent to set a new password.", "refunds": "no"},
    {"topic": "outage", "solution": "The line is back; restart the box.", "refunds": "no"},
)
TICKETS = (
    ("T-1", "C-1", "I cannot log in, my password is locked", "0.00"),
    ("T-2", "C-2", "You charged my invoice twice", "19.90"),
    ("T-3", "C-3", "I was charged twice for the yearly invoice", "480.00"),
    ("T-4", "C-4", "Everything is down, nothing works", "0.00"),
    ("T-5", "C-1", "Do you sell umbrellas?", "0.00"),
)


def generate(folder: str | Path, seed: int = 7) -> None:
    """Write customers.csv, articles.csv and tickets.csv; the seed draws the older tickets, which are all resolved."""
    target, draw = Path(folder), random.Random(seed)
    target.mkdir(parents=True, exist_ok=True)
    customers = [{"customer_no": f"C-{n}", "tier": "premium" if n == 4 else "standard"} for n in range(1, 21)]
    old = [
        (f"T-{100 + n}", f"C-{draw.randrange(1, 21)}", draw.choice(["forgot my password", "line was down"]), "0.00")
        for n in range(40)
    ]
    tickets = [
        {"ticket_no": no, "customer_no": customer, "text": text, "charged": charged, "status": status}
        for rows, status in ((TICKETS, "open"), (old, "resolved"))
        for no, customer, text, charged in rows
    ]
    for name, rows in (("customers", customers), ("articles", list(ARTICLES)), ("tickets", tickets)):
        with (target / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.support_escalation.generate")
    parser.add_argument("folder", type=Path, help="folder to write to")
    generate(parser.parse_args().folder)
