"""File: an effect as one file below an allowed folder, written whole or not at all. The payload names `path` and `text`.

Invariants: no path leads out of the folder, by dots, by links or by being absolute; a reader sees the old file or the new one. A
journal below ``.noesis`` names each key before the rename, and the rename takes the new text away from there, so whether it
happened can be told after a crash. Its undo puts back what was there, unless somebody changed the file since. Of several effects in
one folder one at a time reads and writes, so none keeps for its undo what another was just replacing.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import GiveUp, RetryLater
from kg.values import Json, canonical

JOURNAL: Final = ".noesis"
TEXT_MAX: Final = 10_000_000
PARTS_MAX: Final = 32
#: Seconds that an effect waits for another in its folder, and between two looks.
TURN_SECONDS_MAX: Final = 5.0
_LOOK_SECONDS: Final = 0.01
#: The lock file in the journal; the name of every other file there has a dot.
_LOCK: Final = "lock"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of one file: its new bytes, or None to remove it."""

    parts: tuple[str, ...]
    content: bytes | None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """Effector of kind ``file``."""

    root: Path
    kind: str = field(default="file", init=False)
    idempotent: bool = field(default=False, init=False)
    can_look_up: bool = field(default=True, init=False)

    def act(self, effect: Effect) -> Receipt:
        """Write, restore or remove the file; one that was done before is told from the journal."""
        with self._journal() as journal, _turn(journal):
            done = self.look_up(effect)
            if done is not None:
                return done
            plan = self._plan(effect)
            with self._folder(plan.parts[:-1], make=True) as folder:
                return _receipt(_done(plan, _safe(effect.key), journal, folder))

    def look_up(self, effect: Effect) -> Receipt | None:
        """What the journal says: the key is in it and its new text is gone from there."""
        key = _safe(effect.key)
        with self._journal() as journal:
            told = _read(journal, f"{key}.json")
            if told is None or _there(journal, f"{key}.new"):
                return None
        return _receipt(json.loads(told))

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """Put back what was there before, or remove what was not."""
        if effect.payload.get("undo") is not None:
            return undo_of(self.kind, effect, receipt)
        if effect.payload.get("restore") is not None:
            return None
        return Undo(f"{effect.operation}.undo", self.kind, {"restore": effect.key})

    def simulate(self, effect: Effect) -> Receipt:
        """What would be written where; a restore cannot look for what was never written."""
        if effect.payload.get("restore") is not None:
            return Receipt("", {"would": {"restore": True}})
        plan = self._plan(effect)
        what = {"remove": True} if plan.content is None else {"bytes": len(plan.content)}
        return Receipt("", {"would": {"path": "/".join(plan.parts), **what}})

    def _plan(self, effect: Effect) -> Plan:
        payload = effect.payload
        if payload.get("restore") is not None:
            return self._restore(_safe(str(payload["restore"])))
        parts = _parts(payload.get("path"))
        text = payload.get("text")
        if not isinstance(text, str) or len(text) > TEXT_MAX:
            raise GiveUp(f"a file effect names path and text, of at most {TEXT_MAX:,} characters; correct the payload")
        return Plan(parts, text.encode())

    def _restore(self, key: str) -> Plan:
        with self._journal() as journal:
            told, old = _read(journal, f"{key}.json"), _read(journal, f"{key}.old")
        if told is None:
            raise GiveUp(f"the journal knows no effect {key}; undo it by hand")
        was = json.loads(told)
        return Plan(_parts(was["path"]), old if was["before"] else None, str(was["sha256"]))

    @contextmanager
    def _journal(self) -> Iterator[int]:
        with self._folder((JOURNAL,), make=True) as folder:
            yield folder

    @contextmanager
    def _folder(self, parts: tuple[str, ...], make: bool = False) -> Iterator[int]:
        """A folder below the root, opened part by part so that no link leads out of it."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                for part in parts:
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(part, dir_fd=at)
                    inner = os.open(part, flags, dir_fd=at)
                    os.close(at)
                    at = inner
                yield at
            finally:
                os.close(at)
        except NotADirectoryError as error:
            raise GiveUp(
                f"{'/'.join(parts)[:200]} is a link or no folder; give a path through plain folders"
            ) from error


@contextmanager
def _turn(journal: int) -> Iterator[None]:
    """Keep every other effect of this folder waiting, of whichever process; RetryLater where one takes too long."""
    lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=journal)
    try:
        end = time.monotonic() + TURN_SECONDS_MAX
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise RetryLater("another effect is being written in this folder", counted=False) from None
                time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(lock)


def _done(plan: Plan, key: str, journal: int, folder: int) -> dict[str, Json]:
    """Write, restore or remove the file of a plan, or end what an earlier try began; what the journal says of it."""
    name = plan.parts[-1]
    before, begun = _read(folder, name), _read(journal, f"{key}.json")
    _unchanged(plan, before, begun is not None)
    if begun is None:
        if before is not None:
            _write(journal, f"{key}.old", before)
        _write(journal, f"{key}.new", plan.content if plan.content is not None else b"")
        begun = canonical(_told(plan, before)).encode()
        _write(journal, f"{key}.json", begun)
    _happen(journal, folder, key, name, plan.content is None)
    return dict(json.loads(begun))


def _unchanged(plan: Plan, before: bytes | None, begun: bool) -> None:
    """Refuse to put back what somebody changed since; what is gone because an earlier try removed it is no change."""
    removed = begun and before is None and plan.content is None
    if plan.sha256 and not removed and (before is None or _digest(before) != plan.sha256):
        raise GiveUp(f"{'/'.join(plan.parts)} was changed since it was written; undo it by hand")


def _happen(journal: int, folder: int, key: str, name: str, removed: bool) -> None:
    """The one step that others see; with it the new text leaves the journal."""
    if removed:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        os.fsync(folder)
        os.unlink(f"{key}.new", dir_fd=journal)
    else:
        os.rename(f"{key}.new", name, src_dir_fd=journal, dst_dir_fd=folder)
        os.fsync(folder)
    os.fsync(journal)


def _parts(path: object) -> tuple[str, ...]:
    if not isinstance(path, str) or not path or "\x00" in path or "\\" in path:
        raise GiveUp("a file effect names a path with / between its parts; correct the payload")
    parts = PurePosixPath(path).parts
    strange = [part for part in parts if part in ("..", "/") or len(part.encode()) > 200]
    if strange or not parts or len(parts) > PARTS_MAX or parts[0] == JOURNAL:
        raise GiveUp(f"{path[:200]!r} leads out of the allowed folder, or is too long; give a plain relative path")
    return parts


def _safe(key: str) -> str:
    """A key as a file name."""
    return key if key.isalnum() and len(key) < 100 else _digest(key.encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _read(folder: int, name: str) -> bytes | None:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read()


def _write(folder: int, name: str, content: bytes) -> None:
    """Write a file whole: it is there with all its bytes on disk, or not."""
    temporary = f"{name}.part"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644, dir_fd=folder)
    with os.fdopen(file, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _told(plan: Plan, before: bytes | None) -> dict[str, Json]:
    content = plan.content if plan.content is not None else b""
    return {
        "path": "/".join(plan.parts),
        "bytes": len(content),
        "sha256": _digest(content),
        "removed": plan.content is None,
        "before": before is not None,
    }


def _receipt(told: Json) -> Receipt:
    return Receipt(str(told["path"]), {name: told[name] for name in ("bytes", "sha256", "removed")})
