"""Bad input from end to end, by command line and server: one sentence with the remedy, nothing lost, the rest goes on."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.bootstrap import DATABASE, build
from api.cli.main import run
from api.settings import load_settings
from coordination import works
from coordination.effects import effect_id
from coordination.proposals import Proposal
from kg.embedders.hashing import HashingEmbedder
from kg.jq import Jq
from kg.model import Cause, Link, Put
from kg.stores.sqlite import SqliteStore
from kg.values import Ref, Value
from tests.api.test_cli import AGENTS, ONTOLOGY, PEOPLE, RULES

ROOT = Path(__file__).resolve().parents[2]
MORE = """
:price a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:decimal .
:made a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:dateTime .
:part a owl:ObjectProperty ; rdfs:domain :Item ; rdfs:range :Item .
"""
TABLE = """
source: shop
tables:
  - from: items.csv
    class: Item
    key: { sku: sku }
    properties: { title: title, stock: stock, price: price, made: made }
    relations: { part: part }
"""
HEADER = "sku,title,stock,price,made,part\n"
GOOD = "G1,Pump,4,1.5,2024-05-01T08:00:00Z,\n"

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was set up and filled once."""
    folder = tmp_path_factory.mktemp("ready")
    (folder / "rules").mkdir()
    files = {
        "noesis.toml": 'ontology = ["shop.ttl"]\nagents = "agents.py"\nrules = "rules"\npeople = "people.yaml"\n'
        '[[mappings]]\nfile = "shop.yaml"\nlocation = "."\n',
        "shop.ttl": ONTOLOGY + MORE,
        "shop.yaml": TABLE,
        "rules/all.cedar": RULES,
        "agents.py": AGENTS,
        "people.yaml": PEOPLE,
        "items.csv": HEADER + GOOD,
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    assert run(["--project", str(folder), "init"]) == 0
    assert run(["--project", str(folder), "ingest"]) == 0
    return folder


@pytest.fixture(scope="module")
def whole(ready: Path) -> int:
    """The changes of its ledger, without the record that its one ingest was allowed."""
    with sqlite3.connect(ready / ".noesis" / DATABASE) as graph:
        (position,) = graph.execute("SELECT position FROM head").fetchone()
    graph.close()
    return int(position) - DECISION_CHANGES


@pytest.fixture
def project(ready: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    copy = tmp_path / "project"
    shutil.copytree(ready, copy)
    return copy


@pytest.fixture
def call(project: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def noesis(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        # Each command is a process of its own for a user, so none finds the agents that an earlier one loaded.
        for name in [name for name in sys.modules if name.startswith("noesis_agents_")]:
            del sys.modules[name]
        code = run(["--project", str(project), *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return code, said.out, said.err

    return noesis


def refused(told: tuple[int, str, str], says: str) -> None:
    """Exit code 1 and one sentence that says this."""
    code, _, said = told
    assert code == 1
    assert said.startswith("noesis: "), said
    assert said.strip().count("\n") == 0, said
    assert says in said, said


def defaults(cls: type) -> dict[str, Any]:
    """The defaults of a class's keyword arguments, to shorten its bounds for a test."""
    found: dict[str, Any] | None = vars(cls)["__init__"].__kwdefaults__
    assert found is not None
    return found


@pytest.mark.parametrize("what", ["--proof", "--key", "--checkpoint"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_no_proof_key_or_checkpoint(call: Call, tmp_path: Path, what: str, kind: str) -> None:
    none = tmp_path / "none"
    if kind == "pipe":
        os.mkfifo(none)
    else:
        none.symlink_to("/dev/zero" if kind == "device" else tmp_path)
    given = {"--proof": tmp_path / "project" / "noesis.toml", "--key": "a+00000000+AA=="} | {what: none}
    if what == "--checkpoint":
        del given["--proof"]
    refused(call("verify", *(str(word) for pair in given.items() for word in pair)), "is no file")


#: A decision is an entity with its links to principal and rule: three changes.
DECISION_CHANGES = 3


def changes(call: Call) -> int:
    """Changes in the ledger, which holds, without the record of who was allowed to run a command."""
    code, out, _ = call("verify", "--json")
    assert code == 0
    _, listed, _ = call("decisions", "--first", "500", "--json")
    allowed = [d["properties"] for d in json.loads(listed) if d["properties"].get("operation") == "ingest"]
    assert all(decision["outcome"] == "allow" for decision in allowed)
    return int(json.loads(out)["changes"]) - DECISION_CHANGES * len(allowed)


# -- the project's files ---------------------------------------------------------------------------------------------

FILES: dict[str, tuple[str, bytes | str, str]] = {
    "turtle without a prefix": ("shop.ttl", ":Item a owl:Class .", "shop.ttl line 1"),
    "turtle in another encoding": ("shop.ttl", b"\xff\xfe\x00a", "UTF-8"),
    "turtle nested without end": ("shop.ttl", "@prefix : <urn:x#> .\n:a :b " + "(" * 50_000, "nested too deep"),
    "a page instead of turtle": ("shop.ttl", "<html></html>", "not valid Turtle"),
    "cedar cut off": ("rules/all.cedar", "permit(", "all.cedar line 1"),
    "cedar without a name": ("rules/all.cedar", "permit(principal, action, resource);", "@id"),
    "cedar on an unknown class": (
        "rules/all.cedar",
        '@id("a") permit(principal, action == Action::"read", resource is Ghost);',
        "Ghost",
    ),
    "cedar in another encoding": ("rules/all.cedar", b"\xff\xfe", "UTF-8"),
    "cedar nested without end": (
        "rules/all.cedar",
        f'@id("a") permit(principal, action, resource) when {{ {"(" * 20_000}true{")" * 20_000} }};',
        "split the rule",
    ),
    "people cut off": ("people.yaml", "users: [", "people.yaml line 1"),
    "people with a role nobody declared": ("people.yaml", "users:\n - { name: b, roles: [ghost] }\n", "ghost"),
    "people in another encoding": ("people.yaml", b"\xff", "UTF-8"),
    "settings cut off": ("noesis.toml", "ontology = [", "not valid TOML"),
    "settings with a NUL": ("noesis.toml", 'ontology = ["a\\u0000b"]\n', "NUL"),
    "a home with a NUL": ("noesis.toml", 'ontology = ["shop.ttl"]\nhome = "a\\u0000b"\n', "NUL"),
    "agents that end the process": ("agents.py", "import sys; sys.exit(3)", "SystemExit"),
    "agents without end": ("agents.py", "def f(): f()\nf()", "RecursionError"),
    "an agent with a number as name": ("agents.py", AGENTS.replace('"counter"', "5"), "name of Counter"),
    "an agent without wakes": ("agents.py", AGENTS.replace('(Wake("Item", properties=("stock",)),)', "5"), "wakes"),
    "an agent for an unknown class": ("agents.py", AGENTS.replace('Wake("Item"', 'Wake("Ghost"'), "'Ghost'"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named_and_changes_nothing(call: Call, project: Path, whole: int, case: str) -> None:
    name, text, says = FILES[case]
    good = (project / name).read_bytes()
    (project / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(call("init"), says)
    (project / name).write_bytes(good)
    assert call("init")[0] == 0
    assert changes(call) == whole


MAPPINGS: dict[str, tuple[bytes | str, str]] = {
    "cut off": ("source: [", "shop.yaml line 1"),
    "another encoding": (b"\xff\xfe", "UTF-8"),
    "a tag that would run code": ("source: !!python/object/apply:os.system [id]", "not allowed"),
    "nested without end": ("a: " + "[" * 50_000, "nested too deep"),
    "a key twice": ("source: a\nsource: b\n", "twice"),
    "an unknown class": (TABLE.replace("class: Item", "class: Ghost"), "Ghost"),
    "an unknown property": (TABLE.replace("title: title", "tittle: title"), "did you mean title"),
    "a file outside": (TABLE.replace("items.csv", "../../../etc/passwd.csv"), "outside"),
    "wrong columns": (TABLE.replace("title: title", "title: name"), "has no column 'name'"),
    "jq that does not compile": (TABLE.replace("title: title", "title: { jq: '.a |' }"), "jq program is not usable"),
    "jq without end": (TABLE.replace("title: title", "title: { jq: 'def f: f; f' }"), "was stopped"),
    "jq that grows": (TABLE.replace("title: title", "title: { jq: '[range(1e9)]' }"), "simplify it"),
}


@pytest.mark.parametrize("case", MAPPINGS)
def test_a_bad_mapping_is_named_and_changes_nothing(
    call: Call, project: Path, whole: int, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "jq without end":
        # The others end, and may need more than a second where many processes share the machine.
        monkeypatch.setitem(defaults(Jq), "deadline_seconds", 1.0)
    monkeypatch.setitem(defaults(Jq), "memory_bytes", 100_000_000)
    text, says = MAPPINGS[case]
    (project / "shop.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(call("ingest"), says)
    assert changes(call) == whole


# -- rows -----------------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[bytes | str, str]] = {
    "not a number": ("A1,x,1,NaN,,\n", "finite"),
    "infinite": ("A2,x,1,-inf,,\n", "finite"),
    "too large": ("A3,x,1,1e30,,\n", "too large"),
    "a date without a zone": ("A4,x,1,,2024-05-01T08:00:00,\n", "time_zone"),
    "no day": ("A5,x,1,,2024-02-30T00:00:00Z,\n", "ISO 8601"),
    "out of the calendar": ("A6,x,1,,9999-12-31T23:59:59-12:00,\n", "calendar"),
    "broken UTF-8": (b"A7,x\xff\xfe,1,,,\n", "broken character"),
    "a NUL": ("A8,x\x00y,1,,,\n", "NUL"),
    "ten megabytes": (f"A9,{'x' * 10_000_000},1,,,\n", "keep it outside"),
    "a key twice": ("G1,other,1,,,\n", "has the key of row 1"),
    "no key": (" ,x,1,,,\n", "needs its key"),
    "too few fields": ("A10,x\n", "2 fields"),
    "an unknown target": ("A11,x,1,,,nobody\n", "target"),
}


def test_bad_rows_are_kept_aside_and_the_rest_goes_in(call: Call, project: Path) -> None:
    rows = [row if isinstance(row, bytes) else row.encode() for row, _ in ROWS.values()]
    (project / "items.csv").write_bytes((HEADER + GOOD).encode() + b"".join(rows) + b"Z9,Last,9,2.5,,G1\n")
    code, out, _ = call("ingest", "--json")
    assert code == 0
    assert json.loads(out)[0]["created"] == 2, "the last one, and the one whose target nobody knows"
    _, out, _ = call("rejects", "list", "--json")
    rejects = json.loads(out)
    reasons = {reject["number"]: reject["reason"] for reject in rejects}
    assert len(rejects) == len(ROWS)
    for number, (case, (_, says)) in enumerate(ROWS.items(), 2):
        assert says in reasons[number], (case, reasons)
    changes(call)


def test_refused_rows_are_listed_before_relations_that_dangle(call: Call, project: Path) -> None:
    dangling = "".join(f"D{number},x,1,,,nobody\n" for number in range(5))
    (project / "items.csv").write_text(HEADER + dangling + "A1,x,many,,,\n")
    call("ingest")
    code, out, err = call("rejects", "list", "--first", "2")
    assert code == 0
    first, second = out.splitlines()[1:]
    assert "many" in first
    assert "target unknown: " in second
    assert second.rstrip().endswith("nobody")
    assert "more than these 2" in err
    _, out, err = call("rejects", "list", "--first", "6")
    assert (len(out.splitlines()), err) == (7, "")


def test_relations_that_dangle_are_told_with_where_to_look(call: Call, project: Path) -> None:
    (project / "items.csv").write_text(HEADER + "A1,x,1,,,nobody\n")
    assert "`noesis rejects list` names them" in call("ingest")[1]


def test_a_circle_of_relations_goes_in_and_is_explained(call: Call, project: Path) -> None:
    (project / "items.csv").write_text(HEADER + "A,a,1,,,B\nB,b,1,,,A\nC,c,1,,,C\n")
    code, out, _ = call("ingest", "--json")
    assert (code, json.loads(out)[0]["created"]) == (0, 3)
    with sqlite3.connect(project / ".noesis" / DATABASE) as graph:
        ids = [id for (id,) in graph.execute("SELECT DISTINCT id FROM version WHERE cls = 'Item'")]
    for id in ids:
        assert call("why", id, "--depth", "50")[0] == 0


def test_jq_reads_no_environment(call: Call, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_MINE", "hidden-value-1")
    (project / "shop.yaml").write_text(TABLE.replace("title: title", "title: { jq: '[$ENV, env] | tostring' }"))
    assert call("ingest")[0] == 0
    with sqlite3.connect(project / ".noesis" / DATABASE) as graph:
        assert not any(b"hidden-value-1" in line.encode() for line in graph.iterdump())


# -- the database ----------------------------------------------------------------------------------------------------


def _garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 1_000)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as graph:
        graph.execute("INSERT INTO migration VALUES (99, 'tomorrow', 'x')")
    graph.close()


@pytest.mark.parametrize(
    ("damage", "says"),
    [(_garbage, "restore a backup"), (_half, "restore a backup"), (_emptied, "restore a backup"), (_newer, "newer")],
)
def test_a_damaged_database_is_named_by_every_command(
    call: Call, project: Path, damage: Callable[[Path], None], says: str
) -> None:
    path = project / ".noesis" / DATABASE
    damage(path)
    found = path.read_bytes()
    for command in (["ingest"], ["inbox"], ["verify"], ["rules", "list"], ["controls", "stop"], ["why", "x"]):
        refused(call(*command), says)
    assert path.read_bytes() == found, "evidence is left as it was found"


def test_a_locked_database_is_named_and_served_again(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(project / ".noesis" / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setitem(defaults(SqliteStore), "patience", 0.2)
    refused(call("controls", "stop"), "locked by another process")
    other.execute("ROLLBACK")
    other.close()
    assert call("controls", "stop")[0] == 0


def test_a_disk_that_takes_no_more_loses_nothing(call: Call, project: Path) -> None:
    before = changes(call)
    rows = "".join(f"B{n},thing {n} {'x' * 200},{n},,,\n" for n in range(3_000))
    (project / "items.csv").write_text(HEADER + GOOD + rows)
    size = (project / ".noesis" / DATABASE).stat().st_size
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 200_000}, {size + 200_000})); "
        "from api.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "--project", str(project), "ingest"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("noesis: ")
    assert "Traceback" not in done.stderr
    assert changes(call) >= before
    assert call("ingest")[0] == 0
    assert changes(call) == before + 3_000


def test_an_index_of_another_model_is_named_and_search_goes_on(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.bootstrap.make_embedder", lambda settings: HashingEmbedder(32))
    assert call("index", "rebuild")[0] == 0
    monkeypatch.setattr("api.bootstrap.make_embedder", lambda settings: HashingEmbedder(64))
    refused(call("index", "check"), "noesis index rebuild")
    code, out, _ = call("search", "pump", "--json")
    assert code == 0
    assert json.loads(out)["hits"][0]["properties"]["sku"] == "G1"
    assert call("index", "rebuild")[0] == 0
    assert call("index", "check")[0] == 0


# -- agents ----------------------------------------------------------------------------------------------------------

HOSTILE = """
import sys
from itertools import count


class Bad(Counter):
    def __init__(self, name, acts):
        self.name, self.acts = name, acts

    def act(self, change, entity, context):
        return self.acts(entity)


def ends(entity): sys.exit(3)
def draft(entity, *writes): return Draft("item.count", entity.id, writes, rationale="mine")
def rule(entity): return [draft(entity, Put("rule-x", "Rule", {"name": "x"}))]
def switch(entity): return [draft(entity, Put("control-x", "Item", {"title": "mine"}))]


AGENTS = (
    Bad("raises", lambda entity: 1 / 0),
    Bad("ends", ends),
    Bad("nothing", lambda entity: None),
    Bad("garbage", lambda entity: ["x"]),
    Bad("endless", lambda entity: (draft(entity) for _ in count())),
    Bad("huge", lambda entity: [draft(entity, Put(entity.id, "Item", {"title": "x" * 2_000_000}))]),
    Bad("rule", rule),
    Bad("switch", switch),
    Counter(),
)
"""


def test_hostile_agents_are_put_aside_and_the_good_one_goes_on(call: Call, project: Path) -> None:
    (project / "agents.py").write_text(AGENTS.replace("AGENTS = (Counter(),)", HOSTILE))
    rules = 'permit(principal is Agent, action in [Action::"read", Action::"apply"], resource is Item);'
    (project / "rules" / "more.cedar").write_text(f'@id("agents-may") {rules}')
    assert call("init")[0] == 0
    with _platform(project) as platform:
        handled(platform)
        found = {work.agent: work.reason for row in platform.store.scan(works.KIND) if (work := works.of(row)).agent}
        proposals = {entity["agent"]: entity for entity in platform.store.find("Proposal", first=100).items}
        titles = {entity["title"] for entity in platform.store.find("Item", first=100).items}
    for agent, says in {
        "raises": "ZeroDivisionError", "ends": "end the process", "nothing": "NoneType", "garbage": "str",
        "endless": "more than 100", "huge": "exceeds",
    }.items():  # fmt: skip
        assert says in found[agent], (agent, found[agent])
    assert proposals["rule"]["state"] == proposals["switch"]["state"] == "denied"
    assert proposals["counter"]["state"] == "applied"
    assert titles == {"Pump!"}
    changes(call)


@contextmanager
def _platform(project: Path) -> Iterator[Any]:
    platform = build(load_settings(project=project), acting=True)
    try:
        yield platform
    finally:
        platform.close()


def handled(platform: Any) -> None:
    """Read the feed and do each piece of work once, in this thread."""
    runtime = platform.runtime
    runtime.enqueue = lambda _: None
    for _ in range(10):
        runtime.pump()
        for row in platform.store.scan(works.KIND):
            if works.of(row).state == works.READY and works.of(row).attempts == 0:
                runtime.handle(row.key)


def test_nobody_grants_himself_more_on_the_command_line(call: Call, project: Path) -> None:
    (project / "people.yaml").write_text(PEOPLE + "  - { name: carl, roles: [] }\n")
    assert call("init")[0] == 0
    (project / "mine.cedar").write_text('@id("mine") permit(principal == User::"carl", action, resource);')
    for command in (
        ["rules", "add", str(project / "mine.cedar")],
        ["rules", "retire", "bosses-approve"],
        ["keys", "add", "k", "--for", "local"],
        ["keys", "revoke", "k"],
        ["controls", "stop"],
    ):
        refused(call("--as", "carl", *command), "no rule permits it")
    _, out, _ = call("decisions", "--outcome", "deny", "--json")
    assert len(json.loads(out)) == 5


def test_an_effect_in_doubt_waits_for_a_person_who_knows(call: Call, project: Path) -> None:
    made: dict[str, Value] = {
        "agent": "counter", "agentVersion": "1", "operation": "item.count", "target": Ref("x"), "effector": "webhook",
        "state": "in_doubt", "confidence": Decimal(1), "priority": 0, "work": "w", "depth": 1, "intent": "i",
        "rationale": "r", "contextHash": "h", "contextPosition": 1,
    }  # fmt: skip
    doubt: dict[str, Value] = {"operation": "item.count", "target": Ref("x"), "effector": "webhook", "idempotencyKey": "k",
             "agent": "counter", "status": "in_doubt"}  # fmt: skip
    with _platform(project) as platform:
        store = platform.store
        store.commit([Put("pr", "Proposal", made)], Cause("made", "test", 'Service::"test"'))
        id = effect_id(Proposal(store.get(["pr"])["pr"]))
        store.commit([Put(id, "Effect", doubt), Link(id, "performs", "pr")], Cause("doubt", "test", 'Service::"test"'))
    assert json.loads(call("inbox", "--json")[1])[0]["id"] == "pr"
    refused(call("--as", 'Agent::"counter"', "resolve", "pr", "--happened", "-m", "x"), "no rule permits it")
    refused(call("resolve", "nothing", "--happened", "-m", "x"), "no effect")
    assert call("resolve", "pr", "--happened", "-m", "the shop shows it")[0] == 0
    refused(call("resolve", "pr", "--not-happened", "-m", "x"), "not in doubt")
    assert json.loads(call("inbox", "--json")[1]) == []
    assert "the shop shows it" in call("why", id)[1]


def test_what_cannot_be_written_or_read_as_text_is_one_sentence(call: Call, project: Path) -> None:
    refused(call("schema", "--output", str(project)), "check the path")
    refused(call("schema", "--output", str(project / "none" / "x.graphql")), "check the path")
    code, _, said = call("why", "a\udcff")
    assert (code, said.count("\n"), "UTF-8" in said) == (2, 1, True)


def test_ctrl_c_is_said_and_nothing_is_half_done(call: Call, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.cli.filling.bring_in", interrupted)
    assert call("ingest")[::2] == (130, "noesis: interrupted\n")
    assert changes(call) == whole


#: Without the right of root to write what is not writable.
BARE = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]


@pytest.mark.parametrize("arguments", [["rules", "list"], ["search", "pump"], ["why", "x"], ["ingest"]])
def test_a_home_that_may_not_be_written_is_named_with_what_to_do(project: Path, arguments: list[str]) -> None:
    home, copy = project / ".noesis", project / "copy"
    shutil.copytree(home, copy)
    (home / DATABASE).chmod(0o444)
    home.chmod(0o555)
    command = [*(BARE if os.getuid() == 0 else []), sys.executable, "-m", "api.cli", "--project", str(project)]
    try:
        ended = subprocess.run(
            [*command, *arguments], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
        )  # fmt: skip
    finally:
        home.chmod(0o755)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"noesis: {home / DATABASE} may not be written, which is needed to read it too")
    assert ended.stderr.endswith("copy the folder and name the copy with --home\n")
    assert run(["--project", str(project), "--home", str(copy), "rules", "list"]) == 0, "the remedy helps"


# -- a server -------------------------------------------------------------------------------------------------------


def test_a_server_refuses_and_serves_on(call: Call, project: Path) -> None:
    command = [sys.executable, "-m", "api.cli", "--project", str(project), "serve", "--no-worker", "--port"]
    process = subprocess.Popen([*command, "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split()[3].rstrip(";")
        asked: dict[str, Any] = {"query": "{ items { nodes { sku } } }"}
        served = httpx.post(url, json=asked, timeout=60)
        assert served.json()["data"]["items"]["nodes"] == [{"sku": "G1"}]
        port = url.split(":")[2].split("/")[0]
        second = subprocess.run([*command, port], check=False, cwd=ROOT, capture_output=True, text=True)
        assert (second.returncode, "--port" in second.stderr, "Traceback" in second.stderr) == (1, True, False)
        for header in ("Bearer noesis_x_y", "Basic eDp5", "Bearer " + "x" * 5_000):
            wrong = httpx.post(url, json=asked, headers={"Authorization": header}, timeout=60)
            assert (wrong.status_code, wrong.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
        deep = "{ items { nodes { " + "changes { entity { " * 20 + "id" + " } }" * 20 + " } } }"
        wide = "{" + " ".join(f"a{n}: head {{ position }}" for n in range(100)) + "}"
        for query in (deep, wide, "{ items { nodes { " + "sku " * 3_000 + "} } }"):
            costly = httpx.post(url, json={"query": query}, timeout=60).json()
            assert costly["errors"][0]["extensions"]["code"] == "TOO_COSTLY"
        assert httpx.post(url, content=b"x" * 10_000_000, timeout=60).status_code in (413, 415)
        assert httpx.post(url, json=asked, timeout=60).json() == served.json()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in said
    changes(call)
