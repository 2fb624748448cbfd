"""Settings that cannot be meant are one clear sentence when the document is made."""

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest

from coordination.errors import WorkflowError
from coordination.patterns.about import About, unique
from coordination.patterns.asking import Ask, Check, Person
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
from tests.patterns.team import says, team

A, ONE, JUDGE = About("w"), (Ask("a"),), Ask("j")
EFFECT = {"operation": "o", "target": "t", "set": {"a": 1}}
SETTINGS: dict[str, tuple[str, Callable[[], Any]]] = {
    "no steps": ("steps of a sequence are 1 to 1,000, not 0", lambda: sequential(Sequential(A, ()))),
    "no branches": ("the branches are 1 to 1,000, not 0", lambda: concurrent(Concurrent(A, ()))),
    "1,001 branches": ("not 1,001", lambda: concurrent(Concurrent(A, ONE * 1_001))),
    "more wanted than there are": ("a whole number from 0 to 1, not 5", lambda: concurrent(Concurrent(A, ONE, quorum=5))),
    "no team": ("members of the team are 1 to", lambda: handoff(Handoff(A, ()))),
    "one of the team twice": ("'a' stands there twice", lambda: handoff(Handoff(A, ("a", "a")))),
    "fewer handoffs than none": ("from 0 to 1,000, not -1", lambda: handoff(Handoff(A, ("a",), handoffs=-1))),
    "fewer returns than none": ("to the same other", lambda: handoff(Handoff(A, ("a",), ping_pong=-1))),
    "no group": ("members of the group are", lambda: conversation(Conversation(A, (), "d"))),
    "fewer turns than none": ("turns there may be", lambda: conversation(Conversation(A, ("a",), "d", turns=-1))),
    "a cost that is no number": ("a number from 0, not nan", lambda: conversation(Conversation(A, ("a",), "d", cost=nan))),
    "a cost without end": ("a number from 0, not inf", lambda: conversation(Conversation(A, ("a",), "d", cost=inf))),
    "nobody to plan for": ("members of the team", lambda: planning(Planning(A, "p", ()))),
    "no round of planning": ("from 1 to 1,000, not 0", lambda: planning(Planning(A, "p", ("a",), rounds=0))),
    "fewer stalls than none": ("without progress is", lambda: planning(Planning(A, "p", ("a",), stalls=-1))),
    "no plan": ("how many plans there may be", lambda: planning(Planning(A, "p", ("a",), plans=0))),
    "fewer failures than none": ("items may fail", lambda: map_reduce(MapReduce(A, Ask("m"), failures_max=-1))),
    "more items than a loop has": ("items there may be", lambda: map_reduce(MapReduce(A, Ask("m"), items_max=100_001))),
    "no lane": ("the lanes is a whole number from 1", lambda: map_reduce(MapReduce(A, Ask("m"), lanes=0))),
    "no task": ("tasks of a crew are", lambda: crew(Crew(A, JUDGE, {}))),
    "a review less than none": (
        "may be sent back",
        lambda: crew(Crew(A, JUDGE, {"r": Role(JUDGE)}, {"t": Duty("r", "x")}, reviews=-1)),
    ),
    "a crew without a name": (
        "an agent or a workflow",
        lambda: crew(Crew(A, JUDGE, {"r": Role(workflow="desk")}, {"t": Duty("r", "x")})),
    ),
    "no bidder": ("the bidders are", lambda: auction(Auction(A, ()))),
    "a bidder twice": ("bidders have different names", lambda: auction(Auction(A, ("a", "a")))),
    "less than nothing to win": ("'a' may win", lambda: auction(Auction(A, ("a",), capacity={"a": -1}))),
    "a deadline that is no number": ("nan is no duration", lambda: auction(Auction(A, ("a",), deadline=nan))),
    "nothing announced": ("tasks are announced", lambda: contract_net(ContractNet(Auction(A, ("a",)), rounds=0))),
    "one source twice": ("sources have different names", lambda: blackboard(Blackboard(A, ("a", "a")))),
    "no round at the board": ("rounds there may be", lambda: blackboard(Blackboard(A, ("a",), rounds=0))),
    "no source": ("the sources are", lambda: blackboard(Blackboard(A, ()))),
    "no act": ("acts of a saga are", lambda: saga(Saga(A, ()))),
    "tried less than never": ("is tried again", lambda: saga(Saga(A, (Act("x", EFFECT, retries=-1),)))),
    "no draft": ("rounds there may be", lambda: refinement(Refinement(A, ONE[0], JUDGE, rounds=0, best_will_do=True))),
    "more votes than voters": ("a whole number from 0 to 1, not 2", lambda: vote(Vote(A, ONE, ("x",), quorum=2))),
    "no voter": ("the voters are", lambda: vote(Vote(A, (), ("x",)))),
    "nothing to choose": ("the options are", lambda: vote(Vote(A, ONE, ()))),
    "one option twice": ("options have different names", lambda: vote(Vote(A, ONE, ("x", "x")))),
    "a rule that is none": ("a vote is won by plurality, majority", lambda: vote(Vote(A, ONE, ("x",), rule="odd"))),  # type: ignore[arg-type]
    "no round of debate": ("rounds there may be", lambda: debate(Debate(A, ONE, JUDGE, rounds=0))),
    "no debater": ("the debaters are", lambda: debate(Debate(A, (), JUDGE))),
    "nobody asked": ("asks nobody; name its agent", lambda: sequential(Sequential(A, (Ask(""),)))),
    "less than unsure": ("is from 0 to 1", lambda: sequential(Sequential(A, (Ask("a", check=Check(confidence=-1)),)))),
    "asked less than once": ("is asked again", lambda: sequential(Sequential(A, (Ask("a", retries=-1),)))),
    "less evidence than none": ("has to give", lambda: sequential(Sequential(A, (Ask("a", check=Check(evidence=-1)),)))),
    "surer than sure": ("is from 0 to 1", lambda: sequential(Sequential(A, (Ask("a", check=Check(confidence=7)),)))),
    "nobody to decide": ("who decides are", lambda: sequential(Sequential(A, (Ask("a", person=Person({}, "w", "r")),)))),
    "none of a role": ("'m' decide", lambda: sequential(Sequential(A, (Ask("a", person=Person({"m": 0}, "w", "r")),)))),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_cannot_be_meant_are_refused_in_one_sentence(name: str) -> None:
    said, made = SETTINGS[name]
    with pytest.raises(WorkflowError) as error:
        made()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_names_with_any_letters_and_names_that_meet_are_kept_apart() -> None:
    assert unique(["a", "a", "a-2", "a"]) == ["a", "a-3", "a-2", "a-4"]
    concurrent(Concurrent(A, (Ask("a"), Ask("a"), Ask("a-2"))))
    saga(Saga(A, (Act('x"y', EFFECT),)))


def test_what_is_handed_on_with_the_task_is_an_object() -> None:
    with team({"a": says({"output": 1})}) as here:
        here.start(handoff(Handoff(A, ("a",))), {"task": "t", "context": [1]})
        assert "context: [1] is not of type" in here.error()["detail"]
