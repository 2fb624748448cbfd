"""Evaluator-optimiser: one agent writes, another judges and says what to better, until the draft is accepted or the rounds end.

Invariant: no more than the named number of rounds; the best draft so far is kept. A draft that was never accepted is a result only
where the settings say that the best will do.
"""

from dataclasses import dataclass

from coordination.patterns import sound
from coordination.patterns.about import About, refused
from coordination.patterns.asking import VERDICT, Ask, Person, asked, decided
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document

_JUDGE = "Judge the draft against the task: accepted or not, a score, and what to better."


@dataclass(frozen=True, slots=True)
class Refinement:
    """Writer, evaluator, and how often they may go round. `best_will_do`: the best draft is the result though not accepted.

    Input: ``{task, context}``; output: ``{output, accepted, score, rounds, feedback}``.
    """

    about: About
    writer: Ask
    evaluator: Ask
    rounds: int = 3
    best_will_do: bool = False
    person: Person | None = None


def refinement(settings: Refinement) -> Document:
    """The workflow."""
    sound.whole("how many rounds there may be", settings.rounds, 1)
    none = "${ .accepted | not }"
    why = '${ "after \\(.rounds) rounds the evaluator still says: " + (.feedback // "not accepted") }'
    tasks = refined(settings.writer, settings.evaluator, settings.rounds)
    if settings.person is not None:
        kept = Common(if_=none, output_as="${ . as $answer | $input | .best = {draft: $answer.output, score: null} }")
        tasks.append(b.do("undecided", decided(settings.person, why), kept))
    elif not settings.best_will_do:
        tasks.append(b.raise_("not-accepted", refused("Not Accepted", why), Common(if_=none)))
    tasks.append(b.set_("result", "${ {output: .best.draft, accepted, score: .best.score, rounds, feedback} }"))
    return settings.about.workflow("A writer and an evaluator, in rounds.", tasks)


def refined(writer: Ask, evaluator: Ask, rounds: int) -> list[Named]:
    """The tasks from ``{task, context}`` to `best`, `accepted`, `rounds` and the last `feedback`."""
    judge = Ask(
        evaluator.agent, evaluator.task or _JUDGE, evaluator.check.shaped(VERDICT),
        retries=evaluator.retries, timeout=evaluator.timeout, fallback=evaluator.fallback,
    )  # fmt: skip
    judged = (
        "${ . as $answer | $answer.output as $v | $input | .accepted = $v.accepted | .feedback = $v.reason "
        "| .rounds += 1 | if $v.accepted or .best == null or (($v.score // 0) > (.best.score // 0)) "
        "then .best = {draft: .draft, score: $v.score} else . end }"
    )
    body = [
        asked("write", writer, common=Common(output_as="${ . as $answer | $input | .draft = $answer.output }")),
        asked("judge", judge, common=Common(output_as=judged)),
    ]
    begin = "${ . + {draft: null, feedback: null, accepted: false, rounds: 0, best: null} }"
    loop = b.for_("rounds", f"${{ [range({rounds})] }}", body, while_="${ .accepted | not }")
    return [b.set_("begin", begin), loop]
