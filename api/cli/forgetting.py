"""`noesis forget` and `noesis hold`: a person's values go for good, or may not go yet."""

from pathlib import Path
from typing import Annotated

import typer

from api import checkpointing
from api.cli.proving import write
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal, confirmed
from api.errors import SettingsError
from api.remains import remains
from governance import erasure
from kg.indexer import Indexer
from kg.signing import write_note

hold = typer.Typer(no_args_is_help=True, help="Legal holds: what is held may not be erased.")
Why = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record; do not name the person in it.")]


def forget(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Id of the person's entity, or User::NAME.")],
    reason: Why,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the signed certificate to this file.")] = None,
    rebuild: Annotated[
        bool, typer.Option(help="Make the semantic index anew: its files keep vectors of what was, until it is.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; there is no way back.")] = False,
    json: Json = False,
) -> None:
    """Erase a person: values, salts, search, caches, rejects and whatever repeats them. The ledger still verifies.

    Reports, exports and logs that lie in the home are named where they still tell of the person; nothing is done to them.
    """
    session = session_of(context)
    with session.platform(index=True) as platform:
        found = ", ".join(f"{entity.cls} {entity.id}" for entity in erasure.find_person(platform.store, person))
        if not yes and not confirmed(f"Erase every personal value of {found}, in all versions, for good?"):
            raise SettingsError("nothing was erased; confirm, or give --yes")
        certificate = erasure.forget(
            platform.store,
            platform.evidence,
            platform.clock,
            platform.rules(),
            platform.ontology,
            session.principal(platform),
            person,
            reason,
            platform.settings.retention_days,
        )
        drop = getattr(platform.embedder, "forget", None)
        if drop is not None:
            # Where nothing is left to tell by, an erasure before this one broke off: all of it is computed again.
            drop(certificate.texts or None)
        indexer = Indexer(platform.store, platform.index, platform.embedder, platform.ontology)
        indexer.run()
        if rebuild:
            indexer.rebuild()
        checkpointing.make(platform, session.principal(platform).uid, "after an erasure")
        home = platform.settings.home_path
        files = remains(home, certificate.texts, home / platform.settings.checkpoint_key_file)
        text = "\n".join(certificate.lines(rebuilt=rebuild, files=files)) + "\n"
        if out is not None:
            write(out, write_note(text, (checkpointing.signer_of(platform),)).encode())
    terminal = Terminal()
    if json:
        forgotten = certificate.forgotten
        terminal.document(
            {
                "id": certificate.id,
                "person": certificate.person,
                "at": certificate.at,
                "position": certificate.position,
                "erased": dict(forgotten.counts),
                "stayed": dict(forgotten.stayed),
                "digest": forgotten.digest,
                "exports": certificate.exports,
                "indexRebuilt": rebuild,
                "files": dict(files),
            }
        )
        return
    terminal.line(text.rstrip("\n"))


@hold.command("set")
def set_(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of an entity.")],
    reason: Why,
    json: Json = False,
) -> None:
    """Keep an entity from being erased until the hold is released."""
    session = session_of(context)
    with session.platform() as platform:
        made = erasure.hold(platform.store, platform.clock, platform.rules(), session.principal(platform), id, reason)
    Terminal().document({"hold": made, "entity": id}) if json else Terminal().line(f"{id} is held: {made}")


@hold.command("release")
def release(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of the held entity.")],
    reason: Why,
    json: Json = False,
) -> None:
    """End every hold on an entity."""
    session = session_of(context)
    with session.platform() as platform:
        count = erasure.release(
            platform.store, platform.clock, platform.rules(), session.principal(platform), id, reason
        )
    Terminal().document({"released": count}) if json else Terminal().line(f"{count} holds on {id} are released.")


@hold.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List what is held and why."""
    with session_of(context).platform() as platform:
        found = erasure.holds(platform.store)
    terminal = Terminal()
    if json:
        terminal.document(found)
    else:
        terminal.table("", ["entity", "why"], list(found.items()), "Nothing is held.")
