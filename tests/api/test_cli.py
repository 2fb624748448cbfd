"""The command line on a small project: from init to verify, `--json`, exit codes, and one sentence for what is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.bootstrap import open_store
from api.cli.main import run
from api.settings import load_settings
from kg.clock import SystemClock

ONTOLOGY = """
@prefix n: <urn:noesis:ns#> .
@prefix : <urn:example:shop#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Item a owl:Class ; n:key "sku" ; n:department "stock" .
:sku a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string .
:title a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string ; n:searchable true .
:stock a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:integer .
"""
MAPPING = """
source: shop
tables:
  - from: items.csv
    class: Item
    key: { sku: sku }
    properties: { title: title, stock: stock }
"""
RULES = """
@id("stock-agent-reads") permit(principal == Agent::"counter", action == Action::"read", resource is Item);
@id("stock-agent-applies") permit(principal == Agent::"counter", action == Action::"apply", resource is Item);
@id("large-needs-boss") @requires("large") @approvers("boss:1")
forbid(principal, action == Action::"apply", resource is Item) when { resource has stock && resource.stock > 100 };
@id("bosses-approve") permit(principal in Role::"boss", action, resource);
"""
AGENTS = """
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Put


class Counter:
    name, version, department, priority = "counter", "1", "stock", 0
    capabilities = ("item.count",)
    wakes = (Wake("Item", properties=("stock",)),)

    def act(self, change, entity, context):
        if str(entity.get("title", "")).endswith("!"):
            return []
        write = Put(entity.id, "Item", {"title": f"{entity['title']}!"})
        return [Draft("item.count", entity.id, (write,), rationale="counted", evidence=context.evidence(entity))]


