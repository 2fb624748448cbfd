"""Planner with a task ledger (magentic): a planner keeps facts and a plan, and after each step looks whether the task is done,
whether there was progress, and who does what next; where it stalls it plans anew.

Invariant: bounded by rounds, by rounds without progress before a new plan, and by plans. A step goes only to a member of the
team; a step that fails is in the ledger like any other, so the planner sees it.
"""

import json
from dataclasses import dataclass

from coordination.patterns import sound
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, Person, asked, tried
from coordination.patterns.stuck import MOVING, settled
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document
from kg.values import Json

_PLAN = "Write the ledger: the facts, and the plan as steps, each with a member of the team."
_LOOK = "Look at the ledger: is the task done, was there progress, and who does what next?"
_LEDGER = "${ {task, context, team, facts, plan, log, plans} }"


@dataclass(frozen=True, slots=True)
class Planning:
    """The planner, its team, and the bounds. Input: ``{task, context}``; output: ``{output, facts, plan, log, plans}``.

    Planner's answers: the ledger ``{facts, steps: [{agent, task}]}``, then ``{done, output}`` or
    ``{done: false, progress, next: {agent, task}}``.
    """

    about: About
    planner: str
    team: tuple[str, ...]
    rounds: int = 20
    stalls: int = 2
    plans: int = 3
    person: Person | None = None


def planning(settings: Planning) -> Document:
    """The workflow."""
    sound.some("the members of the team", settings.team)
    sound.whole("how many rounds there may be", settings.rounds, 1)
    sound.whole("how many rounds may pass without progress", settings.stalls, 0)
    sound.whole("how many plans there may be", settings.plans, 1)
    team = json.dumps(list(settings.team))
    begin = f"${{ {{task, context, team: {team}, facts: [], plan: null, log: [], plans: 0, stalls: 0}} }}"
    replan = (
        f"${{ if .done or .stalls <= {settings.stalls} then . elif .plans >= {settings.plans} then "
        f'.stuck = {{title: "No Progress", why: "\\(.plans) plans led no further"}} '
        "else .plan = null | .next = null end }"
    )
    turn = [_planned(settings), _looked(settings), b.set_("bound", replan), _worked(settings)]
    tasks = [
        b.set_("begin", begin),
        b.for_("rounds", f"${{ [range({settings.rounds})] }}", turn, while_=MOVING),
        *settled(settings.person, "No Result", f"the {settings.rounds} rounds are used up"),
        b.set_("result", "${ {output, facts, plan, log, plans} }"),
    ]
    return settings.about.workflow("A planner with a task ledger and its team.", tasks)


def step(team: tuple[str, ...]) -> Json:
    """JSON Schema of a step: who, and what."""
    task: Json = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "required": ["agent", "task"],
        "properties": {"agent": {"enum": list(team)}, "task": task},
    }


def _planned(settings: Planning) -> Named:
    steps: Json = {"type": "array", "minItems": 1, "maxItems": 100, "items": step(settings.team)}
    schema: Json = {"type": "object", "required": ["steps"], "properties": {"facts": {"type": "array"}, "steps": steps}}
    kept = "${ . as $a | $input | .plan = $a.output.steps | .facts += ($a.output.facts // []) | .plans += 1 | .stalls = 0 }"
    common = Common(if_="${ .plan == null }", output_as=kept)
    return asked("plan", Ask(settings.planner, _PLAN, Check(schema)), context=_LEDGER, common=common)


def _looked(settings: Planning) -> Named:
    flags: dict[str, Json] = {"done": {"type": "boolean"}, "progress": {"type": "boolean"}, "next": step(settings.team)}
    schema: Json = {
        "type": "object",
        "required": ["done"],
        "properties": flags,
        "if": {"properties": {"done": {"const": True}}},
        "then": {"required": ["output"]},
        "else": {"required": ["next", "progress"]},
    }
    kept = (
        "${ . as $a | $a.output as $o | $input | if $o.done then .done = true | .output = $o.output | .next = null "
        "else .next = $o.next | .stalls = (if $o.progress then 0 else .stalls + 1 end) end }"
    )
    ask = Ask(settings.planner, _LOOK, Check(schema))
    return asked("look", ask, context=_LEDGER, common=Common(output_as=kept))


def _worked(settings: Planning) -> Named:
    ask = Ask("${ .next.agent }", "${ .next.task }")
    kept = (
        "${ . as $a | $input | .log += [.next + (if $a.failed then {failed: $a.failed.detail} "
        "else {output: $a.output} end)] | .next = null }"
    )
    context = "${ {task, context, facts, log} }"
    work = tried("work", asked("ask", ask, context=context, among=settings.team), "team")
    return b.do("work", [work], Common(if_="${ .next != null and (.stuck | not) }", output_as=kept))
