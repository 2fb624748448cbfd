"""SemanticIndex of another process, asked over the owner's local socket.

Invariant: an owner that is gone, silent or of another version is OwnerGoneError or SearchIndexError within REPLY_SECONDS; a call
never hangs. Holds no connection between calls, so a new owner is found at the next one.
"""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kg.errors import OwnerGoneError
from kg.index import POINTS_MAX, Held, Info, Point, Scored
from kg.indexes import wire
from kg.indexes.owner import Address

#: Seconds to wait for a reply.
REPLY_SECONDS = 30.0


class RemoteIndex:
    """Port SemanticIndex by asking the owner."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            address = Address(self._folder)
        except OSError:
            raise OwnerGoneError from None
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(REPLY_SECONDS)
                connection.connect(address.path)
                wire.send(connection, wire.request(name, list(arguments)))
                reply = wire.receive(connection)
        except (OSError, ValueError):
            raise OwnerGoneError from None
        finally:
            address.close()
        return wire.result(name, reply)

    def upsert(self, points: Sequence[Point]) -> None:
        """Ask the owner to write points."""
        self._ask("upsert", points)

    def remove(self, gone: Mapping[str, int]) -> None:
        """Ask the owner to mark entities as gone."""
        self._ask("remove", dict(gone))

    def search_dense(self, vector: Sequence[float], classes: Sequence[str] | None, first: int) -> list[Scored]:
        """Ask the owner for the nearest points."""
        found: list[Scored] = self._ask("search_dense", list(vector), classes, first)
        return found

    def search_sparse(self, text: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        """Ask the owner for the best points by words."""
        found: list[Scored] = self._ask("search_sparse", text, classes, first)
        return found

    def held(self, after: str = "", first: int = POINTS_MAX) -> tuple[list[Held], str]:
        """Ask the owner for a page of what it holds."""
        page: tuple[list[Held], str] = self._ask("held", after, first)
        return page

    def info(self) -> Info:
        """Ask the owner what its index was built with."""
        info: Info = self._ask("info")
        return info

    def reset(self, mapping: str, bound: str) -> None:
        """Ask the owner to start with an empty index."""
        self._ask("reset", mapping, bound)

    def begin(self, mapping: str, bound: str) -> Info:
        """Ask the owner to start a successor."""
        info: Info = self._ask("begin", mapping, bound)
        return info

    def fill(self, bound: str, points: Sequence[Point]) -> None:
        """Ask the owner to write points into the successor."""
        self._ask("fill", bound, points)

    def finish(self, bound: str) -> None:
        """Ask the owner to answer from the successor."""
        self._ask("finish", bound)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Ask the owner for the vectors of texts, so that this process need not load the model."""
        vectors: list[list[float]] = self._ask("embed", list(texts))
        return vectors

    def close(self) -> None:
        """Nothing to release."""
