"""PostgreSQL from its Debian package: a cluster of its own on a free port, run by the user postgres, with a password."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from tests.services import ports
from tests.services.server import Server, install

#: Where Debian keeps the programs that are not on the path.
DEBIAN = Path("/usr/lib/postgresql")
READY_SECONDS = 5
_SETTINGS = ("fsync=off", "listen_addresses=127.0.0.1", "max_connections=50")


def start(folder: Path) -> Server:
    """A new cluster with one user, that keeps nothing after its end."""
    programs = found()
    if programs is None:
        install("postgresql")
        programs = found()
    if programs is None:
        raise RuntimeError("PostgreSQL is not here; install it")
    data, word, port, password = folder / "data", folder / "password", ports.free(), secrets.token_urlsafe(18)
    data.mkdir(parents=True, exist_ok=True)
    word.write_text(password)
    user: list[str] = []
    if os.getuid() == 0:
        # It refuses to run as root.
        for path in (folder, data, word):
            shutil.chown(path, "postgres", "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    made = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "noesis",
        "-A",
        "scram-sha-256",
        f"--pwfile={word}",
        "-N",
        "-E",
        "UTF8",
    ]
    subprocess.run([*user, *map(str, made)], check=True, stdout=subprocess.DEVNULL, cwd=folder)
    options = [part for setting in _SETTINGS for part in ("-c", setting)]
    command = [*user, programs / "postgres", "-D", data, "-p", port, "-k", folder, *options]
    process = ports.launch(command, folder / "server.log")
    url = f"postgresql://noesis:{password}@127.0.0.1:{port}/postgres"
    ports.until(lambda: answers(url), process, folder / "server.log")
    return Server("postgres", url, process.pid, "noesis", password, str(folder))


def answers(url: str) -> bool:
    """Whether it takes a login; it listens before its database has started up, and refuses whoever comes then."""
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=READY_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def found() -> Path | None:
    """The folder of the newest installed version."""
    versions = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3])) if DEBIAN.exists() else []
    return versions[-1].parent if versions else None
