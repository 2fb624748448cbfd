"""`noesis export`, `import`, `backup` and `restore`: a whole graph from one place to another.

Invariant: a file made here is readable by its owner alone, and whoever asks for it needs the right to configure, on record. What
is brought in is verified before anything uses it. Leases and signs of life stay behind: they belong to processes.
"""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from api.bootstrap import DATABASE, make_store
from api.cli.session import Session, session_of
from api.cli.terminal import Json, Terminal
from api.errors import SettingsError
from api.texts import platform_texts
from coordination import beats, leases
from governance.configuring import permit
from kg.clock import SystemClock
from kg.errors import ArchiveError
from kg.indexer import CURSOR_KEY, CURSOR_KIND
from kg.ontology import load as load_ontology
from kg.stores.archive.export import Report, export
from kg.stores.archive.file import whole
from kg.stores.archive.load import load
from kg.stores.neo4j import Neo4jStore
from kg.stores.sqlite import SqliteStore
from kg.stores.sqlite_migrate import APPLICATION_ID

#: What belongs to processes and to the index of this place.
_STAYS = frozenset({beats.KIND, leases.KIND})
File = Annotated[Path, typer.Argument(help="The file.", show_default=False)]


def moves(kind: str, key: str) -> bool:
    """Whether a machine row goes along: not what processes hold, nor the place of an index that does not move."""
    return kind not in _STAYS and (kind, key) != (CURSOR_KIND, CURSOR_KEY)


def export_graph(context: typer.Context, file: File, json: Json = False) -> None:
    """Write the whole graph into one file: history, causes, ledger, rules, cursors. It holds personal data in the clear."""
    terminal, session = Terminal(), session_of(context)
    with closing(_store_to_copy(session, "export", file)) as store, terminal.progress("exporting") as progress:
        report = export(store, file, moves, progress)
    _tell(terminal, report, json, f"{file} holds")


def import_graph(context: typer.Context, file: File, json: Json = False) -> None:
    """Read a file of `noesis export` into an empty graph, which is then the same: root, history, positions."""
    terminal, settings = Terminal(), session_of(context).settings()
    settings.home_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = make_store(settings, load_ontology(platform_texts()), SystemClock())
    with closing(made) as store, terminal.progress("importing") as progress:
        report = load(store, file, progress)
    _tell(terminal, report, json, "The graph now holds")
    if not json:
        terminal.line("Run `noesis index rebuild` before you search by meaning.")


def backup(context: typer.Context, file: File, json: Json = False) -> None:
    """Copy the embedded database as it is now, while writers go on. It holds personal data in the clear."""
    terminal, session = Terminal(), session_of(context)
    with closing(_store_to_copy(session, "backup", file)) as store, terminal.progress("copying") as progress:
        if not isinstance(store, SqliteStore):
            raise SettingsError("a server keeps its own backups (neo4j-admin); here `noesis export` makes one")
        with whole(file) as part:
            store.back_up(part, progress)
    size = file.stat().st_size
    if json:
        terminal.document({"file": str(file), "bytes": size})
    else:
        terminal.line(f"{file} holds the database ({size:,} bytes). Put it back with `noesis restore`.")


def restore(context: typer.Context, file: File, json: Json = False) -> None:
    """Put a copy of `noesis backup` in place of a database that is gone, and verify it first."""
    terminal, settings = Terminal(), session_of(context).settings()
    if settings.store_url is not None:
        raise SettingsError("a server restores its own backups (neo4j-admin); use `noesis import` for an export")
    target = settings.home_path / DATABASE
    for left in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm"))):
        if left.exists():
            raise SettingsError(f"{left} is there already; move it away, or restore into another --home")
    _expect_backup(file)
    settings.home_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole(target) as part, terminal.progress("verifying") as progress:
        shutil.copyfile(file, part)
        try:
            with closing(SqliteStore(part, load_ontology(platform_texts()), SystemClock())) as store:
                changes, root = store.verify(progress), store.head().root.hex()
        finally:
            for end in (".lock", ".lock.first", "-wal", "-shm"):
                part.with_name(part.name + end).unlink(missing_ok=True)
        if changes == 0:
            raise ArchiveError(f"{file} holds no graph; name a copy that `noesis backup` made")
    if json:
        terminal.document({"changes": changes, "root": root})
    else:
        terminal.line(f"The graph is back: {changes:,} changes verified, root {root}.")


def _expect_backup(file: Path) -> None:
    """Raise ArchiveError where the file is no copy of a database of Noesis, whole or damaged."""
    if file.exists() and not file.is_file():
        raise ArchiveError(f"{file} is no file; name a copy that `noesis backup` made")
    try:
        with file.open("rb") as raw:
            head = raw.read(100)
    except OSError as error:
        raise ArchiveError(f"{file} cannot be read ({error.strerror}); name a copy that `noesis backup` made") from None
    if head[:16] != b"SQLite format 3\0" or int.from_bytes(head[68:72]) != APPLICATION_ID:
        raise ArchiveError(
            f"{file} is no backup of Noesis; name a copy that `noesis backup FILE` made (what `noesis export` made goes "
            "back with `noesis import`)"
        )


def _store_to_copy(session: Session, operation: str, file: Path) -> SqliteStore | Neo4jStore:
    """The store of this session for whoever may configure it."""
    with session.platform() as platform:
        permit(*session.asking(platform), f"graph.{operation}", "Ontology", file.name)
        return make_store(platform.settings, platform.ontology, platform.clock)


def _tell(terminal: Terminal, report: Report, json: bool, what: str) -> None:
    if json:
        terminal.document(
            {"causes": report.causes, "changes": report.changes, "states": report.states, "root": report.root,
             "sha256": report.digest}
        )  # fmt: skip
        return
    terminal.line(f"{what} {report.changes:,} changes by {report.causes:,} causes, and {report.states:,} machine rows.")
    terminal.line(f"Root {report.root}; SHA-256 of its lines {report.digest}.")
