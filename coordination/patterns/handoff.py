"""Handoff: an agent answers, or hands the task on to another of the team with everything said so far.

Invariant: bounded twice, by all handoffs and by how often one agent may hand on to the same other (ping-pong). The context only
grows: what an agent adds goes along, nothing is lost on the way. An agent can hand on to members of the team alone.
"""

import json
from dataclasses import dataclass
from typing import Final

from coordination.patterns import sound
from coordination.patterns.about import About
from coordination.patterns.asking import ANY, Ask, Check, Person, asked
from coordination.patterns.stuck import MOVING, settled
from coordination.workflow import builder as b
from coordination.workflow.builder import Common
from coordination.workflow.document import Document
from kg.values import Json

#: What it takes: the context is an object, since it grows.
TAKES: Final[Json] = {
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"type": "string", "minLength": 1}, "context": {"type": ["object", "null"]}},
}


@dataclass(frozen=True, slots=True)
class Handoff:
    """The team, the first of it begins. `ping_pong`: how often one may hand on to the same other.

    An agent's output is ``{output}``, or ``{handoff: NAME, reason, context}``. Input: ``{task, context}``; output:
    ``{output, agent, handoffs, context}``.
    """

    about: About
    team: tuple[str, ...]
    handoffs: int = 8
    ping_pong: int = 2
    check: Check = ANY
    retries: int = 1
    person: Person | None = None


def handoff(settings: Handoff) -> Document:
    """The workflow."""
    sound.some("the members of the team", settings.team)
    sound.distinct("members of the team", settings.team)
    sound.whole("how many handoffs there may be", settings.handoffs, 0)
    sound.whole("how often one may hand on to the same other", settings.ping_pong, 0)
    names = list(settings.team)
    schema: Json = {
        "type": "object",
        "properties": {"handoff": {"enum": names}, "reason": {"type": "string"}, "context": {"type": "object"}},
        "anyOf": [{"required": ["handoff"]}, {"required": ["output"]}],
    }
    check = Check(schema, settings.check.evidence, settings.check.confidence)
    ask = Ask("${ .agent }", check=check, retries=settings.retries)
    context = "${ {task, context, team, handoffs} }"
    moved = (
        "${ . as $a | $a.output as $o | $input | if $o.handoff then .handoffs += [{from: $a.agent, to: $o.handoff, "
        "reason: $o.reason}] | .agent = $o.handoff | .context += ($o.context // {}) else .output = $o.output | .done = true end }"
    )
    again = "[.handoffs[] | {from, to}] | length as $n | if $n == 0 then 0 else .[-1] as $l | map(select(. == $l)) | length end"
    bound = (
        f"${{ ({again}) as $times | if .done then . elif $times > {settings.ping_pong} then .stuck = "
        '{title: "Ping-Pong", why: "\\(.handoffs[-1].from) handed on to \\(.handoffs[-1].to) \\($times) times"} '
        f"elif (.handoffs | length) > {settings.handoffs} then .stuck = "
        '{title: "Too Many Handoffs", why: "nobody answered within \\(.handoffs | length) handoffs"} else . end }'
    )
    turn = [
        asked("ask", ask, context=context, among=settings.team, common=Common(output_as=moved)),
        b.set_("bound", bound),
    ]
    begin = f"${{ {{task, context: (.context // {{}}), team: {json.dumps(names)}, agent: {json.dumps(names[0])}, handoffs: []}} }}"
    tasks = [
        b.set_("begin", begin),
        b.for_("turns", f"${{ [range({settings.handoffs + 1})] }}", turn, while_=MOVING),
        *settled(settings.person),
        b.set_("result", "${ {output, agent, handoffs, context} }"),
    ]
    return settings.about.workflow("The task goes from agent to agent until one answers.", tasks, TAKES)
