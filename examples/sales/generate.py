"""Writes a small CRM: six leads with a known end, and some drawn from a seed. The same seed gives the same rows."""

import argparse
import random
import sqlite3
from contextlib import closing
from pathlib import Path

TABLES = (
    "CREATE TABLE companies (company_no TEXT PRIMARY KEY, name TEXT, industry TEXT, employees INTEGER)",
    "CREATE TABLE leads (lead_no TEXT PRIMARY KEY, contact TEXT, email TEXT, company_no TEXT, wants TEXT, "
    "consent INTEGER, do_not_contact INTEGER, status TEXT)",
)
COMPANIES = (("C-1", "Aldervik Tools", "manufacturing", 240), ("C-2", "Brennan Bakery", "food", 4))
LEADS = (
    ("L-1", "Ida Moreau", "ida@aldervik.example", "C-1", "spare parts", 1, 0),
    ("L-2", "Jon Pell", "jon@aldervik.example", "C-1", "a maintenance plan", 1, 0),
    ("L-3", "Kay Osei", "kay@aldervik.example", "C-1", "spare parts", 0, 0),
    ("L-4", "Lea Winter", "lea@aldervik.example", "C-1", "spare parts", 1, 1),
    ("L-5", "Max Brennan", "max@brennan.example", "C-2", "a catalogue", 1, 0),
    ("L-6", "Nia Falk", "nia@aldervik.example", "C-1", "a maintenance plan", 1, 0),
)


def generate(folder: str | Path, seed: int = 7) -> None:
    """Write crm.db anew."""
    target, draw = Path(folder), random.Random(seed)
    target.mkdir(parents=True, exist_ok=True)
    drawn = [
        (f"L-{n}", f"Contact {n}", f"contact{n}@aldervik.example", draw.choice(("C-1", "C-2")), "spare parts", 1, 0)
        for n in range(10, 20)
    ]
    (target / "crm.db").unlink(missing_ok=True)
    with closing(sqlite3.connect(target / "crm.db")) as crm, crm:
        for table in TABLES:
            crm.execute(table)
        crm.executemany("INSERT INTO companies VALUES (?, ?, ?, ?)", COMPANIES)
        crm.executemany("INSERT INTO leads VALUES (?, ?, ?, ?, ?, ?, ?, 'new')", (*LEADS, *drawn))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.sales.generate")
    parser.add_argument("folder", type=Path, help="folder to write to")
    generate(parser.parse_args().folder)