AGENTS = (Counter(),)
"""
PEOPLE = "roles: [boss]\nusers:\n  - { name: bea, roles: [boss] }\n  - { name: bea2 }\n"

Noesis = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "rules").mkdir()
    files = {
        "noesis.toml": 'ontology = ["shop.ttl"]\nagents = "agents.py"\nrules = "rules"\npeople = "people.yaml"\n'
        '[[mappings]]\nfile = "shop.yaml"\nlocation = "."\n',
        "shop.ttl": ONTOLOGY,
        "shop.yaml": MAPPING,
        "rules/all.cedar": RULES,
        "agents.py": AGENTS,
        "people.yaml": PEOPLE,
        "items.csv": "sku,title,stock\nA1,Pump,4\nA2,Valve,200\nA3,Hose,x\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def noesis(project: Path, capsys: pytest.CaptureFixture[str]) -> Noesis:
    def call(*arguments: str, code: int = 0) -> Any:
        assert run(["--project", str(project), *arguments]) == code
        captured = capsys.readouterr()
        if code:
            assert "Traceback" not in captured.err
            return captured.err
        return json.loads(captured.out) if "--json" in arguments else captured.out

    return call


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"], ["--help"]])
def test_a_reader_that_leaves_early_is_no_failure(project: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "api.cli", "--project", str(project), *arguments]
    try:
        ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_streams_that_are_closed_or_know_few_letters_show_no_traceback(noesis: Noesis, project: Path) -> None:
    noesis("init")
    (project / "items.csv").write_text("sku,title,stock\nA1,Pump,zwölf 🙂\n", encoding="utf-8")
    noesis("ingest")
    call = [sys.executable, "-m", "api.cli", "--project", str(project)]
    narrow = {**os.environ, "PYTHONIOENCODING": "ascii"}
    list_rejects = [*call, "rejects", "list"]
    shown = subprocess.run([*list_rejects, "--json"], env=narrow, capture_output=True, timeout=60, check=True)
    assert json.loads(shown.stdout)[0]["row"]["stock"] == "zwölf 🙂"
    told = subprocess.run(list_rejects, env=narrow, capture_output=True, text=True, timeout=60, check=True)
    assert "zw\\xf6lf" in told.stdout
    forget = ["sh", "-c", 'exec "$@" <&-', "sh", *call, "forget", "User::bea", "--reason", "asked"]
    unasked = subprocess.run(forget, capture_output=True, text=True, timeout=60, check=False)
    assert (unasked.returncode, unasked.stderr.splitlines()[-1]) == (
        1,
        "noesis: nothing was erased; confirm, or give --yes",
    )
    deaf = ["sh", "-c", 'exec "$@" >&-', "sh", *list_rejects, "--json"]
    assert subprocess.run(deaf, stderr=subprocess.PIPE, timeout=60, check=True).stderr == b""


def test_from_init_to_verify(noesis: Noesis, project: Path) -> None:
    first = noesis("init", "--json")
    assert first["agents"] == ["counter"]
    assert noesis("init", "--json")["changes"] == 0
    report = noesis("ingest", "--json")[0]
    assert (report["created"], report["rejected"]) == (2, 1)
    assert noesis("ingest", "--json")[0]["created"] == 0
    assert "stock" in noesis("rejects", "list", "--json")[0]["reason"]
    found = noesis("search", "pump", "--json")
    assert [hit["properties"]["sku"] for hit in found["hits"]][:1] == ["A1"]
    id = found["hits"][0]["id"]
    assert noesis("context", id, "--json")["properties"]["title"] == "Pump"
    why = noesis("why", id, "--prov", str(project / "why.json"), "--json")
    assert "shop.items.csv/A1" in json.dumps(why)
    assert "entity" in json.loads((project / "why.json").read_text())
    assert noesis("verify", "--json")["ok"] is True
    assert noesis("index", "check", "--json")["alike"] is True
    assert {rule["properties"]["name"] for rule in noesis("rules", "list", "--json")} >= {"large-needs-boss"}
    assert noesis("agents", "list", "--json")[0]["capabilities"] == ["item.count"]
    assert [check["check"] for check in noesis("doctor", "--json")["checks"] if not check["ok"]] == []
    assert "type Item implements" in noesis("schema")


CLUMSY = AGENTS.replace("""{"title": f"{entity['title']}!"}""", '{"stock": "many"}')


def test_a_proposal_that_cannot_be_carried_out_is_found_with_its_reason(noesis: Noesis, project: Path) -> None:
    (project / "agents.py").write_text(CLUMSY)
    noesis("init")
    noesis("ingest")
    assert "could not be carried out" not in noesis("inbox")
    assert "No proposal failed." in noesis("inbox", "--failed")
    assert work(project, until=lambda: noesis("inbox", "--failed", "--json") != []) == 0
    [failed] = noesis("inbox", "--failed", "--json")
    assert "stock" in failed["properties"]["reason"]
    told = noesis("inbox", "--failed")
    assert failed["id"] in told
    assert "it cannot be applied" in " ".join(told.split())
    assert "Proposals that could not be carried out: 1; `noesis inbox --failed` says why." in noesis("inbox")


def test_rules_are_listed_by_whole_words_of_what_they_say(noesis: Noesis, project: Path) -> None:
    words = " || ".join(f'resource.title == "{word * 3}"' for word in ("alpha", "beta", "gamma", "delta", "omega"))
    scope = "forbid (principal, action, resource is Item)\nwhen"
    text = f'@id("wordy")\n@description("a (long) \\"story\\"")\n{scope} {{ resource has title && ({words}) }};'
    (project / "rules" / "wordy.cedar").write_text(text)
    noesis("init")
    [rule] = [r for r in noesis("rules", "list", "--json") if r["properties"]["name"] == "wordy"]
    assert rule["properties"]["text"].strip() == text, "whole"
    listed = " ".join(noesis("rules", "list").split())
    said = re.search(r"wordy active \S+ \S+ (forbid .*? …)", listed)
    assert said is not None, listed
    shown = said[1].removesuffix(" …")
    assert " ".join(text.split()).partition("forbid")[2].startswith(f"{shown.removeprefix('forbid')} ")


def work(project: Path, *, until: Callable[[], bool]) -> int:
    """Run `noesis work` as a process until something holds, then end it with SIGTERM; its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "--project", str(project), "work"], stderr=subprocess.PIPE
    )
    try:
        for _ in range(600):
            if until():
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert b"Traceback" not in said
    return process.returncode


def test_agents_act_a_person_approves_and_the_worker_ends_cleanly(noesis: Noesis, project: Path) -> None:
    noesis("init")
    noesis("ingest")

    def waits() -> bool:
        return len(noesis("inbox", "--json")) == 1 and len(noesis("decisions", "--outcome", "allow", "--json")) >= 1

    assert work(project, until=waits) == 0
    item = noesis("inbox", "--json")[0]
    assert item["decision"]["properties"]["required"] == ["large=boss:1"]
    answered = noesis("--as", "bea", "approve", item["decision"]["id"], "--json")
    assert answered["met"] is True
    assert work(project, until=lambda: noesis("inbox", "--json") == []) == 0
    noesis("index", "check")
    hits = noesis("search", "valve", "--class", "Item", "--json")["hits"]
    assert hits[0]["properties"]["title"] == "Valve!"
    assert noesis("agents", "dead-letters", "--json")["work"] == []
    assert noesis("verify", "--json")["ok"] is True


