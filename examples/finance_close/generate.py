"""Writes two months of a made-up ledger, with four exceptions planted in the second. The same seed gives the same rows."""

import argparse
import csv
import random
from pathlib import Path

ACCOUNTS = {
    "4400 Revenue": ("receivables", 2_000, ("Aldervik", "Brennan", "Castell")),
    "5400 Goods": ("payables", 1_200, ("Dunmore", "Eskil", "Ferrand")),
    "6000 Wages": ("payroll", 3_500, ("Payroll",)),
    "6800 Bank fees": ("bank", 40, ("Handelsbank",)),
}
PERIODS = {"2026-01": 40, "2026-02": 60}
CLERKS = ("mia", "noah", "olga")


def rows(seed: int) -> list[dict[str, str]]:
    """The entries; those of February hold one exception of each kind."""
    draw = random.Random(seed)
    made: list[dict[str, str]] = []
    for period, count in PERIODS.items():
        for number in range(count):
            account = list(ACCOUNTS)[number % len(ACCOUNTS)]
            subledger, usual, parties = ACCOUNTS[account]
            entered, released = draw.sample(CLERKS, 2)
            made.append(
                {
                    "entry_no": f"{period}-{number + 1:03}", "period": period, "subledger": subledger, "account": account,
                    "counterparty": draw.choice(parties), "amount": f"{usual * draw.uniform(0.7, 1.4) + number / 100:.2f}",
                    "voucher": f"V{draw.randrange(10_000, 99_999)}", "entered_by": entered, "released_by": released,
                }
            )  # fmt: skip
    feb = [row for row in made if row["period"] == "2026-02"]
    feb[5]["amount"] = "48000.00"
    made.append({**feb[9], "entry_no": "2026-02-061"})
    feb[14]["voucher"] = ""
    feb[22]["released_by"] = feb[22]["entered_by"]
    return made


def generate(folder: str | Path, seed: int = 7) -> None:
    """Write periods.csv and entries.csv."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in (("periods", [{"period": period} for period in PERIODS]), ("entries", rows(seed))):
        with (target / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(content[0]))
            writer.writeheader()
            writer.writerows(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.finance_close.generate")
    parser.add_argument("folder", type=Path, help="folder to write to")
    generate(parser.parse_args().folder)
