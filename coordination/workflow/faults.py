"""Faults: the errors a workflow may raise and catch, in the form the specification gives them (RFC 7807 problem details).

Invariant: every fault has a type, a status, a title and the place it comes from. A fault is the workflow's own business and may be
caught by `try`; what is wrong with the platform is another exception and never becomes one.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

from kg.errors import ValueDomainError
from kg.payloads import sound
from kg.values import Json

BASE: Final = "https://open-workflow-specification.org/spec/1.0.0/errors/"
#: The standard types with their usual status and title.
KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "configuration": (400, "Configuration Error"),
    "validation": (400, "Validation Error"),
    "expression": (400, "Expression Error"),
    "authentication": (401, "Authentication Error"),
    "authorization": (403, "Authorization Error"),
    "timeout": (408, "Timeout"),
    "communication": (500, "Communication Error"),
    "runtime": (500, "Runtime Error"),
}
#: The same type under the addresses the specification and its conformance kit used over time.
_STANDARD = re.compile(
    r"https://(?:open-workflow-specification\.org|serverlessworkflow\.io)/(?:spec/1\.0\.0/errors|dsl/errors/types)/(\w+)\Z"
)
#: Characters of a detail that are kept.
DETAIL_MAX: Final = 1_000
#: Characters of JSON of a problem that stands on record as it is, and members of a larger one that are kept.
PROBLEM_MAX: Final = 16_384
MEMBERS_MAX: Final = 10


class Fault(Exception):
    """A fault on its way to whoever catches it; `problem` is the JSON that expressions see."""

    def __init__(self, problem: Mapping[str, Json]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or problem.get("type")))
        self.problem = _kept(problem)


def _kept(problem: Mapping[str, Json]) -> dict[str, Json]:
    """A problem as it may go on record: what is too large, or no JSON, is cut to short plain text."""
    with suppress(ValueDomainError):
        if len(sound(dict(problem), "the error")) <= PROBLEM_MAX:
            return dict(problem)
    return {
        str(name)[:DETAIL_MAX]: value if isinstance(value, int | None) else _plainly(value)
        for name, value in islice(problem.items(), MEMBERS_MAX)
    }


def _plainly(value: Json) -> str:
    return str(value)[:DETAIL_MAX].encode(errors="replace").decode()


def fault(kind: str, detail: str, *, status: int | None = None, title: str | None = None, instance: str = "") -> Fault:
    """A fault of a standard kind; the machine adds the place where it is not given."""
    usual, name = KINDS[kind]
    problem: dict[str, Json] = {"type": BASE + kind, "status": status or usual, "title": title or name}
    problem["detail"] = " ".join(detail.split())[:DETAIL_MAX]
    if instance:
        problem["instance"] = instance
    return Fault(problem)


def alike(filter: Mapping[str, Json], problem: Mapping[str, Json]) -> bool:
    """Whether a problem has every value that a filter names; the addresses of one standard type count as one."""
    return all(_plain(name, problem.get(name)) == _plain(name, wanted) for name, wanted in filter.items())


def _plain(name: str, value: Json) -> Json:
    found = _STANDARD.match(value) if name == "type" and isinstance(value, str) else None
    return found.group(1) if found else value
