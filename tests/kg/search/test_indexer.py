"""The indexer follows the feed, loses nothing on the way, and what it rebuilds answers alike (I8)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kg import indexer as indexer_module
from kg.embedders.hashing import HashingEmbedder
from kg.errors import ModelMismatchError, SearchIndexError
from kg.index import Point
from kg.indexer import CURSOR_KEY, CURSOR_KIND, Indexer, Standing, standing
from kg.indexes.edge import EdgeIndex
from kg.model import Close, Put
from kg.ontology import load
from tests.kg.search.world import TURTLE, World, held, world
from tests.oracles.index import MemoryIndex

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def small(tmp_path: Path) -> World:
    made = world(tmp_path)
    for n in range(10):
        made.thing(f"t{n}", f"title number{n}")
    return made


def position(world: World) -> int:
    return int(world.store.state(CURSOR_KIND, [CURSOR_KEY])[CURSOR_KEY].value["position"])


def behind(world: World) -> int:
    return standing(world.store, world.ontology, world.index.info()).behind


def test_an_index_is_filled_once_it_has_met_the_end(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def now() -> Standing:
        return standing(small.store, small.ontology, small.index.info())

    monkeypatch.setattr(indexer_module, "BATCH_MAX", 4)
    assert now() == Standing(False, 10)
    small.indexer.run_once()
    assert now() == Standing(False, 6)
    small.indexer.run()
    assert now() == Standing(True, 0)
    small.thing("t1", "changed")
    assert now() == Standing(True, 1)
    small.index.reset(small.index.info().mapping, "another run")
    assert now() == Standing(False, 11)
    small.indexer.rebuild()
    assert now() == Standing(True, 0)


def test_a_graph_without_texts_counts_as_filled(tmp_path: Path) -> None:
    for number, writes in enumerate(([], [Put("c", "Counter", {"value": 1})])):
        (tmp_path / str(number)).mkdir()
        made = world(tmp_path / str(number))
        if writes:
            made.write(*writes)
        made.indexer.run()
        assert standing(made.store, made.ontology, made.index.info()) == Standing(True, 0)


def test_it_follows_creations_updates_and_closings(small: World) -> None:
    assert small.indexer.run() == 10
    assert held(small.index) == {f"t{n}": (1, False) for n in range(10)}
    small.thing("t1", "another title")
    small.write(Close("t2"), Put("c", "Counter", {"value": 1}))
    assert behind(small) == 2
    assert small.indexer.run() == 3
    assert behind(small) == 0
    assert held(small.index)["t1"] == (2, False)
    assert held(small.index)["t2"] == (2, True)
    assert "c" not in held(small.index), "a class without searchable text is not indexed"
    assert small.indexer.run_once() == 0
    assert small.indexer.check().alike


def test_an_entity_that_loses_its_text_leaves_the_index(small: World) -> None:
    small.indexer.run()
    small.write(Put("t1", "Thing", unset=frozenset({"title"})))
    small.indexer.run()
    assert held(small.index)["t1"] == (2, True)
    assert small.indexer.check().alike
    small.thing("t1", "back again")
    small.indexer.run()
    assert held(small.index)["t1"] == (3, False)


def test_only_the_newest_version_is_embedded_when_catching_up(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer_module, "BATCH_MAX", 3)
    for n in range(20):
        small.thing("t1", f"title {n}")
        small.thing("t2", f"another {n}")
    texts: list[str] = []
    real = small.embedder.embed
    small.embedder.embed = lambda asked: (texts.extend(asked), real(asked))[1]  # type: ignore[method-assign]
    small.indexer.run()
    assert len(texts) == len(set(texts)) == 10


def test_batches_are_bounded_and_platform_noise_costs_nothing(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer_module, "BATCH_MAX", 3)
    small.write(*[Put(f"c{n}", "Counter", {"value": n}) for n in range(50)])
    taken = [small.indexer.run_once() for _ in range(5)]
    assert taken == [3, 3, 3, 51, 0]
    assert small.indexer.check().alike


def test_an_index_that_fails_keeps_the_cursor(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    small.indexer.run()
    small.thing("t1", "changed")
    before = position(small)

    def refuse(*_: object) -> None:
        raise SearchIndexError

    with monkeypatch.context() as patch:
        patch.setattr(small.index, "upsert", refuse)
        with pytest.raises(SearchIndexError):
            small.indexer.run_once()
    assert position(small) == before
    assert small.indexer.run_once() == 1
    assert small.indexer.check().alike


def test_two_indexers_do_not_move_the_cursor_twice(small: World) -> None:
    small.indexer.run()
    small.thing("t1", "changed")
    other = Indexer(small.store, small.index, small.embedder, small.ontology)
    real, taken = small.index.upsert, []

    def other_is_faster(points: object) -> None:
        small.index.upsert = real  # type: ignore[method-assign]
        taken.append(other.run_once())
        real(points)  # type: ignore[arg-type]

    small.index.upsert = other_is_faster  # type: ignore[method-assign]
    assert small.indexer.run_once() == 0
    assert taken == [1]
    assert position(small) == small.store.head().position
    assert small.indexer.check().alike


def test_a_lost_or_emptied_index_is_filled_again(small: World) -> None:
    small.indexer.run()
    fresh = MemoryIndex(small.embedder)
    again = Indexer(small.store, fresh, small.embedder, small.ontology)
    again.run()
    assert held(fresh) == held(small.index)
    assert again.check().alike


def test_an_index_that_was_filled_for_another_store_is_filled_again(small: World) -> None:
    small.indexer.run()
    info = small.index.info()
    small.index.reset(info.mapping, "another run")
    small.index.upsert([Point("stranger", "Thing", 1, "text", small.embedder.embed(["text"])[0])])
    small.indexer.run()
    assert small.indexer.check().alike
    assert "stranger" not in held(small.index)


def test_another_text_mapping_fills_it_again(small: World) -> None:
    small.indexer.run()
    small.index.remove({"t3": 99})
    wider = load({"world.ttl": TURTLE.replace('rdfs:label "Thing"', 'rdfs:label "Object"')})
    Indexer(small.store, small.index, small.embedder, wider).run()
    assert held(small.index)["t3"] == (1, False)


def test_another_model_is_refused(small: World) -> None:
    small.indexer.run()
    other = Indexer(small.store, small.index, HashingEmbedder(32), small.ontology)
    with pytest.raises(ModelMismatchError, match="noesis index rebuild"):
        other.run_once()
    assert held(small.index)["t1"] == (1, False)


def test_parity_finds_and_repairs_what_differs(small: World) -> None:
    small.indexer.run()
    small.index.remove({"t1": 5})
    small.thing("t2", "newer")
    small.write(Close("t3"))
    parity = small.indexer.check()
    assert (parity.missing, parity.stale, parity.extra) == (("t1",), ("t2",), ("t3",))
    small.indexer.repair(parity)
    assert small.indexer.check().missing == ("t1",), "a mark ahead of the graph needs a rebuild"
    assert small.indexer.check().stale == small.indexer.check().extra == ()
    small.indexer.rebuild()
    assert small.indexer.check().alike


#: Batches after which an indexer that still finds something to take goes round in circles.
BATCHES_MAX = 50


def follow(made: World) -> None:
    """Take what is there into the index; a failure, not a hang, where no batch is the last."""
    for _ in range(BATCHES_MAX):
        if not made.indexer.run_once():
            return
    pytest.fail(f"the index still follows after {BATCHES_MAX} batches")


def test_a_rebuilt_index_answers_alike(tmp_path: Path) -> None:
    """I8, over the real engine and a history with updates, closings and reopenings."""
    embedder = HashingEmbedder(64)
    index = EdgeIndex(tmp_path / "index", embedder)
    made = world(tmp_path, index)
    for n in range(60):
        made.thing(f"t{n:02}", f"bolt size{n % 7} colour{n % 5}", about=f"t{n // 2:02}")
        if n % 3 == 0:
            follow(made)
    for n in range(0, 60, 4):
        made.thing(f"t{n:02}", f"nut size{n % 7}")
    made.write(*[Close(f"t{n:02}") for n in range(0, 60, 10)])
    follow(made)
    made.thing("t10", "bolt size3 again")
    follow(made)
    queries = ["bolt", "nut size3", "colour2 bolt size1", "size3 again"]
    before = [made.search(query, first=20) for query in queries]
    progress: list[tuple[int, int]] = []
    assert made.indexer.rebuild(lambda done, total: progress.append((done, total))) == 55
    after = [made.search(query, first=20) for query in queries]
    assert [[h.entity.id for h in r.hits] for r in after] == [[h.entity.id for h in r.hits] for r in before]
    assert progress[-1] == (55, 55)
    assert made.indexer.check().alike
    assert made.indexer.run_once() == 0
    index.close()


CHILD = """
import sys
from pathlib import Path
from kg.embedders.hashing import HashingEmbedder
from kg.indexes.edge import EdgeIndex
from tests.kg.search.world import world
folder = Path(sys.argv[1])
made = world(folder, EdgeIndex(folder / "index", HashingEmbedder(64)))
taken = 0
while some := made.indexer.run_once():
    taken += some
    print(taken, flush=True)
    sys.stdin.readline()
print("end", flush=True)
"""


def test_killed_in_the_middle_of_indexing_it_goes_on_where_it_was(tmp_path: Path) -> None:
    made = world(tmp_path)
    for start in range(0, 2_000, 500):
        made.write(*[Put(f"t{n:04}", "Thing", {"title": f"title number{n}"}) for n in range(start, start + 500)])
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for after in (1, 3):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=REPOSITORY, bufsize=0,
        ) as child:  # fmt: skip
            assert child.stdin is not None
            assert child.stdout is not None
            for _ in range(after):
                assert child.stdout.readline().strip() not in (b"", b"end")
                # Told to go on it takes one batch more, however long it is before it dies.
                child.stdin.write(b"\n")
            child.send_signal(signal.SIGKILL)
    index = EdgeIndex(tmp_path / "index", made.embedder)
    again = Indexer(made.store, index, made.embedder, made.ontology)
    assert 0 < position(made) < 2_000, "killed in the middle"
    assert 0 < again.run() < 2_000, "what was done is not done again"
    assert again.check().alike
    assert len(held(index)) == 2_000
    index.close()
