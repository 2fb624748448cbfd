"""Tallies: says what a commit of coordination brought about: decisions by their outcome, effects by their state.

Invariant: told after the commit succeeded, so a race that was lost counts nothing. Holds no numbers: whoever listens does.
"""

from collections.abc import Iterable

from coordination.effects import EFFECT
from governance.decisions import CLASS as DECISION
from kg import tracing
from kg.model import Put, Write


def tell(writes: Iterable[Write]) -> None:
    """Count what was committed."""
    for write in writes:
        if isinstance(write, Put) and write.cls == DECISION:
            tracing.count(tracing.DECISIONS, verdict=str(write.set.get("outcome", "")))
        elif isinstance(write, Put) and write.cls == EFFECT:
            tracing.count(tracing.EFFECTS, status=str(write.set.get("status", "")))
