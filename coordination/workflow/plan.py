"""Plan: a document made ready to run: task lists by pointer, names by place, components by name.

Invariant: a task's reference is the JSON pointer of its definition, so an error's `instance` always names one place of the text.
Holds no state of any run; one serves them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordination.workflow.document import Document
from coordination.workflow.faults import fault
from coordination.workflow.source import pointer
from kg.values import Json

TASKS: Final = ("call", "do", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait")
Definition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a list."""

    name: str
    reference: str
    kind: str
    definition: Definition


@dataclass(slots=True)
class Plan:
    """Lookups into one document."""

    document: Document
    _lists: dict[str, tuple[Task, ...]] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def body(self) -> Mapping[str, Json]:
        """The definition as written."""
        return self.document.body

    def tasks(self, reference: str) -> tuple[Task, ...]:
        """The tasks of the list at a pointer."""
        found = self._lists.get(reference)
        if found is None:
            listed: Sequence[Mapping[str, Definition]] = self._at(reference)
            found = tuple(
                self._task(name, pointer(pointer(reference, index), name), definition)
                for index, item in enumerate(listed)
                for name, definition in item.items()
            )
            self._lists[reference] = found
        return found

    def index(self, reference: str, name: str) -> int | None:
        """Where a task stands in its list, None where it does not."""
        for index, task in enumerate(self.tasks(reference)):
            if task.name == name:
                return index
        return None

    def task(self, reference: str) -> Task:
        """The task at a pointer."""
        found = self._tasks.get(reference)
        if found is None:
            name = reference.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
            found = self._task(name, reference, self._at(reference))
        return found

    def has(self, reference: str) -> bool:
        """Whether something stands at a pointer."""
        try:
            return bool(self._at(reference))
        except (KeyError, IndexError):
            return False

    def component(self, kind: str, value: Json) -> Json:
        """What stands inline, or the component of `use` that a text names."""
        if not isinstance(value, str):
            return value
        found = self.body.get("use", {}).get(kind, {})
        if value not in found:
            raise fault("configuration", f"`use.{kind}` has no {value!r}; define it or correct the name")
        return found[value]

    def _task(self, name: str, reference: str, definition: Definition) -> Task:
        kind = next((kind for kind in TASKS if kind in definition and not (kind == "do" and "for" in definition)), "")
        task = Task(name, reference, kind, definition)
        self._tasks[reference] = task
        return task

    def _at(self, reference: str) -> Any:
        part: Any = self.document.body
        for name in reference.split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            part = part[int(key)] if isinstance(part, list) else part[key]
        return part
