"""A project's platform in a test: set up from its own folder, a home of its own, its sources read in place, its work done in
this thread."""

from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

import pytest

from api.bootstrap import build
from api.project import prepare
from api.settings import load_settings
from coordination import works
from coordination.proposals import Proposal
from governance.principals import load_principal
from kg.ingest import IngestReport, ingest, load_mapping
from kg.model import Cursor
from kg.reader import Reader
from tests.parts import OpenView

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def need(path: Path) -> Path:
    """The data at this place, or a visible skip."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(DATA)} is not beside the repository")
    return path


class Desk:
    """A platform over one project folder; `settle` does all work that is due and counts it by agent."""

    def __init__(self, project: Path, home: Path, place: Mapping[str, str] | None = None) -> None:
        self.settings = load_settings(project=project, home=home, durable=False, **(place or {}))
        prepare(self.settings)
        self.platform = build(self.settings, acting=True)
        assert self.platform.runtime is not None
        self.runtime = self.platform.runtime
        self.due: deque[str] = deque()
        self.runtime.enqueue = self.due.append

    @property
    def reader(self) -> Reader:
        return Reader(self.platform.store, OpenView())

    def reader_of(self, user: str) -> Reader:
        """The graph as a user of the project sees it."""
        principal = load_principal(self.platform.store, f'User::"{user}"')
        return Reader(self.platform.store, self.platform.view(principal))

    def ingest(self) -> list[IngestReport]:
        """Bring the project's sources in, each from where its settings say it stands."""
        platform, settings = self.platform, self.settings
        reports = [
            ingest(
                platform.store,
                platform.ontology,
                platform.clock,
                load_mapping(settings.path(item.file)),
                settings.path(item.location or ""),
            )
            for item in settings.mappings
        ]
        assert [(report.rejected, report.dangling, report.problems) for report in reports] == [(0, 0, ())] * len(
            reports
        )
        return reports

    def settle(self) -> Counter[str]:
        """Read the feed to its end and do all work that follows; how often each agent acted."""
        acted: Counter[str] = Counter()
        while self.runtime.pump() or self.due:
            while self.due:
                id = self.due.popleft()
                work = works.read(self.platform.store, id)
                if work is not None and work.task == "act":
                    acted[work.agent] += 1
                self.runtime.handle(id)
        assert self.runtime.failures() == []
        return acted

    def proposals(self, *operations: str) -> list[Proposal]:
        """Every proposal of these operations, all where none is named."""
        found: list[Proposal] = []
        after: Cursor | None = None
        while True:
            page = self.reader.find("Proposal", after=after, first=500)
            found += [Proposal(entity) for entity in page.items]
            after = page.next
            if after is None:
                return [p for p in found if not operations or p.text("operation") in operations]
