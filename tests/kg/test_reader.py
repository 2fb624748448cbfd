"""I10: nothing that the Reader gives, by any road, is what the detail path would deny."""

import itertools
import random
from decimal import Decimal
from pathlib import Path

import pytest

from kg import reader as reader_module
from kg.errors import ScanLimitError
from kg.model import Cause, Close, Cursor, Direction, Link, Op, Order, Put, Where
from kg.reader import Reader
from kg.store import GraphStore
from tests.kg.views import RuleView, graph
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock, OpenView

SECRET = RuleView(hide=lambda e: e.get("secret") is True, mask={"Customer": frozenset({"email"})})


def cause(id: str, **more: object) -> Cause:
    return Cause(id, "test", 'Service::"test"', **more)  # type: ignore[arg-type]


@pytest.fixture(params=["oracle", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> GraphStore:
    store = graph(request.param, tmp_path)
    puts = [
        Put(f"c{n:02}", "Customer", {"name": f"n{n:02}", "secret": n % 3 == 0, "rank": n, "email": f"mail{n}@x"})
        for n in range(30)
    ]
    links = [Link("hub", "knows", f"c{n:02}") for n in range(30)]
    store.commit([*puts, Put("hub", "Hub", {"secret": False}), *links], cause("a"))
    return store


def visible(store: GraphStore) -> list[str]:
    return [f"c{n:02}" for n in range(30) if n % 3]


def test_get_hides_rows_and_masks_properties(store: GraphStore) -> None:
    found = Reader(store, SECRET).get(["c00", "c01", "absent"])
    assert list(found) == ["c01"]
    assert "email" not in found["c01"].properties
    assert found["c01"].masked == {"email"}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("by", [None, "rank"])
@pytest.mark.parametrize("size", [1, 3, 7, 20, 50])
def test_pages_are_filled_and_cursors_go_on_over_hidden_rows(
    store: GraphStore, by: str | None, descending: bool, size: int
) -> None:
    reader, order, after = Reader(store, SECRET), Order(by, descending), None
    seen: list[str] = []
    for _ in range(40):
        page = reader.find("Customer", (), order, after, size)
        seen += [entity.id for entity in page.items]
        if page.next is None:
            break
        assert len(page.items) == size, "a page before the last is full"
        assert page.next.id in visible(store), "a cursor never names a hidden row"
        after = page.next
    assert seen == sorted(visible(store), reverse=descending)


def test_a_filter_on_a_masked_property_matches_nothing(store: GraphStore) -> None:
    reader = Reader(store, SECRET)
    asked = [
        Where("email", Op.EQ, "mail1@x"), Where("email", Op.PREFIX, "mail"), Where("email", Op.PRESENT),
        Where("email", Op.GT, "a"), Where("email", Op.IN, ("mail1@x", "mail2@x")),
    ]  # fmt: skip
    for where in asked:
        assert reader.find("Customer", [where]).items == ()
        assert reader.count("Customer", [where]) == 0
        assert reader.expand(["hub"], "knows", where=[where])["hub"] == []
    assert len(Reader(store, OpenView()).find("Customer", [asked[1]]).items) == 30


def test_an_order_by_a_masked_property_gives_nothing_away(store: GraphStore) -> None:
    some = RuleView(mask={"Customer": frozenset({"rank"})}, mask_if=lambda e: e.id < "c20")
    page = Reader(store, some).find("Customer", (), Order("rank", descending=True), None, 50)
    assert [entity.id for entity in page.items] == [f"c{n}" for n in range(29, 19, -1)]


def test_count_counts_only_what_is_visible_and_stops(store: GraphStore) -> None:
    reader = Reader(store, SECRET)
    assert reader.count("Customer") == 20
    assert reader.count("Customer", at_most=5) == 5
    assert reader.count("Customer", [Where("rank", Op.LT, 6)]) == 4


def test_a_scan_is_bounded(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "SCAN_MAX", 4)
    last = RuleView(hide=lambda e: e.id != "c29" and e.cls == "Customer")
    reader, after, seen = Reader(store, last), None, []
    for _ in range(20):
        page = reader.find("Customer", after=after, first=2)
        seen += [entity.id for entity in page.items]
        after = page.next
        if after is None:
            break
        assert after.value is None, "a cursor over hidden rows holds an opaque id only"
    assert seen == ["c29"]
    with pytest.raises(ScanLimitError, match="narrow the filter"):
        reader.find("Customer", (), Order("rank"), None, 2)
    with pytest.raises(ScanLimitError):
        reader.count("Customer", at_most=2)


def test_expand_shows_edges_with_both_ends_visible_and_fills_up(store: GraphStore) -> None:
    reader = Reader(store, SECRET)
    for first in (1, 2, 5, 19, 30):
        edges = reader.expand(["hub"], "knows", first=first)["hub"]
        assert [e.entity.id for e in edges] == visible(store)[:first]
        assert all(e.entity.masked for e in edges)
    after = reader.expand(["hub"], "knows", first=3, after="c10")["hub"]
    assert [e.entity.id for e in after] == ["c11", "c13", "c14"]
    back = reader.expand(["c00", "c01"], "knows", Direction.IN)
    assert back["c00"] == [], "a hidden entity has no edges to show"
    assert [e.entity.id for e in back["c01"]] == ["hub"]


def test_no_number_of_hidden_edges_hides_a_visible_one_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DictStore(FreeSchema(), ManualClock())
    ids = [f"h{n:04}" for n in range(1_100)]
    store.commit([Put("hub", "Node", {}), Put("z", "Node", {})], cause("a"))
    store.commit([Put(id, "Node", {"secret": True}) for id in ids], cause("b"))
    store.commit([Link("hub", "to", id) for id in (*ids, "z")], cause("c"))
    reader = Reader(store, SECRET)
    for first in (1, 2, 100):
        assert [edge.entity.id for edge in reader.expand(["hub"], "to", first=first)["hub"]] == ["z"]
    monkeypatch.setattr(reader_module, "SCAN_MAX", 1_000)
    with pytest.raises(ScanLimitError, match="narrow the filter"):
        reader.expand(["hub"], "to", first=1)


def test_relations_need_both_ends(store: GraphStore) -> None:
    reader = Reader(store, SECRET)
    found = reader.relations(["hub", "c00"])
    assert {r.target for r in found["hub"]} == set(visible(store))
    assert found["c00"] == []
    assert len(reader.relations(["hub"], first=4)["hub"]) == 4


def test_paths_pass_no_hidden_entity() -> None:
    store = DictStore(FreeSchema(), ManualClock())
    nodes = [Put(id, "Node", {"secret": id == "h"}) for id in "ahxyz"]
    links = [Link(a, "to", b) for a, b in ("ah", "hz", "ax", "xy", "yz")]
    store.commit([*nodes, *links], cause("p"))
    assert [len(p) for p in Reader(store, OpenView()).paths("a", "z")] == [2]
    shown = Reader(store, SECRET).paths("a", "z")
    assert [[(r.source, r.target) for r in path] for path in shown] == [[("a", "x"), ("x", "y"), ("y", "z")]]
    assert Reader(store, SECRET).paths("a", "z", depth=2) == []
    assert Reader(store, SECRET).paths("a", "h") == []


def test_history_shows_visible_versions_and_nothing_of_what_is_hidden_now(store: GraphStore) -> None:
    store.commit([Put("c01", "Customer", {"secret": True})], cause("b"))
    assert Reader(store, SECRET).history("c01") == [], "what is hidden now is not told by an older version"
    assert Reader(store, SECRET).versions([("c01", 1), ("c02", 1)]).keys() == {("c02", 1)}
    store.commit([Put("c01", "Customer", {"secret": False})], cause("c"))
    assert [v.version for v in Reader(store, SECRET).history("c01")] == [1, 3]
    assert all(v.masked for v in Reader(store, SECRET).history("c01"))
    store.commit([Close("c01")], cause("d"))
    assert [v.closed for v in Reader(store, SECRET).history("c01")] == [False, False, True]


def test_changes_skip_what_is_hidden_and_the_position_still_moves(store: GraphStore) -> None:
    end = store.head().position
    store.commit([Put("c00", "Customer", {"rank": 99})], cause("b"))
    store.commit([Put("c01", "Customer", {"email": "new@x"})], cause("c"))
    store.commit([Put("c01", "Customer", {"email": "other@x", "rank": 5}, origin="crm/other@x")], cause("d"))
    store.commit([Link("c01", "knows", "c00"), Link("c01", "knows", "c02")], cause("e"))
    feed = Reader(store, SECRET).changes(end)
    assert [(c.subject, c.kind, c.changed, c.target, c.origin) for c in feed.changes] == [
        ("c01", "updated", ("rank",), None, None),
        ("c01", "linked", (), "c02", None),
    ]
    assert feed.position == store.head().position
    hidden_only = Reader(store, SECRET, at=end + 2).changes(end)
    assert hidden_only.changes == ()
    assert hidden_only.position == end + 2
    assert [c.position for c in Reader(store, SECRET).changes_of("c01", 2)] == [end + 5, end + 3]


def test_following_in_small_pages_gives_every_visible_change_once(store: GraphStore) -> None:
    reader, after, seen = Reader(store, SECRET), 0, []
    for _ in range(200):
        feed = reader.changes(after, 3)
        seen += [c.position for c in feed.changes]
        if feed.position == after:
            break
        after = feed.position
    assert seen == [c.position for c in reader.changes(0).changes]
    assert after == store.head().position


@pytest.mark.parametrize("closed", [False, True])
def test_the_past_of_what_is_hidden_now_is_not_told(store: GraphStore, closed: bool) -> None:
    before = store.head().position
    store.commit([Put("c01", "Customer", {"secret": True})], cause("b"))
    if closed:
        store.commit([Close("c01")], cause("c"))
    past = Reader(store, SECRET, at=before)
    assert past.get(["c01"]) == {}
    assert "c01" not in {entity.id for entity in past.find("Customer").items}
    assert "c01" not in {edge.entity.id for edge in past.expand(["hub"], "knows")["hub"]}
    assert "c01" not in {relation.target for relation in past.relations(["hub"])["hub"]}
    assert past.history("c01") == []
    assert past.versions([("c01", 1)]) == {} or closed
    assert past.count("Customer") == len(visible(store)) - 1
    assert list(past.get(["c02"])) == ["c02"]


def test_at_reads_the_past_through_the_same_view(store: GraphStore) -> None:
    before = store.head().position
    store.commit(
        [Put("c01", "Customer", {"rank": Decimal("1.5")}), Put("c00", "Customer", {"secret": False})], cause("b")
    )
    old, new = Reader(store, SECRET, at=before), Reader(store, SECRET)
    assert old.get(["c01"])["c01"]["rank"] == 1
    assert new.get(["c01"])["c01"]["rank"] == Decimal("1.5")
    assert old.get(["c00"]) == {}
    assert new.count("Customer") == old.count("Customer") + 1
    assert old.find("Customer", (), None, Cursor(None, "c27"), 5).next is None


@pytest.mark.parametrize("seed", range(12))
def test_no_road_leads_to_what_get_denies(seed: int) -> None:
    """I10 as a differential over random graphs: ids and values of every road are those of the detail path."""
    noise = random.Random(seed)
    store = DictStore(FreeSchema(), ManualClock())
    names = [f"n{n:02}" for n in range(24)]
    for turn in range(60):
        id, secret = noise.choice(names), noise.random() < 0.4
        writes = [Put(id, "Customer", {"secret": secret, "rank": noise.randrange(5), "email": f"mail-{turn}@x"})]
        store.commit([*writes, Link(id, "knows", noise.choice(names))], cause(f"c{turn}"))
    reader = Reader(store, SECRET)
    allowed = reader.get(names)
    page = reader.find("Customer", (), Order("rank"), None, 50)
    assert {e.id: e for e in page.items} == allowed
    assert reader.count("Customer") == len(allowed)
    edges = [edge for found in reader.expand(names, "knows").values() for edge in found]
    assert all(e.relation.source in allowed and allowed[e.entity.id] == e.entity for e in edges)
    whole = {(r.source, r.target) for found in store.relations(names).values() for r in found}
    relations = {(r.source, r.target) for found in reader.relations(names).values() for r in found}
    assert relations == {(s, t) for s, t in whole if s in allowed and t in allowed}
    for source, target in itertools.combinations(names[:8], 2):
        for path in reader.paths(source, target, depth=5):
            assert {end for r in path for end in (r.source, r.target)} <= allowed.keys()
    for id in names:
        versions = reader.history(id)
        assert bool(versions) == (id in allowed)
        assert all(v.masked == {"email"} for v in versions)
    for change in reader.changes(0).changes:
        assert change.subject in allowed
        assert change.target is None or change.target in allowed
        assert "email" not in change.changed
