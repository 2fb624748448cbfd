"""SemanticIndex over a Qdrant server: one alias, and behind it the collection that was filled last.

Invariants: an older version never replaces a newer one, since each write carries the condition and the server compares; a
write goes to the very collection whose model and run were read, never to one that took its place; a successor is made and
filled beside the collection that answers, and the alias turns to it in one step, so a rebuild leaves no moment without an
index. Nothing is asked of the server before
the first call, so a server that is away stops no process from starting. With several shards each counts its words for itself,
so BM25 scores differ a little from those of one shard. Decides nothing about scale: that is the server's sharding and replication.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID, uuid4, uuid5

from kg.errors import ModelMismatchError, SearchIndexError
from kg.index import HITS_MAX, POINTS_MAX, Embedder, Held, Info, Point, Scored
from kg.indexes.edge import EXACT_MAX, TIES
from kg.indexes.edge_bm25 import make_bm25
from kg.indexes.qdrant_server import MissingCollectionError, QdrantServer

#: Version of the collection's layout.
FORMAT = 1
#: Points of one request: 384 numbers each make less than a megabyte.
WRITE_MAX = 250
#: What follows the alias in a collection's name.
_STAMP = re.compile(r"-[0-9a-f]{32}")
_POINTS = UUID("4a1d5c0e-52c9-5b0f-9a56-6c1f7f0f6a3d")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a collection is made; an existing one keeps its own until the next rebuild. None: the server's default."""

    on_disk: bool = False
    quantised: bool = False
    shards: int | None = None
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class _Collection:
    """A collection as the alias gave it: its own name, what it was built with, about how many points it has."""

    name: str
    info: Info
    count: int


