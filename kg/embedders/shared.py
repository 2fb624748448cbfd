"""Embedder of a home: the process that owns the semantic index embeds for all, so that the model is loaded once.

Invariant: the vectors are those of the same model and revision, whichever process makes them: where the owner does not answer,
this process's own embedder does. Keeps nothing; the cache lies behind the owner's embedder.
"""

from collections.abc import Callable, Sequence

from kg.index import Embedder


class SharedEmbedder:
    """Port Embedder that says which model it is, and has `embed` (a shared index's) make the vectors."""

    def __init__(self, embedder: Embedder, embed: Callable[[Sequence[str]], list[list[float]]]) -> None:
        self._embedder = embedder
        self._embed = embed

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
        return self._embed(texts) if texts else []

    def forget(self, texts: Sequence[str] | None) -> None:
        """Drop what is kept of these texts, or all of it; every process of a home keeps them in the same file."""
        drop = getattr(self._embedder, "forget", None)
        if drop is not None:
            drop(texts)
