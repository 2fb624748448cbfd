"""Pictures of workflows: what the arrows say, that no name becomes syntax, that boxes stand where they belong; and the commands."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from api.cli.main import run
from coordination.errors import WorkflowError
from coordination.workflow.document import Document, parse
from coordination.workflow.graph import Block, Lane, graph
from coordination.workflow.mermaid import mermaid
from coordination.workflow.svg import svg
from tests.workflow import published
from tests.workflow.test_builder import TEXT
from tests.workflow.test_validation import HEAD

_SVG = "{http://www.w3.org/2000/svg}"


def arrows(document: Document) -> set[tuple[str, str, str]]:
    """The arrows of a picture, all lists, by the names of the tasks."""
    found: set[tuple[str, str, str]] = set()
    names: dict[str, str] = {}

    def walk(lane: Lane) -> None:
        for block in lane.blocks:
            names[block.id] = block.name
            for inside in block.lanes:
                walk(inside)

    def collect(lane: Lane) -> None:
        for arrow in lane.arrows:
            found.add((names.get(arrow.source, arrow.source), names.get(arrow.target, "leave"), arrow.label))
        for block in lane.blocks:
            for inside in block.lanes:
                collect(inside)

    walk(graph(document))
    collect(graph(document))
    return found


def test_arrows_say_what_the_directives_say() -> None:
    text = (
        "do:\n- a: { switch: [ big: { when: .n, then: c }, small: { then: exit } ] }\n- b: { wait: PT1S, then: a }\n"
        "- c: { try: [ d: { set: { n: 1 }, then: exit }, e: { wait: PT1S } ], catch: { then: b } }\n"
        "- f: { raise: { error: { type: x, status: 500 } } }\n"
    )
    assert arrows(parse(HEAD + text)) == {
        ("begin", "a", ""),
        ("a", "c", "big"),
        ("a", "leave", "small"),
        ("b", "a", ""),
        ("c", "f", ""),
        ("c", "b", "caught"),
        ("d", "leave", ""),
    }


def test_mermaid_is_as_it_was_agreed() -> None:
    text = HEAD + "do:\n- a: { wait: PT1S }\n- b: { fork: { branches: [ c: { set: { n: 1 } } ] } }\n"
    assert mermaid(graph(parse(text))) == (
        "flowchart TD\n"
        '  begin(["start"])\n'
        '  finish(["end"])\n'
        '  n0(["a: wait PT1S"])\n'
        '  subgraph n1["b: fork all"]\n'
        '    n1_3_0["c: set n"]\n'
        "  end\n"
        "  begin --> n0\n"
        "  n0 --> n1\n"
        "  n1 --> finish\n"
    )


def test_no_name_becomes_syntax() -> None:
    name = '"]; <script>alert(1)</script> --> x; `#'
    text = json.dumps({**parse(TEXT).body, "do": [{name: {"wait": "PT1S"}}]})
    document = parse(text)
    drawn = mermaid(graph(document))
    assert "<script" not in drawn
    assert drawn.count("-->") == 2
    picture = svg(graph(document), '<b>&"')
    root = ElementTree.fromstring(picture)
    assert root.findtext(f"{_SVG}title") == '<b>&"'
    assert not root.findall(f".//{_SVG}script")


def _rectangles(picture: str) -> list[tuple[float, float, float, float]]:
    root = ElementTree.fromstring(picture)
    found = []
    for one in root.iter(f"{_SVG}rect"):
        x, y, width, height = (float(one.get(name, "nan")) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def _blocks(lane: Lane) -> list[Block]:
    return [inner for block in lane.blocks for inner in (block, *(b for one in block.lanes for b in _blocks(one)))]


def _apart_or_inside(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    within = all((a[0] < b[0] and a[1] < b[1] and b[2] < a[2] and b[3] < a[3]) for a, b in [(one, other)])
    around = all((a[0] < b[0] and a[1] < b[1] and b[2] < a[2] and b[3] < a[3]) for a, b in [(other, one)])
    return apart or within or around


def test_every_published_document_is_drawn_without_boxes_over_each_other() -> None:
    published.need()
    drawn = 0
    for name, text in {"own": TEXT, **published.examples(), **published.definitions()}.items():
        try:
            document = parse(text, name)
        except WorkflowError:
            continue
        lane = graph(document)
        rectangles = _rectangles(svg(lane, document.key))
        assert len(rectangles) >= len(_blocks(lane)) + 2
        for index, one in enumerate(rectangles):
            assert all(_apart_or_inside(one, other) for other in rectangles[index + 1 :]), name
        assert mermaid(lane).count("subgraph") == len(re.findall(r"^ +end$", mermaid(lane), re.MULTILINE))
        drawn += 1
    assert drawn == 129


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a good and a bad document."""
    (tmp_path / "good.yaml").write_text(TEXT, "utf-8")
    (tmp_path / "bad.yaml").write_text(HEAD + "do:\n- a: { call: htp }\n- b: { wait: P1Y }\n", "utf-8")
    (tmp_path / "broken.json").write_text('{"document": }', "utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9")
    return tmp_path


def test_validate_names_every_problem(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    assert run(["workflow", "validate", "good.yaml"]) == 0
    assert capsys.readouterr().out == "good.yaml: valid, finance.close:1.2.0\n"
    assert run(["workflow", "validate", "good.yaml", "bad.yaml", "broken.json", "latin.yaml", "gone.yaml", "."]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "good.yaml: valid, finance.close:1.2.0"
    assert lines[1].startswith("bad.yaml:3:8: error: there is no function `htp`")
    assert lines[2].startswith("bad.yaml:4:8: error: 'P1Y' is no duration")
    assert lines[3].startswith("broken.json:1:14: error: not valid JSON")
    assert lines[4] == "latin.yaml:1:1: error: is not UTF-8; save the file as UTF-8"
    assert lines[5] == "gone.yaml:1:1: error: No such file or directory; check the path"
    assert lines[6] == ".:1:1: error: Is a directory; check the path"
    assert len(lines) == 7


def test_validate_as_json(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    assert run(["workflow", "validate", "--json", "good.yaml", "bad.yaml"]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["outcome"], good["problems"], good["digest"]) == ("valid", [], parse(TEXT).digest)
    assert bad["outcome"] == "invalid"
    assert [(one["line"], one["column"], one["pointer"]) for one in bad["problems"]] == [
        (3, 8, "/do/0/a/call"),
        (4, 8, "/do/1/b/wait"),
    ]


def test_graph_draws_or_says_why_not(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    assert run(["workflow", "graph", "good.yaml"]) == 0
    assert capsys.readouterr().out == mermaid(graph(parse(TEXT)))
    assert run(["workflow", "graph", "good.yaml", "--svg", "--out", "good.svg"]) == 0
    assert capsys.readouterr().out == "Wrote good.svg.\n"
    assert (files / "good.svg").read_text("utf-8") == svg(graph(parse(TEXT)), "finance.close:1.2.0")
    assert run(["workflow", "graph", "bad.yaml"]) == 1
    assert "bad.yaml:3:8: error: there is no function `htp`" in capsys.readouterr().err
    assert run(["workflow", "graph", "gone.yaml"]) == 1
    assert "gone.yaml: No such file or directory" in capsys.readouterr().err
