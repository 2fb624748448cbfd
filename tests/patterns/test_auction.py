"""Auction and contract net: the cheapest way wins, late and wrong bids count for nothing, failed work goes to another."""

from dataclasses import replace
from typing import Any

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Check
from coordination.patterns.auction import Auction, ContractNet, auction, contract_net
from tests.patterns.team import answered, asked, same_after_crashes, says, team

TASKS = {"tasks": [{"id": "dig"}, {"id": "paint"}]}
BIDDERS = ("ann", "bob", "cid")


def bidder(*bids: tuple[str, float, float], fails: str = "") -> Any:
    """Bids (task, cost, confidence), and does what it won, but for what it fails at."""

    def reply(assignment: Assignment) -> Answer:
        if assignment.text.startswith("Bid"):
            open_ = {task["id"] for task in assignment.data["tasks"]}
            wanted = [one for one in bids if one[0] in open_]
            return answered({"bids": [{"task": t, "cost": c, "confidence": p, "seconds": 5} for t, c, p in wanted]})
        id = assignment.data["task"]["id"]
        if id == fails:
            raise AnswerError(f"cannot {id}")
        return answered(f"{id} done")

    return reply


REPLIES: dict[str, Any] = {
    "ann": bidder(("dig", 1, 1), ("paint", 2, 1)),
    "bob": bidder(("dig", 3, 1), ("paint", 100, 1)),
    "cid": bidder(("paint", 6, 0.5)),
}
AUCTION = Auction(About("auction"), BIDDERS)


def who(awards: Any) -> dict[str, str]:
    return {award["task"]: award["agent"] for award in awards}


def test_the_cheapest_way_wins_not_the_cheapest_bid() -> None:
    with team(REPLIES) as here:
        here.start(auction(AUCTION), TASKS)
        output = here.output()
        assert who(output["awards"]) == {"dig": "bob", "paint": "ann"}
        assert (output["unassigned"], output["refused"]) == ([], [])


def test_who_does_not_answer_or_bids_nonsense_has_bid_nothing() -> None:
    def broken(assignment: Assignment) -> Answer:
        raise AnswerError("asleep")

    with team({**REPLIES, "ann": broken, "bob": says("I bid all")}) as here:
        here.start(auction(AUCTION), TASKS)
        output = here.output()
        assert who(output["awards"]) == {"paint": "cid"}
        assert output["unassigned"] == ["dig"]


def test_deadline_and_reserve_of_a_task_bind() -> None:
    tasks = {"tasks": [{"id": "dig", "reserve": 0.5}, {"id": "paint", "deadline": 4}]}
    with team(REPLIES) as here:
        here.start(auction(AUCTION), tasks)
        assert here.output()["unassigned"] == ["dig", "paint"]
        assert len(here.output()["refused"]) == 5


def test_who_bids_late_has_bid_nothing() -> None:
    with team(REPLIES) as here:

        def late(assignment: Assignment) -> Answer:
            here.clock.advance(61)
            return answered({"bids": [{"task": "dig", "cost": 0, "confidence": 1}]})

        here.replies["bob"] = late
        here.start(auction(AUCTION), TASKS)
        here.later(100)
        assert "bob" not in who(here.output()["awards"]).values()


NET = contract_net(ContractNet(AUCTION))


def test_the_winners_do_the_work() -> None:
    with team(REPLIES) as here:
        here.start(NET, TASKS)
        output = here.output()
        assert output["results"] == {"dig": "dig done", "paint": "paint done"}
        assert (output["undone"], output["failed"]) == ([], [])


def test_what_failed_is_announced_again_to_the_others() -> None:
    # Cheaper than anybody, so that only its failure keeps it from winning again.
    with team({**REPLIES, "bob": bidder(("dig", 0.5, 1), fails="dig")}) as here:
        here.start(NET, TASKS)
        output = here.output()
        assert output["results"] == {"paint": "paint done", "dig": "dig done"}
        assert [(award["task"], award["agent"]) for award in output["awards"]] == [
            ("dig", "bob"), ("paint", "ann"), ("dig", "ann")
        ]  # fmt: skip
        assert output["failed"] == [{"task": "dig", "agent": "bob", "why": "cannot dig"}]


