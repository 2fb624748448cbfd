"""Checkpointing: signs the ledger now, on command, or from a thread of a running process every so many changes or seconds.

Invariant: signing never delays a commit and a fault ends nothing: it is tried again at the next look. The private key comes from
the settings or a file of the home folder and goes nowhere else. Each checkpoint is also appended to the witness file.
"""

import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.errors import SettingsError
from api.platform import Noesis
from kg import checkpoints
from kg.errors import ConflictError, InputError, KeyFileError
from kg.model import Entity
from kg.signing import PublicKey, Signer, key_file, read_key_file, signer
from kg.values import Json

STOP_SECONDS: Final = 30.0
#: Tries of a checkpoint that was asked for, where others sign at the same moments.
TURNS_MAX: Final = 10
#: Seconds between two looks at the log.
LOOK_SECONDS: Final = 1.0
SERVICE: Final = "Service::operator"
#: Bytes of a witness file that is read for comparison.
WITNESS_BYTES_MAX: Final = 64 * 1024 * 1024


def key_path(platform: Noesis) -> Path:
    """Where the private key's file is."""
    return platform.settings.home_path / platform.settings.checkpoint_key_file


def signer_of(platform: Noesis) -> Signer:
    """The key that signs this ledger; made in the home folder where there is none yet."""
    settings = platform.settings
    name = checkpoints.origin(platform.store, settings.checkpoint_origin, platform.clock)
    if settings.checkpoint_key is not None:
        return signer(name, settings.checkpoint_key.get_secret_value())
    path = key_path(platform)
    following = next_path(path)
    try:
        # A rotation was broken off, or is under way: it holds where the graph already names the next key.
        if following.exists() and _named(platform, signer(name, read_key_file(following))):
            take_over(path)
    except KeyFileError:
        # One that is gone by now took its place in another process.
        if following.exists():
            raise
    return signer(name, key_file(path))


def _named(platform: Noesis, fresh: Signer) -> bool:
    return fresh.public in [key for _, key in checkpoints.keys(platform.store)]


def next_path(path: Path) -> Path:
    """Where the next key waits while it takes over."""
    return path.with_name(path.name + ".next")


def take_over(path: Path) -> None:
    """Put the next key in the place of the one before; nothing where another process, which saw it in the graph, did so."""
    with suppress(FileNotFoundError):
        os.replace(next_path(path), path)


def anchor_of(platform: Noesis) -> PublicKey | None:
    """The public key to trust: that of the key at hand; None where there is none here."""
    path = key_path(platform)
    if platform.settings.checkpoint_key is None and not path.exists():
        return None
    return signer_of(platform).public if checkpoints.keys(platform.store) else None


def witness_of(platform: Noesis) -> Signer | None:
    """The second key, named after the ledger's witness; None where the settings name none."""
    file = platform.settings.witness_key_file
    if file is None:
        return None
    return signer("witness", key_file(platform.settings.path(file)))


def make(platform: Noesis, by: str, reason: str) -> Entity:
    """Sign the ledger as it is now, after whoever signs it at the same moment; InputError where the witness knows another one."""
    for _ in range(TURNS_MAX - 1):
        with suppress(ConflictError):
            return once(platform, by, reason)
    return once(platform, by, reason)


def once(platform: Noesis, by: str, reason: str) -> Entity:
    """Sign the ledger as it is now; ConflictError where another process signed at the same moment."""
    for note in witnessed(platform):
        checkpoints.compare(
            platform.store, platform.evidence, note, checkpoints.trusted(platform.store, anchor_of(platform))
        )
    made = checkpoints.sign(platform.store, platform.clock, signer_of(platform), by, witness_of(platform), reason)
    file = platform.settings.witness_file
    if file is not None:
        try:
            with platform.settings.path(file).open("a", encoding="utf-8") as stream:
                stream.write(str(made["note"]))
        except OSError as error:
            raise SettingsError(f"{file} cannot be written ({error.strerror}); correct witness_file") from None
    return made


def witnessed(platform: Noesis) -> list[str]:
    """The newest checkpoint of the witness file; none where there is no such file yet."""
    file = platform.settings.witness_file
    path = platform.settings.path(file) if file is not None else None
    if path is None or not path.exists():
        return []
    if path.stat().st_size > WITNESS_BYTES_MAX:
        raise InputError(f"{file} is larger than {WITNESS_BYTES_MAX:,} bytes; begin a new one and keep this")
    text = path.read_text(encoding="utf-8")
    return checkpoints.split(text)[-1:] if text else []


def described(checkpoint: Entity) -> dict[str, Json]:
    """A checkpoint as `--json` prints it."""
    return {"id": checkpoint.id, **{name: checkpoint[name] for name in ("origin", "size", "root", "note")}}


@dataclass(slots=True)
class Checkpointing:
    """Signs while a process runs."""

    platform: Noesis
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start looking."""
        self._thread = threading.Thread(target=self._run, name="noesis-checkpoint", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the checkpoint at hand."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def due(self) -> bool:
        """Whether enough changes came, or some and enough time passed."""
        settings = self.platform.settings
        changes, at = checkpoints.unsigned(self.platform.store)
        if changes <= 0:
            return False
        waited = self.platform.clock.now().timestamp() - (at or 0)
        return changes >= settings.checkpoint_changes or (at is not None and waited >= settings.checkpoint_seconds)

    def _run(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            try:
                if self.due():
                    once(self.platform, SERVICE, "so many changes or so much time since the last")
            except ConflictError:
                # Another process signed at the same moment.
                continue
            except Exception as error:
                logging.getLogger(__name__).warning("no checkpoint could be signed, it is tried again: %s", error)
