"""Strand: one line of control of a run, as plain JSON: a stack of frames, the data that flows, the context, what it waits for.

Invariant: it is all there is to know to go on, and its size does not grow with the steps taken: a loop's frame keeps an index,
not a history. A run begins with one strand; each branch of a fork is another.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from kg.values import Json

Frame = dict[str, Any]
#: The states of a strand; the last three are ends.
READY: Final = "ready"
WAITING: Final = "waiting"
COMPLETED: Final = "completed"
FAULTED: Final = "faulted"
CANCELLED: Final = "cancelled"


@dataclass(slots=True)
class Strand:
    """A line of control. `count` numbers its tasks as they start; `parent` is the strand that forked it, at `branch`.

    `wait` says what it waits for: kind, the number of the task that waits, until when (microseconds), and what the kind needs.
    """

    run: str
    id: str = "0"
    frames: list[Frame] = field(default_factory=list)
    data: Json = None
    context: Json = None
    count: int = 0
    state: str = READY
    wait: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    parent: str = ""
    branch: int = 0
    revision: int = 0

    @property
    def key(self) -> str:
        """The key of its row: all strands of a run stand together."""
        return f"{self.run}/{self.id}"

    @property
    def ended(self) -> bool:
        """Whether it goes no further."""
        return self.state in (COMPLETED, FAULTED, CANCELLED)

    def due(self) -> int | None:
        """When something of it falls due: what it waits for, or the first time-out of a task around it; None where nothing does."""
        times = [frame["due"] for frame in self.frames if "due" in frame]
        if self.wait is not None and self.wait.get("until") is not None:
            times.append(self.wait["until"])
        return min(times, default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """A task that ended, or that waits, as it goes on record. `number` is unique in the strand; times are in microseconds."""

    number: int
    reference: str
    name: str
    kind: str
    state: str
    iteration: str
    attempt: int
    started: int
    ended: int = 0
    output: Json = None
    problem: Json = None
    known: bool = False
