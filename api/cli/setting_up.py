"""`noesis init`, `doctor`, `models`, `schema`: set a project up and look whether everything is in order."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from api.bootstrap import DATABASE, build, examine_store, make_embedder
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from api.graphql.schema import build_schema
from api.project import prepare
from kg.errors import NoesisError


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
            }
        )
        return
    what = "nothing had changed" if not prepared.changes else f"{prepared.changes} changes"
    terminal.line(f"Ready in {prepared.home} ({what}).")
    terminal.line(
        f"{prepared.classes} classes, {len(prepared.agents)} agents, {prepared.rules} rules, {prepared.people} people, roles "
        "and departments."
    )
    terminal.line("Next: noesis ingest, then noesis work (or noesis serve).")


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check the installation: versions, settings, database, index, model, agents. Exit code 1 where something is wrong."""
    settings = session_of(context).settings()
    checks: list[tuple[str, bool, str]] = [
        ("noesis", True, version("noesis")),
        ("python", True, sys.version.split()[0]),
    ]
    home = settings.home_path
    there = settings.store_url is not None or (home / DATABASE).exists()
    checks.append(("home", there, str(home) if there else f"{home} holds no graph yet; run `noesis init`"))
    try:
        checks += [(found.name, found.ok, found.detail) for found in examine_store(settings)]
    except NoesisError as error:
        checks.append(("graph server", False, str(error)))
    if there:
        try:
            platform = build(settings, acting=True)
            try:
                head = platform.store.head()
                checks.append(("graph", True, f"{head.position:,} changes, last {head.at or 'never'}"))
                checks.append(("ontology", True, f"{len(platform.ontology.classes)} classes"))
                checks.append(("rules", True, f"in force since position {platform.rules().position:,}"))
                checks.append(("agents", True, ", ".join(platform.acting.agents()) or "none"))
                failed = platform.runtime.failures(first=10)
                checks.append(
                    ("work", not failed, "nothing put aside" if not failed else f"{failed[0].id}: {failed[0].reason}")
                )
            finally:
                platform.close()
        except NoesisError as error:
            checks.append(("graph", False, str(error)))
        try:
            embedder = make_embedder(settings)
            checks.append(("embedding model", True, f"{embedder.model} ({embedder.revision[:19]})"))
        except NoesisError as error:
            checks.append(("embedding model", False, str(error)))
    checks.append(("broker", True, "in this process" if settings.broker_url is None else "external"))
    checks.append(("language model", True, settings.llm_model or "none (not needed)"))
    terminal = Terminal()
    if json:
        terminal.document([{"check": name, "ok": ok, "detail": detail} for name, ok, detail in checks])
    else:
        terminal.table(
            "Noesis",
            ["check", "", "detail"],
            [(name, "ok" if ok else "WRONG", detail) for name, ok, detail in checks],
            "",
        )
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(1)


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
