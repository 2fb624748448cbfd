"""`noesis workflow check` and `migrate`: what a new version would break, and waiting runs taken over, from the command line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import run

ONTOLOGY = """
@prefix : <urn:shop#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Item a owl:Class .
:sku a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string .
"""
FLOW = """
document: {dsl: '1.0.3', namespace: shop, name: flow, version: '%s'}
do:
  - first: {set: {n: 1}}
%s  - rest: {wait: {days: 1}}
  - last: {set: {n: 2}}
"""


@pytest.fixture(name="noesis")
def _noesis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[Any, str]]:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "shop.ttl").write_text(ONTOLOGY)
    (tmp_path / "noesis.toml").write_text('ontology = ["shop.ttl"]\n')
    (tmp_path / "one.yaml").write_text(FLOW % ("1.0.0", ""))
    (tmp_path / "two.yaml").write_text(FLOW % ("2.0.0", "  - more: {set: {n: 9}}\n"))
    (tmp_path / "map.yaml").write_text("/do/1/rest: /do/2/rest\n")
    (tmp_path / "bad.yaml").write_text("[1, 2]\n")

    def call(*arguments: str, code: int = 0) -> tuple[Any, str]:
        words = [str(tmp_path / word) if word.endswith(".yaml") else word for word in arguments]
        assert run(["--project", str(tmp_path), *words]) == code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return json.loads(captured.out) if "--json" in arguments else captured.out, captured.err

    call("init")
    return call


def test_a_new_version_is_checked_and_waiting_runs_are_taken_over(noesis: Callable[..., tuple[Any, str]]) -> None:
    started, _ = noesis("workflow", "run", "one.yaml", "--id", "r1", "--wait", "0.5", "--json")
    assert started["state"] == "waiting"
    same, _ = noesis("workflow", "check", "one.yaml", "--json")
    assert [(one["run"], one["same"], one["steps"]) for one in same] == [("r1", True, 2)]
    (parted,), _ = noesis("workflow", "check", "two.yaml", "--json", code=1)
    assert [one["reference"] for one in parted["differences"]] == ["/do/1/rest"]
    told, _ = noesis("workflow", "check", "two.yaml", code=1)
    assert "0 of 1 runs would go the same way" in told
    assert noesis("workflow", "check", "one.yaml", "--run", "r9", code=1)[1].count("there is no run 'r9'") == 1
    refused, _ = noesis("workflow", "migrate", "r1", "--to", "two.yaml", "--json", code=1)
    assert "stands at /do/1/rest" in refused[0]["refused"]
    assert (
        "is no map of references"
        in noesis("workflow", "migrate", "r1", "--to", "2.0.0", "--map", "bad.yaml", code=1)[1]
    )
    moved, _ = noesis("workflow", "migrate", "r1", "--to", "2.0.0", "--map", "map.yaml", "-m", "better", "--json")
    assert moved == [{"run": "r1", "workflow": "shop.flow:2.0.0", "refused": ""}]
    assert noesis("runs", "show", "r1", "--json")[0]["workflow"] == "shop.flow:2.0.0"
