"""The turn to write: one lock file beside the database, taken before BEGIN, so that no writer of many processes starves.

Invariant: at most one holder among all threads and processes; a process that dies lets go. SQLite's own busy handler polls
and starves (6 s seen with four processes); `flock` queues in the kernel. Readers never take it.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kg.errors import StoreBusyError, StoreError, StoreReadOnlyError


class FileLock:
    """An exclusive lock among the threads of this process and all others that use the same file."""

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._turn = threading.Lock()
        self._handle: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for a block; raises StoreBusyError when it does not come within the patience (seconds)."""
        if not self._turn.acquire(timeout=self._patience):
            raise StoreBusyError
        try:
            self._handle = self._locked(self._open() if self._handle is None else self._handle)
            try:
                yield
            finally:
                fcntl.flock(self._handle, fcntl.LOCK_UN)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise StoreReadOnlyError from None
            raise StoreError(
                f"the lock file of the store cannot be opened ({error.strerror}); check its folder"
            ) from None

    def _locked(self, handle: int) -> int:
        """The handle that holds the lock: this one where it is free, else the one that queued for it."""
        self._handle = handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._queue(handle)
        return handle

    def _queue(self, idle: int) -> int:
        """Wait in the kernel's queue, in a thread of its own because `flock` knows no time limit."""
        waiting = _Waiting(self._open())
        if waiting.wait(self._patience):
            os.close(idle)
            return waiting.handle
        raise StoreBusyError


class _Waiting:
    """One wait for the lock; given up, it lets go by itself as soon as the lock comes."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._guard = threading.Lock()
        self._given_up = False
        self._done = threading.Event()
        threading.Thread(target=self._run, name="store-lock", daemon=True).start()

    def _run(self) -> None:
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        with self._guard:
            if self._given_up:
                os.close(self.handle)
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Whether the lock came in time."""
        if self._done.wait(seconds):
            return True
        with self._guard:
            self._given_up = not self._done.is_set()
            return not self._given_up
