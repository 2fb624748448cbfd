"""The contract of moving a whole graph: out of every store, into every store, and on working there."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kg.errors import ArchiveError
from kg.model import ABSENT, Cause, Close, Input, Link, Put, StateWrite, Unlink
from kg.stores.archive.export import export
from kg.stores.archive.load import MARK, load, unfinished
from kg.stores.neo4j import Neo4jStore
from kg.stores.sqlite import SqliteStore
from kg.values import Value
from tests.parts import FreeSchema, ManualClock
from tests.services.graph import empty, open_store
from tests.services.server import running

SCHEMA = FreeSchema(text={"Thing": ("name",)}, indexed={"Thing": ("name",)}, personal={"Thing": frozenset({"mail"})})
Movable = SqliteStore | Neo4jStore


class Houses:
    """Empty stores by name; there is one Neo4j, so a second one takes the place of the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: list[Movable] = []

    def make(self, name: str) -> Movable:
        store: Movable
        if name == "neo4j":
            empty(running("neo4j"))
            store = open_store(SCHEMA, ManualClock())
        else:
            store = SqliteStore(self.folder / f"{len(self.open)}.db", SCHEMA, ManualClock(), durable=False)
        self.open.append(store)
        return store


@pytest.fixture
def houses(tmp_path: Path) -> Iterator[Houses]:
    made = Houses(tmp_path)
    yield made
    for store in made.open:
        store.close()


def moves(kind: str, key: str) -> bool:
    return kind != "lease"


def cause(id: str, **more: Any) -> Cause:
    return Cause(id, "test", 'Service::"test"', "because", **more)


def fill(store: Movable) -> None:
    """Every kind of change, a cause that changes nothing, and machine rows."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    values: dict[str, Value] = {
        "name": "Ä \u2028 b",
        "mail": "a@example.com",
        "n": 2**53 - 1,
        "since": at,
        "took": timedelta(days=40),
    }
    store.commit([Put("a", "Thing", values, valid_from=at), Put("b", "Thing", {"name": "b"})], cause("1"))
    store.commit([Link("a", "knows", "b", {"w": 1}), Link("a", "knows", "nobody")], cause("2", inputs=(Input("a", 1),)))
    store.commit([Put("a", "Thing", {"name": "c"}, origin="x/1"), Close("b")], cause("3", attributes={"k": [1, None]}))
    store.commit([Unlink("a", "knows", "b"), Link("a", "owns", "b", exclusive=True)], cause("4"))
    store.commit([Put("a", "Thing", {"name": "c"})], cause("nothing"))
    store.commit([Put("b", "Thing", {"name": "again"})], cause("5"))
    for number in range(40):
        store.commit([Put(f"m{number}", "Many", {"n": number})], cause(f"m{number}"))
    rows = [StateWrite("cursor", "coordination", 7), StateWrite("lease", "feed", {"holder": "x"})]
    rows += [StateWrite("row", f"k{n}", {"id": f"é{n}"}, due=-n if n % 2 else None) for n in range(30)]
    store.commit([], None, state=rows)
    store.commit([], None, state=[StateWrite("cursor", "coordination", 8)])


def picture(store: Movable) -> dict[str, Any]:
    """All that a reader can ask."""
    head = store.head()
    ids = ["a", "b", "nobody", *(f"m{n}" for n in range(40))]
    found = store.changes(0, 1_000)
    return {
        "head": head,
        "changes": found,
        "causes": store.causes(list({change.cause for change in found} | {"nothing"})),
        "history": {id: store.history(id) for id in ids},
        "then": [(store.get(ids, at), store.relations(ids, at)) for at in (1, 4, 7, head.position)],
        "ledger": store.ledger(),
        "state": (store.scan("row", first=100), store.scan("cursor"), store.scan("row", due=0)),
        "found": sorted(id for id, _ in store.search_text("again")),
    }


@pytest.mark.parametrize("ways", [("sqlite", "neo4j", "sqlite"), ("neo4j", "sqlite", "neo4j")], ids="-".join)
def test_a_graph_moves_there_and_back_and_goes_on_working(ways: tuple[str, ...], houses: Houses) -> None:
    store = houses.make(ways[0])
    fill(store)
    before = picture(store)
    for number, name in enumerate(ways[1:]):
        file = houses.folder / f"{number}.archive"
        written = export(store, file, moves)
        assert file.stat().st_mode & 0o777 == 0o600
        store = houses.make(name)
        assert load(store, file) == written
        assert picture(store) == before
        assert store.scan("lease") == []
        assert unfinished(store) is None
        assert store.verify() == before["head"].position
    made = store.commit([Put("a", "Thing", {"name": "d"})], cause("on"), {"a": 2})
    assert (made.first, made.versions) == (before["head"].position + 1, {"a": 3})
    assert store.commit([Put("b", "Thing", {"name": "again"})], cause("5")).repeated
    assert store.verify() == before["head"].position + 1


@pytest.mark.parametrize("name", ["sqlite", "neo4j"])
def test_an_empty_graph_moves_and_a_filled_one_takes_none(name: str, houses: Houses) -> None:
    store = houses.make("sqlite")
    nothing, some = houses.folder / "nothing", houses.folder / "some"
    export(store, nothing, moves)
    fill(store)
    export(store, some, moves)
    with pytest.raises(ArchiveError, match="name another file"):
        export(store, some, moves)
    target = houses.make(name)
    load(target, nothing)
    load(target, some)
    with pytest.raises(ArchiveError, match="holds a graph already"):
        load(target, some)
    busy = houses.make(name)
    busy.commit([], None, state=[StateWrite("row", "x", 1, expect=ABSENT)])
    with pytest.raises(ArchiveError, match="holds a graph already"):
        load(busy, some)


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def rewritten(file: Path, lines: list[Any]) -> None:
    """An archive whose counts and digest fit whatever its lines say: only the ledger can tell."""
    import hashlib

    texts = [json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines[:-1]]
    counts = [sum(line[0] == kind for line in lines[1:-1]) for kind in ("cause", "change", "state")]
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()
    file.write_bytes(gzip.compress("".join([*texts, json.dumps(["end", *counts, digest]) + "\n"]).encode()))


def places(lines: list[Any], kind: str) -> list[int]:
    return [place for place, line in enumerate(lines) if isinstance(line, list) and line[0] == kind]


def hostile(lines: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Archives that somebody made by hand."""
    first, change = places(lines, "cause")[0], places(lines, "change")[0]
    yield (
        "a value",
        [
            *lines[:change],
            [*lines[change][:-1], [*lines[change][-1][:5], "{}", *lines[change][-1][6:]]],
            *lines[change + 1 :],
        ],
    )
    yield "no change", lines[:change] + lines[change + 1 :]
    yield "no cause", lines[:first] + lines[first + 1 :]
    yield "changes turned", [*lines[:change], lines[change + 1], lines[change], *lines[change + 2 :]]
    yield "reason", [*lines[:first], [*lines[first][:8], "other", *lines[first][9:]], *lines[first + 1 :]]
    yield "huge position", [*lines[:change], [lines[change][0], 10**15, *lines[change][2:]], *lines[change + 1 :]]
    yield "a text for a number", [*lines[:change], [lines[change][0], "1", *lines[change][2:]], *lines[change + 1 :]]
    yield "state that is no JSON", [lines[0], ["state", "x", "y", 1, None, "{"], *lines[1:]]
    yield "an unknown kind", [lines[0], ["shell", "rm"], *lines[1:]]
    yield "another root", [{**lines[0], "root": "00" * 32}, *lines[1:]]
    yield "another seal", [{**lines[0], "seal": "00" * 32}, *lines[1:]]
    yield "no header", lines[1:]
    yield "another format", [{**lines[0], "format": 2}, *lines[1:]]
    yield "a state without end", [lines[0], ["state", "x", "y", 1, None, "[" * 100_000], *lines[1:]]


