"""I14 over a whole home folder: after `noesis forget` no byte of any file in it tells of the person, wherever she had got to."""

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api import bootstrap
from api.bootstrap import build
from api.cli.main import run
from api.remains import CLOSED, TELLS, UNKNOWN
from api.settings import load_settings
from coordination.runs import mailbox
from governance.erasure import UNBUILT
from kg import payloads
from kg.embedders.hashing import HashingEmbedder
from kg.errors import StoreBusyError
from kg.index import Embedder
from kg.indexer import Indexer
from kg.store import GraphStore
from kg.stores import sqlite_evidence

MARK = "zwetschgenknoedel"
NAME, MAIL, STAFF = "Wilhelmina Zwetschgenknödel", f"w.{MARK}@example.net", 71234567
BODY = f"{NAME} called about the pump"
#: Numbers of a vector that are looked for, and how near they must come.
STRETCH, CLOSE = 64, 1e-4
#: Her name as it may be spelt in a file, in small letters, and her number.
SPELT = ("zwetschgenknödel", "zwetschgenknödel", "zwetschgenkn\\u00f6del", MARK, str(STAFF))
ONTOLOGY = """
@prefix : <urn:desk#> .
@prefix n: <urn:noesis:ns#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Contact a owl:Class ; n:key "number" ; n:department "sales" .
:number a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string ; n:indexed true .
:fullName a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string ; n:personal true ; n:searchable true ;
    n:indexed true .
:mail a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:string ; n:personal true .
:staff a owl:DatatypeProperty ; rdfs:domain :Contact ; rdfs:range xsd:integer ; n:personal true .
:Ticket a owl:Class ; n:key "code" ; n:department "support" .
:code a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string .
:body a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string ; n:searchable true .
:caller a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:integer .
:raisedBy a owl:ObjectProperty ; rdfs:domain :Ticket ; rdfs:range :Contact .
"""
MAPPING = """
source: desk
tables:
  - {from: contacts.csv, class: Contact, key: {number: no}, properties: {fullName: name, mail: mail, staff: staff}}
  - {from: tickets.csv, class: Ticket, key: {code: no}, properties: {body: text, caller: caller}, relations: {raisedBy: who}}
"""
FLOW = """
document: {dsl: '1.0.3', namespace: desk, name: flow, version: '1.0.0'}
do:
  - keep: {set: '${ . }'}
  - ask: {call: approve, with: {approvers: {managers: 1}, summary: '${ "May we write to " + .mail + "?" }'}}
"""


@pytest.fixture(name="noesis")
def _noesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    for name in [name for name in os.environ if name.startswith("NOESIS_")]:
        monkeypatch.delenv(name)
    # Hashing of words embeds at once; what is kept of a vector is kept alike.
    monkeypatch.setattr(bootstrap, "MiniLM", lambda _: HashingEmbedder())
    (tmp_path / "desk.ttl").write_text(ONTOLOGY)
    (tmp_path / "map.yaml").write_text(MAPPING)
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "noesis.toml").write_text('ontology = ["desk.ttl"]\nmappings = [{file = "map.yaml"}]\n')
    source = tmp_path / "source"
    source.mkdir()
    (source / "contacts.csv").write_text(
        f"no,name,mail,staff\n7,{NAME},{MAIL},{STAFF}\n8,Bo Smith,bo@example.net,5\n9,{NAME} again,{MAIL},no number\n"
    )
    (source / "tickets.csv").write_text(
        f"no,text,caller,who\n1,{BODY},{STAFF},7\n2,a pump for Bo,5,8\n3,cc {MAIL},5,nobody\n"
    )

    def call(*arguments: str, code: int = 0) -> Any:
        assert run(["--project", str(tmp_path), *arguments]) == code, capsys.readouterr().err
        printed = capsys.readouterr().out
        return json.loads(printed) if "--json" in arguments else printed

    call("init")
    call("ingest", str(source))
    return call


def files(home: Path) -> dict[str, bytes]:
    """Every file of a home by its path."""
    return {str(file.relative_to(home)): file.read_bytes() for file in home.rglob("*") if file.is_file()}


def telling(home: Path, *vectors: Any) -> set[str]:
    """The first part of the paths of the files that tell of her, in any spelling, or hold one of these vectors."""
    wanted = [text.encode() for text in SPELT]
    return {
        name.partition("/")[0].removesuffix("-wal")
        for name, data in files(home).items()
        if any(text in data.lower() for text in wanted) or any(holds(data, vector) for vector in vectors)
    }


