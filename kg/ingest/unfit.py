"""The refusal of one value of one row: what is wrong with it and what to do. The row becomes a reject, the rest goes on."""

from typing import Any

SHOWN_MAX = 40


class Unfit(ValueError):
    """A value that cannot become what the property wants; the message says why and what to do."""


def shown(value: Any) -> str:
    """A raw value as a reason may show it."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
