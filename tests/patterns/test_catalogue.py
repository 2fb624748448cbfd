"""The catalogue holds every pattern, its examples are usable documents, and the documentation shows them as they are."""

import importlib
import pkgutil
import re
from json import dumps
from pathlib import Path

import pytest
from typer.testing import CliRunner

import coordination.patterns
from api.cli.main import app
from coordination.patterns.catalogue import PATTERNS
from coordination.workflow.document import Document
from coordination.workflow.graph import graph
from coordination.workflow.mermaid import mermaid
from coordination.workflow.validation import load

PAGE = Path(__file__).parents[2] / "docs" / "patterns.md"
#: Modules that make no workflow of their own.
PARTS = {"about", "asking", "catalogue", "sound", "stuck"}


@pytest.mark.parametrize("name", PATTERNS)
def test_an_example_is_the_same_each_time_and_usable_as_text(name: str) -> None:
    example = PATTERNS[name].example()
    assert example.digest == PATTERNS[name].example().digest
    assert load(dumps(dict(example.body)), name).digest == example.digest
    assert example.name == name


def test_every_pattern_is_in_the_catalogue() -> None:
    """A module that makes documents by a call that the catalogue does not name is forgotten."""
    named = {item.call.partition("(")[0] for item in PATTERNS.values()}
    for found in pkgutil.iter_modules(coordination.patterns.__path__):
        module = importlib.import_module(f"coordination.patterns.{found.name}")
        makes = {
            name
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
            if getattr(value, "__annotations__", {}).get("return") is Document
        }
        assert makes <= named, found.name
        assert makes or found.name in PARTS, found.name


def test_the_documentation_shows_them_as_they_are() -> None:
    page = PAGE.read_text("utf-8")
    sections = dict(re.findall(r"^### (\S+)$(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(PATTERNS)
    for name, section in sections.items():
        assert f"`{PATTERNS[name].call}`" in section
        assert f"```mermaid\n{mermaid(graph(PATTERNS[name].example()))}```" in section, f"draw {name} again"


def test_the_command_line_lists_and_shows() -> None:
    run = CliRunner()
    listed = run.invoke(app, ["patterns", "list", "--json"])
    assert [name in listed.stdout for name in PATTERNS] == [True] * len(PATTERNS)
    shown = run.invoke(app, ["patterns", "show", "saga"])
    assert "flowchart TD" in shown.stdout
    document = run.invoke(app, ["patterns", "show", "saga", "--document"])
    assert load(document.stdout, "saga").name == "saga"
