"""Redis from its Debian package, on a free port, with a password, in a folder of its own."""

import secrets
import shutil
from pathlib import Path

from tests.services import ports
from tests.services.server import Server, install


def start(folder: Path) -> Server:
    """A new server that keeps nothing on disk."""
    if shutil.which("redis-server") is None:
        install("redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    port, password = ports.free(), secrets.token_urlsafe(18)
    settings = folder / "redis.conf"
    settings.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\nsave ""\nappendonly no\n')
    process = ports.launch(["redis-server", settings], folder / "server.log")
    ports.until(lambda: ports.listens(port), process, folder / "server.log")
    return Server("redis", f"redis://:{password}@127.0.0.1:{port}/0", process.pid, "", password, str(folder))