def test_the_rounds_are_bounded_and_what_is_undone_is_named() -> None:
    fails = {name: bidder(("dig", 1, 1), fails="dig") for name in BIDDERS}
    with team(fails) as here:
        here.start(NET, TASKS)
        output = here.output()
        assert output["undone"] == ["dig", "paint"]
        assert len(output["failed"]) == 2


def test_poor_work_is_failed_work() -> None:
    net = contract_net(ContractNet(AUCTION, rounds=1, check=Check({"type": "integer"})))
    with team(REPLIES) as here:
        here.start(net, TASKS)
        assert here.output()["undone"] == ["dig", "paint"]


def test_the_same_after_a_crash_at_any_commit() -> None:
    # A crash costs the time until its claims run out, so bids may take longer than that here.
    patient = contract_net(ContractNet(replace(AUCTION, deadline={"days": 1})))
    same_after_crashes(lambda: team(REPLIES), patient, TASKS, every=4)


def test_one_may_win_as_many_as_it_can_do() -> None:
    cheap = {"ann": bidder(("dig", 1, 1), ("paint", 2, 1)), "bob": bidder(), "cid": bidder()}
    for settings, awards in (
        (AUCTION, {"dig": "ann"}),
        (replace(AUCTION, each=2), {"dig": "ann", "paint": "ann"}),
        (replace(AUCTION, capacity={"ann": 2}), {"dig": "ann", "paint": "ann"}),
        (replace(AUCTION, each=2, capacity={"ann": 0}), {}),
    ):
        with team(cheap) as here:
            here.start(auction(settings), TASKS)
            assert who(here.output()["awards"]) == awards
            assert here.output()["unassigned"] == [task for task in ("dig", "paint") if task not in awards]


def test_bids_beyond_what_can_be_meant_are_none_and_nobody_is_asked_for_them_again() -> None:
    for bid in (("dig", -1, 1), ("dig", 1, 0), ("dig", 1, 1.5)):
        with team({**REPLIES, "bob": bidder(bid)}) as here:
            here.start(auction(AUCTION), TASKS)
            assert "bob" not in who(here.output()["awards"]).values()
            assert [one["state"] for one in here.found("AgentAnswer", agent="bob")] == ["poor"]


def test_bidders_and_winners_hear_what_goes_along_and_nothing_is_announced_that_is_done() -> None:
    log: list[Assignment] = []
    with team({**REPLIES, "ann": asked(log, REPLIES["ann"])}) as here:
        here.start(contract_net(ContractNet(AUCTION, rounds=3)), {**TASKS, "context": "c"})
        assert here.output()["undone"] == []
        assert [(one.text, one.data["context"]) for one in log] == [
            ("Bid for the tasks you want: cost, confidence and seconds of each.", "c"), ("Do the task you won: paint", "c")
        ]  # fmt: skip


def test_who_failed_at_a_task_may_still_win_another() -> None:
    # Ann can do one a round: first the one she fails at.
    only = {"ann": bidder(("dig", 1, 1), ("paint", 20, 1), fails="dig"), "bob": bidder(), "cid": bidder()}
    with team(only) as here:
        here.start(NET, TASKS)
        output = here.output()
        assert [(award["task"], award["agent"]) for award in output["awards"]] == [("dig", "ann"), ("paint", "ann")]
        assert (output["results"], output["undone"]) == ({"paint": "paint done"}, ["dig"])


def test_work_is_tried_again_as_often_as_the_settings_say() -> None:
    for retries, undone in ((1, []), (0, ["dig"])):
        fails = iter([True])

        def slips(assignment: Assignment, fails: Any = fails) -> Answer:
            if not assignment.text.startswith("Bid") and next(fails, False):
                raise AnswerError("slipped")
            return REPLIES["bob"](assignment)  # type: ignore[no-any-return]

        with team({**REPLIES, "bob": slips}) as here:
            here.start(contract_net(ContractNet(AUCTION, rounds=1, retries=retries)), TASKS)
            assert here.output()["undone"] == undone
