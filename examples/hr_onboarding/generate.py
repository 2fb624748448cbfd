"""Writes the contracts signed this week: people who start in ten days and later. The same seed and day give the same rows."""

import argparse
import csv
import random
from datetime import date, timedelta
from pathlib import Path

JOBS = ("engineer", "seller", "analyst")


def generate(folder: str | Path, seed: int = 7, today: date = date(2026, 3, 2)) -> None:
    """Write hires.csv."""
    target, draw = Path(folder), random.Random(seed)
    target.mkdir(parents=True, exist_ok=True)
    with (target / "hires.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("hire_no", "job", "starts_on", "status"))
        for number in range(1, 9):
            starts = today + timedelta(days=14 if number == 1 else draw.randrange(10, 40))
            writer.writerow((f"H-{number}", JOBS[(number - 1) % len(JOBS)], starts.isoformat(), "signed"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.hr_onboarding.generate")
    parser.add_argument("folder", type=Path, help="folder to write to")
    parser.add_argument("--today", type=date.fromisoformat, default=date.today(), help="the day of the contracts")
    chosen = parser.parse_args()
    generate(chosen.folder, today=chosen.today)
