"""Workflows and runs from the command line: dry runs, time travel, orders to one run and to many, forks, events, pruning."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import run

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: %s, version: '1.0.0'}\n"
FILES = {
    "noesis.toml": 'ontology = ["shop.ttl"]\nrules = "rules"\npeople = "people.yaml"\n',
    "shop.ttl": "@prefix : <urn:shop#> .\n@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
    "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
    ":Item a owl:Class .\n:sku a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string .\n",
    "people.yaml": "users:\n  - { name: bea }\n",
    "rules/may.cedar": '@id("workflows-may") permit(principal is Agent, action == Action::"apply", resource);\n'
    '@id("starters-may") permit(principal is User, action == Action::"apply", resource);\n',
    "hear.yaml": HEAD % "hear" + "do: [{a: {set: {x: 1}}}, {h: {listen: {to: {one: {with: {type: go}}}}}}]\n",
    "bad.yaml": HEAD % "bad" + "do: [{r: {raise: {error: {type: 'urn:e', status: 500}}}}]\n",
    "make.yaml": HEAD % "make"
    + "do: [{m: {call: effect, with: {operation: item.make, target: item-1, class: Item, set: {sku: a}}}}]\n",
    "cron.yaml": HEAD % "cron" + "schedule: {on: {one: {with: {type: go}}}}\ndo: [{a: {set: {x: 1}}}]\n",
}
Noesis = Callable[..., Any]
CHILD_SECONDS_MAX = 120


@pytest.fixture(name="noesis")
def _noesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Noesis:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "rules").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def call(*arguments: str, code: int = 0) -> Any:
        words = [str(tmp_path / word) if word.endswith(".yaml") else word for word in arguments]
        left = run(["--project", str(tmp_path), *words])
        captured = capsys.readouterr()
        assert left == code, captured
        assert "Traceback" not in captured.err
        return (
            captured.err
            if code and "--json" not in words
            else (json.loads(captured.out) if "--json" in words else captured.out)
        )

    call("init")
    return call


def begun(noesis: Noesis, *ids: str) -> None:
    for id in ids:
        # It returns once the run waits for the event, however long that takes.
        noesis("workflow", "run", "hear.yaml", "--id", id)


def states(noesis: Noesis) -> dict[str, str]:
    return {run["id"]: run["state"] for run in noesis("runs", "list", "--json")}


def test_nobody_waits_for_what_waits_for_somebody_else(noesis: Noesis, tmp_path: Path) -> None:
    """An hour would be waited out otherwise: the child is given a fraction of it."""
    command = [sys.executable, "-m", "api.cli", "--project", str(tmp_path), "workflow", "run", "hear.yaml"]
    ended = subprocess.run(
        [*command, "--id", "r1", "--wait", "3600", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS_MAX,
        check=True,
    )
    assert json.loads(ended.stdout)["state"] == "waiting"
    assert states(noesis) == {"r1": "waiting"}


def test_one_run_is_steered(noesis: Noesis) -> None:
    begun(noesis, "r1")
    assert "Run r1 is suspended" in noesis("runs", "pause", "r1", "-m", "lunch")
    assert "Run r1 is running" in noesis("runs", "resume", "r1")
    assert "Run r1 is" in noesis("runs", "signal", "r1", "go", "--data", '{"n": 4}')
    told = noesis("workflow", "run", "hear.yaml", "--id", "r1", "--wait", "20", "--json")
    assert (told["state"], told["output"]) == ("completed", [{"n": 4}])
    at = told["steps"][0]["position"]
    before = noesis("runs", "show", "r1", "--at", str(at), "--json")
    assert (before["state"], [step["task"] for step in before["steps"]]) == ("running", ["a"])
    fork = noesis("runs", "retry", "r1", "--from", told["steps"][1]["id"])
    assert fork.startswith("Run ")
    assert sorted(states(noesis).values())[0] == "completed"
    assert len(states(noesis)) == 2
    assert "is no step of run" in noesis("runs", "fork", "r1", "nothing", code=1)


def test_many_runs_are_steered_at_once(noesis: Noesis) -> None:
    begun(noesis, "r1", "r2")
    noesis("workflow", "run", "bad.yaml", "--id", "b1", code=1)
    assert "cancel: 2 of 2 runs." in noesis("runs", "cancel", "--workflow", "shop.hear", "--state", "waiting")
    assert states(noesis) == {"r1": "cancelled", "r2": "cancelled", "b1": "faulted"}
    assert "pause: 0 of 0 runs." in noesis("runs", "pause", "--workflow", "shop.hear:1.0.0")
    assert "retry: 1 of 1 runs." in noesis("runs", "retry", "--state", "faulted")
    assert "terminate: 1 of 1 runs." in noesis("runs", "terminate", "--workflow", "shop.bad")
    assert "name a run, or choose" in noesis("runs", "cancel", code=1)
    assert "not both" in noesis("runs", "cancel", "r1", "--state", "waiting", code=1)
    assert "cannot become" in noesis("runs", "terminate", "r1", code=1)


def test_a_dry_run_says_what_it_would_have_done(noesis: Noesis) -> None:
    told = noesis("workflow", "run", "make.yaml", "--dry-run", "--json")
    assert (told["state"], told["output"]["state"]) == ("completed", "simulated")
    assert told["output"]["receipt"]["would"][0]["create"] == "item-1"
    real = noesis("workflow", "run", "make.yaml", "--json")
    assert real["output"]["state"] == "applied"


def test_a_schedule_hears_what_is_published(noesis: Noesis) -> None:
    assert "shop.cron:1.0.0 is activated." in noesis("workflow", "activate", "cron.yaml")
    assert "Published e1" in noesis("workflow", "publish", "go", "--id", "e1")
    for n in range(20):
        begun(noesis, f"r{n}")
        if any(run["workflow"] == "shop.cron:1.0.0" for run in noesis("runs", "list", "--json")):
            break
    else:
        raise AssertionError("the event started nothing")
    assert "shop.cron:1.0.0 is deactivated." in noesis("workflow", "deactivate", "shop.cron")
    assert "shop.bad:1.0.0 is registered." in noesis("workflow", "register", "bad.yaml")
    assert "has no schedule" in noesis("workflow", "activate", "shop.bad", code=1)
    assert "may not do" in noesis("--as", "bea", "workflow", "publish", "go", code=1)


def test_pruning_keeps_the_facts(noesis: Noesis) -> None:
    noesis("workflow", "run", "bad.yaml", "--id", "b1", code=1)
    assert noesis("runs", "prune", "--days", "0", "--json")["rows"] > 0
    assert noesis("runs", "prune", "--days", "0", "--json") == {"days": 0, "rows": 0}
    assert noesis("runs", "show", "b1", "--json")["state"] == "faulted"
    assert "runs_kept_days" in noesis("runs", "prune", code=1)
    noesis("verify")


CLUMSY = """
class Clumsy:
    name, version, department, priority, wakes, capabilities = "clumsy", "1", "stock", 0, (), ()

    def act(self, change, entity, context):
        raise ValueError("no idea")


