"""`noesis workflow validate` and `graph`: what is wrong with workflow documents, and what they look like. Needs no project."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.terminal import Json, Terminal
from coordination.errors import WorkflowError
from coordination.workflow.document import Document, parse
from coordination.workflow.graph import graph
from coordination.workflow.mermaid import mermaid
from coordination.workflow.problems import Problem
from coordination.workflow.source import TEXT_MAX
from coordination.workflow.svg import svg
from coordination.workflow.validation import errors, load, validate
from kg.jq import Jq

workflow = typer.Typer(
    no_args_is_help=True, help="Workflows as code: documents of the Open Workflow Specification 1.0.3."
)

#: Bytes that one character of a document may take.
_CHARACTER_MAX = 4
_File = Annotated[Path, typer.Argument(help="A workflow document, YAML or JSON.")]


class Outcome(StrEnum):
    """What became of a file."""

    VALID = "valid"
    INVALID = "invalid"


@workflow.command("validate")
def validate_files(
    files: Annotated[list[Path], typer.Argument(help="Workflow documents, YAML or JSON.")], json: Json = False
) -> None:
    """Check documents: every problem with its line and column. Exit code 1 where one of them has an error."""
    terminal = Terminal()
    with Jq() as jq:
        found = [_checked(path, jq) for path in files]
    if json:
        terminal.document(found)
    else:
        for file in found:
            for line in file["lines"]:
                terminal.line(line, style="red" if ": error: " in line else "yellow")
            if file["outcome"] is Outcome.VALID:
                terminal.line(f"{file['file']}: valid, {file['workflow']}")
    if any(file["outcome"] is Outcome.INVALID for file in found):
        raise typer.Exit(1)


@workflow.command("graph")
def draw(
    file: _File,
    as_svg: Annotated[bool, typer.Option("--svg", help="Write SVG instead of Mermaid text.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write into this file, not to the screen.")] = None,
) -> None:
    """Draw a document as a flowchart: Mermaid text, or SVG."""
    document = load(text_of(file), str(file))
    picture = svg(graph(document), document.key) if as_svg else mermaid(graph(document))
    if out is None:
        typer.echo(picture, nl=False)
        return
    out.write_text(picture, "utf-8")
    Terminal().line(f"Wrote {out}.")


def text_of(path: Path) -> str:
    """The text of a document's file; WorkflowError where it is too large or no UTF-8."""
    with path.open("rb") as file:
        content = file.read(TEXT_MAX * _CHARACTER_MAX + 1)
    if len(content) > TEXT_MAX * _CHARACTER_MAX:
        raise WorkflowError(f"{path}:1:1: larger than {TEXT_MAX:,} characters; split the workflow")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WorkflowError(f"{path}:{line}:1: is not UTF-8; save the file as UTF-8") from None


def _checked(path: Path, jq: Jq) -> dict[str, Any]:
    name = str(path)
    document: Document | None = None
    try:
        document = parse(text_of(path), name)
        problems = validate(document, jq=jq)
    except WorkflowError as error:
        problems = (_unreadable(str(error), name),)
    except OSError as error:
        problems = (Problem((1, 1), "", f"{error.strerror}; check the path"),)
    return {
        "file": name,
        "outcome": Outcome.INVALID if errors(problems) else Outcome.VALID,
        "workflow": document.key if document is not None else None,
        "digest": document.digest if document is not None else None,
        "problems": [
            {
                "line": problem.place[0],
                "column": problem.place[1],
                "pointer": problem.pointer,
                "severity": problem.severity,
                "message": problem.message,
            }
            for problem in problems
        ],
        "lines": [problem.line(name) for problem in problems],
    }


def _unreadable(message: str, name: str) -> Problem:
    """The one problem of a text that cannot be read; the message of its error begins with file, line and column."""
    line, column, said = message.removeprefix(f"{name}:").split(":", 2)
    return Problem((int(line), int(column)), "", said.strip())
