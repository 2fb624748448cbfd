"""What the credit workflow computes: facts from a form, and a score from facts. The same input gives the same output."""

import re
from typing import Any

#: A name and the whole number that belongs to it: nothing ends between them, and nothing of the number is left over.
_NUMBER = re.compile(
    r"\b(income|debts|years)\b[^\d,;.\n]{0,20}?(\d{1,3}(?:\.\d{3})+|\d{1,3}(?:,\d{3})+|\d+)(?![.,]?\d)", re.IGNORECASE
)


def extract(text: str) -> dict[str, Any]:
    """The numbers of a form; what is not there stays out, so that validation finds it missing."""
    return {name.lower(): int(re.sub("[.,]", "", number)) for name, number in _NUMBER.findall(text)}


def score(facts: dict[str, int], rating: int, requested: float) -> dict[str, Any]:
    """A score from 300 to 850 and why: burden of the credit and the debts, years in the job, the rating (1 best, 9 worst)."""
    burden = (facts["debts"] + requested) / facts["income"]
    parts = {
        "burden": -round(250 * min(burden, 1.5)),
        "years": 10 * min(facts["years"], 10),
        "bureau": -30 * (rating - 1),
    }
    total = max(300, min(850, 800 + sum(parts.values())))
    why = ", ".join(f"{name} {points:+}" for name, points in parts.items())
    return {"score": total, "report": f"Score {total} (800, {why})."}


FUNCTIONS = {"extract": extract, "score": score}
