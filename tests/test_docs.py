"""What README and docs show, holds: commands run, examples run, output is as shown, links lead somewhere, tables match the code.

Fenced blocks: `console` lines that start with `$ ` run in a temporary home, in order, one home a document, and the lines below
must appear in their output (`…` stands for anything); `python` blocks run; data blocks parse; `text` and `mermaid` are pictures.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from kg.values import SCALARS
from tests.tree import ROOT, files, text

COMMAND_SECONDS_MAX = 120
DOCUMENTS = [
    path for path in files() if path.suffix == ".md" and path.parts[0] in {"README.md", "CONTRIBUTING.md", "docs"}
]
EXAMPLES = [path for path in files() if path.suffix == ".md" and path.parts[0] == "examples"]
#: The examples that bring their own data, run by tests/examples/test_readmes.py; the others are run by tests/flows.
OFFICES = [
    path
    for path in EXAMPLES
    if (ROOT / path).parent.joinpath("generate.py").exists() and "distributor" not in path.parts
]
_RUN = {"console", "python"}
_DATA = {"json", "toml", "turtle", "yaml", "cedar", "graphql"}
_PICTURES = {"text", "mermaid"}
#: Run by tests/kg/test_neo4j_questions.py, on a server.
_ELSEWHERE = {"cypher"}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, its text, the line it starts on."""

    language: str
    body: str
    line: int


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document."""
    whole = text(path)
    return [Block(m[1], m[2], whole.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(whole)]


def steps(block: Block) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0][:-1]}{line.strip()}", [])
        elif found and line.strip():
            found[-1][1].append(line.strip())
    return found


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", text(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def home(folder: Path) -> dict[str, str]:
    """An environment with nothing of ours but the checkout's commands, and the examples to work on."""
    shutil.copytree(
        ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", ".noesis", "data")
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NOESIS_")}
    tools = Path(sys.executable).parent
    return {
        **kept,
        "HOME": str(folder),
        "PATH": f"{tools}{os.pathsep}{kept['PATH']}",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }


def matches(shown: str, output: str) -> bool:
    """Whether a shown line, with `…` for anything, is in the output."""
    pattern = r"\s+".join(".*".join(re.escape(part) for part in word.split("…")) for word in shown.split())
    return re.search(pattern, output) is not None


@pytest.mark.parametrize("path", DOCUMENTS + EXAMPLES, ids=str)
def test_each_block_has_a_known_language(path: Path) -> None:
    unknown = [f"{path}:{block.line} {block.language!r}" for block in blocks(path)]
    known = _RUN | _DATA | _PICTURES | _ELSEWHERE
    assert not [where for where, block in zip(unknown, blocks(path), strict=True) if block.language not in known]


def run(path: Path, folder: Path) -> None:
    """Run what a document shows, in order, in a folder of its own."""
    environment = home(folder)
    for block in blocks(path):
        if block.language == "python":
            commands = [([sys.executable, "-c", block.body], [])]
        elif block.language == "console":
            commands = [(["bash", "-c", command], shown) for command, shown in steps(block) if not _elsewhere(command)]
        else:
            continue
        for command, shown in commands:
            ran = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS_MAX,
                check=False,
            )
            said = ran.stdout + ran.stderr
            assert ran.returncode == 0, f"{path}:{block.line} {command[-1]}\n{said[-2000:]}"
            assert not [line for line in shown if not matches(line, said)], f"{path}:{block.line}\n{said[-2000:]}"


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if any(b.language in _RUN for b in blocks(path))], ids=str)
def test_what_a_document_shows_runs(path: Path, tmp_path: Path) -> None:
    run(path, tmp_path)


def _elsewhere(command: str) -> bool:
    """Whether a command is proven by another test: a make target (which must exist), or Docker's."""
    words = command.split()
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert all(re.search(rf"^{target}:", text(Path("Makefile")), re.MULTILINE) for target in targets), command
        return True
    return words[0] in {"docker", "git"}


@pytest.mark.parametrize("path", DOCUMENTS + EXAMPLES, ids=str)
def test_data_shown_parses(path: Path) -> None:
    import cedarpy
    import graphql
    import rdflib

    readers = {
        "json": json.loads,
        "toml": tomllib.loads,
        "yaml": yaml.safe_load,
        "turtle": lambda body: rdflib.Graph().parse(data=body, format="turtle"),
        "cedar": cedarpy.policies_to_json_str,
        "graphql": graphql.parse,
    }
    for block in blocks(path):
        if block.language in readers:
            readers[block.language](block.body)


@pytest.mark.parametrize("path", [path for path in files() if path.suffix == ".md"], ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(re.sub(_FENCE, "", text(path))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        to = (ROOT / path).parent / name if name else ROOT / path
        assert to.exists(), f"{path}: {target}"
        if anchor:
            assert anchor in anchors(to.resolve().relative_to(ROOT)), f"{path}: {target}"


def test_the_readme_has_its_two_commands() -> None:
    commands = [
        command for block in blocks(Path("README.md")) if block.language == "console" for command, _ in steps(block)
    ]
    assert commands[:2] == ["make demo", "make test"]


def test_files_named_in_the_docs_exist() -> None:
    """A path in backticks that starts with a folder of ours is there, unless its line says that it is not yet."""
    tops = {path.parts[0] for path in files() if len(path.parts) > 1}
    for path in DOCUMENTS:
        for line in text(path).splitlines():
            for name in re.findall(r"`([\w./-]+/[\w./-]*)`", line):
                if name.split("/")[0] in tops and "not yet" not in line:
                    assert (ROOT / name).exists(), f"{path}: {name}"


def test_the_glossary_holds_the_table_of_scalars() -> None:
    rows = [
        f"| {s.name} | `{s.python.__name__}` | `{s.json}` | {s.xsd} | {s.cedar} | {s.graphql} | {s.jq} |"
        for s in SCALARS
    ]
    said = text(Path("docs/glossary.md"))
    assert "\n".join(rows) in said
    nouns = re.findall(r"^\| ([A-Z]\w+) \|", said, re.MULTILINE)
    assert len(nouns) == len(set(nouns)) == 20


def test_each_invariant_names_a_test_that_exists() -> None:
    rows = re.findall(r"^\| (I\d+) \| (.*) \| (.*) \| (.*) \|$", text(Path("docs/invariants.md")), re.MULTILINE)
    assert [number for number, *_ in rows] == [f"I{n}" for n in range(1, 15)]
    for number, _, held, proven in rows:
        if held == "not yet":
            continue
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", proven)
        assert tests, f"{number} names no test"
        for file, name in tests:
            assert re.search(rf"^ *(def {name}\(|class {name}\b|{name} = )", text(Path(file)), re.MULTILINE), (
                f"{number}: {file}::{name}"
            )
        for file in re.findall(r"`([\w/]+\.py)`", held):
            assert re.search(rf"(INVARIANT|Invariants?) [^:\n]*\b{number}\b", text(Path(file))), (
                f"{file} does not mark {number}"
            )
