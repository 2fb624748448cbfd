"""`python -m tests.services start|stop [name …]`: keeps the servers of the tests up for a desk, or stops them."""

import sys

from tests.services.server import NAMES, forget, keep


def main(arguments: list[str]) -> int:
    """Start or stop; print one line a server."""
    if not arguments or arguments[0] not in ("start", "stop") or not set(arguments[1:]) <= set(NAMES):
        sys.stderr.write(f"use: python -m tests.services start|stop [{'|'.join(NAMES)} …]\n")
        return 2
    for name in arguments[1:] or NAMES:
        if arguments[0] == "stop":
            sys.stdout.write(f"{name}: {'stopped' if forget(name) else 'was not up'}\n")
            continue
        server = keep(name)
        sys.stdout.write(f"{name}: {server.url} user {server.user or '-'} password {server.password}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
