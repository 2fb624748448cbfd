"""Group chat: members speak in turn or as a selector chooses, all hear all, and a named decider says when it is done, and how.

Invariant: bounded by turns and by cost, the sum of what the answers of all taking part cost. Only the decider ends it with a
result; once a bound is reached it is asked a last time, and without its decision there is none.
"""

import json
from dataclasses import dataclass
from math import inf

from coordination.errors import WorkflowError
from coordination.patterns import sound
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, Person, asked, tried
from coordination.patterns.stuck import MOVING, settled
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document
from kg.values import Json

#: What the decider answers.
DECISION: Json = {
    "type": "object",
    "required": ["done"],
    "properties": {"done": {"type": "boolean"}, "output": {}},
    "if": {"properties": {"done": {"const": True}}},
    "then": {"required": ["output"]},
}
_SPEAK = "Speak to the task; you hear what the others said."
_DECIDE = "Say whether the group is done, and if so what the result is."
_LAST = "The group may speak no more. Say what the result is, if there is one."


@dataclass(frozen=True, slots=True)
class Conversation:
    """Members, the decider, and who chooses the speaker: nobody (in turn), or the agent `selector`.

    `cost` bounds what it may cost, in the unit the agents count in. Input: ``{task, context}``; output:
    ``{output, turns, cost, messages}``.
    """

    about: About
    members: tuple[str, ...]
    decider: str
    selector: str = ""
    turns: int = 12
    cost: float | None = None
    person: Person | None = None


def conversation(settings: Conversation) -> Document:
    """The workflow."""
    sound.some("the members of the group", settings.members)
    sound.whole("how many turns there may be", settings.turns, 0)
    if settings.cost is not None and not 0 <= settings.cost < inf:
        raise WorkflowError(f"what a group may cost is a number from 0, not {settings.cost}; correct it")
    members = json.dumps(list(settings.members))
    begin = f"${{ {{task, context, members: {members}, messages: [], turn: 0, cost: 0}} }}"
    spent = "false" if settings.cost is None else f".cost >= {settings.cost}"
    bound = f'${{ if .done then . elif {spent} then .stuck = {{title: "Budget Spent", why: "it cost \\(.cost)"}} else . end }}'
    turn = [
        *_chosen(settings),
        _spoken(settings),
        _decided("decide", settings.decider, _DECIDE),
        b.set_("bound", bound),
    ]
    last = Common(if_="${ .done | not }")
    tasks = [
        b.set_("begin", begin),
        b.for_("turns", f"${{ [range({settings.turns})] }}", turn, while_=MOVING),
        b.do("last", [_decided("decide", settings.decider, _LAST)], last),
        *settled(settings.person, "No Decision", "the turns are used up and the decider has no result"),
        b.set_("result", "${ {output, turns: .turn, cost, messages} }"),
    ]
    return settings.about.workflow("Agents talk until a decider ends it.", tasks)


def _chosen(settings: Conversation) -> list[Named]:
    if not settings.selector:
        return [b.set_("choose", "${ .speaker = .members[.turn % (.members | length)] }")]
    speaker: Json = {"speaker": {"enum": list(settings.members)}}
    schema: Json = {"type": "object", "required": ["speaker"], "properties": speaker}
    ask = Ask(settings.selector, "Choose who speaks next.", Check(schema))
    kept = "${ . as $answer | $input | .speaker = $answer.output.speaker | .cost += $answer.cost }"
    return [asked("choose", ask, context=_HEARD, common=Common(output_as=kept))]


_HEARD = "${ {task, context, members, messages} }"


def _spoken(settings: Conversation) -> Named:
    """One speaks; who fails to is noted as silent, and the turn counts."""
    said = (
        "${ . as $a | $input | .turn += 1 | .cost += ($a.cost // 0) | .messages += "
        "[if $a.failed then {agent: .speaker, silent: true} else {agent: $a.agent, said: $a.output} end] }"
    )
    ask = asked("speak", Ask("${ .speaker }", _SPEAK), context=_HEARD, among=settings.members)
    return b.do("speak", [tried("speak", ask, "speaker")], Common(output_as=said))


def _decided(name: str, decider: str, question: str) -> Named:
    kept = (
        "${ . as $a | $input | .cost += $a.cost | if $a.output.done then .done = true | .output = $a.output.output "
        "| del(.stuck) else . end }"
    )
    return asked(name, Ask(decider, question, Check(DECISION)), context=_HEARD, common=Common(output_as=kept))
