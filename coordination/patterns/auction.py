"""Auction and contract net: tasks are announced, agents bid cost, confidence and time, and the tasks go where they cost the least
together; in a contract net the winners do them, and what failed is announced again to the others.

Invariant: who answers late or badly has bid nothing. The allocation is optimal and follows from the bids alone. Rounds are bounded;
an agent that failed at a task does not get it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps

from coordination.patterns import sound
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Check, asked, tried
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Duration, Named
from coordination.workflow.document import Document
from kg.values import Json

_NUMBER: Json = {"type": "number", "minimum": 0}
#: What a bidder answers: a bid for each task it wants.
BIDS: Json = {
    "type": "object",
    "required": ["bids"],
    "properties": {
        "bids": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["task", "cost", "confidence"],
                "properties": {
                    "task": {"type": "string"},
                    "cost": _NUMBER,
                    "seconds": _NUMBER,
                    "confidence": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                },
            },
        }
    },
}
#: What both take: tasks, each with an id, perhaps with `deadline` (seconds the work may take) and `reserve` (what it may cost).
TAKES: Json = {
    "type": "object",
    "required": ["tasks"],
    "properties": {
        "tasks": {
            "type": "array",
            "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        },
        "context": {},
    },
}
_BID = "Bid for the tasks you want: cost, confidence and seconds of each."


@dataclass(frozen=True, slots=True)
class Auction:
    """The bidders, until when they may bid, and how many tasks one may win (`capacity` by agent, else `each`).

    Input: ``{tasks, context}``; output: ``{awards: [{task, agent, cost, confidence, seconds}], unassigned, refused}``.
    """

    about: About
    bidders: tuple[str, ...]
    deadline: Duration = 60
    each: int = 1
    capacity: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContractNet:
    """An auction whose winners do the work; `rounds` is how often what was not done is announced, `check` what good work is.

    Input: ``{tasks, context}``; output: ``{results: {task: output}, awards, undone, failed}``.
    """

    auction: Auction
    rounds: int = 2
    check: Check = field(default_factory=Check)
    retries: int = 0


def auction(settings: Auction) -> Document:
    """The workflow."""
    tasks = [
        b.set_("begin", "${ {tasks, context, failed: []} }"),
        *_auctioned(settings),
        b.set_("result", "${ {awards, unassigned, refused} }"),
    ]
    return settings.about.workflow("Tasks go to who does them best for least.", tasks, TAKES)


def contract_net(settings: ContractNet) -> Document:
    """The workflow."""
    done = (
        "${ . as $all | $input | ([$all[].done[]] ) as $ended | .all += .awards "
        "| .results += ([$ended[] | select(.failed | not) | {(.task): .output}] | add // {}) "
        "| .failed += [$ended[] | select(.failed) | {task, agent: .by, why: .failed.detail}] "
        "| .results as $r | .tasks = [.tasks[] | select(.id as $id | $r | has($id) | not)] }"
    )
    sound.whole("how often tasks are announced", settings.rounds, 1)
    lanes = [_performed(settings, agent) for agent in settings.auction.bidders]
    turn = [*_auctioned(settings.auction), b.fork("perform", lanes, common=Common(output_as=done))]
    tasks = [
        b.set_("begin", "${ {tasks, context, failed: [], all: [], results: {}} }"),
        b.for_("rounds", f"${{ [range({settings.rounds})] }}", turn, while_="${ .tasks != [] }"),
        b.set_("result", "${ {results, awards: .all, undone: [.tasks[].id], failed} }"),
    ]
    return settings.auction.about.workflow("Tasks are announced, bid for, awarded, and done.", tasks, TAKES)


def _auctioned(settings: Auction) -> list[Named]:
    """The tasks that announce `tasks`, take bids and set `awards`, `unassigned` and `refused`."""
    sound.some("the bidders", settings.bidders)
    sound.distinct("bidders", settings.bidders)
    for name, most in (("each bidder", settings.each), *settings.capacity.items()):
        sound.whole(f"how many tasks {name[:80]!r} may win", most, 0)
    branches = [_bid(settings, agent) for agent in settings.bidders]
    heard = (
        "${ . as $all | $input | .failed as $failed | .bids = [$all[] | select(.failed | not) | .agent as $a "
        "| .output.bids[] | . + {agent: $a} | select(. as $bid | $failed | any(.task == $bid.task and .agent == $a) | not)] }"
    )
    wanted: dict[str, Json] = {
        "tasks": "${ .tasks }",
        "bids": "${ .bids }",
        "each": settings.each,
        "capacity": dict(settings.capacity),
    }
    kept = Common(output_as="${ . as $given | $input + $given | del(.bids) }")
    return [b.fork("announce", branches, common=Common(output_as=heard)), b.call("allocate", "allocate", wanted, kept)]


def _bid(settings: Auction, agent: str) -> Named:
    ask = Ask(agent, _BID, Check(BIDS), retries=0, timeout=settings.deadline)
    return tried(agent, asked("bid", ask, context="${ {tasks, context} }"), agent)


def _performed(settings: ContractNet, agent: str) -> Named:
    """One bidder does what it won, one after the other."""
    mine = f"[.awards[] | select(.agent == {dumps(agent)}) | .task as $t | ($all[] | select(.id == $t))]"
    given = f"${{ .tasks as $all | {{context, done: [], mine: {mine}}} }}"
    ask = Ask(agent, '${ "Do the task you won: " + $item.id }', settings.check, retries=settings.retries)
    work = tried("one", asked("work", ask, context="${ {task: $item, context: .context} }"), agent)
    kept = f"${{ . as $answer | $input | .done += [$answer + {{task: $item.id, by: {dumps(agent)}}}] }}"
    body = [b.do("each", [work], Common(output_as=kept))]
    return b.for_(agent, "${ .mine }", body, common=Common(input_from=given))