def until(lines: list[Any]) -> list[Any]:
    """The end of a version is in no leaf; that it is wrong shows only when all versions are seen together."""
    place = next(p for p in places(lines, "change") if lines[p][-1] and len(lines[p][-1]) == 8 and lines[p][-1][0])
    made = lines[place][-1]
    return [*lines[:place], [*lines[place][:-1], [made[0] + 1, *made[1:]]], *lines[place + 1 :]]


@pytest.mark.parametrize("name", ["sqlite", "neo4j"])
def test_a_damaged_or_hostile_file_is_one_sentence_and_leaves_the_target_empty(name: str, houses: Houses) -> None:
    store = houses.make("sqlite")
    fill(store)
    whole = houses.folder / "whole"
    export(store, whole, moves)
    data, lines = whole.read_bytes(), lines_of(whole)
    bad: dict[str, Path] = {}
    cuts = {"empty": b"", "cut": data[: len(data) // 2], "end cut": data[:-9], "no gzip": b"PK\x03\x04" + data,
            "a bit": data[:300] + bytes([data[300] ^ 4]) + data[301:], "two": data + data,
            "plain": gzip.compress(b'{"a": 1}\n'), "list": gzip.compress(b"[1]\n"),
            "binary": gzip.compress(bytes(range(256)))}  # fmt: skip
    for what, content in cuts.items():
        bad[what] = houses.folder / what
        bad[what].write_bytes(content)
    for what, made in [*hostile(lines), ("until", until(lines))]:
        bad[what] = houses.folder / what
        rewritten(bad[what], made)
    target = houses.make(name)
    for what, file in bad.items():
        with pytest.raises(ArchiveError) as refused:
            load(target, file)
        assert "\n" not in str(refused.value), what
        assert "noesis" in str(refused.value).lower(), what
        head, bare = target.vacancy()
        assert (head.position, head.causes, bare) == (0, 0, True), what
    with pytest.raises(ArchiveError, match="cannot be read"):
        load(target, houses.folder / "nowhere")
    load(target, whole)
    assert picture(target) == picture(store)


def test_an_import_that_was_broken_off_is_taken_up_by_the_same_file_only(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kg.stores import neo4j_move
    from kg.stores.archive import load as loading

    store = houses.make("sqlite")
    fill(store)
    file, other = houses.folder / "one", houses.folder / "other"
    export(store, file, moves)
    store.commit([Put("later", "Thing", {})], cause("later"))
    export(store, other, moves)
    monkeypatch.setattr(loading, "BATCH", 10)
    target = houses.make("neo4j")
    save, done = neo4j_move._save, list[None]()

    def dying(*arguments: Any) -> None:
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(save(*arguments))

    monkeypatch.setattr(neo4j_move, "_save", dying)
    with pytest.raises(KeyboardInterrupt):
        load(target, file)
    monkeypatch.setattr(neo4j_move, "_save", save)
    assert 0 < target.head().position < store.head().position
    assert unfinished(target) is not None
    assert MARK[0] not in {row.kind for row in store.scan("import")}
    with pytest.raises(ArchiveError, match="another archive"):
        load(target, other)
    report = load(target, file)
    assert target.head().root.hex() == report.root
    assert target.verify() == report.changes
    assert unfinished(target) is None
