"""One process owns the shard; another asks it, takes over when it ends, or is told that it does not answer."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kg.embedders.hashing import HashingEmbedder
from kg.errors import ModelMismatchError, OwnerGoneError, SearchIndexError
from kg.index import Point
from kg.indexer import Indexer
from kg.indexes import wire
from kg.indexes.edge import EdgeIndex
from kg.indexes.owner import Ownership
from kg.indexes.remote import RemoteIndex
from kg.indexes.shared import SharedIndex
from kg.search import search
from tests.kg.search.world import world
from tests.parts import OpenView

REPOSITORY = Path(__file__).resolve().parents[3]
EMBEDDER = HashingEmbedder(64)
OWNER = """
import sys
from pathlib import Path
from kg.embedders.hashing import HashingEmbedder
from kg.index import Point
from kg.indexer import Indexer
from kg.indexes.shared import SharedIndex
embedder = HashingEmbedder(64)
index = SharedIndex(Path(sys.argv[1]), embedder)
assert index.owner
index.upsert([Point("theirs", "Thing", 1, "zinc bolts", embedder.embed(["zinc bolts"])[0])])
print("ready", flush=True)
sys.stdin.read()
index.close()
"""


def point(id: str, text: str = "zinc bolts") -> Point:
    return Point(id, "Thing", 1, text, EMBEDDER.embed([text])[0])


@contextmanager
def owner(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=REPOSITORY,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child
        if child.poll() is None:
            child.kill()


def ids(index: SharedIndex | RemoteIndex) -> list[str]:
    return [hit.id for hit in index.search_sparse("zinc", None, 10)]


def test_a_second_process_asks_the_owner_and_writes_through_it(tmp_path: Path) -> None:
    with owner(tmp_path / "index"):
        index = SharedIndex(tmp_path / "index", EMBEDDER)
        assert not index.owner
        assert ids(index) == ["theirs"]
        index.upsert([point("mine")])
        assert ids(index) == ["mine", "theirs"]
        index.close()


@pytest.mark.parametrize("kill", [True, False])
def test_when_the_owner_ends_the_next_call_takes_over(tmp_path: Path, kill: bool) -> None:
    with owner(tmp_path / "index") as child:
        index = SharedIndex(tmp_path / "index", EMBEDDER)
        index.upsert([point("mine")])
        if kill:
            child.send_signal(signal.SIGKILL)
        elif child.stdin is not None:
            child.stdin.close()
        child.wait()
        if kill:
            assert index.owner, "asking whether it owns the folder takes it over"
        assert ids(index) == ["mine", "theirs"], "nothing acknowledged is lost"
        assert index.owner
        other = SharedIndex(tmp_path / "index", EMBEDDER)
        assert not other.owner
        assert ids(other) == ["mine", "theirs"]
        index.close()


def test_an_owner_that_does_not_answer_lets_search_fall_back(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.thing("bolt", "zinc bolts")
    held = Ownership.take(tmp_path / "index")
    assert held is not None
    index = SharedIndex(tmp_path / "index", made.embedder)
    with pytest.raises(OwnerGoneError, match="does not answer"):
        index.info()
    result = search(made.store, index, made.embedder, OpenView(), made.ontology, "zinc")
    assert [hit.entity.id for hit in result.hits] == ["bolt"]
    assert str(result.fallback).startswith("store text search: The process that owns")
    held.release()
    assert ids(index) == [], "it takes the folder over as soon as it can"
    assert index.owner
    index.close()


def test_the_shard_itself_refuses_a_second_process_in_one_sentence(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path / "index", EMBEDDER)
    with pytest.raises(SearchIndexError, match="another process owns"):
        EdgeIndex(tmp_path / "index", EMBEDDER)
    index.close()
    with pytest.raises(SearchIndexError, match="closed"):
        index.search_sparse("zinc", None, 3)


def test_the_folder_and_socket_are_for_this_user_only(tmp_path: Path) -> None:
    index = SharedIndex(tmp_path / "index", EMBEDDER)
    assert stat.S_IMODE((tmp_path / "index").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "index" / "owner.sock").stat().st_mode) == 0o600
    index.close()
    assert not (tmp_path / "index" / "owner.sock").exists()
    with pytest.raises(SearchIndexError, match="closed"):
        index.info()


def test_a_long_path_works_too(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 10) / "index"
    owning, asking = SharedIndex(folder, EMBEDDER), SharedIndex(folder, EMBEDDER)
    owning.upsert([point("a")])
    assert ids(asking) == ["a"]
    asking.close()
    owning.close()


def test_nonsense_on_the_socket_costs_only_its_connection(tmp_path: Path) -> None:
    index = SharedIndex(tmp_path / "index", EMBEDDER)
    for data in (b"", b"\x00", b"\xff" * 8, b"\x00\x00\x00\x02{]", b"\x00\x00\x00\x02{}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(tmp_path / "index" / "owner.sock"))
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                connection.recv(1_000)
    remote = RemoteIndex(tmp_path / "index")
    assert ids(remote) == []
    with pytest.raises(SearchIndexError, match="not understood"):
        wire.result("info", wire.answer(lambda name, _: getattr(index, name)(), {"call": "close", "with": []}))
    index.close()


def test_another_model_is_refused_until_the_index_is_dropped(tmp_path: Path) -> None:
    first = SharedIndex(tmp_path / "index", EMBEDDER)
    first.upsert([point("a")])
    first.close()
    other = SharedIndex(tmp_path / "index", HashingEmbedder(32))
    for asked in (other, RemoteIndex(tmp_path / "index")):
        with pytest.raises(ModelMismatchError, match=r"feature-hashing .* 64 numbers.*noesis index rebuild"):
            asked.info()
        with pytest.raises(ModelMismatchError):
            asked.search_sparse("zinc", None, 3)
    other.close()
    again = SharedIndex(tmp_path / "index", EMBEDDER)
    assert ids(again) == ["a"], "refusing changed nothing"
    again.close()


@pytest.mark.parametrize("remote", [False, True])
def test_rebuilding_is_the_remedy_for_another_model(tmp_path: Path, remote: bool) -> None:
    made = world(tmp_path)
    made.thing("bolt", "zinc bolts")
    first = SharedIndex(tmp_path / "index", HashingEmbedder(32))
    first.close()
    owning = SharedIndex(tmp_path / "index", EMBEDDER)
    index = RemoteIndex(tmp_path / "index") if remote else owning
    indexer = Indexer(made.store, index, EMBEDDER, made.ontology)
    with pytest.raises(ModelMismatchError):
        indexer.run()
    assert indexer.rebuild() == 1
    assert ids(owning) == ["bolt"]
    assert indexer.check().alike
    owning.close()


def test_rebuilding_at_an_owner_with_another_model_says_so(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.thing("bolt", "zinc bolts")
    owning = SharedIndex(tmp_path / "index", HashingEmbedder(32))
    asking = SharedIndex(tmp_path / "index", EMBEDDER)
    with pytest.raises(ModelMismatchError):
        Indexer(made.store, asking, EMBEDDER, made.ontology).rebuild()
    owning.close()


def test_a_damaged_shard_is_one_sentence_and_can_be_dropped(tmp_path: Path) -> None:
    index = SharedIndex(tmp_path / "index", EMBEDDER)
    index.upsert([point("a")])
    index.close()
    for file in (tmp_path / "index" / "shard").rglob("*.json"):
        file.write_text("broken")
    damaged = SharedIndex(tmp_path / "index", EMBEDDER)
    with pytest.raises(SearchIndexError, match="noesis index rebuild"):
        damaged.info()
    damaged.reset("mapping", "run")
    assert ids(damaged) == []
    assert damaged.info().bound == "run"
    damaged.close()
