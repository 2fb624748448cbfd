"""I14: who is forgotten leaves no value behind, in no table, index, log or file, and every proof stays valid."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from governance import erasure
from governance.errors import DeniedError, ErasureError
from governance.people import ensure_principal
from governance.principals import Principal, load_principal
from governance.rulefiles import import_rules, split
from governance.rules import load_rules
from kg import checkpoints, payloads, proofs, signing
from kg.clock import SystemClock
from kg.errors import LedgerError
from kg.model import Cause, Input, Link, Put, StateWrite
from kg.ontology import Ontology, load
from kg.ontology.stored import store_texts
from kg.stores.neo4j import Neo4jStore
from kg.stores.sqlite import SqliteStore
from kg.values import Ref
from tests.services.graph import fresh
from tests.tree import ROOT
from verifier import noesis_verify

ONTOLOGY = """
@prefix n: <urn:noesis:ns#> .
@prefix : <urn:example:crm#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Contact a owl:Class , sh:NodeShape ; n:key "number" ; n:department "sales" .
:number a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string .
:fullName a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string ; n:personal true ; n:searchable true ;
    n:indexed true .
:mail a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string ; n:personal true .
:born a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:date ; n:personal true .
:city a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string ; n:personal true .
:Ticket a owl:Class ; n:department "support" .
:body a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string ; n:searchable true .
:raisedBy a owl:ObjectProperty ; rdfs:domain :Ticket ; rdfs:range :Contact .
:Depot a owl:Class ; n:department "stock" .
:town a owl:DatatypeProperty ; rdfs:domain :Depot ; rdfs:range xsd:string .
"""
NAME, MAIL, EARLIER = "Wilhelmina Quackenbush", "w.quackenbush@example.net", "Wilhelmina Zwetschgenknoedel"
ADMIN = Principal("User", "ada", frozenset({"admin"}))


class Desk:
    """A store with a person, what repeats her, and what only looks alike."""

    def __init__(self, make: Callable[[Ontology, SystemClock], SqliteStore | Neo4jStore]) -> None:
        self.clock = SystemClock()
        texts = {p: (ROOT / p / "platform.ttl").read_text() for p in ("governance", "coordination")} | {
            "kg": (ROOT / "kg/ontology/platform.ttl").read_text()
        }
        self.words: Ontology = load({**texts, "crm": ONTOLOGY})
        self.store = make(self.words, self.clock)
        store_texts(self.store, self.clock, texts, {"crm": ONTOLOGY}, "Service::init")
        ensure_principal(self.store, self.clock, "User", "ada", ADMIN, roles=("admin",))
        ensure_principal(self.store, self.clock, "User", "bob", ADMIN)
        source = (ROOT / "governance/defaults.cedar").read_text()
        import_rules(self.store, self.clock, self.words, list(split(source, "defaults.cedar")), ADMIN, "test")

    def commit(self, *writes: object, inputs: tuple[Input, ...] = (), reason: str = "") -> None:
        self.store.commit(list(writes), Cause(self.clock.id(), "test", "Service::test", reason, inputs=inputs))  # type: ignore[arg-type]

    def fill(self) -> None:
        who = {"number": "7", "fullName": EARLIER, "mail": MAIL, "city": "Ghent"}
        self.commit(Put("c7", "Contact", who, origin=f"crm.contacts/{MAIL}"))
        self.commit(Put("c7", "Contact", {"fullName": NAME}), reason=f"{NAME} has married")
        self.commit(Put("c8", "Contact", {"number": "8", "fullName": "Bo Smith", "city": "Ghent"}))
        self.commit(
            Put("t1", "Ticket", {"body": f"Caller: {NAME.upper()}, lives in Ghent"}), Link("t1", "raisedBy", "c7")
        )
        self.commit(Put("t2", "Ticket", {"body": f"cc {MAIL} please"}))
        self.commit(Put("t3", "Ticket", {"body": "nothing of her"}))
        self.commit(Put("d1", "Depot", {"town": "Ghent"}))
        proposal = {
            "agent": "a", "operation": "o", "target": Ref("c7"), "state": "denied", "rationale": f"hold for {NAME}",
            "writes": f'[["put","c7",{{"fullName":"{NAME}"}}]]',
        }  # fmt: skip
        self.commit(Put("p1", "Proposal", proposal), inputs=(Input("c7", 2),))
        self.commit(Put("t1", "Ticket", {"body": "closed"}), inputs=(Input("p1", 1),), reason=f"as {NAME} wanted")
        rows = [
            StateWrite("reject", "crm\x1fcontacts\x1f#1", {"row": {"m": MAIL}}),
            StateWrite("key", f"Contact\x1fmail\x1f{MAIL}", {"id": "c7"}),
        ]
        self.store.commit([], None, state=rows)
        assert self.store.search_text("Quackenbush", ["Contact"])

    def forget(self, named: str = "c7", who: Principal = ADMIN, **days: int) -> erasure.Certificate:
        rules = load_rules(self.store, self.words)
        principal = load_principal(self.store, who.uid)
        return erasure.forget(
            self.store, self.store, self.clock, rules, self.words, principal, named, "she asked for it", days
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(lambda words, clock: SqliteStore(tmp_path / "graph.db", words, clock, durable=False))
    made.fill()
    return made


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())


def test_i14_no_value_stays_in_any_file_and_the_ledger_verifies(desk: Desk, tmp_path: Path) -> None:
    assert NAME.encode() in bytes_of(tmp_path)
    root = desk.store.ledger()
    certificate = desk.forget()
    held = bytes_of(tmp_path).lower()
    for value in (NAME, EARLIER, MAIL, "Quackenbush", "Zwetschgenknoedel", NAME.upper()):
        assert value.lower().encode() not in held, value
    assert desk.store.residue([NAME, MAIL, EARLIER]) == []
    assert desk.store.verify() == desk.store.head().position
    assert desk.store.ledger()[: len(root)] == root
    assert certificate.forgotten.counts["Contact"] == 2
    assert certificate.forgotten.counts["state reject"] == 1
    assert certificate.forgotten.counts["state key"] == 1


def test_what_is_not_hers_stays(desk: Desk) -> None:
    desk.forget()
    found = desk.store.get(["c7", "c8", "t1", "t2", "t3", "d1", "p1"])
    assert found["c8"]["city"] == "Ghent"
    assert found["d1"]["town"] == "Ghent"
    assert found["t3"]["body"] == "nothing of her"
    assert found["t2"]["body"] == "cc [erased] please"
    assert found["c7"].properties == {"number": "7"}
    assert desk.store.history("t1")[0]["body"] == "Caller: [erased], lives in [erased]"
    assert found["p1"]["rationale"] == "hold for [erased]"
    assert found["p1"]["state"] == "denied"
    assert not desk.store.search_text("Quackenbush", ["Contact"])
    assert not desk.store.search_text("Quackenbush", ["Ticket"])


def test_the_erasure_is_a_change_that_followers_see(desk: Desk) -> None:
    before = desk.store.head().position
    certificate = desk.forget()
    changes = desk.store.changes(before)
    updated = {change.subject: change.changed for change in changes if change.kind == "updated"}
    assert updated["c7"] == ("city", "fullName", "mail")
    entity = desk.store.get([certificate.id])[certificate.id]
    assert entity.cls == "Erasure"
    assert entity["grounds"] == "she asked for it"
    assert any(NAME in text for text in certificate.texts)
    assert NAME not in "\n".join(certificate.lines())


def test_proofs_made_before_stay_valid_and_new_ones_show_that_something_was_erased(desk: Desk, tmp_path: Path) -> None:
    key = signing.signer("test.local/ledger", signing.make_key())
    checkpoint = checkpoints.sign(desk.store, desk.clock, key, "Service::test")
    positions = proofs.positions_of(desk.store, desk.store.history("c7"), int(str(checkpoint["size"])))
    old = noesis_verify.canonical(proofs.bundle(desk.store, desk.store, checkpoint, positions))
    assert noesis_verify.verify(old, key.public.vkey)["facts"][0]["values"]["mail"] == MAIL
    desk.forget()
    assert checkpoints.verify_all(desk.store, desk.store, key.public, [str(checkpoint["note"])]) == 2
    new = noesis_verify.canonical(proofs.bundle(desk.store, desk.store, checkpoint, positions))
    first = noesis_verify.verify(new, key.public.vkey)["facts"][0]
    assert first["values"] == {}
    assert first["closed"] == ["content", "city", "fullName", "mail"]
    assert MAIL not in new


def test_an_erased_row_that_is_altered_later_is_found(desk: Desk, tmp_path: Path) -> None:
    desk.forget()
    desk.store.close()
    for number, statement in enumerate(
        (
            "UPDATE version SET props = replace(props, '[erased]', 'innocent') WHERE id = 'p1' AND erased IS NOT NULL",
            "UPDATE cause SET reason = 'another' WHERE erased IS NOT NULL",
            "UPDATE version SET erased = replace(erased, '\"mail\"', '\"male\"') WHERE erased IS NOT NULL",
            "UPDATE change SET origin = 'crm' WHERE position = (SELECT min(since) FROM version WHERE id = 'c7')",
        )
    ):
        path = tmp_path / f"{number}.db"
        path.write_bytes((tmp_path / "graph.db").read_bytes())
        connection = sqlite3.connect(path)
        assert connection.execute(statement).rowcount
        connection.commit()
        connection.close()
        store = SqliteStore(path, desk.words, desk.clock, durable=False)
        with pytest.raises(LedgerError, match="differs at position"):
            store.verify()
        store.close()


def test_twice_and_two_people_in_one_text(desk: Desk) -> None:
    desk.commit(
        Put("t9", "Ticket", {"body": f"{NAME} and Bartholomew Featherstonehaugh"}), Link("t9", "raisedBy", "c9")
    )
    desk.commit(Put("c9", "Contact", {"number": "9", "fullName": "Bartholomew Featherstonehaugh"}))
    desk.forget()
    desk.forget("c9")
    again = desk.forget()
    assert again.forgotten.counts == {}
    assert desk.store.history("t9")[0]["body"] == "[erased] and [erased]"
    assert desk.store.verify() == desk.store.head().position


def test_a_repeated_cause_brings_nothing_back(desk: Desk) -> None:
    put, cause = (
        Put("c5", "Contact", {"number": "5", "fullName": "Ermintrude Huckleberry"}),
        Cause("once", "test", "Service::x"),
    )
    desk.store.commit([put], cause)
    desk.forget("c5")
    assert desk.store.commit([put], cause).repeated
    assert "fullName" not in desk.store.get(["c5"])["c5"].properties


def test_a_legal_hold_refuses_and_is_named_where_it_keeps_a_text(desk: Desk) -> None:
    rules = load_rules(desk.store, desk.words)
    ada = load_principal(desk.store, "User::ada")
    erasure.hold(desk.store, desk.clock, rules, ada, "c7", "lawsuit 4 C 11")
    with pytest.raises(ErasureError, match="legal hold: lawsuit"):
        desk.forget()
    assert desk.store.history("c7")[0]["mail"] == MAIL
    assert erasure.release(desk.store, desk.clock, rules, ada, "c7", "settled") == 1
    erasure.hold(desk.store, desk.clock, rules, ada, "t2", "evidence")
    certificate = desk.forget()
    assert certificate.forgotten.stayed == {"Ticket t2": "legal hold: evidence"}
    assert desk.store.get(["t2"])["t2"]["body"] == f"cc {MAIL} please"


def test_retention_of_a_class_keeps_its_rows_and_says_so(desk: Desk) -> None:
    certificate = desk.forget(Ticket=30)
    assert {"Ticket t1", "Ticket t2"} <= set(certificate.forgotten.stayed)
    assert desk.store.get(["t2"])["t2"]["body"] == f"cc {MAIL} please"
    assert desk.store.verify() == desk.store.head().position


@pytest.mark.parametrize("kind", ["sqlite", "neo4j"])
def test_a_payload_that_a_held_run_promises_stays_as_its_digest_says(kind: str, tmp_path: Path) -> None:
    if kind == "sqlite":
        desk = Desk(lambda words, clock: SqliteStore(tmp_path / "graph.db", words, clock, durable=False))
    else:
        desk = Desk(lambda words, clock: fresh(tmp_path, words, clock))
    store = desk.store
    try:
        desk.fill()
        digests = {}
        for run in ("run1", "run2"):
            digests[run], row = payloads.row(run, payloads.text_of({"who": NAME, "of": run, "more": "x" * 20_000}))
            put = Put(run, "Run", {"inputDigest": digests[run]})
            store.commit([put], Cause(desk.clock.id(), "test", "Service::test", inputs=(Input("c7", 2),)), state=[row])
        erasure.hold(
            store, desk.clock, load_rules(store, desk.words), load_principal(store, "User::ada"), "run1", "evidence"
        )
        forgotten = desk.forget().forgotten
        assert forgotten.stayed[f"payload run1/{digests['run1']}"] == "legal hold: evidence"
        assert store.get(["run1"])["run1"]["inputDigest"] == digests["run1"]
        assert NAME in str(payloads.read(store, "run1", digests["run1"]))
        after = str(store.get(["run2"])["run2"]["inputDigest"])
        assert after != digests["run2"]
        assert NAME not in str(payloads.read(store, "run2", after))
        assert store.verify() == store.head().position
    finally:
        store.close()


def test_a_payload_of_a_run_under_retention_stays_and_says_so(desk: Desk) -> None:
    digest, row = payloads.row("run1", payloads.text_of({"who": NAME, "more": "x" * 20_000}))
    cause = Cause(desk.clock.id(), "test", "Service::test", inputs=(Input("c7", 2),))
    desk.store.commit([Put("run1", "Run", {"inputDigest": digest})], cause, state=[row])
    assert desk.forget(Run=30).forgotten.stayed[f"payload run1/{digest}"] == "retention of Run"
    assert NAME in str(payloads.read(desk.store, "run1", digest))


def test_who_may_not_is_refused_on_record(desk: Desk) -> None:
    before = desk.store.head().position
    with pytest.raises(DeniedError):
        desk.forget(who=Principal("User", "bob"))
    assert desk.store.head().position > before
    assert desk.store.history("c7")[0]["mail"] == MAIL
    with pytest.raises(ErasureError, match="nobody called"):
        desk.forget("User::nobody")


def test_a_user_is_forgotten_by_name(desk: Desk) -> None:
    ids = [e.id for e in desk.store.find("User", first=10).items if e["name"] == "bob"]
    desk.commit(Put(ids[0], "User", {"email": "bobby.tables@example.org"}))
    desk.forget("bob")
    assert "email" not in desk.store.get(ids)[ids[0]].properties
    assert desk.store.verify() == desk.store.head().position


def test_i14_on_a_neo4j_server_no_node_and_no_relationship_holds_a_value(tmp_path: Path) -> None:
    desk = Desk(lambda words, clock: fresh(tmp_path, words, clock))
    store = desk.store
    assert isinstance(store, Neo4jStore)
    try:
        desk.fill()
        desk.commit(Link("t2", "raisedBy", "c7", {"note": f"for {NAME}"}))
        leaves = store.ledger()
        key = signing.signer("test.local/ledger", signing.make_key())
        checkpoint = checkpoints.sign(store, desk.clock, key, "Service::test")
        positions = proofs.positions_of(store, store.history("c7"), int(str(checkpoint["size"])))
        bundle = noesis_verify.canonical(proofs.bundle(store, store, checkpoint, positions))
        assert noesis_verify.verify(bundle, key.public.vkey)["facts"][0]["values"]["mail"] == MAIL
        desk.forget()
        assert store.verify() == store.head().position
        assert store.ledger()[: len(leaves)] == leaves
        assert checkpoints.verify_all(store, store, key.public, [str(checkpoint["note"])]) == 2
        rows = store._server.rows(
            "MATCH (n) RETURN properties(n) AS p UNION ALL MATCH ()-[r]->() RETURN properties(r) AS p"
        )
        held = repr(rows).lower()
        for value in (NAME, EARLIER, MAIL, "Quackenbush"):
            assert value.lower() not in held, value
        assert store.get(["c7"])["c7"].properties == {"number": "7"}
        assert not store.search_text("Quackenbush", ["Ticket"])
    finally:
        store.close()
