"""The real servers that tests run on: one that is up, one that `make services` keeps up, or one that a test run starts itself.

At a desk a server that is not up is a visible skip; with REQUIRE_SERVICES=1 it is installed and started, and stopped at the
end of the run. A server kept up serves one test run at a time, which a file lock sees to.
"""

import atexit
import fcntl
import importlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache as once
from pathlib import Path

import pytest

from tests.services import ports

NAMES = ("neo4j", "redis", "rabbitmq", "postgres")
INSTALL_SECONDS_MAX = 600
STOP_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it is, how to log in, its process group and its folder."""

    name: str
    url: str
    pid: int
    user: str
    password: str
    folder: str


def cache() -> Path:
    """The folder of what is fetched once, in the user's cache directory."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "noesis" / "services"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time fetches, installs and looks for free ports, whichever test run it belongs to."""
    with (cache() / "starting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(package: str) -> None:
    """Install a Debian package, where this is allowed; raises RuntimeError where it is not."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(f"{package} is not here; install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", package],
    ):
        subprocess.run(command, check=True, env=environment, timeout=INSTALL_SECONDS_MAX, stdout=subprocess.DEVNULL)


def start(name: str, **options: bool) -> Server:
    """Start a new server in a temporary folder that other users may enter, with what its own module takes."""
    folder = Path(tempfile.mkdtemp(prefix=f"noesis-{name}-"))
    folder.chmod(0o755)
    with alone():
        server: Server = importlib.import_module(f"tests.services.{name}").start(folder, **options)
    return server


def stop(server: Server) -> None:
    """End a server's process group and remove its folder."""
    end = time.monotonic() + STOP_SECONDS_MAX
    try:
        # The process may have been given a group by a script that changed the user.
        group = os.getpgid(server.pid)
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < end:
            if (process := ports.STARTED.get(server.pid)) is not None:
                process.poll()
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
    shutil.rmtree(server.folder, ignore_errors=True)


def kept(name: str) -> Server | None:
    """The server that `make services` keeps up, None where there is none."""
    file = cache() / f"{name}.json"
    if not file.exists():
        return None
    server = Server(**json.loads(file.read_text()))
    try:
        os.kill(server.pid, 0)
    except ProcessLookupError:
        file.unlink()
        return None
    return server


def keep(name: str) -> Server:
    """Start a server that stays up until it is told to stop."""
    with (cache() / f"{name}.keeping").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (server := kept(name)) is not None:
            return server
        server = start(name)
        # It gets its name whole: a reader of half of it would end in an error, and the server would run on unknown.
        half = cache() / f"{name}.json.half"
        try:
            half.touch(mode=0o600)
            half.write_text(json.dumps(asdict(server)))
            half.replace(cache() / f"{name}.json")
        except BaseException:
            half.unlink(missing_ok=True)
            stop(server)
            raise
        return server


def forget(name: str) -> bool:
    """Stop the server that was kept up; whether there was one."""
    server = kept(name)
    if server is None:
        return False
    stop(server)
    (cache() / f"{name}.json").unlink()
    return True


@once
def running(name: str) -> Server:
    """The server for this test run; a visible skip where there is none and none is required."""
    server = kept(name)
    if server is not None:
        lock = (cache() / f"{name}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            server = None
        else:
            atexit.register(lock.close)
            return server
    if os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip(f"no {name} is up for this run; start one with `make services`")
    server = start(name)
    atexit.register(stop, server)
    return server
