"""Supervisor: tasks in the order of what they need, side by side where they may, reviewed, and nested crews."""

from json import dumps
from typing import Any

import pytest

from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError, WorkflowError
from coordination.patterns.about import About
from coordination.patterns.asking import Ask
from coordination.patterns.hierarchy import Crew, Duty, Role, crew, levels
from tests.coordination.plant import AUTHOR
from tests.patterns.team import answered, asked, same_after_crashes, says, team

ROLES = {"finder": Role(Ask("finder"), duty="finds facts"), "writer": Role(Ask("writer"))}
TASKS = {
    "prices": Duty("finder", "find prices", expected="a list"),
    "rivals": Duty("finder", "find rivals"),
    "report": Duty("writer", 'write the "report" \\(.x) ${ no expression }', ("prices", "rivals")),
}


def supervisor(assignment: Assignment) -> Answer:
    if assignment.text.startswith("Review"):
        return answered({"accepted": assignment.data["draft"] != "sloppy", "reason": "do it again"})
    return answered(sorted(assignment.data["results"]))


REPLIES: dict[str, Any] = {
    "chief": supervisor,
    "finder": lambda assignment: answered(f"found: {assignment.text}"),
    "writer": lambda assignment: answered(assignment.data["context"]["given"]),
}


def settings(**more: Any) -> Crew:
    return Crew(About("crew"), Ask("chief"), **{"roles": ROLES, "tasks": TASKS, **more})


def test_each_gets_the_results_it_needs() -> None:
    log: list[Assignment] = []
    with team({**REPLIES, "writer": asked(log, REPLIES["writer"])}) as here:
        here.start(crew(settings()), {"task": "study", "context": {"market": "EU"}})
        output = here.output()
        assert output["output"] == ["prices", "report", "rivals"]
        assert output["results"]["report"] == {"prices": "found: find prices", "rivals": "found: find rivals"}
        assert log[0].text == TASKS["report"].task, "words of a task are never an expression"
        assert log[0].data["context"]["context"] == {"market": "EU"}
        assert log[0].data["context"]["crew"] == "study", "what all of it is about"


def test_levels_follow_from_what_tasks_need() -> None:
    assert levels(settings()) == [["prices", "rivals"], ["report"]]
    with pytest.raises(WorkflowError, match="a, b wait for each other"):
        levels(settings(tasks={"a": Duty("writer", "x", ("b",)), "b": Duty("writer", "x", ("a",))}))
    with pytest.raises(WorkflowError, match="role 'nobody', which is not there"):
        levels(settings(tasks={"a": Duty("nobody", "x")}))
    with pytest.raises(WorkflowError, match="task 'nothing', which is not there"):
        levels(settings(tasks={"a": Duty("writer", "x", ("nothing",))}))
    with pytest.raises(WorkflowError, match="is no name of a task"):
        levels(settings(tasks={'a"b': Duty("writer", "x")}))


def test_what_the_supervisor_sends_back_is_done_again_within_the_bound() -> None:
    drafts = iter(["sloppy", "good"])
    with team({**REPLIES, "writer": lambda _: answered(next(drafts))}) as here:
        here.start(crew(settings()), {"task": "study"})
        assert here.output()["results"]["report"] == "good"
    with team({**REPLIES, "writer": says("sloppy")}) as here:
        here.start(crew(settings()), {"task": "study"})
        assert here.error()["detail"] == "report was not accepted: do it again"
        assert len(here.found("AgentAnswer", agent="writer")) == 2


def test_a_role_may_be_another_crew() -> None:
    inner = crew(Crew(About("desk"), Ask("chief"), ROLES, {"prices": TASKS["prices"]}))
    roles = {"finder": Role(workflow="patterns.desk:1.0.0"), "writer": Role(Ask("writer"))}
    with team(REPLIES) as here:
        here.runtime.engine.register(inner, AUTHOR, ("agents",))
        here.start(crew(settings(roles=roles)), {"task": "study"})
        assert here.output()["results"]["prices"] == ["prices"]
        assert len(here.found("Run")) == 3


def test_the_same_after_a_crash_at_any_commit() -> None:
    same_after_crashes(lambda: team(REPLIES), crew(settings(reviews=1)), {"task": "study"}, every=5)


def test_a_task_gets_the_results_it_needs_and_no_others() -> None:
    log: list[Assignment] = []
    tasks = {**TASKS, "summary": Duty("writer", "sum", ("report",))}
    with team({**REPLIES, "writer": asked(log, REPLIES["writer"])}) as here:
        here.start(crew(settings(tasks=tasks)), {"task": "study"})
        assert list(here.output()["results"]["summary"]) == ["report"]


def test_without_reviews_the_supervisor_only_sums_up() -> None:
    log: list[Assignment] = []
    with team({**REPLIES, "chief": asked(log, supervisor)}) as here:
        here.start(crew(settings(reviews=0)), {"task": "study"})
        assert here.output()["output"] == ["prices", "report", "rivals"]
        assert len(log) == 1


def test_the_supervisor_is_asked_again_as_often_as_its_settings_say() -> None:
    for retries, state in ((2, "completed"), (0, "faulted")):
        fails = iter([True, True])

        def chief(assignment: Assignment, fails: Any = fails) -> Answer:
            if assignment.text.startswith("Review") and next(fails, False):
                raise AnswerError("busy")
            return supervisor(assignment)

        with team({**REPLIES, "chief": chief}) as here:
            tasks = {"report": Duty("writer", "write")}
            here.start(crew(Crew(About("crew"), Ask("chief", retries=retries), ROLES, tasks)), {"task": "study"})
            assert here.state() == state


def test_a_crew_without_a_version_is_the_latest() -> None:
    made = crew(settings(roles={**ROLES, "writer": Role(workflow="patterns.inner")}))
    assert '"version": "latest"' in dumps(made.body)


def test_another_crew_gets_the_task_with_all_that_goes_along() -> None:
    log: list[Assignment] = []
    inner = crew(Crew(About("desk"), Ask("chief"), ROLES, {"prices": TASKS["prices"]}))
    roles = {"finder": Role(workflow="patterns.desk:1.0.0", duty="finds facts"), "writer": Role(Ask("writer"))}
    with team({**REPLIES, "finder": asked(log, REPLIES["finder"])}) as here:
        here.runtime.engine.register(inner, AUTHOR, ("agents",))
        made = crew(settings(roles=roles))
        assert '"version": "1.0.0"' in dumps(made.body["do"])
        here.start(made, {"task": "study", "context": {"market": "EU"}})
        assert here.output()["results"]["prices"] == ["prices"]
        above = log[0].data["context"]["context"]
        assert (above["crew"], above["context"], above["duty"]) == ("study", {"market": "EU"}, "finds facts")