def holds(data: bytes, vector: Any) -> bool:
    """Whether bytes hold a vector as an array or as CBOR, perhaps normalised once more."""
    for shape in (np.dtype("<f4"), np.dtype([("tag", "u1"), ("number", ">f4")])):
        for start in range(shape.itemsize):
            found = np.frombuffer(data[start : len(data) - (len(data) - start) % shape.itemsize], shape)
            numbers = found if shape.names is None else found["number"]
            with np.errstate(all="ignore"):
                places = np.flatnonzero(np.abs(numbers - vector[0]) < CLOSE)
            if any(
                len(n := numbers[p : p + STRETCH]) == STRETCH and np.allclose(n, vector, atol=CLOSE) for p in places
            ):
                return True
    return False


def vector(embedder: Embedder, text: str) -> Any:
    """A stretch of the vector of a text from its first number that is not 0, long enough to be nobody else's."""
    whole = np.array(embedder.embed([text])[0])
    first = int(np.flatnonzero(whole)[0])
    return whole[first : first + STRETCH]


def machine(store: GraphStore, kind: str) -> str:
    return json.dumps([[row.key, row.value] for row in store.scan(kind, first=500)], ensure_ascii=False)


def start(noesis: Callable[..., Any], tmp_path: Path) -> dict[str, Any]:
    """A run that holds her, large, and asks people about her, a letter to it, a search for her; what the run was given."""
    given = {"mail": MAIL, "who": NAME, "caller": STAFF, "by": {NAME: NAME.split()}, "more": ["x" * 40] * 1_000}
    (tmp_path / "input.json").write_text(json.dumps(given))
    flow, said = str(tmp_path / "flow.yaml"), f"@{tmp_path / 'input.json'}"
    assert noesis("workflow", "run", flow, "--id", "r1", "-i", said, "--wait", "1", "--json")["state"] == "waiting"
    noesis("runs", "signal", "r1", "desk.note", "--data", json.dumps({"from": NAME}))
    noesis("search", NAME)
    return given


def test_i14_no_byte_of_the_home_tells_of_her(noesis: Callable[..., Any], tmp_path: Path) -> None:
    home, settings = tmp_path / ".noesis", load_settings(project=tmp_path)
    given = start(noesis, tmp_path)
    with closing(build(settings, index=True)) as platform:
        store, embedder = platform.store, platform.embedder
        (her,) = [one for one in store.find("Contact", first=9).items if one["number"] == "7"]
        assert embedder is not None
        assert platform.index is not None
        Indexer(store, platform.index, embedder, platform.ontology).run()
        (about,) = [one for one in store.find("Ticket", first=9).items if one["code"] == "1"]
        vectors = [vector(embedder, platform.ontology.text_of(one)) for one in (her, about)]
        searched = vector(embedder, NAME)
        # She has got everywhere before she is forgotten.
        assert MARK in machine(store, payloads.KIND)
        assert NAME in machine(store, mailbox.LETTER)
        assert NAME in machine(store, "reject")
        assert any(MARK in str(one.properties) for one in store.find("Decision", first=50).items)
        assert store.search_text("Zwetschgenknödel pump", ["Ticket"])
    assert "graph.db" in telling(home)
    assert {"embeddings.db", "index"} <= telling(home, vectors[0])
    assert {"embeddings.db", "index"} <= telling(home, vectors[1])
    assert "embeddings.db" in telling(home, searched)

    told = noesis("forget", her.id, "--reason", "she asked", "--yes", "--json")
    went = {"state payload", "state letter", "state reject", "Contact", "Ticket", "Decision", "Run", "Step", "cause"}
    assert went <= told["erased"].keys()
    assert told["indexRebuilt"]
    assert telling(home, *vectors, searched) == set()
    noesis("verify")

    with closing(build(settings)) as platform:
        kept: Any = payloads.read(platform.store, "r1", str(platform.store.get(["r1"])["r1"]["inputDigest"]))
        (ticket,) = [one for one in platform.store.find("Ticket", first=9).items if one["code"] == "1"]
    assert (kept["mail"], kept["who"], kept["caller"], kept["more"]) == (*["[erased]"] * 3, given["more"])
    assert ticket["body"] == "[erased] called about the pump"
    assert "caller" not in ticket.properties
    assert noesis("runs", "show", "r1", "--json")["state"] == "waiting"
    assert "a pump for Bo" in json.dumps(noesis("search", "pump", "--json"))


