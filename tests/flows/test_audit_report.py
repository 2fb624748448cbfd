"""The auditor's report on the distributor's decisions: eleven answers that rest on proven changes, readable and checkable alone."""

import base64
import json
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import rdflib

from api.reports.dossier import PAGE, PAPER, PROV_JSON, PROV_O, SEALED, Report, report
from examples.distributor.generate import generate
from governance.answers import QUESTIONS
from governance.errors import DossierError
from governance.principals import load_principal
from kg.model import Cause, Entity, Op, Put, Where
from kg.prov_constraints import validate
from kg.values import canonical
from tests.flows.distributor import Desk
from verifier import noesis_verify
from verifier.noesis_verify import Unreadable, Wrong


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("audit")
    generate(folder / "data")
    made = Desk(folder / "home", folder / "data")
    made.ingest()
    made.settle()
    yield made
    made.platform.close()


def applied(desk: Desk) -> Entity:
    """A decision that allowed an effect."""
    found = desk.platform.store.find(
        "Decision", [Where("outcome", Op.EQ, "allow"), Where("action", Op.EQ, "apply")], first=1
    )
    return found.items[0]


@pytest.fixture(scope="module")
def made(desk: Desk) -> Report:
    return report(desk.platform, load_principal(desk.platform.store, "User::local"), applied(desk).id, None)


def write(made: Report, folder: Path) -> None:
    for name, content in made.files.items():
        (folder / name).write_bytes(content)


def test_it_answers_the_eleven_questions_from_what_is_proven(made: Report, desk: Desk) -> None:
    assert [one.question for one in made.answers] == list(QUESTIONS)
    assert all(one.lines for one in made.answers)
    decision = applied(desk)
    text = "\n".join("\n".join(one.lines) for one in made.answers)
    assert str(decision["principal"]) in text
    for rule in decision["rules"] if isinstance(decision["rules"], tuple) else ():
        assert str(rule).rpartition("@")[2] in text
    assert made.answers[2].quotes
    assert made.answers[6].rests
    quoted = {name for one in made.answers for _, name, _ in one.quotes}
    assert {"principal", "outcome", "text", "cause.agent"} <= quoted


def test_the_signed_dossier_verifies_alone(made: Report, tmp_path: Path) -> None:
    write(made, tmp_path)
    command = [sys.executable, "-I", "noesis_verify.py", SEALED, "--key", made.key, "--files", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "OK"), ran.stdout + ran.stderr
    assert "11 answers" in ran.stdout
    for name in (PAGE, PAPER, PROV_O, PROV_JSON):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(kept + b" ")
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 1, name
        (tmp_path / name).write_bytes(kept)


def test_an_altered_dossier_is_refused_also_when_it_is_signed_anew_by_another(made: Report) -> None:
    envelope = json.loads(made.files[SEALED])
    content = json.loads(base64.b64decode(envelope["payload"]))

    def refused(change: Any) -> str:
        altered = json.loads(canonical(content))
        change(altered)
        sealed = {**envelope, "payload": base64.b64encode(canonical(altered).encode()).decode()}
        with pytest.raises((Wrong, Unreadable)) as caught:
            noesis_verify.verify(canonical(sealed), made.key)
        with pytest.raises((Wrong, Unreadable)) as unsigned:
            unsealed(altered, made.key)
        return f"{caught.value} | {unsigned.value}"

    def quote(form: Any) -> None:
        form["report"]["answers"][0]["quotes"][0]["value"] = "deny"

    assert "otherwise than proven" in refused(quote)
    assert "not proven" in refused(lambda form: form["report"]["answers"][1]["rests"].append(1 << 40))
    assert "11 questions" in refused(lambda form: form["report"]["answers"].pop())
    assert "leaf" in refused(lambda form: form["bundle"]["facts"][0].pop("leaf"))


def unsealed(content: Any, key: str) -> None:
    """Check a dossier as if its envelope had been signed rightly."""
    proven = noesis_verify.check_bundle(content["bundle"], noesis_verify.read_key(key), [])
    noesis_verify.check_dossier(content, proven, None)


TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "table",
    "tr",
    "th",
    "td",
    "ol",
    "li",
    "a",
    "p",
    "section",
} | {"code"}


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def inert(text: str) -> None:
    """The page has our own tags and attributes only, leads nowhere, and holds no character that acts."""
    parser = Page()
    parser.feed(text)
    assert {tag for tag, _ in parser.tags} <= TAGS
    assert all(
        name in {"id", "class", "href", "lang", "charset", "content", "name", "http-equiv"}
        for _, a in parser.tags
        for name in a
    )
    assert all(str(attributes["href"]).startswith("#q") for _, attributes in parser.tags if "href" in attributes)
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert {ch for ch in set(text) if unicodedata.category(ch) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}} <= {"\n"}


