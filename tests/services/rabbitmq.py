"""RabbitMQ from its Debian package: a node of its own name on a free port, its folders owned by the user rabbitmq."""

import os
import secrets
import shutil
from pathlib import Path

from tests.services import ports
from tests.services.server import Server, install


def start(folder: Path) -> Server:
    """A new node with one user and no guest."""
    if shutil.which("rabbitmq-server") is None:
        install("rabbitmq-server")
    port, far, password = ports.free(), ports.free(), secrets.token_urlsafe(18)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("data", "log"):
        (folder / name).mkdir(exist_ok=True)
    settings = folder / "rabbitmq.conf"
    settings.write_text(
        f"listeners.tcp.default = 127.0.0.1:{port}\ndefault_user = noesis\ndefault_pass = {password}\n"
        "loopback_users = none\ndisk_free_limit.absolute = 10MB\n"
    )
    if os.getuid() == 0:
        # The package's own script changes to this user before it opens a file.
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "rabbitmq", "rabbitmq")
        for parent in (folder, *folder.parents):
            if parent.owner() == "root" and not parent.stat().st_mode & 0o001:
                raise PermissionError(f"{parent} is closed to the user rabbitmq; choose another folder")
    (folder / "distribution").write_text(str(far))
    process = ports.launch(["rabbitmq-server"], folder / "server.log", environment(folder, port))
    ports.until(lambda: ports.listens(port), process, folder / "server.log")
    node = int((folder / "data" / "pid").read_text())
    return Server("rabbitmq", f"amqp://noesis:{password}@127.0.0.1:{port}", node, "noesis", password, str(folder))


def environment(folder: Path, port: int) -> dict[str, str]:
    """What tells the start script which node this is."""
    return {
        **os.environ,
        "RABBITMQ_NODENAME": f"noesis{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_DIST_PORT": (folder / "distribution").read_text(),
        "RABBITMQ_PID_FILE": str(folder / "data" / "pid"),
        "HOME": str(folder),
    }
