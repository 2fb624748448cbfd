"""Concurrent: branches side by side, a failing one fails for itself, and below the quorum there is no result."""

import threading
from collections import deque
from typing import Any

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError
from coordination.patterns.about import About
from coordination.patterns.asking import Ask, Person
from coordination.patterns.concurrent import Concurrent, concurrent
from tests.patterns.team import CLEO, answered, same_after_crashes, says, team

NAMES = ("one", "two", "three", "four")
ASKS = tuple(Ask(name, retries=0) for name in NAMES)
REPLIES: dict[str, Any] = {name: says(name) for name in NAMES}


def broken(assignment: Assignment) -> Answer:
    raise AnswerError("it raised")


def document(**more: Any) -> Any:
    return concurrent(Concurrent(About("abreast"), ASKS, **more))


def test_all_answer_in_the_order_of_the_branches() -> None:
    with team(REPLIES) as here:
        here.start(document(), {"task": "look"})
        assert here.output()["output"] == list(NAMES)
        assert here.output()["failed"] == []


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team({**REPLIES, "two": broken}), document(quorum=3), {"task": "look"}, every=2)


def test_a_quorum_is_enough() -> None:
    with team({**REPLIES, "two": broken}) as here:
        here.start(document(quorum=3), {"task": "look"})
        output = here.output()
        assert output["output"] == ["one", "three", "four"]
        assert [(item["agent"], item["failed"]["detail"]) for item in output["failed"]] == [("two", "it raised")]


def test_below_the_quorum_there_is_no_result() -> None:
    with team({**REPLIES, "two": broken, "three": broken}) as here:
        here.start(document(quorum=3), {"task": "look"})
        assert here.error()["title"] == "No Quorum"
        assert here.error()["detail"] == "only 2 of at least 3 agents gave a good answer"


def test_below_the_quorum_a_person_may_go_on() -> None:
    person = Person({"managers": 1}, "Go on with what there is", "half the views are missing", "thin")
    with team({**REPLIES, "two": broken}) as here:
        here.start(document(person=person), {"task": "look"})
        assert here.decide()["rationale"] == "only 3 of at least 4 agents gave a good answer"
        assert here.output()["output"] == ["one", "three", "four", "thin"]


def test_a_merger_brings_them_together() -> None:
    def merged(assignment: Assignment) -> Answer:
        assert assignment.text == "Bring these answers together into one: look"
        return answered("+".join(assignment.data["output"]))

    with team({**REPLIES, "merger": merged}) as here:
        here.start(document(merge=Ask("merger")), {"task": "look"})
        assert here.output()["output"] == "one+two+three+four"


def test_the_branches_run_at_the_same_time() -> None:
    """Each waits until all four are there: one after the other they would never end."""
    meeting = threading.Barrier(4)

    def meets(assignment: Assignment) -> Answer:
        meeting.wait(timeout=20)
        return answered(True)

    with team(dict.fromkeys(NAMES, meets)) as here:
        engine = here.runtime.engine
        queue: deque[str] = here.queue
        workflow = engine.register(document(), here.author, ("agents",))
        run = engine.start(workflow, {"task": "look"}, CLEO, id="run")
        here.runtime.pump()
        here.runtime.handle(queue.popleft())
        threads = [threading.Thread(target=here.runtime.handle, args=(id,)) for id in list(queue)[:4]]
        queue.clear()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        here.later(400)
        assert here.output(run)["output"] == [True] * 4
