"""The index on a Qdrant server: it ranks as the embedded one does, is never missing, and may be away.

Without a server these run on the client's own engine and on ports that are closed or answer amiss.
"""

import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from kg import indexer as indexer_module
from kg.embedders.hashing import HashingEmbedder
from kg.errors import ModelMismatchError, SearchIndexError
from kg.index import Info, Point, Scored, SemanticIndex
from kg.indexes.edge import EdgeIndex
from kg.indexes.qdrant import WRITE_MAX, QdrantIndex
from kg.indexes.qdrant_server import MEMORY, QdrantServer
from tests.kg.search.world import held, world
from tests.kg.views import RuleView
from tests.services import ports

EMBEDDER = HashingEmbedder(64)
#: Two engines may put two hits the other way round only where their scores differ by less than this.
TOLERANCE = 1e-4
WORDS = [
    "bolt", "bolts", "steel", "late", "delivery", "deliveries", "Hamburg", "truck", "broken", "invoice", "overdue", "credit",
    "customer", "portal", "password", "reset", "supplier", "reorder", "stock", "price", "the", "of", "near", "Größe",
]  # fmt: skip


def point(id: str, version: int = 1, text: str = "steel bolts", cls: str = "Ticket") -> Point:
    return Point(id, cls, version, text, EMBEDDER.embed([text])[0])


@pytest.fixture
def client() -> Iterator[Any]:
    made = QdrantServer(MEMORY).connect()
    yield made
    made.close()


def on(client: Any, embedder: HashingEmbedder = EMBEDDER) -> QdrantIndex:
    """An index over an engine that several share, as processes share a server."""

    class Same(QdrantServer):
        def connect(self) -> Any:
            return client

    return QdrantIndex(Same(MEMORY), embedder)


def away() -> QdrantServer:
    return QdrantServer(f"http://127.0.0.1:{ports.free()}", "k3y", grpc_port=ports.free())


@contextmanager
def answering(status: int, body: object = None) -> Iterator[QdrantServer]:
    """A server that answers every request alike, over HTTP only."""

    class Alike(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Alike) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield QdrantServer(f"http://127.0.0.1:{server.server_port}", "k3y", grpc_port=ports.free())
        server.shutdown()
        thread.join()


def fill(index: SemanticIndex) -> None:
    """500 texts of three classes, a fifth of them replaced later, some removed."""
    noise = random.Random(5)
    points = [
        point(f"p{n:03}", 1, " ".join(noise.choices(WORDS, k=noise.randrange(2, 14))), f"C{n % 3}") for n in range(500)
    ]
    index.upsert(points)
    index.upsert([point(p.id, 2, " ".join(noise.choices(WORDS, k=6)), p.cls) for p in points[::5]])
    index.remove({p.id: 3 for p in points[::11]})


def alike(mine: Sequence[Scored], theirs: Sequence[Scored]) -> None:
    """The same ids in the same order; two may change places only within TOLERANCE."""
    assert len(mine) == len(theirs)
    scores = {hit.id: hit.score for hit in mine}
    for one, other in zip(mine, theirs, strict=True):
        assert one.score == pytest.approx(other.score, abs=TOLERANCE)
        if one.id != other.id:
            assert scores.get(other.id, other.score) == pytest.approx(one.score, abs=TOLERANCE)


def test_it_ranks_as_the_embedded_engine_does(client: Any, tmp_path: Path) -> None:
    server, edge = on(client), EdgeIndex(tmp_path / "index", EMBEDDER)
    fill(server)
    fill(edge)
    noise, same, asked = random.Random(9), 0, 0
    for _ in range(40):
        text = " ".join(noise.choices(WORDS, k=3))
        vector = EMBEDDER.embed([text])[0]
        for classes in (None, ["C0"], ["C1", "C2"]):
            dense = server.search_dense(vector, classes, 20), edge.search_dense(vector, classes, 20)
            sparse = server.search_sparse(text, classes, 20), edge.search_sparse(text, classes, 20)
            for mine, theirs in (dense, sparse):
                alike(mine, theirs)
                asked += 1
                same += [hit.id for hit in mine] == [hit.id for hit in theirs]
    assert same >= 0.95 * asked, f"{same} of {asked} lists are the same to the last place"
    assert held(server) == held(edge)
    edge.close()


def test_more_than_one_request_of_points_are_all_written(client: Any) -> None:
    index = on(client)
    index.upsert([point(f"p{n:04}", 1 + n % 3) for n in range(2 * WRITE_MAX + 7)])
    assert len(held(index)) == 2 * WRITE_MAX + 7


