"""Ctrl-C while a command starts, runs or ends: one line and exit code 130, at whatever moment it comes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import test_bad_input
from tests.tree import ROOT

_no_settings, ready, project = test_bad_input._no_settings, test_bad_input.ready, test_bad_input.project
#: Presses Ctrl-C as a module is looked for, or at the end, in a process that has this on its path.
PRESSED = """
import atexit, os, signal, sys
def press():
    # In a text that is executed, as dataclasses do it.
    exec("os.kill(os.getpid(), signal.SIGINT)")
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["PRESSED_AT"]:
            press()
if os.environ["PRESSED_AT"] == "the end":
    atexit.register(press)
sys.meta_path.insert(0, Pressed())
"""


def pressed(project: Path, at: str, *before: str) -> tuple[int, str, str]:
    """Exit code and streams of `noesis inbox --json` where Ctrl-C is pressed at that moment."""
    (project / "pressed").mkdir()
    (project / "pressed" / "sitecustomize.py").write_text(PRESSED)
    environment = {**os.environ, "PYTHONPATH": str(project / "pressed"), "PRESSED_AT": at}
    command = [*before, sys.executable, "-m", "api.cli", "--project", str(project), "inbox", "--json"]
    ended = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("module", ["api.cli.main", "typer", "kg.errors", "api.cli.session", "governance.readings"])
def test_ctrl_c_while_a_command_is_still_being_imported_is_said(project: Path, module: str) -> None:
    assert pressed(project, module) == (130, "", "noesis: interrupted\n")


def test_ctrl_c_as_a_command_ends_shows_no_traceback(project: Path) -> None:
    assert pressed(project, "the end") == (130, "[]\n", "noesis: interrupted\n")


def test_a_command_that_is_to_ignore_ctrl_c_ignores_it_from_its_first_import(project: Path) -> None:
    ignoring = "import os, sys; from signal import *; signal(SIGINT, SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    assert pressed(project, "typer", sys.executable, "-c", ignoring) == (0, "[]\n", "")
