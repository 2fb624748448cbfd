"""`noesis checkpoint`, `prove`, `verify`: the ledger signed, proven to others, and checked."""

from pathlib import Path
from typing import Annotated

import typer

from api import checkpointing
from api.cli.session import Session, session_of
from api.cli.terminal import First, Json, Terminal
from api.platform import Noesis
from governance.configuring import permit
from kg import checkpoints, proofs, signing
from kg.errors import InputError, LedgerError
from kg.evidence import Opening
from kg.model import Entity
from kg.values import canonical
from verifier import noesis_verify

checkpoint = typer.Typer(invoke_without_command=True, help="Sign the ledger's size and root; list, key, rotate.")
Key = Annotated[
    str | None, typer.Option("--key", help="Public key (NAME+ID+BASE64) to trust, or a file that holds it.")
]


@checkpoint.callback()
def make(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the signed note to this file.")] = None,
    json: Json = False,
) -> None:
    """Sign the ledger as it is now. Keep the note elsewhere: it finds a ledger that was rewritten as a whole."""
    if context.invoked_subcommand is not None:
        return
    session = session_of(context)
    with session.platform() as platform:
        _permit(session, platform, "checkpoint.sign")
        made = checkpointing.make(platform, session.principal(platform).uid, "asked for on the command line")
    note = str(made["note"])
    if out is not None:
        write(out, note.encode())
    terminal = Terminal()
    if json:
        terminal.document(checkpointing.described(made))
    else:
        terminal.line(note.rstrip("\n"))


def _permit(session: Session, platform: Noesis, operation: str) -> None:
    store, clock, rules, who = session.asking(platform)
    permit(store, clock, rules, who, operation, checkpoints.CHECKPOINT, "ledger")


@checkpoint.command("list")
def list_(context: typer.Context, first: First = 20, json: Json = False) -> None:
    """List the newest checkpoints."""
    with session_of(context).platform() as platform:
        found = list(checkpoints.stored(platform.store))[-first:]
    terminal = Terminal()
    if json:
        terminal.document([checkpointing.described(one) for one in found])
        return
    rows = [(one["size"], one["root"], one["origin"]) for one in found]
    terminal.table("", ["changes", "root", "ledger"], rows, "No checkpoint yet; make one with `noesis checkpoint`.")


@checkpoint.command("key")
def key_(context: typer.Context, json: Json = False) -> None:
    """Show the public keys of this ledger, with the times in which they sign; give the last line to whoever verifies."""
    with session_of(context).platform() as platform:
        found = checkpoints.keys(platform.store)
    terminal = Terminal()
    if json:
        terminal.document([{"key": k.vkey, "from": e.valid_from, "to": e.valid_to} for e, k in found])
        return
    for entity, key in found:
        terminal.err.print(f"from {entity.valid_from} to {entity.valid_to or 'now'}:", markup=False)
        terminal.line(key.vkey)
    if not found:
        terminal.line("No key yet; the first `noesis checkpoint` makes one.")


@checkpoint.command("rotate")
def rotate(context: typer.Context, json: Json = False) -> None:
    """Make a new key and hand over to it: both sign the handing over, so whoever trusts the old one trusts the new one."""
    session = session_of(context)
    with session.platform() as platform:
        if platform.settings.checkpoint_key is not None:
            raise InputError(
                "the key comes from the setting checkpoint_key; keep it in checkpoint_key_file to rotate here"
            )
        _permit(session, platform, "checkpoint.rotate")
        old = checkpointing.signer_of(platform)
        path = checkpointing.key_path(platform)
        new = signing.signer(old.name, signing.key_file(checkpointing.next_path(path)))
        checkpoints.rotate(platform.store, platform.clock, old, new, session.principal(platform).uid)
        checkpointing.take_over(path)
    terminal = Terminal()
    if json:
        terminal.document({"old": old.public.vkey, "new": new.public.vkey})
    else:
        terminal.line(f"{old.public.id.hex()} handed over to {new.public.id.hex()}; the old private key is gone.")
        terminal.line(new.public.vkey)


