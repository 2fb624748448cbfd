"""Embedder of a home: the process that owns the semantic index embeds for all, so that the model is loaded once.

Invariant: the vectors are those of the same model and revision, whichever process makes them: where the owner does not answer,
this process's own embedder does. Keeps nothing; the cache lies behind the owner's embedder.
"""

from collections.abc import Sequence
from typing import Protocol

from kg.index import Embedder


class Owned(Protocol):
    """An index that one of several processes owns."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts, made by the owner."""


class SharedEmbedder:
    """Port Embedder by way of a shared index."""

    def __init__(self, embedder: Embedder, index: Owned) -> None:
        self._embedder = embedder
        self._index = index

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._embedder.model

    @property
    def revision(self) -> str:
        """The revision of the model."""
        return self._embedder.revision

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text, made by the index's owner."""
        return self._index.embed(texts) if texts else []
