"""`noesis init`, `doctor`, `models`, `schema`: set a project up and look whether everything is in order."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.bootstrap import make_embedder
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from api.doctor import examine, shown
from api.graphql.schema import build_schema
from api.project import prepare


def init(context: typer.Context, json: Json = False) -> None:
    """Set a project up: its ontology, people, agents, rules and controls become facts of the graph. Run it again to upgrade."""
    prepared = prepare(session_of(context).settings())
    terminal = Terminal()
    if json:
        terminal.document(
            {
                "home": prepared.home,
                "ontology": prepared.ontology,
                "classes": prepared.classes,
                "agents": list(prepared.agents),
                "rules": prepared.rules,
                "people": prepared.people,
                "changes": prepared.changes,
                "overtaken": list(prepared.overtaken),
            }
        )
        return
    what = "nothing had changed" if not prepared.changes else f"{prepared.changes} changes"
    terminal.line(f"Ready in {prepared.home} ({what}).")
    terminal.line(
        f"{prepared.classes} classes, {len(prepared.agents)} agents, {prepared.rules} rules, {prepared.people} people, roles "
        "and departments."
    )
    if not prepared.classes:
        terminal.err.print(
            "note: no ontology is named, so the graph takes no data: write noesis.toml in the project's folder, or draft all of it "
            "from your data with `noesis new`",
            markup=False,
        )
    if prepared.overtaken:
        terminal.line(
            f"Left as they are in the graph, where they were changed since: {', '.join(prepared.overtaken)}. `noesis rules export` "
            "writes them for your files; `noesis rules add FILE` hands an older text in again."
        )
    terminal.line("Next: noesis ingest, then noesis work (or noesis serve).")


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check the installation, and show every setting with its source. Exit code 1 where something is wrong."""
    session = session_of(context)
    settings = session.settings()
    checks, rows = examine(settings), shown(settings, session.origins())
    terminal = Terminal()
    if json:
        terminal.document(
            {
                "checks": [{"check": item.name, "ok": item.ok, "detail": item.detail} for item in checks],
                "settings": [{"setting": row.name, "value": row.value, "source": row.source} for row in rows],
            }
        )
    else:
        terminal.table(
            "Noesis",
            ["check", "", "detail"],
            [(item.name, "ok" if item.ok else "WRONG", item.detail) for item in checks],
            "",
        )
        terminal.table(
            "Settings", ["setting", "value", "source"], [(row.name, _told(row.value), row.source) for row in rows], ""
        )
    if not all(item.ok for item in checks):
        raise typer.Exit(1)


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def models(context: typer.Context, json: Json = False) -> None:
    """Say which embedding and language models are used, and check the embedding model by using it once."""
    settings = session_of(context).settings()
    embedder = make_embedder(settings)
    dimension = len(embedder.embed(["a pump leaks"])[0])
    found = {
        "embedding": {"model": embedder.model, "revision": embedder.revision, "dimension": dimension},
        "language": {"model": settings.llm_model, "url": settings.llm_url},
    }
    terminal = Terminal()
    if json:
        terminal.document(found)
        return
    terminal.line(f"Embedding model: {embedder.model}, {dimension} dimensions, {embedder.revision}")
    terminal.line(f"Language model: {settings.llm_model or 'none; set NOESIS_LLM_URL and NOESIS_LLM_MODEL to use one'}")


def schema(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout without it.")] = None,
) -> None:
    """Print the GraphQL schema of this graph's ontology."""
    with session_of(context).platform() as platform:
        text = build_schema(platform.ontology, platform.settings).as_str() + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