def verify(
    context: typer.Context,
    notes: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A file with checkpoints kept elsewhere, to compare with.")
    ] = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", help="A bundle or dossier to check instead of the graph.")
    ] = None,
    files: Annotated[Path | None, typer.Option("--files", help="Folder of the files beside a dossier.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Recompute the whole ledger and compare its checkpoints; exit code 1 names the first position that is not as it was.

    With --proof a file is checked offline instead, with the public key alone.
    """
    terminal = Terminal()
    if proof is not None:
        _verify_proof(terminal, proof, key, notes or [], files, json)
        return
    kept = [note for path in notes or [] for note in checkpoints.split(text_of(path))]
    with session_of(context).platform() as platform, terminal.progress("verifying") as progress:
        head = platform.store.head()
        try:
            checked = platform.store.verify(progress)
            anchor = signing.read_vkey(_key_text(key)) if key is not None else checkpointing.anchor_of(platform)
            kept += checkpointing.witnessed(platform)
            compared = checkpoints.verify_all(platform.store, platform.evidence, anchor, kept)
        except LedgerError as error:
            if json:
                terminal.document({"ok": False, "reason": str(error)})
                raise typer.Exit(1) from None
            raise
    if json:
        terminal.document({"ok": True, "changes": checked, "root": head.root.hex(), "checkpoints": compared})
        return
    terminal.line(f"The ledger holds: {checked:,} changes, every one as it was committed.")
    if compared:
        terminal.line(f"It is the ledger of all {compared:,} signed checkpoints compared with it.")
    else:
        terminal.line("No signed checkpoint to compare with; `noesis checkpoint` makes one.")
    terminal.line(f"Root {head.root.hex()} at position {head.position:,}. Keep it elsewhere to compare later.")


def _verify_proof(
    terminal: Terminal, file: Path, key: str | None, notes: list[Path], folder: Path | None, json: bool
) -> None:
    if key is None:
        raise InputError("a proof needs the public key; give --key with the line that `noesis checkpoint key` prints")
    try:
        proven = noesis_verify.verify(text_of(file), _key_text(key), [text_of(note) for note in notes], folder)
    except noesis_verify.Wrong as error:
        raise LedgerError(
            f"{file.name} does not hold: {error}; ask for it again and keep this one as evidence"
        ) from None
    except (noesis_verify.Unreadable, OSError) as error:
        raise InputError(f"{file.name} cannot be checked: {error}") from None
    if json:
        terminal.document({"ok": True, **proven})
        return
    terminal.line(f"The proof holds: {len(proven['facts']):,} changes of ledger {proven['origin']}.")


def _key_text(key: str) -> str:
    return key if key.count("+") >= 2 else text_of(Path(key))


def text_of(path: Path) -> str:
    """The text of a file named on the command line."""
    try:
        if not path.is_file() and path.exists():
            # Of a pipe or a device nobody knows that it ends.
            raise InputError(f"{path} is no file; give one")
        if path.stat().st_size > noesis_verify.BYTES_MAX:
            raise InputError(f"{path} is larger than {noesis_verify.BYTES_MAX:,} bytes; give another file")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; give another file") from None
    except OSError as error:
        raise InputError(f"{str(path)[:200]} cannot be read ({error.strerror}); check the path") from None


def write(path: Path, content: bytes) -> None:
    """Write a file named on the command line."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another file") from None


def prove(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="Id of an entity (its whole history), or a position of the log.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the bundle.")],
    json: Json = False,
) -> None:
    """Write a bundle that proves changes to others, offline; values that you may not see stay closed in it."""
    session = session_of(context)
    with session.platform() as platform:
        versions = _versions(platform, what)
        view = session.view(platform)
        seen = {e.since: s for e, s in zip(versions, view.see(versions), strict=True)}
        if not any(seen.values()):
            raise InputError(f"there is nothing called {what!r} that you may see; check the id or the position")
        by = session.principal(platform).uid
        top = max(entity.since for entity in versions)
        last = checkpoints.newest(platform.store)
        if last is None or int(str(last["size"])) < top:
            last = checkpointing.make(platform, by, f"to prove {what}")
        wanted = proofs.positions_of(platform.store, versions, int(str(last["size"])))
        others = _seen(platform, session, wanted)
        document = proofs.bundle(
            platform.store,
            platform.evidence,
            last,
            wanted,
            shown=lambda opening, name: _shown(others, opening, name),
            hidden=frozenset(p for p in wanted if others.get(p, 0) is None),
        )
    text = canonical(document)
    write(out, text.encode())
    terminal = Terminal()
    if json:
        terminal.document({"file": str(out), "changes": len(wanted), "size": last["size"]})
        return
    terminal.line(f"{out}: {proofs.summary(document)}, under the checkpoint of {last['size']:,} changes.")
    terminal.line(f"Check it anywhere: python noesis_verify.py {out} --key '{document['keys'][-1]}'")


def _versions(platform: Noesis, what: str) -> list[Entity]:
    if what.isdigit():
        found = platform.store.changes(int(what) - 1, 1) if int(what) else []
        wanted = [(change.subject, change.version) for change in found if change.position == int(what)]
        return list(platform.store.versions(wanted).values())
    return platform.store.history(what)


def _seen(platform: Noesis, session: Session, positions: list[int]) -> dict[int, Entity | None]:
    """What whoever acts may see of the versions made at these positions; relations are not in it."""
    view = session.view(platform)
    changes = [change for position in positions for change in platform.store.changes(position - 1, 1)]
    wanted = [(change.subject, change.version) for change in changes if change.version]
    stored = list(platform.store.versions(wanted).values())
    return {entity.since: shown for entity, shown in zip(stored, view.see(stored), strict=True)}


def _shown(seen: dict[int, Entity | None], opening: Opening, name: str) -> bool:
    entity = seen.get(opening.position)
    return entity is not None and name not in entity.masked
