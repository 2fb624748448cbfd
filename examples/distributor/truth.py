"""What was planted, as data: situations an agent must find and decoys it must leave alone. The truth is written by the code
that plants the rows, never by running a rule over the data, so it can judge the agents and the rules alike.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PRICE_OF_APPROVAL_EUR = 5_000
LONG_DELAY_DAYS = 7
CREDIT_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Expected:
    """The one proposal a planted situation asks for; `target` is the source key the proposal is about."""

    agent: str
    action: str
    target: str
    needs_approval: bool = False
    approver: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """A planted situation; `phase` is the load (`base` or `live`) after which it holds."""

    situation: str
    kind: str
    variant: str
    phase: str
    keys: dict[str, Any]
    expected: Expected
    needs_departments: tuple[str, ...]
    conflict: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decoy:
    """Rows that look like a situation to whoever misses one fact; `target` is what a false alarm would be about."""

    decoy: str
    kind: str
    variant: str
    phase: str
    target: str
    keys: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Truth:
    """All that was planted for one seed and one day."""

    seed: int
    as_of: str
    situations: tuple[Situation, ...]
    decoys: tuple[Decoy, ...]

    def of(self, kind: str, *phases: str) -> tuple[Situation, ...]:
        """Give the situations of a kind, of all phases or only the named ones."""
        return tuple(s for s in self.situations if s.kind == kind and (not phases or s.phase in phases))

    def write(self, path: Path) -> None:
        """Write the truth as JSON, the same bytes for the same truth."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def read_truth(path: Path) -> Truth:
    """Read what `Truth.write` wrote."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    situations = tuple(
        Situation(
            **{
                **row,
                "expected": Expected(**row["expected"]),
                "needs_departments": tuple(row["needs_departments"]),
            }
        )
        for row in raw["situations"]
    )
    return Truth(raw["seed"], raw["as_of"], situations, tuple(Decoy(**row) for row in raw["decoys"]))