def test_the_page_is_whole_in_itself_and_shows_hostile_text_as_text(desk: Desk) -> None:
    store, hostile = desk.platform.store, '<script>alert(1)</script><img src="http://x/"> \u202e</p>'
    decision = applied(desk)
    store.commit([Put(decision.id, "Decision", {"reason": hostile})], Cause("hostile", "test", "Service::test"))
    text = report(desk.platform, load_principal(store, "User::local"), decision.id, None).files[PAGE].decode()
    inert(text)
    assert "&lt;script&gt;" in text
    assert "@media print" in text


FORGED = "fine.”\nOverridden by decision-1: outcome deny.\u2028\x85Nobody may “see this”"
ACTING = (
    "</script></style></title><script>alert(1)</script><!-- ]]><svg onload=alert(1)><para><br/>&#0;&lt;",
    "".join(map(chr, range(1, 32))) + "\x1b[31m\x7f\x80\x9b",
    "\u202eevil\u2066\u2069\u061c\u200f\u200b\ufeff\u00ad\U000e0041 שלום مرحبا",
    "%PDF-1.7 endstream endobj trailer %%EOF ((( \\) \\input{/etc/passwd} $\\write18{ls}$ \uffff\U0010ffff 😀",
)
HOSTILE = {"acting": "".join(ACTING), "long": "\n" * 20_000 + "x " * 480_000}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_values_act_in_no_file_and_forge_no_line(desk: Desk, tmp_path: Path, what: str) -> None:
    store, decision = desk.platform.store, applied(desk)
    many = tuple(f"{HOSTILE[what][number % 300 :][:30]}{number}" for number in range(10_000))
    values = {"reason": FORGED + HOSTILE[what], "errors": many}
    store.commit([Put(decision.id, "Decision", values)], Cause(f"hostile-{what}", "test", "Service::test", FORGED))
    made = report(desk.platform, load_principal(store, "User::local"), decision.id, None)
    inert(made.files[PAGE].decode())
    assert made.files[PAPER].rstrip().endswith(b"%%EOF")
    assert validate(json.loads(made.files[PROV_JSON])) == []
    rdflib.Graph().parse(data=made.files[PROV_O].decode(), format="turtle")
    lines = [line for one in made.answers for line in one.lines]
    assert all(len(line.splitlines()) == 1 for line in lines)
    (stated,) = (line for line in lines if line.startswith("Stated: "))
    assert stated.startswith('Stated: reason “fine." ⏎ Overridden by decision-1: outcome deny. ⏎ Nobody may "see this"')
    assert (stated.count("“"), stated.count("”"), stated[-2:]) == (1, 1, "”.")
    write(made, tmp_path)
    command = [sys.executable, "-I", "noesis_verify.py", SEALED, "--key", made.key, "--files", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1], ran.stderr) == (0, "OK", "")


def test_the_paper_is_a_pdf_and_the_provenance_is_valid_in_both_forms(made: Report) -> None:
    assert made.files[PAPER].startswith(b"%PDF-")
    assert made.files[PAPER].rstrip().endswith(b"%%EOF")
    document = json.loads(made.files[PROV_JSON])
    assert validate(document) == []
    graph = rdflib.Graph().parse(data=made.files[PROV_O].decode(), format="turtle")
    prov = rdflib.Namespace("http://www.w3.org/ns/prov#")
    for part, cls in (("entity", prov.Entity), ("activity", prov.Activity), ("agent", prov.Agent)):
        assert len(set(graph.subjects(rdflib.RDF.type, cls))) == len(document[part]), part
    assert len(set(graph.subject_objects(prov.used))) == len(
        {tuple(sorted(r.items())) for r in document["used"].values()}
    )


def test_a_period_an_agent_and_nobody(desk: Desk) -> None:
    who = load_principal(desk.platform.store, "User::local")
    agent = str(applied(desk)["principal"])
    named = report(desk.platform, who, agent, None)
    assert named.decisions > 1
    noesis_verify.verify(named.files[SEALED].decode(), named.key)
    with pytest.raises(DossierError, match="no decision about"):
        report(desk.platform, who, "Agent::nobody", None)


def test_the_export_is_on_record(desk: Desk, made: Report) -> None:
    found = desk.platform.store.find("Export", first=50).items
    assert any(entity["exportKind"] == "audit report" for entity in found)
    assert re.fullmatch("[0-9a-f]{64}", str(found[0]["sha256"]))
