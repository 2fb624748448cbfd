"""Free ports, kept for whoever asked for them, and waiting for what listens on them."""

import atexit
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

READY_SECONDS_MAX = 240
REAP_SECONDS_MAX = 10
#: The servers that this process started, by process id.
STARTED: "dict[int, subprocess.Popen[bytes]]" = {}


#: What keeps the ports that were given out: bound, never listening.
KEPT: list[socket.socket] = []


@atexit.register
def _reap() -> None:
    """Take leave of every server: registered before any is started, so it runs after all were told to stop."""
    for process in STARTED.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(REAP_SECONDS_MAX)
    for kept in KEPT:
        kept.close()


def launch(
    command: Sequence[object], log: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a server in a process group of its own, its output in a file."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    STARTED[process.pid] = process
    return process


def free() -> int:
    """A port that nobody listens on, and that the system gives to nobody else while this process lives.

    A server takes seconds to bind it, and one that was killed leaves it for as long. A server that asks for this very port and
    lets it be used again, as all do here, gets it all the same.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    KEPT.append(kept)
    return int(kept.getsockname()[1])


def until(ready: Callable[[], bool], process: "subprocess.Popen[bytes] | None", log: Path) -> None:
    """Return when the server is ready; raise with the end of its log when it ends or takes too long."""
    end = time.monotonic() + READY_SECONDS_MAX
    while not ready():
        if (process is not None and process.poll() is not None) or time.monotonic() > end:
            told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"the server did not get ready; its log ends with:\n{told}")
        time.sleep(0.1)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
