"""`python -m tests.services start|stop [name …]`: keeps the servers of the tests up for a desk, or stops them.

`python -m tests.services run [name …] -- COMMAND …` runs a command with settings that name these servers: those that are kept
up, else new ones that end with the command. The graph is emptied first.
"""

import os
import subprocess
import sys

from tests.services.graph import empty
from tests.services.server import NAMES, Server, forget, keep, kept, start, stop


def main(arguments: list[str]) -> int:
    """Start, stop or run; print one line a server."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    command = arguments[len(words) + 1 :]
    if not words or words[0] not in ("start", "stop", "run") or not set(words[1:]) <= set(NAMES):
        sys.stderr.write(
            f"use: python -m tests.services start|stop [{'|'.join(NAMES)} …], or run [name …] -- COMMAND …\n"
        )
        return 2
    if words[0] == "run":
        return run(words[1:] or list(NAMES), command)
    for name in words[1:] or NAMES:
        if words[0] == "stop":
            sys.stdout.write(f"{name}: {'stopped' if forget(name) else 'was not up'}\n")
            continue
        server = keep(name)
        sys.stdout.write(f"{name}: {server.url} user {server.user or '-'} password {server.password}\n")
    return 0


def settings_of(server: Server) -> dict[str, str]:
    """The variables that put Noesis on this server."""
    if server.name != "neo4j":
        return {"NOESIS_BROKER_URL": server.url}
    return {
        "NOESIS_STORE_URL": server.url,
        "NOESIS_STORE_USER": server.user,
        "NOESIS_STORE_PASSWORD": server.password,
    }


def run(names: list[str], command: list[str]) -> int:
    """The exit code of the command, run on these servers."""
    environment, started = dict(os.environ), []
    try:
        for name in names:
            server = kept(name)
            if server is None:
                started.append(server := start(name))
            if name == "neo4j":
                empty(server)
            environment |= settings_of(server)
        return subprocess.run(command, check=False, env=environment).returncode
    finally:
        for server in started:
            stop(server)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