def test_a_stop_is_acknowledged_and_holds(noesis: Noesis, project: Path) -> None:
    noesis("init")
    noesis("ingest")
    acknowledged = noesis("controls", "stop", "counter", "-m", "audit", "--json")
    assert (acknowledged["scope"], acknowledged["state"]) == ("agent:counter", "stop")
    states = {c["properties"]["scope"]: c["properties"]["state"] for c in noesis("controls", "list", "--json")}
    assert states["agent:counter"] == "stop"
    noesis("controls", "resume", "counter")
    for word in ("shadow", "pause"):
        assert noesis("controls", word, "tool:graph", "--json")["state"] == word
    assert (
        noesis("controls", "set", "workflow:shop.flow", "throttle", "--per-minute", "5", "--json")["state"]
        == "throttle"
    )
    rates = {c["properties"]["scope"]: c["properties"].get("perMinute") for c in noesis("controls", "list", "--json")}
    assert rates["workflow:shop.flow"] == 5
    assert "goes with the state throttle" in noesis("controls", "throttle", code=1)
    noesis("controls", "stop")
    assert "resume it first" in noesis("controls", "pause", code=1)


def test_a_boss_on_vacation_is_answered_for(noesis: Noesis, project: Path) -> None:
    noesis("init")
    made = noesis("delegations", "add", "bea", "bea2", "--role", "boss", "--days", "3", "-m", "vacation", "--json")
    assert made["properties"]["roles"] == ["boss"]
    assert "does not hold" in noesis("delegations", "add", "bea2", "bea", "--role", "boss", "-m", "back", code=1)
    noesis("delegations", "end", made["id"])
    assert [d["id"] for d in noesis("delegations", "list", "--json")] == [made["id"]]


def test_keys_and_rules_come_and_go(noesis: Noesis, project: Path) -> None:
    noesis("init")
    made = noesis("keys", "add", "portal", "--for", "bea", "--json")
    assert made["key"].startswith("noesis_")
    listed = noesis("keys", "list", "--json")
    assert made["key"].rsplit("_", 1)[1] not in json.dumps(listed)
    assert "hash" not in listed[0]["properties"]
    noesis("keys", "revoke", made["id"])
    extra = project / "extra.cedar"
    extra.write_text('@id("no-hoses") forbid(principal, action == Action::"apply", resource is Item);')
    said = noesis("rules", "add", str(extra))
    assert "forbid" in noesis("rules", "show", "no-hoses")
    assert "rules activate no-hoses --version 2" in " ".join(said.split())
    assert "version 2, review, by" in noesis("rules", "diff", "no-hoses")
    refused = noesis("--as", "bea", "rules", "activate", "no-hoses", "--version", "1", "-m", "test", code=1)
    assert "is at version 2, you read 1" in " ".join(refused.split())
    assert noesis("rules", "list", "--status", "review", "--json")[0]["properties"]["name"] == "no-hoses"
    noesis("--as", "bea", "rules", "activate", "no-hoses", "--version", "2", "-m", "test")
    assert noesis("rules", "retire", "no-hoses", "-m", "test", "--json")["properties"]["nextKind"] == "retirement"
    noesis("--as", "bea", "rules", "activate", "no-hoses", "-m", "test")
    assert noesis("rules", "list", "--status", "retired", "--json")[0]["properties"]["name"] == "no-hoses"
    cases = project / "cases.yaml"
    cases.write_text(
        "- { principal: { kind: Agent, id: counter }, action: read, resource: { class: Item }, expect: allow }\n"
        "- { principal: { kind: User, id: nobody }, action: read, resource: { class: Item }, expect: deny }\n"
    )
    assert all(case["passed"] for case in noesis("rules", "test", str(cases), "--json"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest",), "noesis init"),
        (("why", "nothing"), "noesis init"),
        (("serve", "--host", "0.0.0.0"), "noesis init"),
    ],
)
def test_before_init_every_command_says_what_to_do(noesis: Noesis, arguments: tuple[str, ...], says: str) -> None:
    assert says in noesis(*arguments, code=1)


