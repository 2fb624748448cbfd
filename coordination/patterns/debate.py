"""Debate: agents argue in rounds, each seeing what all said before; it ends early where they agree, and a judge decides.

Invariant: no more than the named number of rounds; what each said stands in the order of the debaters, whoever answered first. One
who fails to answer is silent in that round; where all are silent there is no result.
"""

from dataclasses import dataclass, replace

from coordination.patterns import sound
from coordination.patterns.about import About, refused
from coordination.patterns.asking import Ask, asked
from coordination.patterns.concurrent import side_by_side
from coordination.workflow import builder as b
from coordination.workflow.builder import Common
from coordination.workflow.document import Document
from kg.values import Json

#: What a debater answers.
ARGUMENT: Json = {
    "type": "object",
    "required": ["position"],
    "properties": {"position": {"type": "string", "minLength": 1}, "argument": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Debate:
    """The debaters, their judge, and the rounds. Input: ``{task, context}``; output: ``{output, agreed, rounds, said}``.

    The judge is not asked where all debaters who spoke hold one position; its output is then that position.
    """

    about: About
    debaters: tuple[Ask, ...]
    judge: Ask
    rounds: int = 2


def debate(settings: Debate) -> Document:
    """The workflow."""
    sound.some("the debaters", settings.debaters)
    sound.whole("how many rounds there may be", settings.rounds, 1)
    debaters = tuple(replace(one, check=one.check.shaped(ARGUMENT)) for one in settings.debaters)
    heard = (
        "${ .said += [[.answers[] | {agent, position: .output.position, argument: .output.argument}]] | .rounds += 1 "
        "| .agreed = (([.answers[].output.position] | unique | length) == 1) | del(.answers, .failed, .output) }"
    )
    body = [
        side_by_side("argue", debaters),
        b.raise_("silence", refused("Silence", "no debater gave a usable argument"), Common(if_="${ .answers == [] }")),
        b.set_("hear", heard),
    ]
    decided = Common(if_="${ .agreed | not }", output_as="${ . as $answer | $input | .output = $answer.output }")
    judging = settings.judge if settings.judge.task else replace(settings.judge, task='${ "Decide: " + .task }')
    tasks = [
        b.set_("begin", "${ {task, context, said: [], rounds: 0, agreed: false} }"),
        b.for_("rounds", f"${{ [range({settings.rounds})] }}", body, while_="${ .agreed | not }"),
        asked("decide", judging, common=decided),
        b.set_(
            "result", "${ {output: (if .agreed then .said[-1][0].position else .output end), agreed, rounds, said} }"
        ),
    ]
    return settings.about.workflow("Agents argue in rounds, a judge decides.", tasks)
