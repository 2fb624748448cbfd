"""What the intake computes without judgement: whether a reading stands in the text, and which days follow from it."""

import re
from datetime import date, timedelta
from typing import Any

#: Reminders come so many days before the day itself.
AHEAD = 14


def unproven(text: str, reading: dict[str, Any]) -> list[str]:
    """What of a reading is not proven by its own span of the text; empty where all of it is."""
    wrong = []
    for name, found in sorted({**reading["terms"], **reading["clauses"]}.items()):
        span = text[found["from"] : found["to"]]
        if not _stands(_plain(str(found["value"])), _plain(span)):
            wrong.append(f"{name}: {str(found['value'])[:80]!r} does not stand at {found['from']} to {found['to']}")
    if reading["terms"]["start"]["value"] > reading["terms"]["end"]["value"]:
        wrong.append("it ends before it starts")
    return wrong


def _stands(value: str, span: str) -> bool:
    """Whether it stands there as a whole: a part of a number is another number."""
    return bool(value) and re.search(rf"(?<![\d.]){re.escape(value)}(?!\.?\d)", span) is not None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"(?<=\d),(?=\d)", "", text).lower().split())


def obligations(reading: dict[str, Any]) -> list[dict[str, Any]]:
    """What has to be done by which day, the first first, each with the day on which somebody is reminded."""
    start, end = (date.fromisoformat(reading["terms"][name]["value"]) for name in ("start", "end"))
    days = {kind: _days(clause["value"]) for kind, clause in reading["clauses"].items()}
    found = [("it ends", end)]
    if "payment" in days:
        found.append(("pay the first fee", start + timedelta(days=days["payment"])))
    if "notice" in days:
        found.append(("give notice, or it runs on", end - timedelta(days=days["notice"])))
    return [
        {"what": what, "due": due.isoformat(), "remind": (due - timedelta(days=AHEAD)).isoformat()}
        for what, due in sorted(found, key=lambda item: item[1])
    ]


def _days(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


FUNCTIONS = {"unproven": unproven, "obligations": obligations}
