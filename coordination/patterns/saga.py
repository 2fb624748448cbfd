"""Saga: effects one after the other; where one does not happen, those before it are undone, the last first.

Invariant: what is undone is what happened, each once, decided and recorded like any effect (`coordination.compensation`); an
undoing that cannot be done waits for a person. A compensated saga completes and says so: its error is in the output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps

from coordination.patterns import sound
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, asked
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Act:
    """One step: the arguments of `call: effect` (its payload may declare `undo`), expressions over ``{task, context, done}``.

    With `gate`, an agent that must answer ``{go: true}`` before it; a no ends the saga like an effect that failed.
    """

    name: str
    effect: Mapping[str, Json]
    retries: int = 0
    delay: b.Duration = 1
    gate: str = ""


@dataclass(frozen=True, slots=True)
class Saga:
    """The acts in their order. Input: any object; output: ``{state: done|compensated, done, undone, error}``."""

    about: About
    acts: tuple[Act, ...]


_GO: Json = {"type": "object", "required": ["go"], "properties": {"go": {"const": True}, "reason": {"type": "string"}}}


def saga(settings: Saga) -> Document:
    """The workflow."""
    sound.some("the acts of a saga", settings.acts)
    for act in settings.acts:
        sound.whole(f"how often {act.name[:80]!r} is tried again", act.retries, 0)
    acts = [task for act in settings.acts for task in _act(act)]
    undo: dict[str, Json] = {
        "proposals": "${ [($context.done // [])[].proposal] }",
        "reason": '${ "compensates: " + ($error.detail // $error.title // "a step failed") }',
    }
    back = [
        b.call("undo", "compensate", undo, Common(output_as="${ {undone: .effects} }")),
        b.set_("compensated", '${ {state: "compensated", done: ($context.done // []), undone, error: $error} }'),
    ]
    forth = [*acts, b.set_("completed", '${ {state: "done", done: ($context.done // []), undone: [], error: null} }')]
    return settings.about.workflow("Effects in order, undone in reverse.", [b.try_("saga", forth, b.catch(back))], None)


def _act(act: Act) -> list[Named]:
    """The effect, whose proposal goes into the context as soon as it happened: a failure later still knows it."""
    kept = f"${{ ($context // {{}}) + {{done: (($context.done // []) + [{{act: {dumps(act.name)}}} + .])}} }}"
    common = Common(input_from="${ . + {done: ($context.done // [])} }", output_as="${ . }", export_as=kept)
    effect = b.call("effect", "effect", dict(act.effect))
    body: list[Named] = [effect]
    if act.retries:
        again = b.retry(
            count=act.retries, delay=act.delay, backoff="exponential", except_when="${ $error.status == 403 }"
        )
        body = [b.try_("tried", [effect], b.catch(retry=again))]
    restored = Common(output_as="${ $input }")
    tasks = [b.do(act.name, [b.do("act", body, common)], restored)]
    if act.gate:
        ask = Ask(act.gate, f"Say whether to go on with {act.name}.", Check(_GO), retries=0)
        tasks.insert(0, asked(f"{act.name}-gate", ask, common=Common(output_as="${ $input }")))
    return tasks
