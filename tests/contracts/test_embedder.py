"""The contract of port Embedder, over every adapter: hashing, MiniLM, the cache over either, and by way of an index's owner."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kg.embedders.cache import CachedEmbedder
from kg.embedders.hashing import HashingEmbedder
from kg.embedders.minilm import MiniLM
from kg.embedders.shared import SharedEmbedder
from kg.index import Embedder
from kg.indexes.shared import SharedIndex

TEXTS = ["late delivery", "die Lieferung ist zu spät", "", "a" * 5_000, "late delivery", "\n\t ", "🚚"]


@pytest.fixture(
    name="embedder", params=["hashing", "minilm", "cached hashing", "cached minilm", "owner", "asking"], scope="module"
)
def _embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    inner: Embedder = MiniLM() if "minilm" in request.param else HashingEmbedder(64)
    if request.param in ("owner", "asking"):
        yield from _shared(tmp_path_factory.mktemp("index"), asking=request.param == "asking")
        return
    if "cached" not in request.param:
        yield inner
        return
    folder: Path = tmp_path_factory.mktemp("cache")
    cached = CachedEmbedder(inner, folder / "cache.db")
    yield cached
    cached.close()


def _shared(folder: Path, *, asking: bool) -> Iterator[Embedder]:
    owner = SharedIndex(folder, HashingEmbedder(64))
    assert owner.owner
    other = SharedIndex(folder, Unasked(64))
    yield SharedEmbedder(Unasked(64), other.embed) if asking else SharedEmbedder(HashingEmbedder(64), owner.embed)
    other.close()
    owner.close()


class Unasked(HashingEmbedder):
    """The embedder of a process that asks the owner: it must not be used itself."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError("the owner embeds")


def test_it_says_which_model_it_is(embedder: Embedder) -> None:
    assert embedder.model
    assert embedder.revision
    assert embedder.dimension > 0


def test_each_text_has_a_vector_of_length_one_in_order(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert [len(vector) for vector in vectors] == [embedder.dimension] * len(TEXTS)
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * len(TEXTS), abs=1e-5)
    assert vectors[0] == vectors[4]
    assert vectors[0] != vectors[1]


def test_the_same_text_gives_the_same_vector_alone_or_among_others(embedder: Embedder) -> None:
    among = embedder.embed(TEXTS)
    for text, vector in zip(TEXTS, among, strict=True):
        assert embedder.embed([text])[0] == pytest.approx(vector, abs=1e-5)


def test_no_texts_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]) == []


def test_where_the_owner_has_gone_a_process_embeds_for_itself(tmp_path: Path) -> None:
    owner = SharedIndex(tmp_path, HashingEmbedder(64))
    other = SharedIndex(tmp_path, HashingEmbedder(64))
    embedder = SharedEmbedder(HashingEmbedder(64), other.embed)
    before = embedder.embed(TEXTS)
    owner.close()
    assert embedder.embed(TEXTS) == before
    other.close()
