"""Blackboard: knowledge sources look at one entity, the board, and propose what they know; it ends where nobody adds anything, or
the goal is reached.

Invariant: the board is written through proposals alone, so conflicts, gate and approval hold for what every source adds, and what
was refused is on record. It has converged when all sources looked at it and none changed it; rounds are bounded.
"""

from dataclasses import dataclass
from json import dumps

from coordination.patterns import sound
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, Person, asked, tried
from coordination.patterns.stuck import MOVING, settled
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document
from kg.values import Json

#: What a blackboard takes: the id of the entity that is the board.
TAKES: Json = {"type": "object", "required": ["board"], "properties": {"board": {"type": "string", "minLength": 1}}}


@dataclass(frozen=True, slots=True)
class Blackboard:
    """The sources, agents that act on the board; `control`, an agent that chooses which of them look in a round, if not all.

    `goal` is an expression over the board as the workflow's agent sees it (`call: query`), true once it is reached.
    Input: ``{board}``; output: ``{converged, reached, rounds, applied, refused, log}``.
    """

    about: About
    sources: tuple[str, ...]
    control: str = ""
    goal: str = ""
    rounds: int = 10
    person: Person | None = None


def blackboard(settings: Blackboard) -> Document:
    """The workflow."""
    sound.some("the sources", settings.sources)
    sound.distinct("sources", settings.sources)
    sound.whole("how many rounds there may be", settings.rounds, 1)
    chosen = dumps(list(settings.sources))
    begin = f"${{ {{board, rounds: 0, applied: 0, refused: 0, log: [], chosen: {chosen}}} }}"
    over = (
        "${ .rounds += 1 | .applied += .now | if .reached or (.now == 0 and .failed == 0 and (.skipped | not)) "
        "then .done = true | .converged = (.reached | not) else . end }"
    )
    turn = [
        b.set_("round", "${ . + {now: 0, failed: 0, reached: false, skipped: false} }"),
        *_controlled(settings),
        *(_looked(source) for source in settings.sources),
        *_reached(settings),
        b.set_("over", over),
    ]
    tasks = [
        b.set_("begin", begin),
        b.for_("rounds", f"${{ [range({settings.rounds})] }}", turn, while_=MOVING),
        *settled(settings.person, "Not Converged", f"the board still changed after {settings.rounds} rounds"),
        b.set_("result", "${ {converged: (.converged // false), reached, rounds, applied, refused, log} }"),
    ]
    return settings.about.workflow("Knowledge sources add to a board until nobody adds more.", tasks, TAKES)


def _controlled(settings: Blackboard) -> list[Named]:
    """Who looks in this round; a round in which some were passed over is no proof that nobody has more to add."""
    if not settings.control:
        return []
    listed: Json = {"type": "array", "items": {"enum": list(settings.sources)}}
    schema: Json = {"type": "object", "required": ["sources"], "properties": {"sources": listed}}
    ask = Ask(settings.control, "Choose the sources that look at the board now.", Check(schema))
    all_ = len(settings.sources)
    kept = f"${{ . as $a | $input | .chosen = $a.output.sources | .skipped = ((.chosen | unique | length) < {all_}) }}"
    context = "${ {board, rounds, log} }"
    return [asked("control", ask, context=context, common=Common(output_as=kept))]


def _looked(source: str) -> Named:
    """One source looks, and what it proposes is settled before the next one looks."""
    name = dumps(source)
    kept = (
        f"${{ . as $a | $input | if $a.failed then .failed += 1 "
        f"| .log += [{{round: .rounds, source: {name}, failed: $a.failed.detail}}] "
        'else ([$a.proposals[] | select(.state == "applied" or .state == "simulated")] | length) as $n '
        "| .now += $n | .refused += (($a.proposals | length) - $n) "
        f"| .log += [$a.proposals[] as $p | {{round: .rounds, source: {name}, proposal: $p.id, state: $p.state}}] end }}"
    )
    act = b.call("act", "agent", {"agent": source, "entity": "${ .board }"})
    common = Common(if_=f"${{ .chosen | index({name}) != null }}", output_as=kept)
    return b.do(source, [tried("look", act, source)], common)


def _reached(settings: Blackboard) -> list[Named]:
    if not settings.goal:
        return []
    kept = Common(
        output_as=f"${{ (. | ({_inner(settings.goal)})) as $reached | $input | .reached = ($reached | not | not) }}"
    )
    return [b.call("goal", "query", {"id": "${ .board }"}, kept)]


def _inner(expression: str) -> str:
    text = expression.strip()
    return text[2:-1] if text.startswith("${") and text.endswith("}") else text
