"""Sequential: agents one after the other, each with the task, the context and what those before it answered.

Invariant: an agent is asked only once the answer before it was good enough. Output: the last output, and all answers in order.
"""

from dataclasses import dataclass

from coordination.patterns import sound
from coordination.patterns.about import About, unique
from coordination.patterns.asking import Ask, asked
from coordination.workflow import builder as b
from coordination.workflow.builder import Common
from coordination.workflow.document import Document


@dataclass(frozen=True, slots=True)
class Sequential:
    """The agents in their order. Input: ``{task, context}``; output: ``{output, answers}``."""

    about: About
    steps: tuple[Ask, ...]


def sequential(settings: Sequential) -> Document:
    """The workflow."""
    sound.some("the steps of a sequence", settings.steps)
    begin = b.set_("begin", {"task": "${ .task }", "context": "${ .context }", "answers": []})
    after = Common(output_as="${ . as $answer | $input | .answers += [$answer] }")
    names = unique([step.agent for step in settings.steps])
    steps = [asked(name, step, common=after) for name, step in zip(names, settings.steps, strict=True)]
    result = b.set_("result", {"output": "${ .answers[-1].output }", "answers": "${ .answers }"})
    return settings.about.workflow("Agents one after the other.", [begin, *steps, result])
