"""The embedded index as every process uses it: the first one owns the shard, the others ask it.

Invariant: whoever uses it need not know which of the two it is. When the owner ends, the next call of any other process takes
the folder over; when the owner holds the folder but does not answer, the call raises OwnerGoneError, and search falls back
to the store and says so. A shard of another model or a damaged one does not stop a process from starting: calls raise what is
wrong with it until `reset` or `begin` drops it.
"""

import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kg.errors import OwnerGoneError, SearchIndexError
from kg.index import POINTS_MAX, Embedder, Held, Info, Point, Scored
from kg.indexes import wire
from kg.indexes.edge import EdgeIndex
from kg.indexes.owner import Ownership, OwnerSocket
from kg.indexes.remote import RemoteIndex


class SharedIndex:
    """Port SemanticIndex over one folder that several processes share."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        """Own the folder, or know its owner."""
        self._folder = folder
        self._embedder = embedder
        self._lock = threading.Lock()
        self._remote = RemoteIndex(folder)
        self._ownership: Ownership | None = None
        self._socket: OwnerSocket | None = None
        self._index: EdgeIndex | None = None
        self._fault: SearchIndexError | None = None
        self._closed = False
        self._own()

    @property
    def owner(self) -> bool:
        """Whether this process owns the shard; it takes over where nobody does."""
        return self._own()

    def _own(self) -> bool:
        with self._lock:
            if self._closed or self._ownership is not None:
                return not self._closed
            ownership = Ownership.take(self._folder)
            if ownership is None:
                return False
            try:
                self._open(fresh=False)
                self._socket = OwnerSocket(self._folder, lambda request: wire.answer(self._here, request))
            except BaseException:
                ownership.release()
                raise
            self._ownership = ownership
            return True

    def _open(self, fresh: bool) -> None:
        try:
            self._index, self._fault = EdgeIndex(self._folder, self._embedder, fresh), None
        except SearchIndexError as error:
            self._index, self._fault = None, error

    def _here(self, name: str, arguments: Sequence[Any]) -> Any:
        """Do a call in this process, which owns the shard."""
        if name == "embed":
            return self._embedder.embed(*arguments)
        with self._lock:
            if name in ("reset", "begin") and self._fault is not None:
                self._open(fresh=True)
            index, fault = self._index, self._fault
        if fault is not None:
            raise type(fault)(str(fault))
        if index is None:
            raise SearchIndexError("the semantic index is closed; open it again")
        return getattr(index, name)(*arguments)

    def _call(self, name: str, *arguments: Any) -> Any:
        if self._ownership is None and not self._closed:
            try:
                return getattr(self._remote, name)(*arguments)
            except OwnerGoneError:
                if not self._own():
                    raise
        return self._here(name, arguments)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, here or at the owner."""
        self._call("upsert", points)

    def remove(self, gone: Mapping[str, int]) -> None:
        """Mark entities as gone, here or at the owner."""
        self._call("remove", gone)

    def search_dense(self, vector: Sequence[float], classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The nearest points, from here or from the owner."""
        found: list[Scored] = self._call("search_dense", vector, classes, first)
        return found

    def search_sparse(self, text: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The best points by words, from here or from the owner."""
        found: list[Scored] = self._call("search_sparse", text, classes, first)
        return found

    def held(self, after: str = "", first: int = POINTS_MAX) -> tuple[list[Held], str]:
        """A page of what the index holds."""
        page: tuple[list[Held], str] = self._call("held", after, first)
        return page

    def engine(self) -> str:
        """The engine inside and its version, and whether it runs in this process."""
        where = "in this process" if self.owner else "in another process, which owns it"
        return f"qdrant-edge {version('qdrant-edge-py')}, {where}"

    def info(self) -> Info:
        """What the index was built with."""
        info: Info = self._call("info")
        return info

    def reset(self, mapping: str, bound: str) -> None:
        """Start with an empty index, here or at the owner."""
        self._call("reset", mapping, bound)

    def begin(self, mapping: str, bound: str) -> Info:
        """Start a successor, here or at the owner."""
        info: Info = self._call("begin", mapping, bound)
        return info

    def fill(self, bound: str, points: Sequence[Point]) -> None:
        """Write points into the successor, here or at the owner."""
        self._call("fill", bound, points)

    def finish(self, bound: str) -> None:
        """Answer from the successor, here or at the owner."""
        self._call("finish", bound)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts, by the owner's model; by this process's own where it is the owner or none answers."""
        if self._ownership is None and not self._closed:
            try:
                return self._remote.embed(texts)
            except OwnerGoneError:
                pass
        return self._embedder.embed(texts)

    def close(self) -> None:
        """Stop answering others, flush, and let another process own the folder; a second call does nothing."""
        with self._lock:
            self._closed = True
            socket, index, ownership = self._socket, self._index, self._ownership
            self._socket = self._index = self._ownership = self._fault = None
        if socket is not None:
            socket.close()
        if index is not None:
            index.close()
        if ownership is not None:
            ownership.release()
