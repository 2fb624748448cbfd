"""What the tests of effectors share: an effect, and a mail server that answers as it is told."""

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from coordination.effectors.effector import Effect


def effect(payload: Mapping[str, Any], key: str = "key1", operation: str = "thing.do") -> Effect:
    return Effect("e1", key, operation, "t1", "p1", dict(payload), datetime(2026, 3, 2, tzinfo=UTC))


@dataclass
class Mail:
    """The server's port, what it took, and its answers: a command's first word to a reply, or "hang up"."""

    port: int
    taken: list[tuple[list[str], str]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    connections: int = 0


class _Session(socketserver.StreamRequestHandler):
    """One conversation after RFC 5321, as far as a client needs it."""

    def handle(self) -> None:
        mail: Mail = self.server.mail  # type: ignore[attr-defined]
        mail.connections += 1
        self.say("220 mail.test ready")
        receivers: list[str] = []
        while line := self.rfile.readline():
            verb = line.decode().split()[0].upper() if line.strip() else ""
            answer = mail.answers.get(verb)
            if answer == "hang up":
                return
            if answer is not None:
                self.say(answer)
            elif verb == "DATA":
                self.say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                end = mail.answers.get(".")
                if end == "hang up":
                    mail.taken.append((receivers, text))
                    return
                if end is None:
                    mail.taken.append((receivers, text))
                self.say(end or "250 taken")
                receivers = []
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                if verb == "RCPT":
                    receivers.append(line.decode().partition("<")[2].partition(">")[0])
                self.say("250-mail.test\r\n250 8BITMIME" if verb == "EHLO" else "250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mailing() -> Iterator[Mail]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        server.block_on_close = False
        mail = Mail(server.server_address[1])
        server.mail = mail  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield mail
        server.shutdown()
        thread.join()
