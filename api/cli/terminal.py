"""How every command speaks: tables and trees for people, one JSON document for programs, errors in one sentence on stderr.

Invariant: with `--json` stdout holds exactly one JSON value and nothing else; progress goes to stderr and only on a terminal.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kg.model import Entity
from kg.store import Progress as Report
from kg.values import Money, Value, plain

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
First = Annotated[int, typer.Option("--first", min=1, max=500, help="Items at most.")]


#: Columns of a table that goes into a pipe or a file.
PIPE_WIDTH = 180


def _console() -> Console:
    console = Console(highlight=False)
    # A pipe has no width of its own; eighty columns would fold every table.
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


@dataclass(slots=True)
class Terminal:
    """Where a command writes."""

    out: Console = field(default_factory=_console)
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def document(self, value: Any) -> None:
        """Print a JSON document."""
        # Where the terminal cannot write a letter, JSON can: as an escape.
        escape = not (sys.stdout.encoding or "").lower().startswith("utf")
        sys.stdout.write(json.dumps(value, ensure_ascii=escape, indent=2, default=shown) + "\n")

    def line(self, text: str, style: str | None = None) -> None:
        """Print a line; text of the graph is never read as markup."""
        self.out.print(clean(text), style=style, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
        """Print rows under columns, or the sentence that says what to do where there are none."""
        if not rows:
            self.line(empty)
            return
        table = Table(title=escaped(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(escaped(str(shown(cell))) for cell in row))
        self.out.print(table)

    @contextmanager
    def progress(self, title: str) -> Iterator[Report]:
        """A progress bar for long work; silent where stderr is no terminal."""
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeElapsedColumn(),
            console=self.err,
            transient=True,
            disable=not self.err.is_terminal,
        )
        with bar:
            task = bar.add_task(title, total=0)
            yield lambda done, total: bar.update(task, completed=done, total=max(total, done))


def confirmed(question: str) -> bool:
    """Whether a person says yes; no where nobody is there to be asked."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        # At a terminal it was Ctrl-C, which ends the command; elsewhere the input was at its end.
        if sys.stdin.isatty():
            raise
        typer.echo(err=True)
        return False


def brief(text: str, most: int) -> str:
    """A text on one line of at most so many characters: whole words, and an ellipsis where it goes on."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    whole, space, _ = line[: most - 1].rpartition(" ")
    return f"{whole} …" if space else f"{line[: most - 1]}…"


def clean(text: str) -> str:
    """Text without control characters: what the graph or a source holds must not drive the terminal."""
    return "".join(ch if ch.isprintable() or ch == "\n" else "�" for ch in text)


def escaped(text: str) -> str:
    """Text without control characters and markup."""
    return clean(text).replace("[", "\\[")


def shown(value: object) -> Any:
    """A value as people read it."""
    if isinstance(value, Money):
        return f"{plain(value.amount)} {value.currency}"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date | timedelta):
        return str(value)
    if isinstance(value, tuple | frozenset | set):
        return [shown(item) for item in value]
    return value if isinstance(value, str | int | bool | float | list | dict) or value is None else str(value)


def entity_form(entity: Entity) -> dict[str, Any]:
    """An entity as `--json` prints it."""
    form: dict[str, Any] = {"id": entity.id, "class": entity.cls, "version": entity.version}
    form["properties"] = {name: _form(value) for name, value in sorted(entity.properties.items())}
    if entity.masked:
        form["masked"] = sorted(entity.masked)
    return form


def _form(value: Value) -> Any:
    return shown(value)