def test_there_is_no_moment_without_an_index(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index = on(client)
    index.upsert([point("a")])
    seen: list[int] = []

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            seen.append(len(index.search_sparse("bolts", None, 5)))
            done = real(*arguments, **named)
            seen.append(len(index.search_sparse("bolts", None, 5)))
            return done

        return call

    for name in ("create_collection", "update_collection_aliases", "delete_collection"):
        monkeypatch.setattr(client, name, watched(name))
    index.reset("mapping", "run")
    assert seen == [1, 1, 1, 0, 0, 0], "the old one answers until the alias turns to the new one"


def test_a_rebuild_leaves_no_moment_without_the_whole_index(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(tmp_path, on(client))
    for n in range(7):
        made.thing(f"t{n}", f"steel bolts number{n}")
    made.indexer.run()
    monkeypatch.setattr(indexer_module, "BATCH_MAX", 3)
    seen: list[tuple[int, str | None]] = []

    def look() -> None:
        found = made.search("steel bolts")
        seen.append((len(found.hits), found.fallback))

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            look()
            done = real(*arguments, **named)
            look()
            return done

        return call

    for name in ("create_collection", "batch_update_points", "update_collection_aliases", "delete_collection"):
        monkeypatch.setattr(client, name, watched(name))
    made.indexer.rebuild()
    assert len(seen) >= 12, "asked before and after each step at the server"
    assert set(seen) == {(7, None)}
    assert made.search("bolts").behind == 0
    assert made.indexer.check().alike
    assert len(client.get_collections().collections) == 1


def test_a_running_indexer_and_a_rebuild_do_not_undo_each_other(client: Any, tmp_path: Path) -> None:
    made = world(tmp_path, on(client))
    for n in range(5):
        made.thing(f"t{n}", f"steel bolts number{n}")
    made.indexer.run()
    other = type(made.indexer)(made.store, on(client), EMBEDDER, made.ontology)
    real = client.update_collection_aliases
    taken: list[int] = []

    def turning(*arguments: Any, **named: Any) -> Any:
        made.thing("late", "steel bolts late")
        taken.append(other.run())
        done = real(*arguments, **named)
        made.thing("later", "steel bolts later")
        taken.append(other.run())
        return done

    client.update_collection_aliases = turning
    assert made.indexer.rebuild() == 5
    client.update_collection_aliases = real
    assert taken == [1, 2], "what came before the turn is taken again after it, since the successor had not seen it"
    assert len(client.get_collections().collections) == 1
    made.indexer.run()
    assert made.indexer.check().alike
    assert made.search("bolts").fallback is None


@pytest.mark.parametrize("after_turn", [False, True])
def test_a_rebuild_that_dies_at_its_turn_loses_nothing(client: Any, tmp_path: Path, after_turn: bool) -> None:
    made = world(tmp_path, on(client))
    made.thing("bolt", "steel bolts")
    made.indexer.run()
    index = made.index
    real = index.finish

    def dies(bound: str) -> None:
        if after_turn:
            real(bound)
        raise KeyboardInterrupt

    index.finish = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        made.indexer.rebuild()
    index.finish = real  # type: ignore[method-assign]
    assert [hit.entity.id for hit in made.search("bolts").hits] == ["bolt"]
    assert made.search("bolts").fallback is None
    made.thing("nut", "steel nuts")
    assert made.indexer.run() == 1
    assert made.indexer.check().alike
    made.indexer.rebuild()
    assert made.indexer.check().alike
    assert len(client.get_collections().collections) == 1


def test_a_reset_leaves_one_collection_and_takes_what_a_crash_left(client: Any) -> None:
    index = on(client)
    index.reset("m", "1")
    names = {collection.name for collection in client.get_collections().collections}
    client.create_collection("noesis-" + "0" * 32, {})
    client.create_collection("noesis-else", {})
    index.reset("m", "2")
    left = {collection.name for collection in client.get_collections().collections}
    assert len(left) == 2
    assert "noesis-else" in left, "what is not ours stays"
    assert not left & names
    assert {alias.collection_name for alias in client.get_aliases().aliases} == left - {"noesis-else"}
    assert index.info() == Info(EMBEDDER.model, EMBEDDER.revision, 64, "m", "2")


def test_a_write_meant_for_an_index_that_was_replaced_lands_nowhere(client: Any) -> None:
    late, other = on(client), on(client)
    late.info()
    other.reset("m", "another run")
    with pytest.raises(SearchIndexError, match="replaced meanwhile"):
        late.upsert([point("a", 1)])
    assert held(other) == {}
    assert late.info().bound == "another run"
    late.upsert([point("a", 1)])
    assert held(other) == {"a": (1, False)}


def test_an_index_that_was_deleted_by_hand_is_made_again_empty(client: Any) -> None:
    index = on(client)
    index.reset("m", "1")
    for collection in client.get_collections().collections:
        client.delete_collection(collection.name)
    with pytest.raises(SearchIndexError):
        index.search_sparse("bolts", None, 5)
    assert index.info().bound == "", "so the indexer knows that it must fill it"
    assert index.search_sparse("bolts", None, 5) == []


def test_another_model_is_never_mixed_in_and_a_rebuild_heals(client: Any) -> None:
    on(client).upsert([point("a")])
    other = on(client, HashingEmbedder(32))
    small = Point("b", "Ticket", 1, "nuts", HashingEmbedder(32).embed(["nuts"])[0])
    assert other.info().dimension == 64
    calls: list[Callable[[], object]] = [
        lambda: other.upsert([small]),
        lambda: other.remove({"a": 2}),
        lambda: other.search_sparse("bolts", None, 1),
    ]
    for call in calls:
        with pytest.raises(ModelMismatchError):
            call()
    other.reset("m", "1")
    other.upsert([small])
    assert other.info().dimension == 32
    assert held(other) == {"b": (1, False)}


def test_a_collection_of_somebody_else_is_left_alone(client: Any) -> None:
    client.create_collection("noesis", {})
    with pytest.raises(SearchIndexError, match="set qdrant_collection"):
        on(client).info()
    with pytest.raises(SearchIndexError):
        on(client).reset("m", "1")
    assert "noesis" in {collection.name for collection in client.get_collections().collections}


def test_search_and_indexer_over_it(client: Any, tmp_path: Path) -> None:
    made = world(tmp_path, on(client))
    made.thing("bolt", "steel bolts M8 out of stock")
    made.thing("late", "delivery late to Hamburg", "Ticket", about="bolt")
    made.thing("hidden", "steel bolts secret price", about="bolt", secret=True)
    made.indexer.run()
    assert made.ids("steel bolts", RuleView(hide=lambda entity: entity.get("secret") is True)) == ["bolt", "late"]
    assert made.search("steel bolts").fallback is None
    assert made.indexer.check().alike
    made.indexer.rebuild()
    assert made.indexer.check().alike


def test_a_server_that_is_away_stops_no_commit_and_search_says_so(client: Any, tmp_path: Path) -> None:
    made = world(tmp_path, QdrantIndex(away(), EMBEDDER))
    made.thing("bolt", "steel bolts M8 out of stock")
    with pytest.raises(SearchIndexError, match="does not answer"):
        made.indexer.run()
    made.thing("late", "delivery late to Hamburg", "Ticket", about="bolt")
    result = made.search("bolts")
    assert [hit.entity.id for hit in result.hits] == ["bolt", "late"]
    assert str(result.fallback).startswith("store text search: the Qdrant server at 127.0.0.1:")
    assert "k3y" not in str(result.fallback)
    assert result.behind == 2
    assert str(result.fallback).endswith("(index_behind: 2 changes)")
    back = on(client)
    type(made.indexer)(made.store, back, EMBEDDER, made.ontology).run()
    assert set(held(back)) == {"bolt", "late"}, "nothing of the time without it is lost"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, "no", "refuses the key; correct qdrant_key"),
        (404, "no", "is no Qdrant server"),
        (500, "k3y is no good", "cannot serve"),
        (200, {"title": "something else"}, "cannot serve"),
        (200, {"title": "qdrant", "version": "1.15.4"}, "is version 1.15.4; the index needs 1.16 or later"),
    ],
)
def test_what_answers_amiss_is_told_in_one_sentence_without_the_key(status: int, body: object, said: str) -> None:
    with answering(status, body) as server, pytest.raises(SearchIndexError, match=said) as told:
        QdrantIndex(server, EMBEDDER).info()
    assert "\n" not in str(told.value)
    assert "k3y" not in str(told.value)


def test_http_serves_where_grpc_does_not(tmp_path: Path) -> None:
    with answering(200, {"title": "qdrant", "version": "1.19.1"}) as server:
        reached = server.connect()
        assert reached.info().version == "1.19.1"
        reached.close()
    assert "k3y" not in repr(server)


def test_a_closed_index_says_so() -> None:
    index = QdrantIndex(QdrantServer(MEMORY), EMBEDDER)
    index.upsert([point("a")])
    index.close()
    index.close()
    with pytest.raises(SearchIndexError, match="closed"):
        index.info()
