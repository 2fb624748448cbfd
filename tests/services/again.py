"""Killing a broker in the middle of its work and starting it again on its folder and port."""

import os
import signal
import time
from pathlib import Path

from tests.services import ports, rabbitmq
from tests.services.server import Server

GONE_SECONDS_MAX = 20


def kill(server: Server) -> None:
    """SIGKILL the server with everything it holds; returns when it is gone."""
    os.kill(server.pid, signal.SIGKILL)
    end = time.monotonic() + GONE_SECONDS_MAX
    while ports.listens(_port(server)):
        if time.monotonic() > end:
            raise RuntimeError(f"{server.name} does not die")
        time.sleep(0.02)


def revive(server: Server) -> None:
    """Start it again; returns when it answers. `stop` of the first server ends it too, by its process group."""
    folder = Path(server.folder)
    if server.name == "redis":
        process = ports.launch(["redis-server", folder / "redis.conf"], folder / "server.log")
    else:
        process = ports.launch(["rabbitmq-server"], folder / "server.log", rabbitmq.environment(folder, _port(server)))
    ports.until(lambda: ports.listens(_port(server)), process, folder / "server.log")
    pid = int((folder / "data" / "pid").read_text()) if server.name == "rabbitmq" else process.pid
    object.__setattr__(server, "pid", pid)


def _port(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1].split("/")[0])
