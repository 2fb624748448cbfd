"""Random workflows on every engine: how they end, what they give, what they emit and how long they take is what the oracle says."""

import json
from dataclasses import replace
from typing import Any

import pytest

from coordination.workflow.validation import errors, validate
from kg.jq import Jq
from tests.conformance.workflow_ctk import engines
from tests.conformance.workflow_engine import Engine, Naive, Outcome
from tests.workflow.random_workflows import Chance

#: Seeds of one run of the tests; a seed reproduces its workflow, input, events and crashes.
SEEDS = 60


def told(outcome: Outcome, *, whole: bool) -> dict[str, Any]:
    """What engines must agree on; `whole` with what happened on the way, too."""
    error = outcome.error or {}
    found: dict[str, Any] = {
        "status": outcome.status,
        "output": _unnamed(outcome.output),
        "error": {name: error.get(name) for name in ("type", "status", "instance")},
        "elapsed": outcome.elapsed if outcome.status != "waiting" else None,
    }
    if whole:
        found["emitted"] = [(event.get("type"), event.get("data")) for event in outcome.emitted]
        found["completed"] = sorted(name for phase, name, _ in outcome.trace if phase == "completed")
    return found


def determined(outcome: Outcome) -> bool:
    """Whether the way is determined: a branch that faults leaves open how far the branches beside it came at that moment."""
    return not any(phase == "faulted" and "/fork/" in reference for phase, _, reference in outcome.trace)


def _unnamed(value: Any) -> Any:
    """A value without the ids of events, which every engine makes in its own way."""
    if isinstance(value, dict):
        return {name: _unnamed(item) for name, item in value.items() if not (name == "id" and "specversion" in value)}
    return [_unnamed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "engine", [engine for engine in engines() if engine.name != "oracle"], ids=lambda engine: engine.name
)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_engine_does_as_the_oracle(engine: Engine, seed: int) -> None:
    document, case = Chance(seed).case()
    case = replace(case, definition=json.dumps(document.body))
    expected = Naive().execute(case)
    whole = determined(expected)
    assert told(engine.execute(case), whole=whole) == told(expected, whole=whole), case.definition


def test_random_workflows_are_valid_and_of_every_kind() -> None:
    ended: set[str] = set()
    with Jq() as jq:
        for seed in range(SEEDS):
            document, case = Chance(seed).case()
            assert not errors(validate(document, jq=jq)), seed
            ended.add(Naive().execute(replace(case, definition=json.dumps(document.body))).status)
    assert {"completed", "faulted"} <= ended
