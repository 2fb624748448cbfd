"""About: what every pattern's workflow is called, and what it takes in.

Invariant: a pattern is a workflow document like any other: the same settings give the same document, so the same version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Final

from coordination.workflow import builder as b
from coordination.workflow.builder import Named
from coordination.workflow.document import Document
from coordination.workflow.faults import BASE
from kg.values import Json

#: What most patterns take: a task in words, and what goes along with it.
TASK_INPUT: Final[Json] = {
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"type": "string", "minLength": 1}, "context": {}},
}


@dataclass(frozen=True, slots=True)
class About:
    """Name, namespace and version of the workflow; its agent, which must have rights, is NAMESPACE.NAME."""

    name: str
    namespace: str = "patterns"
    version: str = "1.0.0"

    def workflow(self, summary: str, tasks: Sequence[Named], takes: Json = TASK_INPUT) -> Document:
        """The document, checked."""
        return b.workflow(self.namespace, self.name, self.version, tasks, summary=summary, input_schema=takes)


def refused(title: str, detail: str, status: int = 422) -> b.Body:
    """The error of a pattern that ended without a result; its title says which bound or rule ended it."""
    return b.error(f"{BASE}runtime", status, title, detail)


def unique(names: Sequence[str]) -> list[str]:
    """Names as tasks may have them, each once: the second of a name gets a number."""
    made: dict[str, None] = {}
    for index, name in enumerate(names):
        tries = chain([name], (f"{name}-{number}" for number in count(2)))
        # Not a name that another one has by itself.
        made[next(at for at in tries if at not in made and (at == name or at not in names[index:]))] = None
    return list(made)
