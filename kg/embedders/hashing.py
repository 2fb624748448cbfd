"""A small embedder without any dependency: feature hashing of words and letter triples.

It finds shared words and spellings, not meaning; it serves tests and installations without the embeddings extra. Invariant:
the same text gives the same vector on every machine. Source of the method: Weinberger et al., "Feature Hashing for Large
Scale Multitask Learning", ICML 2009 (signed hashing).
"""

import math
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Port Embedder by feature hashing."""

    model = "feature-hashing"
    revision = "1"

    def __init__(self, dimension: int = 256) -> None:
        self._dimension = dimension

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector of length one for each text; a text without words gives the first unit vector."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        vector = [0.0] * self._dimension
        for feature, weight in _features(text):
            bits = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "big")
            vector[(bits >> 1) % self._dimension] += weight if bits & 1 else -weight
        length = math.sqrt(sum(number * number for number in vector))
        if length == 0.0:
            return [1.0, *vector[1:]]
        return [number / length for number in vector]


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text.casefold()):
        yield word, 1.0
        padded = f"^{word}$"
        for start in range(len(padded) - 2):
            yield "3:" + padded[start : start + 3], 0.3
