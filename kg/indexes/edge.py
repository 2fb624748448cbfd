"""SemanticIndex over qdrant-edge-py: Qdrant's own engine inside this process, one folder on disk.

Invariants: one lock around every call; an older version never replaces a newer one, since each write carries the condition;
`optimize()` is never called, because it holds the interpreter for seconds, so dense search is exact up to EXACT_MAX points.
The folder belongs to one process at a time: `kg.indexes.shared` sees to that.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from kg.errors import ModelMismatchError, SearchIndexError
from kg.index import HITS_MAX, POINTS_MAX, Embedder, Held, Info, Point, Scored
from kg.indexes.edge_bm25 import make_bm25

#: Points up to which every vector is compared; 1 ms at 12,000.
EXACT_MAX = 50_000
#: Hits asked for beyond the wanted ones, so that equal scores at the end are ordered by id and not by chance.
TIES = 16
#: Version of the folder's layout.
FORMAT = 1
_META = "meta.json"
#: The shard that answers stands in one of these, its successor in the other.
_SHARDS = ("shard", "shard-next")
_POINTS = UUID("0b8f6a1e-6f0c-5a53-9d5b-6d2d0f6c2a11")


class EdgeIndex:
    """Port SemanticIndex over one shard."""

    def __init__(self, folder: Path, embedder: Embedder, fresh: bool = False) -> None:
        """Open or make the index; ModelMismatchError where it was built with another model, unless `fresh` drops it."""
        import qdrant_edge

        self._vendor: Any = qdrant_edge
        self._folder = folder
        self._lock = threading.Lock()
        self._shard: Any = None
        self._place = _SHARDS[0]
        self._next: tuple[Info, Any] | None = None
        self._bm25 = make_bm25()
        wanted = Info(embedder.model, embedder.revision, embedder.dimension, "", "")
        with self._translated():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found, self._place = (None, _SHARDS[0]) if fresh else _read_meta(folder)
            if found is not None and replace(found, mapping="", bound="") != wanted:
                raise ModelMismatchError(
                    f"the index was built with {found.model} ({found.revision[:19]}, {found.dimension} numbers), not with "
                    f"{wanted.model} ({wanted.revision[:19]}, {wanted.dimension}); run `noesis index rebuild` or set the "
                    "earlier model"
                )
            if found is not None and (folder / self._place).is_dir():
                self._info = found
                self._shard = qdrant_edge.EdgeShard.load(str(folder / self._place), self._config())
            else:
                self._info = wanted
                self._create("", "")
            self._count = self._shard.count(qdrant_edge.CountRequest(exact=True))

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, each only where the shard holds an older version of its entity, or none."""
        made = self._made(points)
        with self._lock, self._translated():
            self._write(self._shard, made)
            self._count = self._shard.count(self._vendor.CountRequest(exact=False))

    def _made(self, points: Sequence[Point]) -> list[tuple[int, Any]]:
        made: list[tuple[int, Any]] = []
        for point in points:
            if len(point.vector) != self._info.dimension:
                raise SearchIndexError(f"a vector has {len(point.vector)} numbers instead of {self._info.dimension}")
            vectors = {"dense": list(point.vector), "bm25": self._bm25.embed_document(point.text)}
            payload = {"id": point.id, "cls": point.cls, "v": point.version, "department": point.department}
            made.append((point.version, self._vendor.Point(_uuid(point.id), vectors, payload)))
        return made

    def remove(self, gone: Mapping[str, int]) -> None:
        """Replace points by marks without vectors, which no search can hit."""
        made = [
            (version, self._vendor.Point(_uuid(id), {}, {"id": id, "v": version, "gone": True}))
            for id, version in gone.items()
        ]
        with self._lock, self._translated():
            self._write(self._shard, made)
            self._count = self._shard.count(self._vendor.CountRequest(exact=False))

    def _write(self, shard: Any, points: Sequence[tuple[int, Any]]) -> None:
        vendor = self._vendor
        for version in sorted({version for version, _ in points}):
            # INVARIANT I7: the engine itself compares, so a late writer cannot slip between reading and writing.
            older = vendor.FieldCondition(key="v", range=vendor.RangeFloat(lt=version))
            some = [point for v, point in points if v == version]
            for start in range(0, len(some), POINTS_MAX):
                part = some[start : start + POINTS_MAX]
                shard.update(vendor.UpdateOperation.upsert_points(part, condition=vendor.Filter(must=[older])))

    def search_dense(self, vector: Sequence[float], classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The nearest points by cosine."""
        if len(vector) != self._info.dimension:
            raise SearchIndexError(f"the query has {len(vector)} numbers instead of {self._info.dimension}")
        return self._search(list(vector), "dense", classes, first)

    def search_sparse(self, text: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The best points by BM25; none where the text has no word that counts."""
        sparse = self._bm25.embed_query(text)
        return self._search(sparse, "bm25", classes, first) if sparse.indices else []

    def _search(self, query: Any, using: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        vendor = self._vendor
        match = None
        if classes is not None:
            match = vendor.Filter(must=[vendor.FieldCondition(key="cls", match=vendor.MatchAny(list(classes)))])
        with self._lock, self._translated():
            found = self._shard.query(
                vendor.QueryRequest(
                    limit=min(first, HITS_MAX) + TIES,
                    query=vendor.Query.Nearest(query, using=using),
                    filter=match,
                    params=vendor.SearchParams(exact=self._count <= EXACT_MAX),
                    with_payload=True,
                )
            )
        hits = [Scored(hit.payload["id"], int(hit.payload["v"]), float(hit.score)) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:first]

    def held(self, after: str = "", first: int = POINTS_MAX) -> tuple[list[Held], str]:
        """A page in order of point ids."""
        vendor = self._vendor
        with self._lock, self._translated():
            request = vendor.ScrollRequest(offset=after or None, limit=min(first, POINTS_MAX), with_payload=True)
            records, following = self._shard.scroll(request)
        page = [Held(r.payload["id"], int(r.payload["v"]), bool(r.payload.get("gone"))) for r in records]
        return page, str(following) if following is not None else ""

    def info(self) -> Info:
        """What the folder's meta file says."""
        return self._info

    def reset(self, mapping: str, bound: str) -> None:
        """Start with an empty shard."""
        with self._lock, self._translated():
            self._create(mapping, bound)

    def begin(self, mapping: str, bound: str) -> Info:
        """Start an empty shard beside this one."""
        with self._lock, self._translated():
            self._still_open()
            self._drop_next()
            info = replace(self._info, mapping=mapping, bound=bound)
            self._next = info, self._made_shard(self._other)
            return info

    def fill(self, bound: str, points: Sequence[Point]) -> None:
        """Write points into the shard beside this one."""
        made = self._made(points)
        with self._lock, self._translated():
            self._write(self._successor(bound)[1], made)

    def finish(self, bound: str) -> None:
        """Answer from the shard beside this one: the meta file turns to it in one step, then the earlier one goes."""
        with self._lock, self._translated():
            info, shard = self._successor(bound)
            shard.flush()
            earlier, before = self._shard, self._place
            _write_meta(self._folder, info, self._other)
            self._info, self._shard, self._place, self._next = info, shard, self._other, None
            self._count = shard.count(self._vendor.CountRequest(exact=True))
            earlier.close()
            shutil.rmtree(self._folder / before, ignore_errors=True)

    @property
    def _other(self) -> str:
        return _SHARDS[1 - _SHARDS.index(self._place)]

    def _still_open(self) -> None:
        if self._shard is None:
            raise SearchIndexError("the semantic index is closed; open it again")

    def _successor(self, bound: str) -> tuple[Info, Any]:
        self._still_open()
        if self._next is None or self._next[0].bound != bound:
            raise SearchIndexError("another rebuild took the place of this one; look whether it has ended")
        return self._next

    def _drop_next(self) -> None:
        if self._next is not None:
            self._next[1].close()
            self._next = None

    def close(self) -> None:
        """Flush and release the shard; a second call does nothing."""
        with self._lock, self._translated():
            self._drop_next()
            if self._shard is not None:
                self._shard.flush()
                self._shard.close()
                self._shard = None

    def _create(self, mapping: str, bound: str) -> None:
        # The unbound meta file goes first: a crash on the way leaves an index that the indexer knows it must fill.
        self._info = replace(self._info, mapping="", bound="")
        _write_meta(self._folder, self._info, self._place)
        self._drop_next()
        if self._shard is not None:
            self._shard.close()
        self._shard = self._made_shard(self._place)
        self._info = replace(self._info, mapping=mapping, bound=bound)
        self._count = 0
        _write_meta(self._folder, self._info, self._place)

    def _made_shard(self, place: str) -> Any:
        """An empty shard in that folder; what was there, or was left by a crash, goes."""
        shutil.rmtree(self._folder / place, ignore_errors=True)
        (self._folder / place).mkdir(mode=0o700)
        shard = self._vendor.EdgeShard.create(str(self._folder / place), self._config())
        schema = self._vendor.PayloadSchemaType
        for name, kind in (("v", schema.Integer), ("cls", schema.Keyword)):
            shard.update(self._vendor.UpdateOperation.create_field_index(name, kind))
        return shard

    def _config(self) -> Any:
        vendor = self._vendor
        dense = vendor.EdgeVectorParams(size=self._info.dimension, distance=vendor.Distance.Cosine)
        sparse = vendor.EdgeSparseVectorParams(modifier=vendor.Modifier.Idf)
        return vendor.EdgeConfig(vectors={"dense": dense}, sparse_vectors={"bm25": sparse})

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The engine raises bare Exception with a text; ours says what to do."""
        try:
            yield
        except (SearchIndexError, KeyboardInterrupt):
            raise
        except Exception as error:
            if "WouldBlock" in str(error):
                raise SearchIndexError("another process owns the semantic index; ask it, or stop it") from None
            if self._shard is None and isinstance(error, AttributeError):
                raise SearchIndexError("the semantic index is closed; open it again") from None
            raise SearchIndexError(f"the semantic index cannot serve ({error}); run `noesis index rebuild`") from None


def _uuid(id: str) -> str:
    return str(uuid5(_POINTS, id))


def _read_meta(folder: Path) -> tuple[Info | None, str]:
    """What the shard was built with, None where nobody knows, and the folder it stands in."""
    try:
        form = json.loads((folder / _META).read_text())
        if form.pop("format") != FORMAT:
            raise ModelMismatchError("the index was made by another version of Noesis; run `noesis index rebuild`")
        place = form.pop("shard", _SHARDS[0])
        _SHARDS.index(place)
        return Info(**form), place
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None, _SHARDS[0]


def _write_meta(folder: Path, info: Info, place: str) -> None:
    draft = folder / (_META + ".new")
    with draft.open("w") as file:
        json.dump({"format": FORMAT, "shard": place, **asdict(info)}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _META)
