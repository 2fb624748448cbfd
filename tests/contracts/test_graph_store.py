"""The contract of port GraphStore, sentence by sentence, over every adapter and the oracle."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from kg.errors import CauseReusedError, ConflictError, InputError, ShapeError, ValueDomainError
from kg.model import (
    ABSENT,
    Cause,
    Close,
    Commit,
    Cursor,
    Direction,
    Input,
    Kind,
    Link,
    Op,
    Order,
    Put,
    StateWrite,
    Unlink,
    Where,
)
from kg.store import GraphStore, Request
from kg.values import DECIMAL_MAX, Money, Ref, Value
from tests.contracts.stores import STORES
from tests.parts import FreeSchema, ManualClock


def reject_bad(cls: str, properties: Mapping[str, Value]) -> None:
    if properties.get("bad"):
        raise ShapeError("bad is not allowed")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[GraphStore]:
    schema = FreeSchema(
        personal={"Person": frozenset({"email"})},
        text={"Person": ("name",), "Thing": ("name",), "Tool": ("name",)},
        parents={"Tool": "Thing"},
        indexed={"Thing": ("name", "size"), "Person": ("email",)},
        check=reject_bad,
    )
    made = STORES[request.param](tmp_path, schema, clock)
    yield made
    made.close()


def cause(id: str, **more: object) -> Cause:
    return Cause(id, "test", 'Service::"test"', **more)  # type: ignore[arg-type]


def put(id: str, cls: str = "Thing", **values: Value) -> Put:
    return Put(id, cls, values)


# -- commit ---------------------------------------------------------------------------------------------------------


def test_a_commit_gives_positions_versions_and_changes(store: GraphStore, clock: ManualClock) -> None:
    made = store.commit([put("a", name="x"), put("b", name="y"), Link("a", "uses", "b")], cause("1"))
    assert made == Commit("1", 1, 3, clock.now(), {"a": 1, "b": 1})
    kinds = [(c.position, c.kind, c.subject, c.version, c.relation, c.target, c.changed) for c in store.changes(0)]
    assert kinds == [
        (1, Kind.CREATED, "a", 1, None, None, ("name",)),
        (2, Kind.CREATED, "b", 1, None, None, ("name",)),
        (3, Kind.LINKED, "a", 0, "uses", "b", ()),
    ]


def test_no_write_without_a_cause(store: GraphStore) -> None:
    with pytest.raises(ShapeError, match="cause"):
        store.commit([put("a")], None)
    assert store.head().position == 0


@pytest.mark.parametrize(
    "value",
    [
        *(timedelta(seconds=90), timedelta(days=-1, microseconds=1), timedelta(days=400, microseconds=-1)),
        *(datetime(2026, 3, 2, 9, 0, 0, 5, tzinfo=UTC), datetime(2026, 3, 2).date(), Decimal("-0.0001")),
        *(Money(Decimal("12.5"), "EUR"), Ref("b"), True, 2**53 - 1, "ü\n", ("a", "b"), (1, "a"), ()),
        (timedelta(1), timedelta(2)),
    ],
    ids=repr,
)
def test_a_value_of_every_type_comes_back_and_verifies(store: GraphStore, value: Value) -> None:
    store.commit([put("a", v=value), Link("a", "knows", "a", {"v": value})], cause("1"))
    assert store.get(["a"])["a"]["v"] == value
    assert store.expand(["a"], "knows")["a"][0].relation.properties["v"] == value
    assert store.verify() == 2


def test_a_put_changes_only_what_it_names(store: GraphStore) -> None:
    store.commit([put("a", name="x", size=1)], cause("1"))
    store.commit([Put("a", "Thing", {"size": 2}, unset=frozenset({"none"}))], cause("2"))
    assert store.get(["a"])["a"].properties == {"name": "x", "size": 2}
    store.commit([Put("a", "Thing", {"size": 3}, replace=True)], cause("3"))
    assert store.get(["a"])["a"].properties == {"size": 3}
    store.commit([Put("a", "Thing", {}, unset=frozenset({"size"}))], cause("4"))
    assert store.get(["a"])["a"].properties == {}
    assert [entity.version for entity in store.history("a")] == [1, 2, 3, 4]


def test_a_put_that_changes_nothing_makes_nothing_but_the_cause_stays(store: GraphStore) -> None:
    store.commit([put("a", size=1)], cause("1"))
    made = store.commit([put("a", size=1), Close("none"), Unlink("a", "uses")], cause("2"))
    assert (made.first, made.last, made.versions) == (2, 1, {})
    assert store.head().position == 1
    assert store.causes(["2"]) == {"2": cause("2")}


@pytest.mark.parametrize(("before", "after"), [(True, 1), (1, True), (1, Decimal(1)), ("1", 1), ((1,), (True,))])
def test_types_make_values_differ(store: GraphStore, before: Value, after: Value) -> None:
    store.commit([put("a", x=before)], cause("1"))
    assert store.commit([put("a", x=after)], cause("2")).versions == {"a": 2}


def test_equal_numbers_in_other_writing_change_nothing(store: GraphStore) -> None:
    store.commit([put("a", x=Decimal("1.50"))], cause("1"))
    assert store.commit([put("a", x=Decimal("1.5"))], cause("2")).versions == {}


def test_a_closed_entity_leaves_the_graph_and_opens_again_as_new(store: GraphStore) -> None:
    store.commit([put("a", name="x", size=1)], cause("1"))
    store.commit([Close("a")], cause("2"))
    assert store.get(["a"]) == {}
    assert store.find("Thing").items == ()
    store.commit([put("a", size=2)], cause("3"))
    assert store.get(["a"])["a"].properties == {"size": 2}
    assert [(e.version, e.closed, e.since, e.until) for e in store.history("a")] == [
        (1, False, 1, 2),
        (2, True, 2, 3),
        (3, False, 3, None),
    ]
    assert [c.kind for c in store.changes(0)] == [Kind.CREATED, Kind.CLOSED, Kind.CREATED]


def test_an_entity_keeps_its_class(store: GraphStore) -> None:
    store.commit([put("a")], cause("1"))
    with pytest.raises(ShapeError, match="Thing"):
        store.commit([put("a", "Person")], cause("2"))


def test_a_shape_that_does_not_fit_writes_nothing(store: GraphStore) -> None:
    with pytest.raises(ShapeError, match="bad"):
        store.commit([put("a"), put("b", bad=True)], cause("1"))
    assert store.head().position == 0
    assert store.causes(["1"]) == {}


@pytest.mark.parametrize("value", [float("nan"), 1.5, 2**53, Decimal("0.00001"), "a\x00b", "\ud800", None])
def test_a_value_outside_the_domain_is_refused(store: GraphStore, value: Value) -> None:
    with pytest.raises(ValueDomainError):
        store.commit([put("a", x=value)], cause("1"))
    assert store.head().position == 0


def test_expected_versions_are_compared(store: GraphStore) -> None:
    store.commit([put("a", size=1)], cause("1"), {"a": ABSENT})
    store.commit([put("a", size=2)], cause("2"), {"a": 1})
    with pytest.raises(ConflictError) as caught:
        store.commit([put("a", size=3)], cause("3"), {"a": 1})
    assert caught.value.found == {"a": 2}
    with pytest.raises(ConflictError):
        store.commit([put("b")], cause("4"), {"a": ABSENT})
    assert store.head().position == 2


def test_the_same_cause_twice_writes_once(store: GraphStore) -> None:
    writes, state = [put("a", size=1)], [StateWrite("k", "x", 1)]
    made = store.commit(writes, cause("1"), {"a": 0}, state)
    again = store.commit(writes, cause("1"), {"a": 0}, state)
    assert again.repeated
    assert (again.first, again.last, again.at, again.versions) == (made.first, made.last, made.at, made.versions)
    assert store.state("k", ["x"])["x"].revision == 1
    assert store.head().position == 1


@pytest.mark.parametrize(
    "other", [[put("a", size=2)], [put("a", size=1), put("b")], [Put("a", "Thing", {"size": True})]]
)
def test_a_cause_id_is_not_used_for_other_writes(store: GraphStore, other: list[Put]) -> None:
    store.commit([put("a", size=1)], cause("1"))
    with pytest.raises(CauseReusedError):
        store.commit(other, cause("1"))
    with pytest.raises(CauseReusedError):
        store.commit([put("a", size=1)], cause("1", reason="another"))


def test_commit_time_never_goes_back(store: GraphStore, clock: ManualClock) -> None:
    first = store.commit([put("a", size=1)], cause("1"))
    clock.jump(-3600)
    second = store.commit([put("a", size=2)], cause("2"))
    assert second.at == first.at
    assert store.position_at(first.at) == 2
    assert store.position_at(first.at - timedelta(microseconds=1)) == 0
    assert store.head().at == first.at


def test_causes_come_back_whole(store: GraphStore) -> None:
    told = cause(
        "1",
        reason="because",
        on_behalf_of='User::"anna"',
        inputs=(Input("z", 3), Input("a", 1)),
        attributes={"n": [1, None, 1.5]},
    )
    store.commit([put("a")], told)
    assert store.causes(["1", "none"]) == {"1": told}
    assert [c.subject for c in store.caused("1")] == ["a"]


# -- groups ---------------------------------------------------------------------------------------------------------


def test_a_refused_request_of_a_group_leaves_no_trace(store: GraphStore) -> None:
    requests = [
        Request([put("a", size=1)], cause("1"), {}),
        Request([put("b"), put("c", bad=True)], cause("2"), {}, [StateWrite("k", "x", 1)]),
        Request([put("a", size=2)], cause("3"), {"a": 0}),
        Request([put("d", x=float("nan"))], cause("4"), {}),
        Request([put("a", size=3), put("b")], cause("5"), {"a": 1}),
        Request([put("a", size=1)], cause("1"), {}),
    ]
    got = store.commit_many(requests)
    assert [type(one) for one in got] == [Commit, ShapeError, ConflictError, ValueDomainError, Commit, Commit]
    assert [one.last for one in got if isinstance(one, Commit)] == [1, 3, 1]
    assert [c.position for c in store.changes(0)] == [1, 2, 3]
    assert store.causes(["2", "3", "4"]) == {}
    assert store.state("k", ["x"]) == {}
    assert store.verify() == 3


def test_no_requests_no_results(store: GraphStore) -> None:
    assert store.commit_many([]) == []


# -- relations --------------------------------------------------------------------------------------------------------


def test_links_unlinks_and_exclusive_links(store: GraphStore) -> None:
    store.commit([put(id) for id in "abcd"], cause("1"))
    store.commit([Link("a", "uses", "b"), Link("a", "uses", "c")], cause("2"))
    store.commit([Link("a", "uses", "b")], cause("3"))
    assert [e.entity.id for e in store.expand(["a"], "uses")["a"]] == ["b", "c"]
    store.commit([Link("a", "uses", "d", {"since": 3}, exclusive=True)], cause("4"))
    edges = store.expand(["a"], "uses")["a"]
    assert [(e.entity.id, e.relation.properties) for e in edges] == [("d", {"since": 3})]
    assert [c.kind for c in store.caused("4")] == [Kind.UNLINKED, Kind.UNLINKED, Kind.LINKED]
    store.commit([Unlink("a", "uses")], cause("5"))
    assert store.expand(["a"], "uses")["a"] == []
    assert [e.entity.id for e in store.expand(["a"], "uses", at=6)["a"]] == ["b", "c"]


def test_a_link_needs_a_current_source(store: GraphStore) -> None:
    with pytest.raises(ShapeError):
        store.commit([Link("a", "uses", "b")], cause("1"))


def test_an_edge_appears_when_its_target_does(store: GraphStore) -> None:
    store.commit([put("a"), Link("a", "uses", "b")], cause("1"))
    assert store.expand(["a"], "uses") == {"a": []}
    store.commit([put("b")], cause("2"))
    assert [e.entity.id for e in store.expand(["a"], "uses")["a"]] == ["b"]
    assert [e.entity.id for e in store.expand(["b"], "uses", Direction.IN)["b"]] == ["a"]
    store.commit([Close("b")], cause("3"))
    assert store.expand(["a"], "uses") == {"a": []}
    assert [r.target for r in store.relations(["a"])["a"]] == ["b"]


def test_expand_pages_and_filters_by_id(store: GraphStore) -> None:
    ids = [f"t{n}" for n in range(9)]
    store.commit([put("a")] + [put(id, size=n) for n, id in enumerate(ids)], cause("1"))
    store.commit([Link("a", "uses", id) for id in reversed(ids)], cause("2"))
    first = [e.entity.id for e in store.expand(["a", "none"], "uses", first=4)["a"]]
    assert first == ids[:4]
    assert [e.entity.id for e in store.expand(["a"], "uses", first=4, after=first[-1])["a"]] == ids[4:8]
    big = store.expand(["a"], "uses", where=[Where("size", Op.GE, 7)])["a"]
    assert [e.entity.id for e in big] == ids[7:]


def test_paths_are_shortest_in_order_and_go_both_ways(store: GraphStore) -> None:
    store.commit([put(id) for id in "abcdxyz"], cause("1"))
    pairs = ["ab", "cb", "cd", "ax", "xd", "ay", "yd", "dz"]
    store.commit([Link(pair[0], "r", pair[1]) for pair in pairs] + [Link("a", "s", "x")], cause("2"))
    found = [[(r.name, r.source, r.target) for r in path] for path in store.paths("a", "d")]
    assert found == [
        [("r", "a", "x"), ("r", "x", "d")],
        [("r", "a", "y"), ("r", "y", "d")],
        [("s", "a", "x"), ("r", "x", "d")],
    ]
    assert store.paths("d", "a", first=1) == [list(reversed(store.paths("a", "d")[0]))]
    assert store.paths("a", "a") == []
    assert store.paths("a", "d", depth=1) == []
    assert store.paths("a", "d", relations=["s"]) == []
    store.commit([Close("x"), Close("y")], cause("3"))
    assert [len(path) for path in store.paths("a", "d")] == [3]
    assert store.paths("a", "z", depth=3) == []
    assert len(store.paths("a", "z", depth=4)) == 1


# -- find -----------------------------------------------------------------------------------------------------------


def seeded(store: GraphStore) -> None:
    rows: list[tuple[str, str, dict[str, Value]]] = [
        ("a", "Thing", {"name": "bolt", "size": 3, "cost": Money(Decimal("9.5"), "EUR")}),
        ("b", "Thing", {"name": "Bolt", "size": 10, "cost": Money(Decimal("10"), "EUR")}),
        ("c", "Tool", {"name": "bolt cutter", "size": -2, "cost": Money(Decimal("1"), "USD")}),
        ("d", "Tool", {"name": "saw", "size": "big"}),
        ("e", "Person", {"name": "Anna", "email": "anna@example.org"}),
    ]
    store.commit([Put(id, cls, values) for id, cls, values in rows], cause("seed"))


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ([], "abcd"),
        ([Where("name", Op.EQ, "bolt")], "a"),
        ([Where("name", Op.PREFIX, "bolt")], "ac"),
        ([Where("name", Op.IN, ("saw", "Bolt"))], "bd"),
        ([Where("name", Op.IN, ())], ""),
        ([Where("size", Op.GT, 3)], "b"),
        ([Where("size", Op.LE, 3)], "ac"),
        ([Where("size", Op.GT, Decimal(-100))], ""),
        ([Where("size", Op.GE, "a")], "d"),
        ([Where("cost", Op.LT, Money(Decimal("10"), "EUR"))], "a"),
        ([Where("cost", Op.GE, Money(Decimal("-1"), "USD"))], "c"),
        ([Where("cost", Op.ABSENT)], "d"),
        ([Where("cost", Op.PRESENT), Where("size", Op.LT, 5)], "ac"),
        ([Where("unknown", Op.EQ, True)], ""),
    ],
)
def test_conditions(store: GraphStore, where: list[Where], ids: str) -> None:
    seeded(store)
    assert "".join(e.id for e in store.find("Thing", where).items) == ids
    assert store.count("Thing", where) == len(ids)


def test_personal_properties_are_found_too(store: GraphStore) -> None:
    seeded(store)
    found = store.find("Person", [Where("email", Op.EQ, "anna@example.org")], Order("email"))
    assert [e.properties["email"] for e in found.items] == ["anna@example.org"]


@pytest.mark.parametrize("name", ["size", "cost", "name", None])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_join_up(store: GraphStore, name: str | None, descending: bool) -> None:
    seeded(store)
    whole = store.find("Thing", order=Order(name, descending))
    assert whole.next is None
    seen, after = [], None
    for _ in range(9):
        page = store.find("Thing", order=Order(name, descending), after=after, first=1)
        seen += page.items
        after = page.next
        if after is None:
            break
    assert tuple(seen) == whole.items
    if name == "cost" and not descending:
        assert [e.id for e in seen] == ["a", "b", "c", "d"]


def test_the_ends_of_the_decimal_domain_stay_apart(store: GraphStore) -> None:
    step = Decimal("0.0001")
    store.commit([put("a", x=DECIMAL_MAX), put("b", x=DECIMAL_MAX - step), put("c", x=-DECIMAL_MAX)], cause("1"))
    assert [e.id for e in store.find("Thing", [Where("x", Op.LT, DECIMAL_MAX)], Order("x")).items] == ["c", "b"]


def test_a_cursor_outlives_its_item(store: GraphStore) -> None:
    seeded(store)
    page = store.find("Thing", order=Order("name"), first=2)
    store.commit([Close(e.id) for e in page.items], cause("gone"))
    assert [e.id for e in store.find("Thing", order=Order("name"), after=page.next).items] == ["c", "d"]
    assert [e.id for e in store.find("Thing", after=Cursor(None, "b")).items] == ["c", "d"]


def test_find_as_of_a_position(store: GraphStore) -> None:
    store.commit([put("a", size=1), put("b", size=2)], cause("1"))
    store.commit([put("a", size=5), Close("b")], cause("2"))
    assert [(e.id, e["size"]) for e in store.find("Thing").items] == [("a", 5)]
    assert [(e.id, e["size"]) for e in store.find("Thing", order=Order("size", True), at=2).items] == [
        ("b", 2),
        ("a", 1),
    ]
    assert store.find("Thing", at=0).items == ()
    assert store.count("Thing", at=2, at_most=1) == 1


# -- other reads -----------------------------------------------------------------------------------------------------


def test_every_scalar_type_comes_back_as_it_went_in(store: GraphStore) -> None:
    values: dict[str, Value] = {
        "text": 'é"\\\n\U0001f600', "whole": -(2**53) + 1, "decimal": Decimal("-0.0001"), "yes": True,
        "day": datetime(1, 1, 1).date(), "moment": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        "long": timedelta(days=-3, microseconds=1), "price": Money(Decimal("1.2"), "EUR"), "who": Ref("b"),
        "list": (1, "a", Decimal("2.5"), False),
    }  # fmt: skip
    valid = datetime(2026, 1, 1, tzinfo=UTC)
    store.commit([Put("a", "Thing", values, valid_from=valid)], cause("1"))
    entity = store.get(["a"])["a"]
    assert entity.properties == values
    assert {name: type(value) for name, value in entity.properties.items()} == {n: type(v) for n, v in values.items()}
    assert (entity.valid_from, entity.valid_to) == (valid, None)


def test_valid_time_alone_makes_a_version(store: GraphStore) -> None:
    store.commit([put("a", size=1)], cause("1"))
    when = datetime(2026, 1, 1, tzinfo=UTC)
    assert store.commit([Put("a", "Thing", {}, valid_to=when)], cause("2")).versions == {"a": 2}
    assert store.commit([Put("a", "Thing", {}, valid_to=when)], cause("3")).versions == {}
    assert store.commit([Put("a", "Thing", {})], cause("4")).versions == {}


def test_exact_versions_and_changes_of_an_entity(store: GraphStore) -> None:
    store.commit([Put("a", "Thing", {"size": 1}, origin="erp.items/1"), put("b")], cause("1"))
    store.commit([put("a", size=2), Link("b", "uses", "a")], cause("2"))
    assert store.versions([("a", 1), ("a", 9), ("none", 1)])["a", 1]["size"] == 1
    found = store.changes_of("a")
    assert [(c.position, c.kind) for c in found] == [(4, Kind.LINKED), (3, Kind.UPDATED), (1, Kind.CREATED)]
    assert found[-1].origin == "erp.items/1"
    assert len(store.changes_of("a", 2)) == 2


def test_the_feed_is_read_in_pages(store: GraphStore) -> None:
    store.commit([put(f"t{n}") for n in range(25)], cause("1"))
    seen: list[int] = []
    while page := store.changes(len(seen), 10):
        seen += [c.position for c in page]
    assert seen == list(range(1, 26))


def test_text_search_follows_the_graph(store: GraphStore) -> None:
    seeded(store)
    assert next(id for id, _ in store.search_text("Bolt cutter")) == "c"
    assert [id for id, _ in store.search_text("anna", ["Person"])] == ["e"]
    assert store.search_text("anna", ["Thing"]) == []
    assert store.search_text("example") == []
    store.commit([Put("e", "Person", {"name": "Berta"}), Close("d")], cause("2"))
    assert store.search_text("anna saw") == []
    assert [id for id, _ in store.search_text("berta", first=1)] == ["e"]


@pytest.mark.parametrize("query", ["", "  ", '"', "AND", "NEAR(", "name:bolt AND (", "*", "-", "bolt^2 OR"])
def test_a_strange_query_is_words(store: GraphStore, query: str) -> None:
    seeded(store)
    assert isinstance(store.search_text(query), list)


# -- state ----------------------------------------------------------------------------------------------------------


def test_state_rows_are_written_with_the_facts_or_not_at_all(store: GraphStore) -> None:
    store.commit([put("a")], cause("1"), state=[StateWrite("lease", "x", {"by": 1}, expect=ABSENT)])
    with pytest.raises(ConflictError):
        store.commit([put("b")], cause("2"), state=[StateWrite("lease", "x", {"by": 2}, expect=ABSENT)])
    with pytest.raises(ConflictError):
        store.commit([put("a", size=1)], cause("3"), {"a": 7}, [StateWrite("lease", "x", {"by": 2})])
    row = store.state("lease", ["x", "y"])["x"]
    assert (row.value, row.revision) == ({"by": 1}, 1)
    assert store.get(["b"]) == {}
    made = store.commit([], None, state=[StateWrite("lease", "x", None, expect=1)])
    assert (made.cause, made.first, made.last) == ("", 2, 1)
    assert store.state("lease", ["x"]) == {}


def test_scan_by_key_and_by_due_time(store: GraphStore) -> None:
    rows = [("a/1", 30), ("a/2", 10), ("a/3", None), ("b/1", 20), ("b/2", 10)]
    store.commit([], None, state=[StateWrite("timer", key, key, due=due) for key, due in rows])
    assert [row.key for row in store.scan("timer", "a/")] == ["a/1", "a/2", "a/3"]
    assert [row.key for row in store.scan("timer", "a/", after="a/1", first=1)] == ["a/2"]
    assert [row.key for row in store.scan("timer", due=20)] == ["a/2", "b/2", "b/1"]
    assert [row.key for row in store.scan("timer", "b", due=20, first=1)] == ["b/2"]
    assert store.scan("none") == []


def test_the_ledger_has_a_leaf_for_every_change(store: GraphStore) -> None:
    store.commit([put("a"), put("b"), Link("a", "uses", "b")], cause("1"))
    store.commit([Unlink("a", "uses", "b"), Close("b")], cause("2"))
    leaves = store.ledger()
    assert [position for position, _ in leaves] == [1, 2, 3, 4, 5]
    assert len({leaf for _, leaf in leaves}) == 5
    assert store.ledger(3, 1) == leaves[3:4]
    seen: list[tuple[int, int]] = []
    assert store.verify(lambda done, total: seen.append((done, total))) == 5


def test_errors_are_one_sentence_with_a_remedy(store: GraphStore) -> None:
    store.commit([put("a", size=1)], cause("1"))
    for call in (
        lambda: store.commit([put("a", size=2)], cause("1")),
        lambda: store.commit([put("a", size=2)], cause("2"), {"a": 5}),
        lambda: store.commit([put("a", "Person")], cause("3")),
        lambda: store.commit([put("a", x=1.5)], cause("4")),  # type: ignore[arg-type]
    ):
        with pytest.raises((CauseReusedError, ConflictError, InputError)) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) > 20