class QdrantIndex:
    """Port SemanticIndex over one alias of a server."""

    def __init__(
        self, server: QdrantServer, embedder: Embedder, alias: str = "noesis", layout: Layout | None = None
    ) -> None:
        """Note where the index is; two graphs on one server need two aliases."""
        self._server = server
        self._alias = alias
        self._layout = layout or Layout()
        self._wanted = Info(embedder.model, embedder.revision, embedder.dimension, "", "")
        self._bm25 = make_bm25()
        self._connecting = threading.Lock()
        self._client: Any = None
        self._seen: _Collection | None = None
        self._next: _Collection | None = None
        self._closed = False

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, each only where the server holds an older version of its entity, or none."""
        made = self._made(points)
        with self._calling():
            self._write(made, lambda: self._usable().name)

    def _made(self, points: Sequence[Point]) -> list[tuple[int, Any]]:
        for point in points:
            self._same_dimension(point.vector, "a vector")
        with self._calling() as (_, models):
            made: list[tuple[int, Any]] = []
            for point in points:
                vector = {"dense": list(point.vector), "bm25": _sparse(models, self._bm25.embed_document(point.text))}
                payload = {"id": point.id, "cls": point.cls, "v": point.version, "department": point.department}
                made.append((point.version, models.PointStruct(id=_uuid(point.id), vector=vector, payload=payload)))
        return made

    def remove(self, gone: Mapping[str, int]) -> None:
        """Replace points by marks without vectors, which no search can hit."""
        with self._calling() as (_, models):
            made: list[tuple[int, Any]] = []
            for id, version in gone.items():
                payload = {"id": id, "v": version, "gone": True}
                made.append((version, models.PointStruct(id=_uuid(id), vector={}, payload=payload)))
            self._write(made, lambda: self._usable().name)

    def _write(self, points: Sequence[tuple[int, Any]], collection: Callable[[], str]) -> None:
        ordered = sorted(points, key=lambda item: item[0])
        for start in range(0, len(ordered), WRITE_MAX):
            by_version: dict[int, list[Any]] = {}
            for version, point in ordered[start : start + WRITE_MAX]:
                by_version.setdefault(version, []).append(point)
            with self._calling() as (client, models):
                operations: list[Any] = []
                for version, some in by_version.items():
                    # INVARIANT I7: the server itself compares, so a late writer cannot slip between reading and writing.
                    older = models.Filter(must=[models.FieldCondition(key="v", range=models.Range(lt=version))])
                    part = models.PointsList(points=some, update_filter=older)
                    operations.append(models.UpsertOperation(upsert=part))
                client.batch_update_points(collection(), operations, wait=True)

    def search_dense(self, vector: Sequence[float], classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The nearest points by cosine."""
        self._same_dimension(vector, "the query")
        with self._calling():
            return self._search(list(vector), "dense", classes, first)

    def search_sparse(self, text: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The best points by BM25; none where the text has no word that counts."""
        words = self._bm25.embed_query(text)
        with self._calling() as (_, models):
            return self._search(_sparse(models, words), "bm25", classes, first) if words.indices else []

    def _search(self, query: Any, using: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        if classes is not None and not classes:
            return []
        with self._calling() as (client, models):
            match = None
            if classes is not None:
                among = models.FieldCondition(key="cls", match=models.MatchAny(any=list(classes)))
                match = models.Filter(must=[among])
            exact = models.SearchParams(exact=self._usable().count <= EXACT_MAX)
            found = client.query_points(
                self._alias,
                query=query,
                using=using,
                query_filter=match,
                limit=min(first, HITS_MAX) + TIES,
                # The client's own engine is always exact and warns where it is told so.
                search_params=None if self._server.memory else exact,
                with_payload=True,
            ).points
        hits = [Scored(hit.payload["id"], int(hit.payload["v"]), float(hit.score)) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:first]

    def held(self, after: str = "", first: int = POINTS_MAX) -> tuple[list[Held], str]:
        """A page in order of point ids."""
        with self._calling() as (client, _):
            self._usable()
            records, following = client.scroll(
                self._alias, offset=after or None, limit=min(first, POINTS_MAX), with_payload=True
            )
        page = [Held(r.payload["id"], int(r.payload["v"]), bool(r.payload.get("gone"))) for r in records]
        return page, str(following) if following is not None else ""

    def engine(self) -> str:
        """The server's product and version, asked anew."""
        return f"Qdrant {self._server.version()}"

    def info(self) -> Info:
        """What the collection says that the alias stands for now; an empty one is made where there is none."""
        with self._calling():
            return self._look().info

    def reset(self, mapping: str, bound: str) -> None:
        """Turn the alias to a new, empty collection, then drop the earlier ones."""
        with self._calling():
            self._replace(mapping, bound)

    def begin(self, mapping: str, bound: str) -> Info:
        """Make an empty collection beside the one that answers; others that were begun are dropped."""
        with self._calling() as (client, models):
            self._look()
            earlier = self._stamped(client)
            self._next = self._fresh(client, models, mapping, bound)
            self._drop(client, earlier)
            return self._next.info

    def fill(self, bound: str, points: Sequence[Point]) -> None:
        """Write points into the collection beside the one that answers."""
        made = self._made(points)
        with self._calling():
            self._write(made, lambda: self._successor(bound).name)

    def finish(self, bound: str) -> None:
        """Turn the alias to the collection that was filled, then drop the earlier ones."""
        with self._calling() as (client, models):
            successor = self._successor(bound)
            # A successor that another rebuild dropped must be found out before the alias turns.
            client.get_collection(successor.name)
            earlier = [name for name in self._stamped(client) if name != successor.name]
            self._turn(client, models, successor)
            self._drop(client, earlier)
            self._next = None

    def _successor(self, bound: str) -> _Collection:
        if self._next is None or self._next.info.bound != bound:
            raise SearchIndexError("another rebuild took the place of this one; look whether it has ended")
        return self._next

    def close(self) -> None:
        """End the connections; a second call does nothing."""
        with self._connecting:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # -- the collection ---------------------------------------------------------------------------------------------

    @contextmanager
    def _calling(self) -> Iterator[tuple[Any, Any]]:
        """The client and its models; what the client raises comes out as SearchIndexError."""
        try:
            with self._server.translated():
                client = self._connected()
                from qdrant_client import models

                yield client, models
        except MissingCollectionError:
            self._seen = None
            raise

    def _connected(self) -> Any:
        with self._connecting:
            if self._closed:
                raise SearchIndexError("the semantic index is closed; open it again")
            if self._client is None:
                self._client = self._server.connect()
            return self._client

    def _look(self) -> _Collection:
        """The collection that the alias stands for now, made where there is none."""
        with self._calling() as (client, _):
            try:
                with self._server.translated():
                    found = client.get_collection(self._alias)
            except MissingCollectionError:
                return self._replace("", "")
        try:
            form = dict(found.config.metadata)
            if form.pop("format") != FORMAT:
                raise SearchIndexError("the index was made by another version of Noesis; run `noesis index rebuild`")
            name = str(form.pop("collection"))
            form["dimension"] = int(form["dimension"])
            self._seen = seen = _Collection(name, Info(**form), int(found.points_count or 0))
        except (TypeError, KeyError, ValueError):
            raise SearchIndexError(
                f"collection {self._alias} on the Qdrant server is not an index of Noesis; set qdrant_collection to another name"
            ) from None
        return seen

    def _usable(self) -> _Collection:
        """The collection last looked at; ModelMismatchError where another model filled it."""
        seen = self._seen or self._look()
        if replace(seen.info, mapping="", bound="") != self._wanted:
            raise ModelMismatchError
        return seen

    def _replace(self, mapping: str, bound: str) -> _Collection:
        with self._calling() as (client, models):
            earlier = self._stamped(client)
            fresh = self._fresh(client, models, mapping, bound)
            self._turn(client, models, fresh)
            self._drop(client, earlier)
        self._seen = fresh
        return fresh

    def _fresh(self, client: Any, models: Any, mapping: str, bound: str) -> _Collection:
        made = _Collection(f"{self._alias}-{uuid4().hex}", replace(self._wanted, mapping=mapping, bound=bound), 0)
        self._create(client, models, made)
        return made

    def _turn(self, client: Any, models: Any, fresh: _Collection) -> None:
        """Turn the alias to a collection in one step."""
        create = models.CreateAlias(collection_name=fresh.name, alias_name=self._alias)
        turn: list[Any] = [models.CreateAliasOperation(create_alias=create)]
        if any(alias.alias_name == self._alias for alias in client.get_aliases().aliases):
            drop = models.DeleteAlias(alias_name=self._alias)
            turn.insert(0, models.DeleteAliasOperation(delete_alias=drop))
        client.update_collection_aliases(turn)
        self._seen = None

    def _stamped(self, client: Any) -> list[str]:
        """The collections of this index, whichever the alias means."""
        held = [c.name for c in client.get_collections().collections]
        return [name for name in held if _STAMP.fullmatch(name.removeprefix(self._alias))]

    def _drop(self, client: Any, earlier: Sequence[str]) -> None:
        """Drop what was there before a collection was made, and so also what a crash has left; never one begun after it."""
        current = {a.collection_name for a in client.get_aliases().aliases if a.alias_name == self._alias}
        for name in earlier:
            if name not in current:
                client.delete_collection(name)

    def _create(self, client: Any, models: Any, fresh: _Collection) -> None:
        layout = self._layout
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        client.create_collection(
            fresh.name,
            vectors_config={
                "dense": models.VectorParams(
                    size=fresh.info.dimension,
                    distance=models.Distance.COSINE,
                    on_disk=layout.on_disk,
                    quantization_config=models.ScalarQuantization(scalar=scalar) if layout.quantised else None,
                )
            },
            sparse_vectors_config={
                "bm25": models.SparseVectorParams(
                    modifier=models.Modifier.IDF, index=models.SparseIndexParams(on_disk=layout.on_disk)
                )
            },
            on_disk_payload=layout.on_disk,
            shard_number=layout.shards,
            replication_factor=layout.replicas,
            metadata={"format": FORMAT, "collection": fresh.name, **asdict(fresh.info)},
        )
        if self._server.memory:
            return  # The client's own engine has no payload indexes.
        kinds = models.PayloadSchemaType
        for name, kind in (("v", kinds.INTEGER), ("cls", kinds.KEYWORD), ("department", kinds.KEYWORD)):
            client.create_payload_index(fresh.name, name, kind, wait=True)

    def _same_dimension(self, vector: Sequence[float], what: str) -> None:
        if len(vector) != self._wanted.dimension:
            raise SearchIndexError(f"{what} has {len(vector)} numbers instead of {self._wanted.dimension}")


def _uuid(id: str) -> str:
    return str(uuid5(_POINTS, id))


def _sparse(models: Any, words: Any) -> Any:
    return models.SparseVector(indices=list(words.indices), values=list(words.values))
