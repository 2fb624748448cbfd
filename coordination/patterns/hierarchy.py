"""Supervisor: a crew of roles works on declared tasks, each after those it needs; the supervisor reviews every result and sums up.

Invariant: tasks that need nothing of each other run side by side; a task begins once all it needs were accepted, and gets exactly
their results. Reviews are bounded. A role may be another crew's workflow, so hierarchies nest and stay durable all the way down.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from typing import Final

from coordination.errors import WorkflowError
from coordination.patterns import sound
from coordination.patterns.about import About, refused
from coordination.patterns.asking import Ask, asked
from coordination.patterns.refinement import refined
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document
from kg.values import Json

#: Names that tasks may have, as jq and references write them.
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
#: Tasks of one crew, in all its levels.
CREW_MAX: Final = 1_000
_REVIEW: Final = "Review the result against the task: accept it, or say what is missing."


@dataclass(frozen=True, slots=True)
class Role:
    """Who does what kind of work: an agent, or the workflow ``namespace.name:version`` of another crew."""

    ask: Ask | None = None
    workflow: str = ""
    duty: str = ""


@dataclass(frozen=True, slots=True)
class Duty:
    """One task of the crew: the role that does it, what is to be done, what comes before it, what is expected."""

    role: str
    task: str
    after: Sequence[str] = ()
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Crew:
    """The supervisor, the roles and the tasks by name. `reviews`: how often a result may be sent back, 0: no review.

    Input: ``{task, context}``; output: ``{output, results}``, results by task.
    """

    about: About
    supervisor: Ask
    roles: Mapping[str, Role]
    tasks: Mapping[str, Duty] = field(default_factory=dict)
    reviews: int = 2


def crew(settings: Crew) -> Document:
    """The workflow; WorkflowError where tasks wait for each other in a circle, or name what is not there."""
    sound.some("the tasks of a crew", list(settings.tasks), CREW_MAX)
    sound.whole("how often a result may be sent back", settings.reviews, 0)
    tasks = [b.set_("begin", "${ {task, context, results: {}} }")]
    for number, names in enumerate(levels(settings), 1):
        branches = [_branch(settings, name) for name in names]
        gathered = "${ . as $all | $input | .results += ($all | add) }"
        tasks.append(b.fork(f"level-{number}", branches, common=Common(output_as=gathered)))
    kept = Common(output_as="${ . as $answer | $input | .output = $answer.output }")
    tasks.append(asked("sum-up", settings.supervisor, common=kept))
    tasks.append(b.set_("result", "${ {output, results} }"))
    return settings.about.workflow("A supervisor, roles, and tasks in their order.", tasks)


def levels(settings: Crew) -> list[list[str]]:
    """The tasks in groups that may run side by side, each after all it needs."""
    for name, duty in settings.tasks.items():
        if not _NAME.match(name):
            raise WorkflowError(f"{name[:80]!r} is no name of a task; use lower case letters, digits and hyphens")
        strange = [other for other in duty.after if other not in settings.tasks]
        if strange or duty.role not in settings.roles:
            what = f"task {strange[0]!r}" if strange else f"role {duty.role!r}"
            raise WorkflowError(f"task {name!r} names the {what}, which is not there; declare it or correct the name")
    done: list[str] = []
    found: list[list[str]] = []
    while len(done) < len(settings.tasks):
        ready = [name for name, duty in settings.tasks.items() if name not in done and set(duty.after) <= set(done)]
        if not ready:
            circle = ", ".join(sorted(set(settings.tasks) - set(done)))
            raise WorkflowError(f"the tasks {circle} wait for each other; break the circle")
        found.append(ready)
        done += ready
    return found


def _branch(settings: Crew, name: str) -> Named:
    """One task: done by its role, reviewed by the supervisor, again where it is sent back."""
    duty = settings.tasks[name]
    role = settings.roles[duty.role]
    needed = ", ".join(f'"{other}": .results["{other}"]' for other in duty.after)
    said = f"expected: {dumps(duty.expected)}, duty: {dumps(role.duty)}"
    context = f"{{crew: .task, context: .context, {said}, given: {{{needed}}}}}"
    given = Common(
        input_from=f"${{ {{task: {dumps(duty.task)}, context: {context}}} }}", output_as=f'${{ {{"{name}": .}} }}'
    )
    return b.do(name, _work(settings, role, name), given)


def _work(settings: Crew, role: Role, name: str) -> list[Named]:
    if role.ask is None:
        return [_sent(role.workflow)]
    if not settings.reviews:
        return [asked("work", role.ask, common=Common(output_as=".output"))]
    review = Ask(settings.supervisor.agent, _REVIEW, retries=settings.supervisor.retries)
    why = f'${{ "{name} was not accepted: " + (.feedback // "no reason given") }}'
    return [
        *refined(role.ask, review, settings.reviews),
        b.raise_("not-accepted", refused("Not Accepted", why), Common(if_="${ .accepted | not }")),
        b.set_("accepted", "${ .best.draft }"),
    ]


def _sent(workflow: str) -> Named:
    """The task as the input of another crew's workflow."""
    namespace, _, rest = workflow.partition(".")
    name, _, version = rest.partition(":")
    if not namespace or not name:
        raise WorkflowError(f"a role needs an agent or a workflow NAMESPACE.NAME:VERSION, not {workflow[:80]!r}")
    given: dict[str, Json] = {"task": "${ .task }", "context": "${ .context }"}
    return b.run_workflow(
        "crew", namespace, name, version or "latest", given, common=Common(output_as="${ .output // . }")
    )
