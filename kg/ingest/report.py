"""What an ingest did, in numbers, and what a person must look at."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Counts of rows. `created`, `updated` and `unchanged` went in, `rejected` did not; `closed` counts entities.

    `dangling` counts relations of this source whose target has not come yet. `problems` are sentences about what was not done
    although it was asked for; with any, a command ends with a non-zero exit code.
    """

    records: int = 0
    created: int = 0
    updated: int = 0
    closed: int = 0
    unchanged: int = 0
    rejected: int = 0
    dangling: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """The counts while an ingest runs."""

    records: int = 0
    created: int = 0
    updated: int = 0
    closed: int = 0
    unchanged: int = 0
    rejected: int = 0
    dangling: int = 0
    problems: list[str] = field(default_factory=list)

    def report(self, seconds: float) -> IngestReport:
        """The frozen counts."""
        return IngestReport(
            self.records,
            self.created,
            self.updated,
            self.closed,
            self.unchanged,
            self.rejected,
            self.dangling,
            seconds,
            tuple(self.problems),
        )
