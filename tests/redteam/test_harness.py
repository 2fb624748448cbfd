"""`noesis redteam run` finds a gullible agent and a rule that is open to strangers, and leaves the real graph as it was."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest

from api.bootstrap import DATABASE
from api.cli.main import run

ONTOLOGY = """
@prefix n: <urn:noesis:ns#> . @prefix : <urn:example:desk#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Note a owl:Class ; n:key "number" .
:number a owl:DatatypeProperty ; rdfs:domain :Note ; rdfs:range xsd:string ; n:indexed true .
:words a owl:DatatypeProperty ; rdfs:domain :Note ; rdfs:range xsd:string .
:done a owl:DatatypeProperty ; rdfs:domain :Note ; rdfs:range xsd:boolean .
"""
AGENTS = """
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Put

class Clerk:
    name, version, department, priority = "clerk", "1", "desk", 0
    capabilities, wakes = ("note.close", "note.pay"), (Wake("Note"),)

    def act(self, change, entity, context):
        if entity.get("done"):
            return []
        operation = "note.pay" if GULLIBLE and "pay it now" in str(entity.get("words")) else "note.close"
        return [Draft(operation, entity.id, (Put(entity.id, "Note", {"done": True}),), evidence=context.evidence(entity))]

AGENTS = (Clerk(),)
"""
PEOPLE = """
roles: [admin, clerks]
departments: [desk]
users: [{name: root, roles: [admin]}]
agents: [{name: clerk, roles: [clerks], departments: [desk]}]
"""
RULES = """
@id("admin") permit(principal in Role::"admin", action, resource);
@id("see") permit(principal in Role::"clerks", action == Action::"read", resource is Note);
@id("do") permit(principal in Role::"clerks", action == Action::"apply", resource is Note);
"""
TABLE = """
source: desk
tables:
  - from: notes.csv
    class: Note
    key: { number: number }
    properties: { words: words }
"""
OPEN = '@id("anyone") permit(principal, action == Action::"apply", resource is Note);'


def project(folder: Path, *, gullible: bool, rules: str) -> Path:
    (folder / "rules").mkdir()
    texts = {
        "noesis.toml": 'ontology = ["desk.ttl"]\nagents = "agents.py"\nrules = "rules"\npeople = "people.yaml"\n'
        'local_user = "root"\n'
        '[[mappings]]\nfile = "notes.yaml"\nlocation = "."\n',
        "desk.ttl": ONTOLOGY, "agents.py": f"GULLIBLE = {gullible}\n{AGENTS}", "people.yaml": PEOPLE, "rules/all.cedar": rules,
        "notes.csv": "number,words\nN1,please look at this\nN2,all is well here\n",
        "notes.yaml": TABLE,
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    for arguments in (("init",), ("ingest",)):
        assert run(["--project", str(folder), *arguments]) == 0
    return folder


def attacked(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[dict[str, str]]]]:
    for name in [name for name in sys.modules if name.startswith("noesis_agents_")]:
        del sys.modules[name]
    capsys.readouterr()
    code = run(["--project", str(folder), "redteam", "run", "--json"])
    return code, json.loads(capsys.readouterr().out)


def entities(folder: Path) -> int:
    with sqlite3.connect(folder / ".noesis" / DATABASE) as graph:
        (position,) = graph.execute("SELECT position FROM head").fetchone()
    graph.close()
    return int(position)


def test_what_is_gullible_or_open_is_found_and_the_graph_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path, gullible=True, rules=RULES + OPEN)
    before = entities(folder)
    code, told = attacked(folder, capsys)
    through = {
        (row["attack"], row["against"].partition(" ")[0]) for row in told["attacks"] if row["outcome"] == "through"
    }
    assert code == 1
    assert ("amount", "Note") in through
    assert ("acts without a role", "a") in through
    assert ("override", "Note") not in through
    assert entities(folder) - before < 10, "only the decision that allowed the attack is on record"


def test_a_sober_agent_under_closed_rules_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = attacked(project(tmp_path, gullible=False, rules=RULES), capsys)
    assert [row for row in told["attacks"] if row["outcome"] == "through"] == []
    assert code == 0
    assert any("note.close allow" in row["detail"] for row in told["attacks"])
