"""Runs one command shut in: a child process with nothing of ours, in spaces of its own, with hard limits and a deadline.

Invariants: the command sees of the environment what it is given and of this process no descriptor; whatever it starts is dead when
`run` returns; no more than OUTPUT_MAX bytes of each output are held. Where it cannot be shut in it is not begun, unless the caller
accepts limits alone. Knows no effect.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from coordination.errors import EffectorError, GiveUp

_CHILD: Final = Path(__file__).with_name("confined_child.py")
#: Bytes of each output that are handed on; a command that writes more is stopped.
OUTPUT_MAX: Final = 24_000
#: Bytes of one read.
_READ: Final = 8_192
#: Seconds that the child gets to end what the command left behind.
_GRACE: Final = 2.0
#: Users that root gives to commands, one each of those at the same time.
_USERS: Final = range(61_184, 65_000)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one command may use. `memory_bytes` and `cpu_seconds` are of each of its processes, the rest of all together."""

    seconds: float = 30.0
    memory_bytes: int = 512_000_000
    cpu_seconds: int = 30
    processes: int = 64
    folder_bytes: int = 64_000_000
    files: int = 64


@dataclass(frozen=True, slots=True)
class Command:
    """What is run: the words (`{given}` in the first `own` of them is the folder with the given files), and what it finds."""

    words: Sequence[str]
    own: int
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    script: str = ""
    #: Bytes of addresses that its interpreter reserves and does not use.
    reserves: int = 0
    #: Folders beyond the system's that it must read, such as its interpreter's.
    show: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: its exit code, its output, and, where it was stopped, by what: "deadline" or "output"."""

    code: int
    stdout: str
    stderr: str
    stopped: str = ""


def run(command: Command, bounds: Bounds, *, unconfined: bool = False) -> Ended:
    """Run to the end; GiveUp where nothing was begun, EffectorError where nobody knows how it ended.

    `unconfined`: a machine that cannot shut it in runs it with limits alone.
    """
    found = _tried(command, bounds, confined=True)
    if isinstance(found, Ended):
        return found
    if not unconfined:
        raise GiveUp(
            f"this machine cannot shut a process in ({found}); allow namespaces, or accept it with `unconfined = true` in "
            "[effectors.process]"
        )
    found = _tried(command, bounds, confined=False)
    if isinstance(found, Ended):
        return found
    raise GiveUp(f"the process could not be begun: {found}")


def _tried(command: Command, bounds: Bounds, *, confined: bool) -> Ended | str:
    """How it ended, or why it was not begun."""
    read, write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="noesis-", ignore_cleanup_errors=True) as folder:
        order = _order(command, bounds, folder, confined)
        try:
            child = subprocess.Popen(  # noqa: S603 -- our own interpreter and file; what it runs is the effect
                [sys.executable, "-I", "-S", str(_CHILD), str(write), str(os.getpid())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd=folder,
                pass_fds=(write,), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.close(read)
            raise GiveUp(f"no process can be started: {error.strerror}") from error
        finally:
            os.close(write)
        with child, os.fdopen(read, "rb") as report:
            try:
                with contextlib.suppress(BrokenPipeError):
                    _hand(child, order)
                return _followed(child, report, bounds.seconds, confined)
            finally:
                _kill(child)


def _hand(child: "subprocess.Popen[bytes]", order: Mapping[str, Any]) -> None:
    if child.stdin is not None:
        child.stdin.write(json.dumps(order).encode())
        child.stdin.close()


def _order(command: Command, bounds: Bounds, folder: str, confined: bool) -> dict[str, Any]:
    return {
        "confined": confined,
        "folder": folder,
        "user": _USERS[time.monotonic_ns() // 1_000 % len(_USERS)],
        "command": list(command.words),
        "own": command.own,
        "environment": dict(command.environment),
        "given": {"stdin": command.stdin, "script": command.script},
        "show": list(command.show),
        "memory_bytes": bounds.memory_bytes + command.reserves,
        "cpu_seconds": bounds.cpu_seconds,
        "processes": bounds.processes,
        "folder_bytes": bounds.folder_bytes,
        "file_bytes": bounds.folder_bytes,
        "files": bounds.files,
    }


def _followed(child: "subprocess.Popen[bytes]", report: IO[bytes], seconds: float, confined: bool) -> Ended | str:
    """Gather what it writes until it ends, is over its time, or writes too much."""
    outputs = [bytearray(), bytearray()]
    told = bytearray()
    stopped = ""
    with selectors.DefaultSelector() as waiting:
        for pipe, into in ((child.stdout, outputs[0]), (child.stderr, outputs[1]), (report, told)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                waiting.register(pipe, selectors.EVENT_READ, into)
        end = time.monotonic() + seconds
        while report in waiting.get_map():
            left = end - time.monotonic()
            over = "deadline" if left <= 0 else "output" if _full(outputs) else ""
            if over and stopped:
                break
            if over:
                stopped, end = over, time.monotonic() + _GRACE
                # With the first of its space all it started is gone; without spaces the watcher has to look for them.
                if confined:
                    _kill(child)
                else:
                    child.terminate()
                continue
            for key, _ in waiting.select(left):
                _take(waiting, key)
        for key in list(waiting.get_map().values()):
            _take(waiting, key)
    return _told(bytes(told), outputs, stopped)


def _told(told: bytes, outputs: Sequence[bytearray], stopped: str) -> Ended | str:
    lines = [json.loads(line) for line in told.splitlines()]
    refused = next((line["refused"] for line in lines if "refused" in line), None)
    if refused is not None:
        return str(refused)
    code = next((line["ended"] for line in lines if "ended" in line), None)
    if code is None and not stopped:
        raise EffectorError("the process that watched over the command is gone; nobody knows how far it came")
    if not stopped and _full(outputs):
        stopped = "output"
    shown = [bytes(output[:OUTPUT_MAX]).decode(errors="replace").replace("\x00", "") for output in outputs]
    return Ended(128 + signal.SIGKILL if code is None else int(code), shown[0], shown[1], stopped)


def _full(outputs: Sequence[bytearray]) -> bool:
    return any(len(output) > OUTPUT_MAX for output in outputs)


def _take(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """What can be read now; a pipe at its end is let go."""
    fd = key.fd
    for _ in range(2 + OUTPUT_MAX // _READ):
        try:
            part = os.read(fd, _READ)
        except BlockingIOError:
            return
        if not part:
            waiting.unregister(key.fileobj)
            return
        key.data.extend(part)


def _kill(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
