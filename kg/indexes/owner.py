"""The owner of an index folder: holds its lock, and answers other processes over a local socket.

Invariant: at most one process holds the lock, and only it has the shard open. The socket lies in the index folder, which only
the user of this process may enter; there is no other authentication. Does not open the shard itself.
"""

import fcntl
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kg.errors import SearchIndexError
from kg.indexes import wire

#: Requests answered at once; further ones wait in the listen queue.
CONNECTIONS_MAX = 16
#: Seconds that a connection may take to send its request.
REQUEST_SECONDS = 10.0
_POLL_SECONDS = 0.1
_LOCK = "owner.lock"
_SOCKET = "owner.sock"
#: Bytes of a socket address that every system takes.
_ADDRESS_MAX = 100

#: What the owner replies to a request, both as JSON.
Answer = Callable[[Any], Any]


class Ownership:
    """The lock on an index folder, held until `release` or the end of the process."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def take(cls, folder: Path) -> "Ownership | None":
        """The lock, or None where another holds it."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SearchIndexError(
                f"the index folder cannot be used ({error.strerror}); check the permissions of {folder}"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return cls(file)

    def release(self) -> None:
        """Let another process own the folder."""
        os.close(self._file)


class Address:
    """The socket of an index folder, under a name short enough for the system. Holds the folder open until closed."""

    def __init__(self, folder: Path) -> None:
        self._folder: int | None = None
        path = str(folder / _SOCKET)
        if len(os.fsencode(path)) > _ADDRESS_MAX:
            # Linux reaches a folder through its descriptor, however long its path is.
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            path = f"/proc/self/fd/{self._folder}/{_SOCKET}"
        self.path = path

    def close(self) -> None:
        """Release the folder."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None


class _Handler(socketserver.BaseRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        """Answer one request; a peer that leaves or sends nonsense costs only its own connection."""
        connection: socket.socket = self.request
        connection.settimeout(REQUEST_SECONDS)
        try:
            wire.send(connection, self.server.answer(wire.receive(connection)))
        except (OSError, ValueError, SearchIndexError):
            return


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, answer: Answer) -> None:
        self.answer = answer
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(path, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class OwnerSocket:
    """Answers requests of other processes, in threads of its own."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self._file = folder / _SOCKET
        self._file.unlink(missing_ok=True)
        self._address = Address(folder)
        try:
            self._server = _Server(self._address.path, answer)
        except OSError as error:
            self._address.close()
            raise SearchIndexError(
                f"the index socket cannot be opened ({error.strerror}); use a home with a shorter path"
            ) from None
        self._file.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="index-owner", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering; requests under way end first."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._file.unlink(missing_ok=True)
        self._address.close()
