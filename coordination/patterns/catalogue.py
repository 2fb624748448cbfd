"""The catalogue of patterns: what each is for, and an example of it as a workflow document, with names that say what stands there.

Invariant: every pattern of this package is in it, and every example is a document that validates. Registers and runs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from coordination.patterns import asking
from coordination.patterns.about import About
from coordination.patterns.asking import Ask
from coordination.patterns.auction import Auction, ContractNet, auction, contract_net
from coordination.patterns.blackboard import Blackboard, blackboard
from coordination.patterns.concurrent import Concurrent, concurrent
from coordination.patterns.conversation import Conversation, conversation
from coordination.patterns.debate import Debate, debate
from coordination.patterns.handoff import Handoff, handoff
from coordination.patterns.hierarchy import Crew, Duty, Role, crew
from coordination.patterns.planning import Planning, planning
from coordination.patterns.reduction import MapReduce, map_reduce
from coordination.patterns.refinement import Refinement, refinement
from coordination.patterns.saga import Act, Saga, saga
from coordination.patterns.sequential import Sequential, sequential
from coordination.patterns.voting import Vote, vote
from coordination.workflow.document import Document


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern: one line about it, when to use it, its Python call, and an example."""

    summary: str
    use: str
    call: str
    example: Callable[[], Document]


def _sequential() -> Document:
    person = asking.Person({"managers": 1}, "Go on without a score", "the risk is unknown")
    score = Ask("score", check=asking.Check(evidence=1, confidence=0.7), fallback=("score-by-rules",), person=person)
    return sequential(Sequential(About("sequential"), (Ask("extract"), score, Ask("report"))))


def _concurrent() -> Document:
    branches = tuple(Ask(name, timeout={"minutes": 5}) for name in ("legal", "finance", "security"))
    return concurrent(Concurrent(About("concurrent"), branches, quorum=2, merge=Ask("editor")))


def _hierarchy() -> Document:
    roles = {"researcher": Role(Ask("researcher")), "author": Role(Ask("author"))}
    tasks = {
        "prices": Duty("researcher", "Find the prices"),
        "rivals": Duty("researcher", "Find the rivals"),
        "report": Duty("author", "Write the report", ("prices", "rivals")),
    }
    return crew(Crew(About("supervisor"), Ask("supervisor"), roles, tasks))


def _saga() -> Document:
    undo = {"operation": "hotel.cancel", "payload": {"method": "DELETE", "url": "https://hotel.example/{reference}"}}
    hotel = {"method": "POST", "url": "https://hotel.example/bookings", "undo": undo}
    flight = {"method": "POST", "url": "https://flight.example/bookings"}
    acts = (
        Act("hotel", {"operation": "hotel.book", "effector": "http", "payload": hotel}),
        Act("flight", {"operation": "flight.book", "effector": "http", "payload": flight}),
    )
    return saga(Saga(About("saga"), acts))


def _vote() -> Document:
    voters = (Ask("risk"), Ask("sales"), Ask("compliance"))
    return vote(Vote(About("vote"), voters, ("grant", "refuse"), tie_breaker=Ask("chair")))


PATTERNS: Final[Mapping[str, Pattern]] = {
    "sequential": Pattern(
        "Agents one after the other, each with what those before it answered.",
        "The steps are known and each needs the one before: extract, score, report.",
        "sequential(Sequential(about, steps))",
        _sequential,
    ),
    "concurrent": Pattern(
        "Agents side by side on one task, with a quorum.",
        "Independent views of the same thing, and some of them may fail or be late.",
        "concurrent(Concurrent(about, branches, quorum, merge))",
        _concurrent,
    ),
    "handoff": Pattern(
        "The task goes from agent to agent until one answers.",
        "Who can answer shows only on the way, as in support; the context must not be lost.",
        "handoff(Handoff(about, team))",
        lambda: handoff(Handoff(About("handoff"), ("desk", "billing", "network"))),
    ),
    "group-chat": Pattern(
        "Members speak in turn or as chosen; a named decider ends it.",
        "A question that gets better by hearing each other, within a budget.",
        "conversation(Conversation(about, members, decider))",
        lambda: conversation(Conversation(About("group-chat"), ("author", "critic"), "chair", turns=8, cost=100)),
    ),
    "planner": Pattern(
        "A planner with a task ledger and its team (magentic).",
        "The steps are not known before; the plan changes as facts come in.",
        "planning(Planning(about, planner, team))",
        lambda: planning(Planning(About("planner"), "planner", ("researcher", "coder"))),
    ),
    "map-reduce": Pattern(
        "One agent an item, several at once; one brings together.",
        "Many items of one kind: documents, accounts, tickets.",
        "map_reduce(MapReduce(about, mapper, reducer, lanes))",
        lambda: map_reduce(MapReduce(About("map-reduce"), Ask("reader"), Ask("editor"))),
    ),
    "supervisor": Pattern(
        "Roles and tasks in their order; a supervisor reviews and sums up.",
        "A team with a division of labour; crews may be nested.",
        "crew(Crew(about, supervisor, roles, tasks))",
        _hierarchy,
    ),
    "auction": Pattern(
        "Tasks go where they cost the least together.",
        "Several agents could do it, at different cost and confidence.",
        "auction(Auction(about, bidders, deadline))",
        lambda: auction(Auction(About("auction"), ("north", "south"))),
    ),
    "contract-net": Pattern(
        "An auction whose winners do the work; what failed is announced again.",
        "The same, and the work is to be done and checked at once.",
        "contract_net(ContractNet(auction, rounds))",
        lambda: contract_net(ContractNet(Auction(About("contract-net"), ("north", "south")))),
    ),
    "blackboard": Pattern(
        "Sources add to a board until nobody adds more.",
        "Nobody knows all; who can add what shows only as the board fills.",
        "blackboard(Blackboard(about, sources))",
        lambda: blackboard(Blackboard(About("blackboard"), ("identity", "equipment", "access"))),
    ),
    "saga": Pattern(
        "Effects in order, undone in reverse.",
        "Several systems must agree and none of them shares a transaction.",
        "saga(Saga(about, acts))",
        _saga,
    ),
    "evaluator-optimiser": Pattern(
        "A writer and an evaluator, in rounds.",
        "What is good can be judged better than it can be written at once.",
        "refinement(Refinement(about, writer, evaluator, rounds))",
        lambda: refinement(Refinement(About("evaluator-optimiser"), Ask("writer"), Ask("evaluator"))),
    ),
    "vote": Pattern(
        "Agents choose among options; the rule says which wins.",
        "A choice among known options where no single agent is trusted alone.",
        "vote(Vote(about, voters, options, rule))",
        _vote,
    ),
    "debate": Pattern(
        "Agents argue in rounds, a judge decides.",
        "A disputed question where arguments should meet before the decision.",
        "debate(Debate(about, debaters, judge, rounds))",
        lambda: debate(Debate(About("debate"), (Ask("pro"), Ask("contra")), Ask("judge"))),
    ),
}