def test_an_init_that_broke_off_at_once_is_to_be_run_again(noesis: Noesis, project: Path) -> None:
    settings = load_settings(project=project)
    committer, store, _ = open_store(settings, SystemClock())
    committer.close()
    store.close()
    assert "noesis init" in noesis("ingest", code=1)
    noesis("init")
    noesis("ingest")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("why", "nothing"), "check the id"),
        (("context", "nothing"), "check the id"),
        (("approve", "nothing"), "inbox"),
        (("rules", "retire", "nothing"), "noesis rules list"),
        (("rules", "add", "nothing.cedar"), "nothing.cedar"),
        (("rules", "test", "nothing.yaml"), "nothing.yaml"),
        (("--as", "nobody", "inbox"), "people.yaml"),
        (("ingest", "nowhere.db", "--mapping", "nothing.yaml"), "nothing.yaml"),
        (("serve", "--host", "0.0.0.0"), "keyless"),
        (("search", " "), "text"),
        (("keys", "add", "x", "--for", "nobody"), "nobody"),
        (("controls", "stop", "weird:scope"), "scope"),
    ],
)
def test_bad_input_is_one_sentence_with_the_remedy(noesis: Noesis, arguments: tuple[str, ...], says: str) -> None:
    noesis("init")
    said = noesis(*arguments, code=1)
    assert says in said
    assert said.startswith("noesis: ")


@pytest.mark.parametrize("arguments", [("ingest",), ("rejects", "list"), ("agents", "retry", "w")])
def test_somebody_without_the_right_is_refused_and_it_is_on_record(noesis: Noesis, arguments: tuple[str, ...]) -> None:
    noesis("init")
    assert "may not" in noesis("--as", "bea2", *arguments, code=1)
    denied = noesis("decisions", "--outcome", "deny", "--json")
    assert denied[0]["properties"]["principal"] == 'User::"bea2"'


def test_an_unknown_command_is_a_wrong_command_line(noesis: Noesis) -> None:
    assert "--help" in noesis("frobnicate", code=2)


def test_a_broken_project_file_is_named(noesis: Noesis, project: Path) -> None:
    (project / "noesis.toml").write_text("ontologgy = []\n")
    assert "ontology" in noesis("init", code=1)
    (project / "noesis.toml").write_text('ontology = ["gone.ttl"]\n')
    assert "gone.ttl" in noesis("init", code=1)
    (project / "noesis.toml").write_text('ontology = ["shop.ttl"]\nagents = "agents.py"\n')
    (project / "agents.py").write_text("def (")
    assert "agents.py" in noesis("init", code=1)


def test_a_decision_is_explained_replayed_and_a_draft_tried_on_it(noesis: Noesis, project: Path) -> None:
    noesis("init")
    noesis("ingest", "--json")
    decision = noesis("decisions", "--json")[0]
    assert noesis("replay", decision["id"], "--json")["same"] is True
    explained = noesis("explain", decision["id"], "--json")
    assert decision["properties"]["principal"] in explained["paragraph"]
    assert "was allowed" in explained["paragraph"]
    draft = project / "draft.cedar"
    draft.write_text('@id("nobody-configures") forbid(principal, action == Action::"configure", resource);')
    trial = noesis("rules", "try", str(draft), "--json")
    assert trial["changes"] == [{"before": "allow", "after": "deny", "count": len(trial["changed"])}]
    assert trial["changed"]
    assert noesis("replay", decision["id"], "--today", "--json")["same"] is True, "a trial puts nothing in force"
    assert "no decision 'nothing'" in noesis("replay", "nothing", code=1)
    assert "neither a file nor a rule" in noesis("rules", "try", "nothing", code=1)
    exported = project / "exported"
    noesis("rules", "export", str(exported))
    assert 'forbid(principal, action == Action::"apply"' in (exported / "large-needs-boss.cedar").read_text()
    assert "no instant" in noesis("rules", "add", str(draft), "--from", "soon", code=1)


def test_rules_go_out_to_files_and_come_back_the_same(noesis: Noesis, project: Path) -> None:
    noesis("init")
    out = project / "out"
    names = noesis("rules", "export", str(out), "--json")["rules"]
    assert set(names) >= {"bosses-approve", "large-needs-boss", "stock-agent-applies", "stock-agent-reads"}
    compared = noesis("rules", "diff", str(out), "--json")
    assert {one["state"] for one in compared["rules"]} == {"same"}
    assert compared["notInFiles"] == []
    before = {r["properties"]["name"]: r["version"] for r in noesis("rules", "list", "--json")}
    noesis("rules", "add", str(out))
    assert {r["properties"]["name"]: r["version"] for r in noesis("rules", "list", "--json")} == before
    file = out / "large-needs-boss.cedar"
    file.write_text(file.read_text().replace("> 100", "> 500"))
    (out / "new.cedar").write_text(
        '@id("fresh") permit(principal in Role::"boss", action == Action::"read", resource);'
    )
    (out / "bosses-approve.cedar").unlink()
    compared = noesis("rules", "diff", str(out), "--json")
    told = {one["rule"]: one for one in compared["rules"]}
    assert (told["large-needs-boss"]["state"], told["fresh"]["state"]) == ("changed", "new")
    assert any(line.startswith("+") and "> 500" in line for line in told["large-needs-boss"]["diff"])
    assert compared["notInFiles"] == ["bosses-approve"]
    assert f"2 rules differ, {len(names) - 2} are the same, 1 in force" in noesis("rules", "diff", str(out))
    steps = noesis("rules", "diff", "large-needs-boss", "--json")
    assert [step["from"] for step in steps] == ["nothing"]
    assert noesis("rules", "show", "large-needs-boss", "--json")["properties"]["status"] == "active"
    (out / "bad.cedar").write_text("permit(")
    assert "noesis:" in noesis("rules", "diff", str(out), code=1)
    assert "no rule 'nothing'" in noesis("rules", "diff", "nothing", code=1)


