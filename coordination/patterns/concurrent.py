"""Concurrent: agents side by side on the same task; it goes on where at least a quorum of them gave a good answer.

Invariant: branches run on different workers and share nothing; one that fails or takes too long fails for itself. Below the quorum
there is no result: the error "No Quorum", or a person where one is named.
"""

from dataclasses import dataclass, replace

from coordination.patterns import sound
from coordination.patterns.about import About, refused, unique
from coordination.patterns.asking import Ask, Person, asked, decided, tried
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document


@dataclass(frozen=True, slots=True)
class Concurrent:
    """The agents, how many must answer well (0: all), and who brings the answers together, if anybody.

    Input: ``{task, context}``; output: ``{output, answers, failed}``: the merger's output, else the list of outputs.
    """

    about: About
    branches: tuple[Ask, ...]
    quorum: int = 0
    merge: Ask | None = None
    person: Person | None = None


def concurrent(settings: Concurrent) -> Document:
    """The workflow."""
    sound.some("the branches", settings.branches)
    sound.quorum(settings.quorum, len(settings.branches))
    quorum = settings.quorum or len(settings.branches)
    tasks = [side_by_side("ask", settings.branches), enough(quorum, settings.person)]
    if settings.merge is not None:
        merged = Common(output_as="${ . as $answer | $input | .output = $answer.output }")
        merge = settings.merge if settings.merge.task else _merging(settings.merge)
        tasks.append(asked("merge", merge, common=merged))
    tasks.append(b.set_("result", {"output": "${ .output }", "answers": "${ .answers }", "failed": "${ .failed }"}))
    return settings.about.workflow("Agents side by side, with a quorum.", tasks)


def side_by_side(name: str, asks: tuple[Ask, ...]) -> Named:
    """Every agent at once on ``{task, context, …}``; the output adds `answers`, `failed` and the list of outputs."""
    names = unique([ask.agent for ask in asks])
    branches = [tried(at, asked("ask", ask), ask.agent) for at, ask in zip(names, asks, strict=True)]
    gathered = (
        "${ . as $all | $input | .answers = [$all[] | select(.failed | not)] "
        "| .failed = [$all[] | select(.failed)] | .output = [.answers[].output] }"
    )
    return b.fork(name, branches, common=Common(output_as=gathered))


def enough(quorum: int, person: Person | None) -> Named:
    """Nothing where at least `quorum` answered; else the error, or what a person decides."""
    short = f"${{ (.answers | length) < {quorum} }}"
    why = f'${{ "only \\(.answers | length) of at least {quorum} agents gave a good answer" }}'
    if person is None:
        return b.raise_("quorum", refused("No Quorum", why), Common(if_=short))
    kept = "${ . as $answer | $input | .answers += [$answer] | .output = [.answers[].output] }"
    return b.do("quorum", decided(person, why), Common(if_=short, output_as=kept))


def _merging(ask: Ask) -> Ask:
    return replace(ask, task='${ "Bring these answers together into one: " + .task }')
