"""The steps of the conformance features, the specification's and our own, over any engine.

Each step is a function under the pattern of its text. A scenario's world is a `Scenario`; the workflow runs when it is executed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coordination.workflow.source import read
from tests.conformance.workflow_engine import Case, Engine, Outcome
from tests.oracles.workflow import length

Json = Any


@dataclass
class Scenario:
    """One scenario on its way."""

    engine: Engine
    case: Case = field(default_factory=Case)
    outcome: Outcome | None = None
    runs: list[Outcome] = field(default_factory=list)

    @property
    def ended(self) -> Outcome:
        """The outcome; the scenario has executed its workflow."""
        assert self.outcome is not None, "the workflow was not executed"
        return self.outcome


Step = Callable[..., None]
STEPS: list[tuple[re.Pattern[str], Step]] = []


def step(pattern: str) -> Callable[[Step], Step]:
    """Enter a function for the steps whose text fits."""

    def enter(function: Step) -> Step:
        STEPS.append((re.compile(pattern + r"\Z"), function))
        return function

    return enter


def perform(scenario: Scenario, text: str, block: str | None) -> None:
    """Do one step; AssertionError where it does not hold or nobody knows it."""
    for pattern, function in STEPS:
        if found := pattern.match(text.strip()):
            arguments = [*found.groups(), *([block] if block is not None else [])]
            function(scenario, *arguments)
            return
    raise AssertionError(f"no step reads: {text}")


def _value(block: str) -> Json:
    return read(block, "block").value


def _at(value: Json, path: str) -> tuple[bool, Json]:
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return False, None
    return True, value


def _started(scenario: Scenario) -> list[str]:
    return [name for phase, name, _ in scenario.ended.trace if phase == "started"]


# -- arrange ----------------------------------------------------------------------------------------------------------


@step("a workflow with definition:")
def _define(scenario: Scenario, block: str) -> None:
    scenario.case.definition = block


@step("given the workflow input is:")
def _input(scenario: Scenario, block: str) -> None:
    scenario.case.input = _value(block)


@step("(?:given )?another workflow with definition:")
def _another(scenario: Scenario, block: str) -> None:
    scenario.case.others.append(block)


@step(r"(?:given )?after (P\S+) this event arrives:")
def _event(scenario: Scenario, after: str, block: str) -> None:
    event = {"id": str(len(scenario.case.events)), "source": "/tests", "specversion": "1.0", **_value(block)}
    scenario.case.events.append((length(after), event))


@step(r"(?:given )?the secret '([^']+)' is:")
def _secret(scenario: Scenario, name: str, block: str) -> None:
    scenario.case.secrets[name] = _value(block)


@step(r"(?:given )?the engine is killed when (\S+) has started")
def _killed(scenario: Scenario, task: str) -> None:
    scenario.case.crashes.append(task)


@step(r"(?:given )?it is (\d{4}-\S+)")
def _moment(scenario: Scenario, text: str) -> None:
    scenario.case.start = datetime.fromisoformat(text)


# -- act --------------------------------------------------------------------------------------------------------------


@step("the workflow is executed")
def _execute(scenario: Scenario) -> None:
    scenario.outcome = scenario.engine.execute(scenario.case)


@step(r"the schedule runs for (P\S+)")
def _schedule(scenario: Scenario, text: str) -> None:
    scenario.runs = scenario.engine.scheduled(scenario.case, length(text))


def _told(scenario: Scenario, who: str) -> list[dict[str, Json]]:
    named = {reference for _, name, reference in scenario.ended.trace if name == who}
    return [
        event for reference, event in scenario.ended.told
        if (not reference if who == "the workflow" else reference in named)
    ]  # fmt: skip


@step(r"the lifecycle events of (the workflow|\S+) should be:")
def _lifecycle(scenario: Scenario, who: str, block: str) -> None:
    told = [event["type"].removesuffix(".v1").rpartition(".")[2] for event in _told(scenario, who)]
    assert told == _value(block), f"told of {who}: {told}"


@step(r"the fault that is told of (the workflow|\S+) should be:")
def _told_fault(scenario: Scenario, who: str, block: str) -> None:
    faults = [event["data"]["error"] for event in _told(scenario, who) if "faulted" in event["type"]]
    assert len(faults) == 1, f"{len(faults)} faults are told of {who}"
    _includes(faults[0], _value(block))


@step(r"every lifecycle event should be a CloudEvent of the specification")
def _cloud_events(scenario: Scenario) -> None:
    told = [event for _, event in scenario.ended.told]
    assert told, "nothing is told"
    assert len({event["id"] for event in told}) == len(told), "an event comes twice"
    for event in told:
        _, _, of, kind, version = event["type"].split(".")
        data = event["data"]
        assert (event["specversion"], version) == ("1.0", "v1"), event
        assert event["source"], event
        assert event["subject"], event
        assert datetime.fromisoformat(data[f"{kind}At"]).tzinfo is not None, event
        assert all(data[name] for name in (("name",) if of == "workflow" else ("workflow", "task"))), event
        assert ("error" in data) == (kind == "faulted"), event
        assert ("definition" in data) == ((of, kind) == ("workflow", "started")), event


# -- assert -----------------------------------------------------------------------------------------------------------


@step("the workflow should (complete|fault|cancel)")
def _ended(scenario: Scenario, how: str) -> None:
    wanted = {"complete": "completed", "fault": "faulted", "cancel": "cancelled"}[how]
    assert scenario.ended.status == wanted, (
        f"it {scenario.ended.status}: {scenario.ended.error or scenario.ended.output}"
    )


@step("the workflow should still wait")
def _waits(scenario: Scenario) -> None:
    assert scenario.ended.status == "waiting", (
        f"it {scenario.ended.status}: {scenario.ended.error or scenario.ended.output}"
    )


@step("the workflow should complete with output:")
def _output(scenario: Scenario, block: str) -> None:
    _ended(scenario, "complete")
    assert scenario.ended.output == _value(block), f"its output is {scenario.ended.output}"


@step("the workflow should fault with error:")
def _fault(scenario: Scenario, block: str) -> None:
    _ended(scenario, "fault")
    _includes(scenario.ended.error, _value(block))


def _includes(problem: Json, wanted: Json) -> None:
    shown = {name: (problem or {}).get(name) for name in wanted}
    assert shown == wanted, f"the error is {problem}"


@step(r"the workflow output should have properties (.+)")
def _properties(scenario: Scenario, names: str) -> None:
    missing = [name for name in re.findall(r"'([^']+)'", names) if not _at(scenario.ended.output, name)[0]]
    assert not missing, f"the output has no {missing}: {scenario.ended.output}"


@step(r"the workflow output should have a '([^']+)' property with value:")
def _property(scenario: Scenario, name: str, block: str) -> None:
    there, value = _at(scenario.ended.output, name)
    assert there, f"the output has no {name}: {scenario.ended.output}"
    assert value == _value(block), f"{name} is {value}"


@step(r"the workflow output should have a '([^']+)' property containing (\d+) items")
def _count(scenario: Scenario, name: str, count: str) -> None:
    there, value = _at(scenario.ended.output, name)
    assert there, f"the output has no {name}: {scenario.ended.output}"
    assert len(value) == int(count), f"{name} is {value}"


@step(r"(\S+) should run (first|last)")
def _place(scenario: Scenario, name: str, place: str) -> None:
    started = _started(scenario)
    assert started, "no task ran"
    assert started[0 if place == "first" else -1] == name, f"the tasks ran as {started}"


@step(r"(\S+) should run (before|after) (\S+)")
def _order(scenario: Scenario, one: str, order: str, other: str) -> None:
    started = _started(scenario)
    assert {one, other} <= set(started), f"the tasks ran as {started}"
    places = started.index(one), started.index(other)
    assert places[0] < places[1] if order == "before" else places[0] > places[1], f"the tasks ran as {started}"


@step(r"(\S+) should run (\d+) times?")
def _times(scenario: Scenario, name: str, count: str) -> None:
    assert _started(scenario).count(name) == int(count), f"the tasks ran as {_started(scenario)}"


@step(r"(\S+) should not run")
def _not(scenario: Scenario, name: str) -> None:
    assert name not in _started(scenario), f"the tasks ran as {_started(scenario)}"


@step(r"(\S+) should (complete|fault|cancel)")
def _task(scenario: Scenario, name: str, how: str) -> None:
    wanted = {"complete": "completed", "fault": "faulted", "cancel": "cancelled"}[how]
    phases = [phase for phase, task, _ in scenario.ended.trace if task == name]
    assert wanted in phases, f"{name} went through {phases}"


@step(r"(\S+) should complete with output:")
def _task_output(scenario: Scenario, name: str, block: str) -> None:
    _task(scenario, name, "complete")
    assert scenario.ended.outputs.get(name) == _value(block), f"its output is {scenario.ended.outputs.get(name)}"


@step(r"it should take (P\S+)")
def _elapsed(scenario: Scenario, text: str) -> None:
    assert scenario.ended.elapsed == length(text), f"it took {scenario.ended.elapsed / 1_000_000} s"


@step(r"it should take at (least|most) (P\S+)")
def _bounded(scenario: Scenario, bound: str, text: str) -> None:
    took, wanted = scenario.ended.elapsed, length(text)
    assert took >= wanted if bound == "least" else took <= wanted, f"it took {took / 1_000_000} s"


@step(r"these events should be emitted:")
def _emitted(scenario: Scenario, block: str) -> None:
    wanted = _value(block)
    shown = [
        {name: event.get(name) for name in expected}
        for event, expected in zip(scenario.ended.emitted, wanted, strict=False)
    ]
    assert len(scenario.ended.emitted) == len(wanted), f"{len(scenario.ended.emitted)} events were emitted"
    assert shown == wanted, f"the events are {scenario.ended.emitted}"


@step(r"the workflow should have been started (\d+) times?")
def _starts(scenario: Scenario, count: str) -> None:
    assert len(scenario.runs) == int(count), f"it started at {[str(run.started) for run in scenario.runs]}"


@step(r"run (\d+) should have started at (\S+)")
def _start(scenario: Scenario, number: str, text: str) -> None:
    run = scenario.runs[int(number) - 1]
    assert run.started == datetime.fromisoformat(text), f"it started at {run.started}"


@step(r"run (\d+) should complete with output:")
def _run_output(scenario: Scenario, number: str, block: str) -> None:
    run = scenario.runs[int(number) - 1]
    assert run.status == "completed", f"it {run.status}: {run.error}"
    assert run.output == _value(block), f"its output is {run.output}"
