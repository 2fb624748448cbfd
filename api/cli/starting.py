"""`noesis new`: a project for data that nobody has described yet."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.terminal import Json, Terminal
from api.starting import Started
from api.starting import start as start_project


def new(
    folder: Annotated[Path, typer.Argument(help="Folder of the new project; made where it is not there.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="A database (sqlite:///…, postgresql://…, a SQLite file), a data file or a folder of data files.",
        ),
    ],
    table: Annotated[list[str] | None, typer.Option("--table", help="Only this table; may be given again.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the source; else that of the folder.")] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Of files that are not UTF-8: cp1252, latin-1, utf-16 …")
    ] = None,
    json: Json = False,
) -> None:
    """Start a project from your data: look at its tables, write an ontology and a mapping to go on from.

    Keys, types, relations and personal data are told from the tables' declarations and their first 10,000 rows. Nothing is
    overwritten and the source is only read. Look the files over: they are a draft, and yours.
    """
    terminal = Terminal()
    with terminal.progress("looking at the tables") as progress:
        started = start_project(folder, source, name=name, tables=table or (), encoding=encoding, progress=progress)
    if json:
        terminal.document(_document(started))
        return
    terminal.table(
        f"{folder}",
        ["table", "class", "key", "properties", "relations"],
        [
            (
                c.table,
                c.name,
                ", ".join(c.key),
                len(c.properties),
                ", ".join(f"{r.name} → {r.target}" for r in c.relations),
            )
            for c in started.draft.classes
        ],
        "",
    )
    for place, reason in started.draft.left.items():
        terminal.line(f"Left out: {place}: {reason}.")
    for cls in started.draft.classes:
        for column, reason in cls.without.items():
            terminal.line(f"Left out: {cls.table}: column {column!r}: {reason}.")
        for doubt in cls.doubts:
            terminal.line(f"Look at: {cls.table}: {doubt}.")
    if started.secret:
        terminal.line("The password was not written; give it in PGPASSWORD or ~/.pgpass.")
    terminal.line(f"Written: {', '.join(started.files)}. Look them over, then:")
    terminal.line(f"  noesis -P {folder} init\n  noesis -P {folder} ingest\n  noesis -P {folder} serve")


def _document(started: Started) -> dict[str, object]:
    return {
        "folder": str(started.folder),
        "files": list(started.files),
        "classes": [
            {
                "class": cls.name,
                "table": cls.table,
                "key": list(cls.key),
                "properties": {one.name: one.column.type for one in cls.properties},
                "personal": [one.name for one in cls.properties if one.personal],
                "relations": {one.name: one.target for one in cls.relations},
                "left_out": dict(cls.without),
                "look_at": list(cls.doubts),
            }
            for cls in started.draft.classes
        ],
        "left_out": dict(started.draft.left),
    }
