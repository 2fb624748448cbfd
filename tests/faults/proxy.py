"""A TCP proxy that a test puts between the store and its server: it delays, cuts, half-closes, and refuses to connect.

It counts what passes, so that a test can act at a byte of its choice and count round trips as the network sees them.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

BUFFER = 65_536
#: Sees each piece that passes; returns what to do with it and its connection.
Judge = Callable[[bytes], str]
Pair = tuple[socket.socket, socket.socket]
PASS, CUT, HALF = "pass", "cut", "half"


def let_pass(_: bytes) -> str:
    """What a proxy without a fault does."""
    return PASS


@dataclass(slots=True)
class Faults:
    """What the proxy does just now; a test changes it while connections run."""

    delay: float = 0.0
    closed: bool = False
    #: Asked before a piece goes up to the server, and before one comes down.
    up: Judge = let_pass
    down: Judge = let_pass


class Proxy:
    """Listens on a port of its own and passes bytes to the server's."""

    def __init__(self, target: int) -> None:
        self.faults = Faults()
        #: Times that a client spoke after the server had: round trips, of all connections.
        self.turns = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[Pair] = set()
        self._asking: set[Pair] = set()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.faults.closed:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self._guard:
                self._pairs.add(pair)
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(pair, source, sink, up), daemon=True).start()

    def _pump(self, pair: Pair, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(BUFFER):
                with self._guard:
                    self.turns += up and pair not in self._asking
                    (self._asking.add if up else self._asking.discard)(pair)
                if self.faults.delay:
                    time.sleep(self.faults.delay)
                verdict = (self.faults.up if up else self.faults.down)(piece)
                if verdict == CUT:
                    break
                if verdict == HALF:
                    sink.sendall(piece[: len(piece) // 2])
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(piece)
        self._end(pair)

    def cut(self) -> None:
        """Break every connection now."""
        with self._guard:
            pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair)

    def close(self) -> None:
        """Break everything and listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _end(self, pair: Pair) -> None:
        with self._guard:
            self._pairs.discard(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
