"""The contract of port SemanticIndex, over every adapter and the oracle."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from kg.embedders.hashing import HashingEmbedder
from kg.errors import SearchIndexError
from kg.index import Held, Point, SemanticIndex
from kg.indexes.edge import EdgeIndex
from kg.indexes.qdrant import QdrantIndex
from kg.indexes.qdrant_server import MEMORY, QdrantServer
from kg.indexes.remote import RemoteIndex
from kg.indexes.shared import SharedIndex
from tests.oracles.index import MemoryIndex

EMBEDDER = HashingEmbedder(64)
TEXTS = {
    "a": "late delivery of steel bolts to Hamburg",
    "b": "invoice overdue, customer asks for credit",
    "c": "bolts out of stock, reorder from supplier",
    "d": "password reset for the portal",
    "e": "delivery truck broken down near Hamburg",
}


def point(id: str, version: int = 1, text: str | None = None, cls: str = "Ticket") -> Point:
    words = TEXTS[id] if text is None else text
    return Point(id, cls, version, words, EMBEDDER.embed([words])[0], "support")


def _memory(_: Path) -> Iterator[SemanticIndex]:
    yield MemoryIndex(EMBEDDER)


def _edge(folder: Path) -> Iterator[SemanticIndex]:
    index = EdgeIndex(folder, EMBEDDER)
    yield index
    index.close()


def _shared(folder: Path) -> Iterator[SemanticIndex]:
    index = SharedIndex(folder, EMBEDDER)
    yield index
    index.close()


def _asking(folder: Path) -> Iterator[SemanticIndex]:
    owner = SharedIndex(folder, EMBEDDER)
    asking = SharedIndex(folder, EMBEDDER)
    assert owner.owner
    assert not asking.owner
    yield asking
    asking.close()
    owner.close()


def _remote(folder: Path) -> Iterator[SemanticIndex]:
    owner = SharedIndex(folder, EMBEDDER)
    yield RemoteIndex(folder)
    owner.close()


def _qdrant(server: QdrantServer) -> Iterator[SemanticIndex]:
    alias = f"noesis-test-{uuid4().hex}"
    index = QdrantIndex(server, EMBEDDER, alias)
    yield index
    index.close()
    client = server.connect()
    for collection in client.get_collections().collections:
        if collection.name.startswith(alias):
            client.delete_collection(collection.name)
    client.close()


def _qdrant_memory(_: Path) -> Iterator[SemanticIndex]:
    yield from _qdrant(QdrantServer(MEMORY))


def _qdrant_server(_: Path) -> Iterator[SemanticIndex]:
    yield from _qdrant(QdrantServer(os.environ[SERVER], os.environ.get("NOESIS_QDRANT_KEY")))


#: Where it is set, the suite also runs on the real server there.
SERVER = "NOESIS_QDRANT_URL"
ADAPTERS: dict[str, Callable[[Path], Iterator[SemanticIndex]]] = {
    "oracle": _memory, "edge": _edge, "shared-owner": _shared, "shared-asking": _asking, "remote": _remote,
    "qdrant-memory": _qdrant_memory, **({"qdrant-server": _qdrant_server} if SERVER in os.environ else {}),
}  # fmt: skip
#: Adapters for one thread only: the client's own engine is for tests and breaks under several.
ONE_THREAD = frozenset({"qdrant-memory"})


@pytest.fixture(params=ADAPTERS)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SemanticIndex]:
    yield from ADAPTERS[request.param](tmp_path / "index")


def dense(index: SemanticIndex, text: str, classes: list[str] | None = None, first: int = 10) -> list[str]:
    return [hit.id for hit in index.search_dense(EMBEDDER.embed([text])[0], classes, first)]


def sparse(index: SemanticIndex, text: str, classes: list[str] | None = None, first: int = 10) -> list[str]:
    return [hit.id for hit in index.search_sparse(text, classes, first)]


def held(index: SemanticIndex, size: int = 1_000) -> list[Held]:
    found, place = index.held("", size)
    while place:
        page, place = index.held(place, size)
        found += page
    return sorted(found, key=lambda item: item.id)


def test_an_empty_index_finds_nothing(index: SemanticIndex) -> None:
    assert dense(index, "bolts") == sparse(index, "bolts") == held(index) == []


def test_it_finds_by_vector_and_by_words(index: SemanticIndex) -> None:
    index.upsert([point(id) for id in TEXTS])
    assert dense(index, "delivery of bolts late")[0] == "a"
    assert sparse(index, "bolts hamburg")[0] == "a"
    assert set(sparse(index, "Hamburg")) == {"a", "e"}
    assert sparse(index, "unheard") == []
    assert sparse(index, "") == []
    hits = index.search_sparse("bolts hamburg", None, 3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_dense_order_agrees_with_the_oracle(index: SemanticIndex) -> None:
    noise = random.Random(3)
    words = [f"w{n}" for n in range(40)]
    points = [point(f"p{n:03}", 1, " ".join(noise.choices(words, k=6)), f"C{n % 3}") for n in range(200)]
    oracle = MemoryIndex(EMBEDDER)
    oracle.upsert(points)
    index.upsert(points)
    for _ in range(10):
        vector = [noise.gauss(0, 1) for _ in range(64)]
        for classes in (None, ["C0"], ["C1", "C2"], []):
            mine = index.search_dense(vector, classes, 20)
            theirs = oracle.search_dense(vector, classes, 20)
            assert [hit.id for hit in mine] == [hit.id for hit in theirs]
            assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs], abs=1e-5)


def test_equal_scores_are_ordered_by_id(index: SemanticIndex) -> None:
    index.upsert([point(f"t{n}", 1, "zinc metal parts") for n in (5, 3, 9, 1, 7, 2)])
    assert dense(index, "zinc metal parts", first=4) == ["t1", "t2", "t3", "t5"]
    assert sparse(index, "zinc", first=4) == ["t1", "t2", "t3", "t5"]


def test_classes_narrow_both_searches(index: SemanticIndex) -> None:
    index.upsert([point("a", cls="Ticket"), point("c", cls="Product"), point("e", cls="Route")])
    assert sparse(index, "bolts", ["Product"]) == ["c"]
    assert set(dense(index, "bolts", ["Product", "Route"])) == {"c", "e"}
    assert dense(index, "bolts", []) == sparse(index, "bolts", []) == []


def test_an_older_version_never_replaces_a_newer_one(index: SemanticIndex) -> None:
    index.upsert([point("a", 3, "zebra")])
    index.upsert([point("a", 2, "lion")])
    index.upsert([point("a", 3, "tiger")])
    assert sparse(index, "zebra") == ["a"]
    assert sparse(index, "lion tiger") == []
    assert index.search_sparse("zebra", None, 1)[0].version == 3
    index.upsert([point("a", 5, "panther"), point("a", 4, "puma")])
    assert held(index) == [Held("a", 5, False)]
    assert sparse(index, "panther") == ["a"]


def test_a_removed_entity_leaves_a_mark_that_a_late_write_cannot_undo(index: SemanticIndex) -> None:
    index.upsert([point("a", 1), point("b", 1)])
    index.remove({"a": 2, "never": 4})
    index.upsert([point("a", 1), point("a", 2), point("never", 3, "bolts")])
    assert "a" not in dense(index, TEXTS["a"])
    assert sparse(index, "bolts") == []
    assert held(index) == [Held("a", 2, True), Held("b", 1, False), Held("never", 4, True)]
    index.remove({"b": 1})
    assert sparse(index, "invoice") == ["b"], "a removal of the same or an older version does nothing"
    index.upsert([point("a", 3)])
    assert sparse(index, "bolts") == ["a"], "what came back later is found again"


def test_held_pages_cover_everything_once(index: SemanticIndex) -> None:
    index.upsert([point(f"p{n:02}", n + 1, "text") for n in range(23)])
    index.remove({"p05": 99})
    everything = held(index)
    assert [item.id for item in everything] == [f"p{n:02}" for n in range(23)]
    assert everything[5] == Held("p05", 99, True)
    assert held(index, 4) == everything


def test_reset_empties_marks_too_and_notes_what_fills_it(index: SemanticIndex) -> None:
    before = index.info()
    assert (before.model, before.dimension, before.mapping, before.bound) == (EMBEDDER.model, 64, "", "")
    index.upsert([point("a", 7)])
    index.remove({"b": 9})
    index.reset("mapping-1", "run-1")
    assert held(index) == []
    assert (index.info().mapping, index.info().bound) == ("mapping-1", "run-1")
    index.upsert([point("a", 1), point("b", 1)])
    assert [item.version for item in held(index)] == [1, 1]


def test_wrong_dimensions_are_refused(index: SemanticIndex) -> None:
    with pytest.raises(SearchIndexError):
        index.upsert([Point("a", "Ticket", 1, "text", [1.0, 0.0])])
    with pytest.raises(SearchIndexError):
        index.search_dense([1.0], None, 5)
    assert held(index) == []


def test_ids_and_texts_may_hold_anything(index: SemanticIndex) -> None:
    strange = ["", "üλ", "x" * 300, "a'b\"c\\d", "🙂"]
    index.upsert([point(id or "empty", 1, f"Größe {id} straße") for id in strange])
    assert len(held(index)) == 5
    assert set(sparse(index, "straße")) == {id or "empty" for id in strange}
    assert dense(index, "", first=3)


@pytest.mark.parametrize("index", sorted(ADAPTERS.keys() - ONE_THREAD), indirect=True)
def test_writers_and_readers_in_threads_lose_nothing(index: SemanticIndex) -> None:
    errors: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            for n in range(25):
                index.upsert([point(f"w{worker}-{n:02}", version, f"text {n}") for version in (2, 1)])
                index.remove({f"w{worker}-{n:02}": 3} if n % 5 == 0 else {})
        except BaseException as error:
            errors.append(error)

    def read() -> None:
        try:
            for _ in range(40):
                assert len(dense(index, "text", first=7)) <= 7
                sparse(index, "text 3")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    found = held(index)
    assert len(found) == 100
    assert sum(item.gone for item in found) == 20
    assert all(item.version == (3 if item.gone else 2) for item in found)


def test_a_successor_is_filled_while_the_index_answers_and_takes_its_place_at_once(index: SemanticIndex) -> None:
    index.upsert([point("a", 4), point("b", 2)])
    index.begin("mapping-2", "run-2")
    index.fill("run-2", [point("c", 7)])
    assert sparse(index, "bolts") == ["a"], "the successor is not asked before its time"
    index.upsert([point("d", 1)])
    assert (index.info().mapping, index.info().bound) == ("", "")
    index.finish("run-2")
    assert held(index) == [Held("c", 7, False)]
    assert sparse(index, "bolts") == dense(index, "bolts") == ["c"]
    assert (index.info().mapping, index.info().bound) == ("mapping-2", "run-2")
    index.upsert([point("c", 6), point("e", 1)])
    assert held(index) == [Held("c", 7, False), Held("e", 1, False)], "it is an index like any other"
    index.begin("mapping-3", "run-3")
    index.fill("run-3", [point("a", 1)])
    index.finish("run-3")
    assert sparse(index, "bolts") == ["a"]


def test_a_rebuild_that_another_one_overtook_is_told_so(index: SemanticIndex) -> None:
    index.upsert([point("a", 1)])
    index.begin("m", "first")
    index.begin("m", "second")
    for late in (lambda: index.fill("first", [point("b")]), lambda: index.finish("first")):
        with pytest.raises(SearchIndexError):
            late()
    index.reset("m", "third")
    index.upsert([point("c")])
    assert held(index) == [Held("c", 1, False)]
