"""What is wrong with a workflow document: one sentence with a remedy, and the part that it speaks of.

Invariant: a problem never ends the check; they are gathered, so that an author sees all at once, up to a bound.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from coordination.workflow.source import Place

#: Problems that one check reports; a document with more is beyond repair one by one.
PROBLEMS_MAX: Final = 100

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a part of the document, named by its JSON pointer."""

    pointer: str
    message: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding with the place in the text."""

    place: Place
    pointer: str
    message: str
    severity: Severity = "error"

    def line(self, name: str) -> str:
        """The problem as one line of a compiler's kind."""
        return f"{name}:{self.place[0]}:{self.place[1]}: {self.severity}: {self.message}"


@dataclass(slots=True)
class Findings:
    """Gathers findings up to the bound."""

    found: list[Finding] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether nothing more is taken."""
        return len(self.found) >= PROBLEMS_MAX

    def add(self, pointer: str, message: str, severity: Severity = "error") -> None:
        """Note a problem; beyond the bound it is dropped."""
        if not self.full:
            self.found.append(Finding(pointer, message, severity))
