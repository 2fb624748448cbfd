"""The turn to write: one lock file beside the database, taken before BEGIN, so that no writer of many processes starves.

Invariant: at most one holder among all threads and processes; a process that dies lets go. SQLite's own busy handler polls
and starves (6 s seen with four processes); `flock` queues in the kernel. A second file lets an urgent writer go first: while one
waits, no other begins to. Readers take neither.
"""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kg.errors import StoreBusyError, StoreError, StoreReadOnlyError

#: What the second lock file is called beyond the first.
FIRST: Final = ".first"
#: How often, and after what pause, an urgent writer asks before it queues.
EAGER_TRIES: Final = 200
EAGER_SECONDS: Final = 0.000_5


class FileLock:
    """An exclusive lock among the threads of this process and all others that use the same file."""

    def __init__(self, path: Path, patience: float) -> None:
        self._turn = threading.Lock()
        self._patience = patience
        self._lock = _File(path, patience)
        self._first = _File(path.with_name(path.name + FIRST), patience)

    @contextmanager
    def held(self, urgent: bool = False) -> Iterator[None]:
        """Hold the lock for a block, as the next one where urgent; StoreBusyError where it does not come within the patience."""
        if not self._turn.acquire(timeout=self._patience):
            raise StoreBusyError
        try:
            self._first.take(fcntl.LOCK_EX, urgent) if urgent else self._pass()
            try:
                self._lock.take(fcntl.LOCK_EX, urgent)
                # Who was queued already when an urgent writer came gives way too, so that it waits for one transaction at most.
                while not urgent and not self._first.free():
                    self._lock.release()
                    self._pass()
                    self._lock.take(fcntl.LOCK_EX)
                try:
                    yield
                finally:
                    self._lock.release()
            finally:
                self._first.release()
        finally:
            self._turn.release()

    def _pass(self) -> None:
        """Wait while an urgent writer waits or writes; not held on, for that would keep the next one from saying so."""
        self._first.take(fcntl.LOCK_SH)
        self._first.release()

    def close(self) -> None:
        """Let go of the files."""
        with self._turn:
            self._lock.close()
            self._first.close()


class _File:
    """One lock file, used by one thread at a time."""

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._handle: int | None = None

    def take(self, kind: int, eager: bool = False) -> None:
        """Lock it, shared or exclusively; raises StoreBusyError when that does not come within the patience.

        An eager one asks again and again for a while before it queues: a thread less to be woken where others keep all cores busy.
        """
        handle = self._handle = self._open() if self._handle is None else self._handle
        for _ in range(EAGER_TRIES if eager else 1):
            try:
                fcntl.flock(handle, kind | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if eager:
                    time.sleep(EAGER_SECONDS)
        self._handle = self._queue(handle, kind)

    def free(self) -> bool:
        """Whether nobody holds it exclusively."""
        handle = self._handle = self._open() if self._handle is None else self._handle
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        return True

    def release(self) -> None:
        """Unlock it; nothing where it is not locked."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
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

    def _queue(self, idle: int, kind: int) -> int:
        """Wait in the kernel's queue, in a thread of its own because `flock` knows no time limit."""
        waiting = _Waiting(self._open(), kind)
        if waiting.wait(self._patience):
            os.close(idle)
            return waiting.handle
        raise StoreBusyError


class _Waiting:
    """One wait for the lock; given up, it lets go by itself as soon as the lock comes."""

    def __init__(self, handle: int, kind: int) -> None:
        self.handle = handle
        self._kind = kind
        self._guard = threading.Lock()
        self._given_up = False
        self._done = threading.Event()
        threading.Thread(target=self._run, name="store-lock", daemon=True).start()

    def _run(self) -> None:
        fcntl.flock(self.handle, self._kind)
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