def test_cases_stand_beside_the_rules_and_try_a_draft(noesis: Noesis, project: Path) -> None:
    noesis("init")
    case = {
        "name": "many", "principal": {"kind": "Agent", "id": "counter"}, "action": "apply",
        "resource": {"class": "Item", "properties": {"stock": 300}}, "expect": "needs_approval",
        "context": {"operation": "item.count", "effect": "graph", "confidence": "1", "priority": 0},
    }  # fmt: skip
    (project / "rules" / "large.cases.yaml").write_text(json.dumps([case]))
    (tried,) = noesis("rules", "test", str(project / "rules"), "--json")
    assert (tried["case"], tried["passed"]) == ("many", True)
    draft = project / "draft.cedar"
    draft.write_text(
        RULES[RULES.index('@id("large-needs-boss")') : RULES.index('@id("bosses')].replace("> 100", "> 500")
    )
    assert noesis("rules", "test", str(project / "rules"), "--with", str(draft), code=1) == ""
    noesis("rules", "test", str(project / "rules"), "--json")
    (project / "empty").mkdir()
    assert "holds no files *.cases.yaml" in noesis("rules", "test", str(project / "empty"), code=1)


def test_what_is_wrong_with_the_rules_is_found(noesis: Noesis, project: Path) -> None:
    noesis("init")
    (project / "odd.cedar").write_text(
        '@id("odd") forbid(principal, action == Action::"apply", resource is Item) '
        "when { resource has stock && resource.stock > 5 && resource.stock < 3 };"
    )
    noesis("rules", "add", str(project / "odd.cedar"))
    noesis("--as", "bea", "rules", "activate", "odd")
    assert "-m" not in noesis("rules", "diff", "odd")
    assert run(["--project", str(project), "rules", "analyse", "--json"]) == 1


def test_what_a_command_tells_of_people_is_on_record_and_no_more(noesis: Noesis, project: Path) -> None:
    keeper = ":keeper a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string ; n:personal true .\n"
    (project / "shop.ttl").write_text(ONTOLOGY + keeper)
    (project / "shop.yaml").write_text(MAPPING.replace("stock: stock", "stock: stock, keeper: keeper"))
    (project / "items.csv").write_text("sku,title,stock,keeper\nA1,Pump,4,Ada\nA2,Valve pump,200,Bob\n")
    noesis("init")
    noesis("ingest")
    [hit] = noesis("--purpose", "stock-taking", "search", "pump", "--first", "1", "--json")["hits"]
    assert hit["properties"]["keeper"] in ("Ada", "Bob")
    [reading] = noesis("audit", "reads", hit["id"], "--json")["readings"]
    told = reading["properties"]
    assert (told["told"], told["subjects"], told["subjectCount"]) == (["Item.keeper"], [f"{hit['id']}@1"], 1)
    assert (told["channel"], told["purpose"]) == ("cli", "stock-taking")
    assert reading["at"] > "2020"
    shown = noesis("audit", "reads", hit["id"])
    assert "Item.keeper" in shown
    assert "stock-taking" in shown
    assert hit["properties"]["keeper"] not in json.dumps(reading) + shown
    assert "No reading of it" in noesis("audit", "reads", "nothing")


def test_a_group_alone_has_every_command_that_any_module_gives_it() -> None:
    """`noesis runs explain` was there only where something else had imported its module."""
    root = Path(__file__).resolve().parents[2]
    code = "from api.cli.commands import _load; print(*_load('runs').commands)"
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    sources = [path.read_text("utf-8") for path in (root / "api" / "cli").glob("*.py")]
    declared = {name for text in sources for name in re.findall(r'@runs\.command\("([a-z-]+)"', text)}
    assert "explain" in declared
    assert declared <= set(found.stdout.split())
