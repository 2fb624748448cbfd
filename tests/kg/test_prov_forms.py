"""PROV-N, Turtle and TriG: the same documents as in PROV-JSON, told alike; and what is none of them is refused in a sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import run
from kg import prov_rdf, provn
from kg.errors import InputError
from kg.prov_constraints import validate
from kg.prov_constraints.document import OBJECTS, RELATIONS
from tests.kg.test_prov_constraints import BROKEN, PREFIX, WHOLE, document

HEAD = "@prefix prov: <http://www.w3.org/ns/prov#> .\n@prefix ex: <http://example.org/> .\n"
XSD = "http://www.w3.org/2001/XMLSchema#"


def records(form: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, id and record of everything in a form but its bundles."""
    return [
        (kind, id, record)
        for kind, several in form.items()
        if kind not in ("prefix", "bundle")
        for id, given in several.items()
        for record in (given if isinstance(given, list) else [given])
    ]


def types(record: Mapping[str, Any]) -> list[str]:
    found = record.get("prov:type", [])
    found = found if isinstance(found, list) else [found]
    return [one["$"] if isinstance(one, dict) else one for one in found]


def as_provn(form: Mapping[str, Any], outer: bool = True) -> str:
    """A PROV-JSON form as PROV-N."""
    lines = []
    for kind, id, record in records(form):
        formals = OBJECTS.get(kind) or RELATIONS.get(kind, ())
        values = record.get("prov:entity") if kind == "hadMember" else None
        for member in values if isinstance(values, list) else [None]:
            given = {**record, "prov:entity": member} if member is not None else record
            said = [str(given.get(f"prov:{name}", "-")) for name in formals]
            begin = [id] if kind in OBJECTS else said[:1] if id.startswith("_:") else [f"{id}; {said[0]}"]
            more = ", ".join(f"prov:type='{one}'" for one in types(record))
            rest = said if kind in OBJECTS else said[1:]
            lines.append(f"  {kind}({', '.join([*begin, *rest, *([f'[{more}]'] if more else [])])})")
    for name, bundle in form.get("bundle", {}).items():
        lines += [f"  bundle {name}", as_provn(bundle, outer=False), "  endBundle"]
    body = "\n".join(lines)
    return (
        f"document\n  prefix ex <{PREFIX['ex']}> // ours\n  /* all of it */\n{body}\nendDocument\n" if outer else body
    )


def as_trig(form: Mapping[str, Any], outer: bool = True) -> str:
    """A PROV-JSON form as PROV-O in TriG, every relation qualified where PROV-O can."""
    lines = []
    classes = {"entity": "Entity", "activity": "Activity", "agent": "Agent"}
    times = {"startTime": "startedAtTime", "endTime": "endedAtTime"}
    for number, (kind, id, record) in enumerate(records(form)):
        given = {name.removeprefix("prov:"): value for name, value in record.items()}
        if kind in OBJECTS:
            lines.append(f"{id} a {', '.join([f'prov:{classes[kind]}', *types(record)])} .")
            lines += [f'{id} prov:{times[n]} "{t}"^^<{XSD}dateTime> .' for n, t in given.items() if n in times]
            continue
        shape = next(((q, s) for q, s in prov_rdf.QUALIFIED.items() if s[0] == kind), None)
        if shape is None or shape[1][1] not in given:
            plain = next(((p, s) for p, s in prov_rdf.PLAIN.items() if s[0] == kind), None)
            if kind == "mentionOf":
                lines.append(f"{given['specificEntity']} prov:mentionOf {given['generalEntity']} .")
                lines.append(f"{given['specificEntity']} prov:asInBundle {given['bundle']} .")
                continue
            assert plain is not None
            values = given[plain[1][2]]
            for value in values if isinstance(values, list) else [values]:
                lines.append(f"{given[plain[1][1]]} prov:{plain[0]} {value} .")
            continue
        node = f"_:q{number}" if id.startswith("_:") else id
        leads: dict[str, str] = {}
        for name, argument in shape[1][2].items():
            leads.setdefault(argument, name)
        lines.append(f"{given[shape[1][1]]} prov:{shape[0]} {node} .")
        for name, value in given.items():
            if name in leads:
                told = f'"{value}"^^<{XSD}dateTime>' if name == "time" else value
                lines.append(f"{node} prov:{leads[name]} {told} .")
        lines += [f"{node} a {one} ." for one in types(record)]
    for name, bundle in form.get("bundle", {}).items():
        lines += [f"{name} {{", as_trig(bundle, outer=False), "}"]
    return (HEAD if outer else "") + "\n".join(lines)


def said(form: Any) -> set[tuple[int, str]]:
    return {(violation.constraint, violation.bundle) for violation in validate(form)}


@pytest.mark.parametrize("number", sorted(BROKEN))
def test_a_broken_constraint_is_found_in_every_form(number: int) -> None:
    wanted = said(BROKEN[number])
    assert wanted
    assert said(provn.read(as_provn(BROKEN[number]))) == wanted
    assert said(prov_rdf.read(as_trig(BROKEN[number]))) == wanted


@pytest.mark.parametrize("whole", WHOLE[1:], ids=range(1, len(WHOLE)))
def test_a_valid_document_is_valid_in_every_form(whole: dict[str, Any]) -> None:
    assert validate(provn.read(as_provn(whole))) == []
    assert validate(prov_rdf.read(as_trig(whole))) == []


