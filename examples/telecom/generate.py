"""Writes a small operator: two regions, one of them struck by an outage, and five subscribers with a known end among many."""

import argparse
import csv
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

DAY = date(2026, 2, 10)
#: subscriber, region, swapped its SIM, called abroad
PLANTED = (
    ("S-1", "north", False, 0),
    ("S-2", "south", False, 0),
    ("S-3", "north", True, 400),
    ("S-4", "north", True, 0),
    ("S-5", "south", False, 400),
)


def tables(seed: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of the five files."""
    draw = random.Random(seed)
    others = [(f"S-{n}", draw.choice(("north", "south")), False, 0) for n in range(10, 40)]
    made: dict[str, list[dict[str, Any]]] = {
        "regions": [{"region": "north"}, {"region": "south"}],
        "outages": [{"outage_no": "O-1", "region": "north", "days": 3}],
        "subscribers": [], "cases": [], "transactions": [],
    }  # fmt: skip
    for place, (number, region, swapped, abroad) in enumerate((*PLANTED, *others)):
        made["subscribers"].append(
            {"subscriber_no": number, "region": region, "monthly_fee": "45.00", "usual_minutes": draw.randrange(5, 15)}
        )
        about = "sim-swap" if swapped else "bill"
        made["cases"].append({"case_no": f"K-{place}", "about": about, "day": DAY.isoformat(), "subscriber_no": number})
        for offset, minutes in ((-20, draw.randrange(15)), (1, abroad)):
            made["transactions"].append(
                {
                    "transaction_no": f"X-{place}-{offset}", "minutes_abroad": minutes, "top_up": "10.00",
                    "day": (DAY + timedelta(days=offset)).isoformat(), "subscriber_no": number,
                }
            )  # fmt: skip
    return made


def generate(folder: str | Path, seed: int = 7) -> None:
    """Write one CSV file a table."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, rows in tables(seed).items():
        with (target / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.telecom.generate")
    parser.add_argument("folder", type=Path, help="folder to write to")
    generate(parser.parse_args().folder)
