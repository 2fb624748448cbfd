"""`noesis verify` and `noesis index`: is the record whole, and does the index say what the graph says."""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from kg.errors import LedgerError
from kg.indexer import Indexer

index = typer.Typer(
    no_args_is_help=True, help="The semantic index: derived from the graph, checked against it, rebuilt at will."
)


def verify(context: typer.Context, json: Json = False) -> None:
    """Recompute the whole ledger from the rows; exit code 1 names the first position that was altered, removed or added."""
    terminal = Terminal()
    with session_of(context).platform() as platform, terminal.progress("verifying") as progress:
        head = platform.store.head()
        try:
            checked = platform.store.verify(progress)
        except LedgerError as error:
            if json:
                terminal.document({"ok": False, "reason": str(error)})
                raise typer.Exit(1) from None
            raise
    if json:
        terminal.document({"ok": True, "changes": checked, "root": head.root.hex()})
        return
    terminal.line(f"The ledger holds: {checked:,} changes, every one as it was committed.")
    terminal.line(f"Root {head.root.hex()} at position {head.position:,}. Keep it elsewhere to compare later.")


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


@index.command("rebuild")
def index_rebuild(context: typer.Context, json: Json = False) -> None:
    """Empty the index and fill it from the graph."""
    terminal = Terminal()
    with session_of(context).platform(index=True) as platform, terminal.progress("indexing") as progress:
        indexer = Indexer(platform.store, platform.index, platform.embedder, platform.ontology)
        read = indexer.rebuild(progress)
    if json:
        terminal.document({"entities": read})
    else:
        terminal.line(f"The index is new: {read:,} entities read.")