def test_prov_n_as_people_write_it() -> None:
    found = provn.read(
        """document
  default <http://example.org/>
  prefix ex <http://example.org/>
  entity(ex:report, [ prov:label="a \\"quoted\\" [text])"@en-GB, prov:type='prov:Plan', ex:size=12, prov:type="x" %% xsd:string ])
  entity(plain)
  activity(ex:compile, 2026-01-01T00:00:00Z, -)
  wasGeneratedBy(ex:g1; ex:report, ex:compile, 2026-01-01T00:00:00+01:00)
  wasDerivedFrom(ex:report, ex:data, ex:compile, ex:g1, -, [prov:type='prov:Revision'])
  used(ex:compile, -, -)
  ex:custom(ex:report, "anything", [a="b"]) // another vocabulary's
  bundle ex:b
    prefix in <http://inner.org/>
    entity(in:x)
  endBundle
endDocument"""
    )
    assert found["entity"]["ex:report"][0]["prov:type"] == [
        {"$": "prov:Plan", "type": "prov:QUALIFIED_NAME"},
        {"$": "x", "type": "xsd:string"},
    ]
    assert found["activity"]["ex:compile"] == [{"prov:startTime": "2026-01-01T00:00:00Z"}]
    assert found["wasGeneratedBy"]["ex:g1"][0]["prov:time"] == "2026-01-01T00:00:00+01:00"
    assert found["wasDerivedFrom"]["_:n1"][0]["prov:generation"] == "ex:g1"
    assert found["bundle"]["ex:b"]["prefix"] == {"in": "http://inner.org/"}
    assert validate(found) == []


@pytest.mark.parametrize(
    "text",
    [
        "", "document", "document entity(ex:a)", "document entity() endDocument", "document entity(ex:a endDocument",
        "document entity(ex:a, ex:b, ex:c) endDocument", 'document entity(ex:a, [x="never ends]) endDocument',
        "document nonsense(ex:a) endDocument", "document used() endDocument", "document entity(ex:a) endDocument more",
        "document prefix ex http://x endDocument", "document bundle ex:b bundle ex:c endBundle endBundle endDocument",
        "document bundle ex:b endBundle bundle ex:b endBundle endDocument", "\x00", "document " + "(" * 100_000,
        "document entity(ex:a, [prov:type=]) endDocument", "document used(ex:i; ex:j; ex:a, ex:b) endDocument",
    ],
)  # fmt: skip
def test_what_is_no_prov_n_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError) as caught:
        provn.read(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "", "no turtle", "@prefix prov: <http://www.w3.org/ns/prov#> . prov:a prov:used", "<a> <b> <c> .", "\x00\x01",
        HEAD + "ex:a prov:used " + "[ prov:used " * 5_000, HEAD + "ex:a ex:b ex:c .", "{ [ ( \"",
        HEAD + "ex:e prov:qualifiedGeneration [ prov:activity ex:a, ex:b ] .", "@prefix prov: <file:///etc/passwd> .",
    ],
)  # fmt: skip
def test_what_is_no_prov_o_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError) as caught:
        prov_rdf.read(text)
    assert len(str(caught.value)) < 500


def test_documents_beyond_the_bounds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provn, "STATEMENTS_MAX", 2)
    monkeypatch.setattr(prov_rdf, "STATEMENTS_MAX", 2)
    monkeypatch.setattr(prov_rdf, "TEXT_MAX", 1_000)
    monkeypatch.setattr(provn, "TEXT_MAX", 1_000)
    for read, text in (
        (provn.read, "document entity(a) entity(b) entity(c) endDocument"), (provn.read, " " * 1_001),
        (prov_rdf.read, HEAD + "ex:a a prov:Entity . ex:b a prov:Entity . ex:c a prov:Entity ."), (prov_rdf.read, " " * 1_001),
    ):  # fmt: skip
        with pytest.raises(InputError, match="more than"):
            read(text)


def test_a_comment_without_an_end_is_refused_at_the_first() -> None:
    text = "document\n" + "entity(/*)\n" * 18_000
    assert len(text) > 190_000
    with pytest.raises(InputError, match=r"line 2: the comment that begins here has no end; close it with \*/"):
        provn.read(text)


def test_the_command_takes_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    valid, broken = document(entity={"ex:x": {}}), BROKEN[min(BROKEN)]
    for name, write in (
        ("a.provn", as_provn),
        ("a.ttl", as_trig),
        ("a.trig", as_trig),
        ("said", as_provn),
        ("other", as_trig),
    ):
        (tmp_path / name).write_text(write(valid))
        assert run(["prov", "validate", str(tmp_path / name)]) == 0, name
        (tmp_path / name).write_text(write(broken))
        assert run(["prov", "validate", str(tmp_path / name)]) == 1, name
    (tmp_path / "a.ttl").write_text("garbage")
    capsys.readouterr()
    assert run(["prov", "validate", str(tmp_path / "a.ttl")]) != 0
    told = capsys.readouterr().err
    assert "a.ttl" in told
    assert "Traceback" not in told


def test_json_with_a_member_that_stands_twice_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = '"prov:activity": "ex:a", "prov:entity": "ex:e"'
    for name, text in {
        "entity": '{"entity": {"ex:e": {}}, "entity": {"ex:f": {}}}',
        "ex:u": f'{{"used": {{"ex:u": {{{used}}}, "ex:u": {{{used}}}}}}}',
        "prov:entity": f'{{"used": {{"ex:u": {{{used}, "prov:entity": "ex:f"}}}}}}',
    }.items():
        (tmp_path / "twice.json").write_text(text)
        assert run(["prov", "validate", str(tmp_path / "twice.json")]) == 1
        said = capsys.readouterr().err
        assert f"the member '{name}' stands twice" in said
        assert said.count("\n") == 1