AGENTS = (Clumsy(),)
"""


def test_what_is_said_to_blame_is_true_of_an_agent_that_has_no_language_model(noesis: Noesis, tmp_path: Path) -> None:
    with (tmp_path / "noesis.toml").open("a") as settings:
        settings.write('agents = "agents.py"\n')
    (tmp_path / "agents.py").write_text(CLUMSY)
    (tmp_path / "act.yaml").write_text(HEAD % "act" + "do: [{a: {call: agent, with: {agent: clumsy, entity: item-1}}}]")
    with (tmp_path / "rules" / "may.cedar").open("a") as rules:
        rules.write('@id("agents-read") permit(principal is Agent, action == Action::"read", resource);\n')
    noesis("init")
    noesis("workflow", "run", "make.yaml", "--id", "m1", "--wait", "20")
    noesis("workflow", "run", "act.yaml", "--id", "a1", "--wait", "20", code=1)
    assert "to blame: model (what an agent made of it, by a language model or by its own code)" in noesis(
        "runs", "explain", "a1"
    )
    told = noesis("runs", "explain", "a1", "--json")
    assert (told["layer"], told["means"].endswith("by its own code")) == ("model", True)
    assert "agent clumsy raised ValueError: no idea" in told["because"]
    assert "to blame: none (no sign of a fault)" in noesis("runs", "explain", "m1")
