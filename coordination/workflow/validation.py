"""Says everything that is wrong with a workflow document, at once, each with its line, its column and a remedy.

Invariant: never raises on a document that `document.parse` made, and changes nothing; without errors the document may run.
"""

from collections.abc import Collection
from contextlib import nullcontext
from typing import Final

from coordination.errors import WorkflowError
from coordination.workflow import flow, moments, programs, references, schemata
from coordination.workflow.checker import Checker
from coordination.workflow.document import Document, parse
from coordination.workflow.problems import Problem
from coordination.workflow.tasks import SHAPES, WORKFLOW
from kg.jq import Jq

#: Problems that one error message of `load` writes out.
NAMED_MAX: Final = 10


def validate(
    document: Document, *, jq: Jq | None = None, registered: Collection[str] | None = None
) -> tuple[Problem, ...]:
    """Every problem by place; `registered` are the names that `call: function` may use, None where they are not known."""
    checker = Checker(SHAPES)
    checker.check(WORKFLOW, dict(document.body), "")
    body, sites, findings = document.body, checker.sites, checker.findings
    for name in body:
        if name not in WORKFLOW.fields:
            findings.add(f"/{name}", f"`{name[:80]}` is no part of a workflow and is passed over; remove it", "warning")
    flow.check(body, findings)
    references.check(body, sites, findings, registered)
    moments.check(body, sites, checker.marked, findings)
    schemata.check(body, findings)
    with nullcontext(jq) if jq is not None else Jq() as compiler:
        programs.check(body, sites, findings, compiler)
    problems = [Problem(document.place(one.pointer), one.pointer, one.message, one.severity) for one in findings.found]
    return tuple(sorted(set(problems), key=lambda problem: (problem.place, problem.pointer, problem.message)))


def errors(problems: Collection[Problem]) -> tuple[Problem, ...]:
    """Those that keep the document from running."""
    return tuple(problem for problem in problems if problem.severity == "error")


def load(
    text: str, name: str = "workflow", *, jq: Jq | None = None, registered: Collection[str] | None = None
) -> Document:
    """The document of a text, sure to be usable; WorkflowError naming its errors line by line where it is not."""
    document = parse(text, name)
    found = errors(validate(document, jq=jq, registered=registered))
    if found:
        more = f"\n… and {len(found) - NAMED_MAX} more" if len(found) > NAMED_MAX else ""
        raise WorkflowError("\n".join(problem.line(name) for problem in found[:NAMED_MAX]) + more)
    return document
