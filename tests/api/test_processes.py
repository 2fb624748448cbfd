"""Several processes under one supervisor: they share work and port, are replaced when killed, and end when told."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from api import supervisor
from api.cli.main import run
from api.cli.session import Session
from api.supervisor import Supervisor
from coordination import works
from coordination.brokers import carrier
from coordination.works import Work
from tests.api.test_cli import AGENTS, MAPPING, ONTOLOGY, PEOPLE, RULES
from tests.services.server import running

SECONDS_MAX = 60
FILES = {
    "noesis.toml": 'ontology = ["shop.ttl"]\nagents = "agents.py"\nrules = "rules"\npeople = "people.yaml"\n'
    '[[mappings]]\nfile = "shop.yaml"\nlocation = "."\n',
    "shop.ttl": ONTOLOGY,
    "shop.yaml": MAPPING,
    "agents.py": AGENTS,
    "people.yaml": PEOPLE,
    "rules/stock.cedar": RULES,
}


@dataclass
class Site:
    """A project in a folder, and the processes started on it."""

    folder: Path
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def noesis(self, *arguments: str) -> int:
        return run(["--project", str(self.folder), *arguments])

    def stock(self, *items: str) -> None:
        """Write the items as the source has them now, and ingest them."""
        rows = "".join(f"{item},{item},7\n" for item in items)
        (self.folder / "items.csv").write_text(f"sku,title,stock\n{rows}")
        assert self.noesis("ingest") == 0

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "api.cli", "--project", str(self.folder), *arguments]
        environment = {**os.environ, **variables}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.started.append(process)
        return process

    def counted(self, capfd: pytest.CaptureFixture[str], *items: str) -> bool:
        """Whether the agent has been at each of them."""
        capfd.readouterr()
        assert self.noesis("search", " ".join(items), "--first", "50", "--json") == 0
        hits = json.loads(capfd.readouterr().out)["hits"]
        return {hit["properties"]["title"] for hit in hits} >= {f"{item}!" for item in items}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    made = Site(tmp_path)
    (tmp_path / "items.csv").write_text("sku,title,stock\n")
    assert made.noesis("init") == 0
    yield made
    for process in made.started:
        for pid in [*children(process.pid), process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def children(pid: int) -> list[int]:
    """The processes that this one started and that live."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_worker_processes_share_the_work_and_a_killed_one_is_replaced(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    url = running("redis").url
    sender = carrier(lambda work: None, url)
    sender.broker.flush_all()
    sender.stop()
    process = site.start(
        "work", "--processes", "2", "--threads", "2", "--queues", "stock,general", NOESIS_BROKER_URL=url
    )
    until(lambda: len(children(process.pid)) == 2, "two children")
    site.stock("valve", "pump")
    until(lambda: site.counted(capfd, "valve", "pump"), "the agent works")
    first = children(process.pid)
    os.kill(first[0], signal.SIGKILL)
    until(lambda: len(children(process.pid)) == 2 and first[0] not in children(process.pid), "another in its place")
    site.stock("valve", "pump", "gasket", "flange")
    until(lambda: site.counted(capfd, "gasket", "flange"), "the work goes on")
    last = children(process.pid)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0, told
    assert not [pid for pid in last if lives(pid)]
    assert "SIGKILL" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_server_processes_share_a_port_and_outlive_each_other(site: Site) -> None:
    process = site.start("serve", "--workers", "2", "--port", "0")
    assert process.stderr is not None
    address = process.stderr.readline().split(" at ")[1].split(";")[0]
    until(lambda: len(children(process.pid)) == 2, "two children")

    def asked() -> bool:
        body = json.dumps({"query": "{ __typename }"}).encode()
        headers = {"content-type": "application/json", "connection": "close"}
        try:
            with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=SECONDS_MAX) as answer:
                return bool(json.loads(answer.read())["data"]["__typename"] == "Query")
        except (ConnectionError, TimeoutError, OSError):
            return False

    until(asked, "it answers")
    os.kill(children(process.pid)[0], signal.SIGKILL)
    assert all(asked() for _ in range(5)), "the other answers meanwhile"
    until(lambda: len(children(process.pid)) == 2, "another in its place")
    last = children(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0
    assert not [pid for pid in last if lives(pid)]


@pytest.mark.slow
def test_children_end_when_their_supervisor_is_killed(site: Site) -> None:
    process = site.start("serve", "--workers", "2", "--port", "0", "--no-worker")
    assert process.stderr is not None
    process.stderr.readline()
    until(lambda: len(children(process.pid)) == 2, "two children")
    orphans = children(process.pid)
    process.kill()
    process.wait()
    until(lambda: not [pid for pid in orphans if lives(pid)], "the children end by themselves")


def test_what_cannot_work_is_one_sentence(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.noesis("work", "--processes", "2") == 1
    assert "set broker_url" in capfd.readouterr().err
    assert site.noesis("work", "--queues", "stock") == 1
    assert "only with a broker" in capfd.readouterr().err


def test_an_unknown_queue_is_refused_with_those_there_are(
    site: Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOESIS_BROKER_URL", "redis://127.0.0.1:1/0")
    assert site.noesis("work", "--queues", "sales") == 1
    assert "the agents of this project use general, stock" in capfd.readouterr().err


def test_a_child_that_dies_again_and_again_ends_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", 0.01)
    told: list[str] = []
    code = Supervisor([sys.executable, "-c", "raise SystemExit(3)"], 1, told.append).run()
    assert code == 1
    assert len(told) == supervisor.DEATHS_MAX
    assert "exit code 3" in told[0]
    assert "start again" in told[-1]


def test_dead_letters_are_listed_dropped_and_the_queues_shown(
    site: Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = running("redis").url
    monkeypatch.setenv("NOESIS_BROKER_URL", url)
    settings = Session(site.folder)
    with settings.platform(acting=True) as platform:
        left = Work("act:counter:x:1", "act", "x", "counter", 1, state="failed", reason="it cannot count")
        platform.store.commit([], None, state=works.new(platform.store, platform.clock, [left]))
        platform.worker.carrier.broker.flush_all()
        platform.worker.carrier.enqueue("settle:nothing")

    def told(*arguments: str) -> Any:
        capfd.readouterr()
        assert site.noesis(*arguments) == 0
        out = capfd.readouterr().out
        return json.loads(out) if "--json" in arguments else out

    letters = told("agents", "dead-letters", "--json")
    assert [(w["work"], w["reason"]) for w in letters["work"]] == [(left.id, left.reason)]
    assert letters["broker"] == {}
    queues = {row["queue"]: row for row in told("agents", "queues", "--json")}
    assert queues["general"] == {"queue": "general", "waiting": 1, "dead": 0, "processes": 0}
    assert set(queues) == {"general", "stock"}
    assert site.noesis("agents", "retry") == 1
    assert "name one work or say --all" in capfd.readouterr().err
    assert "1 are open again" in told("agents", "retry", "--all")
    assert told("agents", "dead-letters", "--json")["work"] == []
    assert site.noesis("agents", "drop", left.id, "--reason", "gone") == 1
    assert "no failed work" in capfd.readouterr().err
    with settings.platform(acting=True) as platform:
        row = works.read(platform.store, left.id)
        assert row is not None
        platform.store.commit([], None, state=[row.failed("again").write()])
    assert "is given up" in told("agents", "drop", left.id, "--reason", "the item is gone")
    assert told("agents", "dead-letters", "--json")["work"] == []
    monkeypatch.setenv("NOESIS_BROKER_URL", "redis://127.0.0.1:1/0")
    assert "does not answer" in told("agents", "dead-letters", "--json")["brokerError"]
