"""What only the Neo4j store has: no query that scans, every vendor error in our words, the graph that people see, its record."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kg.errors import InputError, LedgerError, NoesisError, StoreCorruptError, StoreError, StoreVersionError
from kg.model import Cause, Close, Input, Link, Op, Order, Put, StateWrite, Unlink, Where
from kg.stores import neo4j_migrate
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_queries import names, query
from kg.stores.neo4j_server import Server, fetch, meaning
from kg.stores.neo4j_show import key, label
from kg.values import Money, Value
from tests.parts import FreeSchema, ManualClock
from tests.services.graph import fresh, open_store

SCHEMA = FreeSchema(text={"Thing": ("name",)}, indexed={"Thing": ("name",)}, personal={"Thing": frozenset({"mail"})})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Neo4jStore]:
    made = fresh(tmp_path, SCHEMA, ManualClock())
    yield made
    made.close()


def cause(id: str, **more: Any) -> Cause:
    return Cause(id, "test", 'Service::"test"', **more)


def ask(store: Neo4jStore, text: str, **values: Any) -> list[list[Any]]:
    """Look at the graph as a person with Neo4j Browser does."""
    return store._server.rows(text, **values)


def edit(store: Neo4jStore, text: str) -> None:
    store._server.write(lambda tx: fetch(tx, text))


# -- queries ---------------------------------------------------------------------------------------------------------

#: What a query may be asked with; EXPLAIN needs the names only.
PARAMETERS: dict[str, Any] = {
    **dict.fromkeys(("ids", "keys", "pairs", "rows", "positions", "others", "names", "classes"), ()),
    **dict.fromkeys(("token", "first", "last", "limit", "at", "after", "until", "due", "position", "causes"), 1),
    **dict.fromkeys(("id", "kind", "key", "cls", "cause", "query", "relation", "prefix", "w0", "w1", "writer"), "x"),
    **dict.fromkeys(("properties", "seal"), "x"),
    "former": ["x"],
    "labels": ["x"],
}
MARKS = {
    "classes": "v.cls = $cls",
    "named": "l.relation IN $names",
    "order": "v.`~name` ASC, v.subject ASC",
    "where": "v.`~name` = $w0 AND v.subject > $w1",
}


def operators(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["operatorType"].split("@")[0] + " " + plan["args"].get("Details", "")
    for child in plan.get("children", ()):
        yield from operators(child)


@pytest.mark.parametrize("past", [False, True], ids=["now", "past"])
def test_no_query_scans(store: Neo4jStore, past: bool) -> None:
    """No query looks at all nodes; only verification, which is to see everything, looks at all of a label."""
    store.commit([Put("a", "Thing", {"name": "x"})], cause("1"))
    scanning = []
    for name in names():
        with store._server.attempt(30) as transaction:
            text = query(name, past=past or name == "get_past", **MARKS)
            plan = transaction.run("EXPLAIN " + text, PARAMETERS).consume().plan
        assert plan is not None
        for operator in operators(plan):
            whole = "AllNodesScan" in operator or "AllRelationships" in operator
            if whole or ("ByLabelScan" in operator and not name.startswith("wrong_")):
                scanning.append(f"{name}: {operator}")
    assert not scanning


# -- errors ----------------------------------------------------------------------------------------------------------


def vendor_errors() -> list[type[Exception]]:
    from neo4j import exceptions

    found = [part for part in vars(exceptions).values() if isinstance(part, type)]
    kinds = (exceptions.Neo4jError, exceptions.DriverError)
    return sorted({part for part in found if issubclass(part, kinds)}, key=lambda part: part.__name__)


def test_every_vendor_error_is_one_sentence_of_ours() -> None:
    kinds = vendor_errors()
    assert len(kinds) > 20
    for kind in kinds:
        made = meaning(kind("it failed"))
        assert isinstance(made, NoesisError), kind
        assert "\n" not in str(made)
        assert ";" in str(made)


@pytest.mark.parametrize(
    ("url", "password", "said"),
    [
        ("http://127.0.0.1:1", "x", "no address of a graph server"),
        ("bolt://127.0.0.1:1", "x", "cannot be reached"),
        (None, "wrong", "refused the login"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_sentence(store: Neo4jStore, url: str, password: str, said: str) -> None:
    from tests.services.server import running

    with pytest.raises((StoreError, InputError), match=said) as caught:
        Neo4jStore(url or running("neo4j").url, SCHEMA, ManualClock(), password=password, patience=0.5)
    assert "\n" not in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_a_closed_store_says_so(store: Neo4jStore) -> None:
    other = open_store(SCHEMA, ManualClock())
    other.close()
    for call in (other.head, lambda: other.commit([Put("a", "Thing", {})], cause("1")), lambda: other.get(["a"])):
        with pytest.raises(StoreError, match="closed"):
            call()
    other.close()


# -- what people see -------------------------------------------------------------------------------------------------


def test_the_graph_reads_well(store: Neo4jStore) -> None:
    values: dict[str, Value] = {
        "name": "bolt", "price": Money(Decimal("9.5"), "EUR"), "weight": Decimal("0.25"), "size": 3,
        "made": datetime(2026, 1, 1, tzinfo=UTC), "tags": ("a", "b"), "mixed": (1, "a"), "id": "own",
    }  # fmt: skip
    store.commit([Put("a", "Thing", values), Put("b", "State", {"name": "x"})], cause("1"))
    store.commit([Link("a", "madeBy", "b", {"share": Decimal("0.5")})], cause("2", inputs=(Input("a", 1),)))
    found = ask(
        store,
        "MATCH (t:Thing)-[r:MADE_BY]->(s:State_) WHERE t.price > 9 AND t.price_currency = 'EUR' AND t.weight < 0.3 "
        "AND t.made < datetime() AND 'a' IN t.tags RETURN t.name, r.share, s.name, t.id, t.id_, t.mixed",
    )
    assert found == [["bolt", 0.5, "x", "a", "own", ["1", "a"]]]
    why = ask(
        store,
        "MATCH (t:Thing {name: 'bolt'})<-[:VERSION_OF]-(v)<-[:USED]-(u:Cause)<-[:CAUSED_BY]-(l:Link)-[:TARGET]->(s) "
        "RETURN v.version, u.agent, l.relation, s.id",
    )
    assert why == [[1, 'Service::"test"', "madeBy", "b"]]
    store.commit([Unlink("a", "madeBy"), Close("b")], cause("3"))
    assert ask(store, "MATCH (:Thing)-[r:MADE_BY]->() RETURN count(r)") == [[0]]
    assert ask(store, "MATCH (e:Entity {id: 'b'}) RETURN labels(e), e.name") == [[["Entity"], None]]
    assert store.verify() == 5


def test_a_class_has_the_labels_of_the_classes_above_it_and_follows_the_ontology(store: Neo4jStore) -> None:
    store.use(FreeSchema(parents={"Bolt": "Thing", "Thing": "State"}))
    store.commit([Put("a", "Bolt", {"name": "x"}), Put("b", "Bolt", {})], cause("1"))
    store.commit([Close("b")], cause("2"))
    labels = "MATCH (e:Entity) RETURN e.id, [l IN labels(e) | l] ORDER BY e.id"
    assert [[id, sorted(found)] for id, found in ask(store, labels)] == [
        ["a", ["Bolt", "Entity", "State_", "Thing"]],
        ["b", ["Entity"]],
    ]
    assert store.verify() == 3
    store.use(FreeSchema(parents={"Bolt": "Part"}))
    assert store.verify() == 3
    assert sorted(ask(store, labels)[0][1]) == ["Bolt", "Entity", "Part"]
    store.use(SCHEMA)
    store.commit([Put("c", "Thing", {})], cause("3"))
    assert sorted(ask(store, labels)[0][1]) == ["Bolt", "Entity"]
    assert store.verify() == 4


def test_versions_and_links_are_walked_back_and_have_captions(store: Neo4jStore) -> None:
    store.commit([Put("a", "Thing", {"name": "x"}), Put("b", "Thing", {}), Link("a", "uses", "b")], cause("1"))
    store.commit([Put("a", "Thing", {"name": "y"}), Unlink("a", "uses")], cause("2"))
    steps = "MATCH (v:Version)-[:REVISION_OF]->(p:Version) RETURN v.name, p.name"
    assert ask(store, steps) == [["Thing v2", "Thing v1"]]
    ends = "MATCH (u:Cause)<-[:CAUSED_BY]-(c:Change)-[:ENDS]->(l:Link) RETURN c.name, l.name, u.name, u.id"
    assert ask(store, ends) == [["unlinked uses", "linked uses", "test", "2"]]
    assert ask(store, "MATCH (n) WHERE (n:Change OR n:Cause) AND n.name IS NULL RETURN count(n)") == [[0]]


def test_a_graph_from_before_gets_what_a_new_one_has(store: Neo4jStore) -> None:
    """The last migrations over a graph as earlier ones left it."""
    store.commit([Put("a", "Thing", {"name": "x"}), Link("a", "uses", "a")], cause("1"))
    store.commit([Put("a", "Thing", {"name": "y"}), Unlink("a", "uses")], cause("2"))
    seen = "MATCH (c) WHERE c:Change OR c:Cause OPTIONAL MATCH (c)-[r:REVISION_OF|ENDS]->(o) RETURN c.name, type(r), o.name"
    new = sorted(map(str, ask(store, seen)))
    edit(store, "MATCH (c)-[r:REVISION_OF|ENDS]->() DELETE r")
    edit(store, "MATCH (c) WHERE c:Change OR c:Cause REMOVE c.name")
    assert sorted(map(str, ask(store, seen))) != new
    edit(store, "MATCH (m:Migration {name: 'audit'}) DELETE m")
    neo4j_migrate.migrate(store._server)
    assert sorted(map(str, ask(store, seen))) == new
    assert store.verify() == 4


def test_every_query_file_is_known() -> None:
    """No file of queries, and so no query, escapes the tests that go over all of them."""
    folder = Path(neo4j_migrate.__file__).parent / "cypher"
    written = {
        name for file in folder.glob("*.cypher") for name in re.findall(r"^// name: (\w+)$", file.read_text(), re.M)
    }
    assert set(names()) == written
    marked = [line for file in folder.glob("*.cypher") for line in file.read_text().splitlines() if "name:" in line]
    assert len(marked) == len(written), "a query without a name of its own"


def test_a_class_never_takes_a_label_of_ours() -> None:
    assert [label(cls) for cls in ("Thing", "State", "State_", "Entity")] == ["Thing", "State_", "State__", "Entity_"]


def test_long_texts_are_found_and_kept_apart(store: Neo4jStore) -> None:
    long = "x" * 200_000
    store.commit([Put("a", "Thing", {"name": long}), Put("b", "Thing", {"name": long + "y"})], cause("1"))
    assert [e.id for e in store.find("Thing", [Where("name", Op.EQ, long)]).items] == ["a"]
    assert len(key("7" + long)) < 1_000
    assert [e.id for e in store.find("Thing", [Where("name", Op.PREFIX, "xx")], Order("name")).items] != []


# -- the record ------------------------------------------------------------------------------------------------------

EDITS = {
    "a property that is shown": "MATCH (e:Entity {id: 'a'}) SET e.name = 'other'",
    "a label that is shown": "MATCH (e:Entity {id: 'a'}) SET e:Approved",
    "a relationship that is shown": "MATCH (:Entity {id: 'a'})-[r:USES]->() DELETE r",
    "what is searched": "MATCH (v:Current {subject: 'a'}) SET v.`~name` = '7other'",
    "a value": 'MATCH (v:Change {position: 1}) SET v.props = \'{"name":"other"}\'',
    "a personal value": 'MATCH (v:Change {position: 1}) SET v.personal = \'{"mail":"other"}\'',
    "a reason": "MATCH (u:Cause {id: '2'}) SET u.reason = 'other'",
    "an input": "MATCH (u:Cause {id: '2'}) SET u.input_versions = [2]",
    "the head": "MATCH (h:Head {one: 1}) SET h.position = 3",
    "a change less": "MATCH (c:Change {position: 3}) DETACH DELETE c",
    "a change more": "CREATE (:Change {position: 6, cause: 2, kind: 'created', cls: 'Thing', subject: 'z', version: 1})",
    "the tree": "MATCH (c:Change {position: 4}) SET c.subtrees = null",
    "an end": "MATCH (v:Change {position: 1}) SET v.until = 4",
    "a link": "MATCH (l:Link {position: 4}) SET l.target = 'a'",
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_by_hand_is_found(store: Neo4jStore, what: str) -> None:
    values: dict[str, Value] = {"name": "x", "mail": "m@example.org"}
    store.commit([Put("a", "Thing", values), Put("b", "Thing", {"name": "y"})], cause("1"))
    store.commit([Put("a", "Thing", {"name": "z"}), Link("a", "uses", "b")], cause("2", inputs=(Input("a", 1),)))
    store.commit([Unlink("b", "uses"), Put("b", "Thing", {"name": "w"})], cause("3"))
    assert store.verify() == 5
    edit(store, EDITS[what])
    with pytest.raises(LedgerError, match=r"position \d"):
        store.verify()


# -- the database ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [1, 2])
def test_a_process_that_migrates_just_now_is_no_other_program(
    store: Neo4jStore, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    edit(store, "MATCH (n) DETACH DELETE n")
    read, passed = store._server.rows, [0]

    def late(text: str, /, **values: Any) -> list[list[Any]]:
        found = read(text, **values)
        passed[0] += 1
        if passed[0] == turn:
            monkeypatch.setattr(store._server, "rows", read)
            neo4j_migrate.migrate(store._server)
        return found

    monkeypatch.setattr(store._server, "rows", late)
    neo4j_migrate.migrate(store._server)
    numbers = read("MATCH (m:Migration) RETURN m.number ORDER BY m.number")
    assert numbers == [[number] for number, _, _ in neo4j_migrate.migrations()]
    assert read("MATCH (h:Head) RETURN count(h)") == [[1]]


def test_a_graph_of_another_program_is_left_alone(store: Neo4jStore) -> None:
    edit(store, "MATCH (m:Migration) DELETE m")
    try:
        with pytest.raises(StoreCorruptError, match="another program"):
            open_store(SCHEMA, ManualClock())
    finally:
        edit(store, "MATCH (n) DETACH DELETE n")


def test_newer_and_altered_migrations_are_refused(store: Neo4jStore, tmp_path: Path) -> None:
    edit(store, "CREATE (:Migration {number: 99, name: 'tomorrow', checksum: 'x'})")
    try:
        with pytest.raises(StoreVersionError):
            open_store(SCHEMA, ManualClock())
    finally:
        edit(store, "MATCH (m:Migration {number: 99}) DELETE m")
    for number, name, text in neo4j_migrate.migrations():
        (tmp_path / f"{number:04}_{name}.cypher").write_text(text + "// altered\n" * (number == 1))
    with pytest.raises(StoreError, match="altered"):
        neo4j_migrate.migrate(store._server, tmp_path)


def test_migrations_are_twins() -> None:
    both = [sorted(p.stem for p in neo4j_migrate.MIGRATIONS.glob(f"*.{kind}")) for kind in ("sql", "cypher")]
    assert both[0] == both[1]


def test_the_constraints_that_should_be_there_are(store: Neo4jStore) -> None:
    text = "".join(text for _, _, text in neo4j_migrate.migrations())
    wanted = set(re.findall(r"(?:CONSTRAINT|INDEX) (\w+) IF NOT EXISTS", text))
    there = {name for (name,) in ask(store, "SHOW INDEXES YIELD name")}
    assert wanted <= there


def test_searchable_properties_that_change_are_written_anew(store: Neo4jStore) -> None:
    store.commit([Put("a", "Thing", {"name": "bolt", "note": "rusty"})], cause("1"), state=[StateWrite("k", "x", 1)])
    assert store.search_text("rusty") == []
    store.use(FreeSchema(text={"Thing": ("name", "note")}))
    assert [id for id, _ in store.search_text("rusty")] == ["a"]
    assert isinstance(store._server, Server)


def test_a_commit_that_is_seen_in_part_is_not_told_yet(store: Neo4jStore) -> None:
    """INVARIANT I2: the server shows a commit piece by piece; its lock, kept until the last piece, says when it is whole."""
    before = store.commit([Put("a", "Thing", {"name": "one"})], cause("first"))
    made = store.commit([Put("b", "Thing", {"name": "two"}), Put("c", "Thing", {"name": "three"})], cause("second"))
    edit(store, f"MATCH (c:Change {{position: {made.last}}}) SET c.position = -{made.last}")
    edit(store, f"MATCH (h:Head) SET h.settled = {before.last}")
    reader = open_store(SCHEMA, ManualClock())
    with store._server.attempt(30) as writer:
        fetch(writer, query("lock"), {"token": 0})
        assert reader.changes(before.last) == []
        assert [change.position for change in reader.changes(0)] == [before.last]
    edit(store, f"MATCH (c:Change {{position: -{made.last}}}) SET c.position = {made.last}")
    assert [change.position for change in reader.changes(0)] == [before.last, made.first, made.last]
    reader.close()
