"""`noesis index`: does the index say what the graph says."""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from api.process import at_work, until_told
from kg.indexer import Indexer

index = typer.Typer(
    no_args_is_help=True, help="The semantic index: derived from the graph, checked against it, rebuilt at will."
)


@index.command("check")
def index_check(
    context: typer.Context,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    json: Json = False,
) -> None:
    """Compare graph and index; exit code 1 where they differ and nothing was repaired."""
    terminal = Terminal()
    with session_of(context).platform(index=True) as platform:
        indexer = Indexer(platform.store, platform.index, platform.embedder, platform.ontology)
        indexer.run()
        parity = indexer.check()
        if repair and not parity.alike:
            indexer.repair(parity)
    found = {"missing": list(parity.missing), "stale": list(parity.stale), "extra": list(parity.extra)}
    if json:
        terminal.document({"alike": parity.alike, "repaired": repair and not parity.alike, **found})
    elif parity.alike:
        terminal.line("Graph and index say the same.")
    else:
        terminal.line(", ".join(f"{len(ids):,} {name}" for name, ids in found.items()))
        terminal.line("Repaired." if repair else "Run `noesis index check --repair`, or `noesis index rebuild`.")
    if not parity.alike and not repair:
        raise typer.Exit(1)


@index.command("run")
def index_run(context: typer.Context) -> None:
    """Keep the index like the graph, in a process of its own. Ends cleanly on Ctrl-C and SIGTERM."""
    terminal = Terminal()
    with (
        session_of(context).platform(index=True, lasting=True) as platform,
        until_told() as wait,
        at_work(platform, worker=False),
    ):
        terminal.err.print("noesis: indexing; Ctrl-C ends it", markup=False)
        wait()
    terminal.err.print("noesis: ended", markup=False)


@index.command("rebuild")
def index_rebuild(context: typer.Context, json: Json = False) -> None:
    """Fill a new index from the graph while the present one answers, then turn to it."""
    terminal = Terminal()
    with session_of(context).platform(index=True) as platform, terminal.progress("indexing") as progress:
        indexer = Indexer(platform.store, platform.index, platform.embedder, platform.ontology)
        read = indexer.rebuild(progress)
    if json:
        terminal.document({"entities": read})
    else:
        terminal.line(f"The index is new: {read:,} entities read.")
