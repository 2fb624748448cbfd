"""What a person sees of a run of several branches: it waits where all of them do, and what a lost race left waits no more."""

from collections.abc import Iterator
from typing import Any

import pytest

from coordination.runs.engine import Workflows
from tests.runs.lifecycles import counted, legal
from tests.runs.works import ANNA, Works, works

WAITING = """
do:
  - both:
      fork:
        branches:
          - quick: {set: {done: 1}}
          - signal: {listen: {to: {one: {with: {type: go}}}}}
          - hour: {do: [{pause: {wait: {hours: 1}}}, {then: {call: inc, with: {x: 1}}}]}
"""
RACE = """
do:
  - race:
      fork:
        compete: true
        branches:
          - slow: {wait: {hours: 1}}
          - deep: {fork: {branches: [{far: {wait: {hours: 2}}}, {near: {set: {x: 1}}}]}}
          - heard: {listen: {to: {one: {with: {type: go}}}}}
          - fast: {wait: {seconds: 1}}
  - rest: {wait: {seconds: 9}}
"""
FAILING = """
do:
  - tried:
      try:
        - both:
            fork:
              branches:
                - slow: {wait: {hours: 1}}
                - bad: {do: [{pause: {wait: {seconds: 1}}}, {stop: {raise: {error: {type: 'u:x', status: 400}}}}]}
      catch: {do: [{after: {set: {caught: true}}}]}
"""


@pytest.fixture
def here(store: Any) -> Iterator[Works]:
    with works(Workflows(functions={"inc": lambda x: {"x": x + 1}}), store=store) as made:
        yield made


def states(here: Works, run: str) -> dict[str, str]:
    """The state of each task by its name."""
    return {str(step["task"]): str(step["state"]) for step in here.steps(run)}


def test_a_run_whose_branches_all_wait_is_waiting_and_wakes_with_the_first_that_goes_on(here: Works) -> None:
    run = here.start(WAITING)
    assert here.run(run).state == "waiting"
    here.engine.signal(run, here.event("go", 5))
    here.drain()
    assert here.run(run).state == "waiting"
    here.engine.pause(run, ANNA)
    here.engine.resume(run, ANNA)
    here.drain()
    assert here.run(run).state == "waiting"
    here.later(3_601)
    assert here.output(run) == [{"done": 1}, [5], {"x": 2}]
    seen = [str(version["state"]) for version in here.store.history(run)]
    assert seen == ["running", "waiting", "suspended", "running", "waiting", "running", "completed"]
    legal(here.store, run)
    assert here.rows() == {}


def test_what_waits_in_the_branches_of_a_lost_race_is_cancelled(here: Works) -> None:
    run = here.start(RACE)
    assert (here.run(run).state, states(here, run)["far"]) == ("waiting", "waiting")
    here.later(2)
    assert states(here, run) == {
        "race": "completed", "slow": "cancelled", "deep": "cancelled", "far": "cancelled", "near": "completed",
        "heard": "cancelled", "fast": "completed", "rest": "waiting",
    }  # fmt: skip
    here.later(10)
    assert here.run(run).state == "completed"
    assert counted(legal(here.store, run))["task.cancelled"] == 4
    assert here.rows() == {}


def test_what_waits_beside_a_branch_that_failed_is_cancelled_too(here: Works) -> None:
    run = here.start(FAILING)
    here.later(2)
    assert here.output(run) == {"caught": True}
    assert states(here, run)["slow"] == "cancelled"
    assert counted(legal(here.store, run))["task.cancelled"] == 1
    assert here.rows() == {}


def test_a_run_that_faults_with_its_fork_leaves_no_step_waiting(here: Works) -> None:
    run = here.start(FAILING.replace("catch: {do", "catch: {when: '${ false }', do"))
    here.later(2)
    assert here.run(run).state == "faulted"
    assert "waiting" not in states(here, run).values()
    legal(here.store, run)
