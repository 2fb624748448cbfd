"""The embedded index as every process uses it: the first one owns the shard, the others ask it.

Invariant: whoever uses it need not know which of the two it is. When the owner ends, the next call of any other process takes
the folder over; when the owner holds the folder but does not answer, the call raises OwnerGoneError, and search falls back
to the store and says so.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kg.errors import OwnerGoneError, SearchIndexError
from kg.index import POINTS_MAX, Embedder, Held, Info, Point, Scored
from kg.indexes.edge import EdgeIndex
from kg.indexes.owner import Ownership, OwnerSocket
from kg.indexes.remote import RemoteIndex


class SharedIndex:
    """Port SemanticIndex over one folder that several processes share."""

    def __init__(self, folder: Path, embedder: Embedder, fresh: bool = False) -> None:
        """Own the folder or ask its owner; `fresh` drops what the folder holds, which only an owner may do."""
        self._folder = folder
        self._embedder = embedder
        self._lock = threading.Lock()
        self._remote = RemoteIndex(folder)
        self._owned: tuple[Ownership, EdgeIndex, OwnerSocket] | None = None
        self._closed = False
        self._own(fresh)
        if fresh and self._owned is None:
            raise SearchIndexError("another process owns the semantic index; stop it (`noesis serve`), then rebuild")

    @property
    def owner(self) -> bool:
        """Whether this process owns the shard."""
        return self._owned is not None

    def _own(self, fresh: bool = False) -> None:
        ownership = Ownership.take(self._folder)
        if ownership is None:
            return
        index: EdgeIndex | None = None
        try:
            index = EdgeIndex(self._folder, self._embedder, fresh)
            self._owned = (ownership, index, OwnerSocket(self._folder, index))
        except BaseException:
            if index is not None:
                index.close()
            ownership.release()
            raise

    def _call(self, name: str, *arguments: Any) -> Any:
        if self._closed:
            raise SearchIndexError("the semantic index is closed; open it again")
        if self._owned is None:
            try:
                return getattr(self._remote, name)(*arguments)
            except OwnerGoneError:
                with self._lock:
                    if self._owned is None:
                        self._own()
                if self._owned is None:
                    raise
        return getattr(self._owned[1], name)(*arguments)

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

    def info(self) -> Info:
        """What the index was built with."""
        info: Info = self._call("info")
        return info

    def reset(self, mapping: str, bound: str) -> None:
        """Start with an empty index, here or at the owner."""
        self._call("reset", mapping, bound)

    def close(self) -> None:
        """Stop answering others, flush, and let another process own the folder; a second call does nothing."""
        with self._lock:
            self._closed = True
            if self._owned is not None:
                ownership, index, socket = self._owned
                self._owned = None
                socket.close()
                index.close()
                ownership.release()
