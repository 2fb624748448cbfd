"""The distributor's platform in a test: the project as it stands, a home of its own, and its work done in this thread."""

from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

from api.bootstrap import build
from api.project import prepare
from api.settings import load_settings
from coordination import works
from kg.ingest import IngestReport, ingest, load_mapping
from kg.reader import Reader
from tests.parts import OpenView

PROJECT = Path(__file__).parents[2] / "examples" / "distributor"
SYSTEMS = {"crm": "crm.db", "erp": "erp.db", "logistics": "", "helpdesk": "", "calendar": "erp.db"}


class Desk:
    """A platform over one folder of source systems; `settle` does all work that is due and counts it by agent."""

    def __init__(self, home: Path, data: Path, *, index: bool = False, place: Mapping[str, str] | None = None) -> None:
        settings = load_settings(project=PROJECT, home=home, durable=False, **(place or {}))
        prepare(settings)
        self.data = data
        self.platform = build(settings, index=index, acting=True)
        self._due: deque[str] = deque()
        self._runtime = self.platform.runtime
        assert self._runtime is not None
        self._runtime.enqueue = self._due.append

    @property
    def reader(self) -> Reader:
        return Reader(self.platform.store, OpenView())

    def ingest(self, *systems: str) -> dict[str, IngestReport]:
        """Bring the named systems in, in that order; every one where none is named."""
        return {name: self._ingest(name) for name in systems or SYSTEMS}

    def _ingest(self, name: str) -> IngestReport:
        mapping = load_mapping(PROJECT / f"{name}.yaml")
        report = ingest(
            self.platform.store, self.platform.ontology, self.platform.clock, mapping, self.data / SYSTEMS[name]
        )
        assert (report.rejected, report.problems) == (0, ()), (name, report)
        return report

    def settle(self) -> Counter[str]:
        """Read the feed to its end and do all work that follows; how often each agent acted."""
        acted: Counter[str] = Counter()
        assert self._runtime is not None
        while self._runtime.pump() or self._due:
            while self._due:
                id = self._due.popleft()
                work = works.read(self.platform.store, id)
                if work is not None and work.task == "act":
                    acted[work.agent] += 1
                self._runtime.handle(id)
        assert self._runtime.failures() == []
        return acted
