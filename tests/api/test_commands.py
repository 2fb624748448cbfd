"""The table of commands: each is found, listed and imported only when it is asked for."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.main import get_command

from api.cli.commands import Commands
from api.cli.main import app, run


def test_each_command_is_found_and_listed_in_a_panel(capsys: pytest.CaptureFixture[str]) -> None:
    group = get_command(app)
    assert isinstance(group, Commands)
    names = group.list_commands(None)
    assert {"demo", "ingest", "serve", "rules", "prov"} < set(names)
    assert [name for name in names if group.get_command(None, name) is None] == []
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in names if f"│ {name} " not in said] == []
    assert said.index(" Start ") < said.index(" Fill and ask ") < said.index(" Govern ") < said.index(" Keep ")


def test_a_name_that_is_none_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rulez"]) == 2
    assert "'rules'" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"noesis {version('noesis')}\n"


@pytest.mark.parametrize(
    ("line", "unwanted"),
    [
        ("--version", ("api.cli.session", "api.bootstrap")),
        ("rules --help", ("strawberry", "uvicorn", "api.cli.running")),
    ],
)
def test_what_is_not_asked_for_is_not_imported(line: str, unwanted: tuple[str, ...]) -> None:
    script = f"import sys; from api.cli.main import run; run({line.split()!r}); print(sys.modules.keys() & set({unwanted!r}))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"
