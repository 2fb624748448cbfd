"""Map-reduce: every item once, in its place, however the lanes run; failures are counted against their bound."""

from typing import Any

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Ask
from coordination.patterns.reduction import MapReduce, map_reduce
from tests.patterns.team import answered, asked, same_after_crashes, says, team


def square(assignment: Assignment) -> Answer:
    if assignment.data["item"] == 13:
        raise AnswerError("unlucky")
    return answered(assignment.data["item"] ** 2)


def total(assignment: Assignment) -> Answer:
    return answered(sum(item for item in assignment.data["results"] if item is not None))


REPLIES: dict[str, Any] = {"square": square, "total": total}


def document(**more: Any) -> Any:
    return map_reduce(MapReduce(About("squares"), Ask("square", retries=0), Ask("total"), **{"lanes": 3, **more}))


def test_every_item_once_and_in_its_place() -> None:
    with team(REPLIES) as here:
        here.start(document(), {"task": "square", "items": list(range(8))})
        assert here.output() == {"output": 140, "results": [0, 1, 4, 9, 16, 25, 36, 49], "failed": []}
        assert len(here.found("AgentAnswer", agent="square")) == 8


def test_no_items_and_fewer_items_than_lanes() -> None:
    for items, output in (([], 0), ([3], 9)):
        with team(REPLIES) as here:
            here.start(document(), {"task": "square", "items": items})
            assert here.output()["output"] == output


def test_failures_up_to_the_bound() -> None:
    with team(REPLIES) as here:
        here.start(document(failures_max=1), {"task": "square", "items": [1, 13, 2]})
        output = here.output()
        assert output["results"] == [1, None, 4]
        assert [(item["index"], item["failed"]["detail"]) for item in output["failed"]] == [(1, "unlucky")]
    with team(REPLIES) as here:
        here.start(document(), {"task": "square", "items": [1, 13, 2]})
        assert here.error()["title"] == "Too Many Failures"
        assert here.error()["detail"] == "1 of 3 items failed, the first: unlucky"


def test_too_many_items_are_refused_before_anything_is_done() -> None:
    with team(REPLIES) as here:
        here.start(document(items_max=2), {"task": "square", "items": [1, 2, 3]})
        assert "too long" in here.error()["detail"]
        assert not here.found("AgentAnswer")


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team(REPLIES), document(), {"task": "square", "items": [1, 2, 3, 4]}, every=4)


def test_what_the_reducer_says_is_the_output_also_where_it_is_no() -> None:
    for said in (False, None):
        with team({"m": says(1), "r": says(said)}) as here:
            here.start(map_reduce(MapReduce(About("w"), Ask("m"), Ask("r"))), {"task": "t", "items": [1]})
            assert here.output() == {"output": said, "results": [1], "failed": []}


def test_who_works_on_an_item_hears_which_it_is_and_what_goes_along() -> None:
    log: list[Assignment] = []
    with team({"m": asked(log, says(1)), "r": asked(log, says(2))}) as here:
        here.start(
            map_reduce(MapReduce(About("w"), Ask("m"), Ask("r"), lanes=2)),
            {"task": "t", "items": [5, 6], "context": "c"},
        )
        assert here.output()["output"] == 2
        assert [one.data for one in log[:-1]] == [
            {"item": item, "index": at, "context": "c"} for at, item in ((0, 5), (1, 6))
        ]
        assert log[-1].data["context"] == "c"


def test_an_item_that_failed_has_no_result() -> None:
    with team(REPLIES) as here:
        here.start(document(failures_max=1), {"task": "square", "items": [1, 13]})
        output = here.output()
        assert (output["results"], [failed["index"] for failed in output["failed"]]) == ([1, None], [1])


def test_items_without_a_task_are_refused() -> None:
    with team(REPLIES) as here:
        here.start(document(), {"items": [1]})
        assert "'task' is a required property" in here.error()["detail"]


def test_who_stands_in_for_the_mapper_hears_the_same_item() -> None:
    def broken(assignment: Assignment) -> Answer:
        raise AnswerError("asleep")

    log: list[Assignment] = []
    with team({"m": broken, "n": asked(log, says(1))}) as here:
        mapper = Ask("m", retries=0, fallback=("n",))
        here.start(map_reduce(MapReduce(About("w"), mapper)), {"task": "t", "items": [5], "context": "c"})
        assert here.output()["results"] == [1]
        assert [one.data for one in log] == [{"item": 5, "index": 0, "context": "c"}]