def test_what_lies_in_the_home_beside_the_stores_is_named(noesis: Callable[..., Any], tmp_path: Path) -> None:
    home, her = tmp_path / ".noesis", person(tmp_path)
    (home / "reports").mkdir()
    report, log, other = home / "reports" / "her.html", home / "serve.log", home / "serve.old.log"
    report.write_text(f"<td>asked by Wilhelmina&nbsp;{NAME.split()[1]}, {MAIL}</td>")
    log.write_text(f"09:00 served\n09:01 asked for {MAIL.upper()} by hand\n")
    other.write_text("09:00 served, zwetschgen are plums\n")
    (home / "all.pdf").write_bytes(b"%PDF-1.7 packed")
    assert "reports" in telling(home)
    told = noesis("forget", her, "--reason", "she asked", "--yes", "--json")
    assert told["files"] == {"reports/her.html": TELLS, "serve.log": TELLS, "all.pdf": CLOSED}
    assert telling(home) == {"reports", "serve.log"}, "what is not named tells nothing"
    again = noesis("forget", her, "--reason", "she asked again", "--yes", "--json")
    assert again["files"] == {
        "reports/her.html": UNKNOWN, "serve.log": UNKNOWN, "serve.old.log": UNKNOWN, "all.pdf": CLOSED
    }  # fmt: skip


def person(folder: Path) -> str:
    """Her id."""
    with closing(build(load_settings(project=folder))) as platform:
        (her,) = [one for one in platform.store.find("Contact", first=9).items if one["number"] == "7"]
    return her.id


def test_without_a_rebuild_the_certificate_says_what_may_stay(noesis: Callable[..., Any], tmp_path: Path) -> None:
    her = person(tmp_path)
    assert UNBUILT in noesis("forget", her, "--reason", "she asked", "--yes", "--no-rebuild")


def test_an_erasure_that_broke_off_before_the_caches_is_made_whole_by_the_next(
    noesis: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(noesis, tmp_path)
    with closing(build(load_settings(project=tmp_path), index=True)) as platform:
        (her,) = [one for one in platform.store.find("Contact", first=9).items if one["number"] == "7"]
        Indexer(platform.store, platform.index, platform.embedder, platform.ontology).run()
        vectors = vector(platform.embedder, platform.ontology.text_of(her)), vector(platform.embedder, NAME)

    def busy(_: object) -> None:
        raise StoreBusyError("a reader is in the way")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite_evidence, "clean", busy)
        noesis("forget", her.id, "--reason", "she asked", "--yes", code=1)
    assert telling(tmp_path / ".noesis", *vectors) >= {"embeddings.db"}
    noesis("forget", her.id, "--reason", "she asked", "--yes")
    assert telling(tmp_path / ".noesis", *vectors) == set()


def test_no_name_of_a_file_forges_a_line_of_the_certificate(noesis: Callable[..., Any], tmp_path: Path) -> None:
    home, her = tmp_path / ".noesis", person(tmp_path)
    (home / "x\nby: nobody").write_text(MAIL)
    (Path(os.fsdecode(os.fsencode(home) + b"/b\xff.txt"))).write_text(MAIL)
    noesis("forget", her, "--reason", "she asked", "--yes", "--out", str(tmp_path / "certificate.txt"))
    lines = (tmp_path / "certificate.txt").read_text().splitlines()
    assert not [line for line in lines if line.startswith("by: nobody")]
    assert [line.partition(": ")[0] for line in lines if TELLS in line] == ["- file b\\udcff.txt", "- file x\\u000aby"]


def test_copies_and_other_encodings_are_named(noesis: Callable[..., Any], tmp_path: Path) -> None:
    home, her = tmp_path / ".noesis", person(tmp_path)
    (home / "graph.db.bak").write_bytes((home / "graph.db").read_bytes())
    (home / "index-of-people.csv").write_text(MAIL)
    (home / "latin.csv").write_bytes(f"{NAME}\n".encode("latin-1"))
    told = noesis("forget", her, "--reason", "she asked", "--yes", "--json")
    assert told["files"] == {"graph.db.bak": CLOSED, "index-of-people.csv": TELLS, "latin.csv": TELLS}
