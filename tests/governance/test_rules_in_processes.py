"""A change of the rules is in force in every process once it is acknowledged: each decision first reads the log's end."""

import subprocess
import sys
from pathlib import Path

from governance.principals import Principal
from governance.rules import add, retire
from kg.clock import SystemClock
from kg.stores.sqlite import SqliteStore
from tests.governance.world import ROOT, ontology

PROCESSES = 2
CHANGES = 20


def _ask(process: "subprocess.Popen[str]") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("decide\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_every_process_obeys_the_rules_of_the_moment_it_is_asked(tmp_path: Path) -> None:
    database, clock, root = tmp_path / "graph.db", SystemClock(), Principal("Service", "setup")
    store = SqliteStore(database, ontology(), clock, durable=False)
    line = [sys.executable, "-m", "tests.governance.decider", str(database)]
    started = [
        subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        assert [_ask(process) for process in started] == ["deny", "deny"], "no rule yet"
        for number in range(CHANGES):
            name = f"may{number}"
            text = f'@id("{name}") permit(principal, action == Action::"apply", resource is Product);'
            add(store, clock, ontology(), text, root, "a test needs it")
            assert [_ask(process) for process in started] == ["allow", "allow"], number
            retire(store, clock, ontology(), name, root, "and no more")
            assert [_ask(process) for process in started] == ["deny", "deny"], number
    finally:
        for process in started:
            process.communicate()
        store.close()
