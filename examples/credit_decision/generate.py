"""Writes the applications of one morning: four with a known end, one that cannot be read, and some drawn from a seed."""

import argparse
import csv
import random
from pathlib import Path

PLANTED = (
    ("A-1", "Yearly income: 60.000 EUR, debts 2.000, years in the job: 8", "6000.00"),
    ("A-2", "Yearly income: 90.000 EUR, debts 5.000, years in the job: 12", "25000.00"),
    ("A-3", "Yearly income: 21.000 EUR, debts 30.000, years in the job: 0", "9000.00"),
    ("A-4", "Yearly income: see letter, debts none, years in the job: 3", "4000.00"),
)


def generate(folder: str | Path, seed: int = 7) -> None:
    """Write applications.csv."""
    target, draw = Path(folder), random.Random(seed)
    target.mkdir(parents=True, exist_ok=True)
    drawn = [
        (
            f"A-{number}",
            f"Yearly income: {draw.randrange(20, 90)}.000 EUR, debts {draw.randrange(20)}.000, years in the job: 5",
            f"{draw.randrange(1, 20)}000.00",
        )
        for number in range(10, 20)
    ]
    with (target / "applications.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("application_no", "text", "requested", "status"))
        writer.writerows((*row, "received") for row in (*PLANTED, *drawn))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.credit_decision.generate")
    parser.add_argument("folder", type=Path, help="folder to write to")
    generate(parser.parse_args().folder)
