"""Rules in .cedar files: several statements a file, each with its own words; a bad file changes nothing."""

from pathlib import Path

import pytest

from governance.errors import RuleError
from governance.principals import Principal
from governance.rulefiles import import_rules, read_rules, split
from governance.rules import add, list_rules, retire
from kg.store import GraphStore
from tests.governance.world import ontology
from tests.parts import ManualClock

TEXT = """// who may look; really
@id("read") @description("a; b // c \\" ;")
permit(principal, action == Action::"read", resource);

@id("no") // ; not the end
forbid(principal, action == Action::"apply", resource is Product)
when { context.operation == "x;y" };
// the end
"""


def test_statements_are_cut_where_they_end_and_keep_their_words(tmp_path: Path) -> None:
    (tmp_path / "b.cedar").write_text(TEXT, encoding="utf-8")
    (tmp_path / "a.cedar").write_text('@id("first") permit(principal, action, resource);', encoding="utf-8")
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    sources = read_rules(tmp_path)
    assert [source.origin for source in sources] == ["a.cedar line 1", "b.cedar line 1", "b.cedar line 5"]
    assert sources[1].text.startswith("// who may look; really")
    assert sources[2].text.endswith('"x;y" };')
    assert read_rules(tmp_path / "b.cedar") == sources[1:]


def test_importing_twice_adds_once(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    sources = tuple(split(TEXT, "b.cedar"))
    first = import_rules(store, clock, ontology(), sources, root, "from files")
    head = store.head().position
    assert import_rules(store, clock, ontology(), sources, root, "from files") == first
    assert store.head().position == head
    assert sorted(str(rule["name"]) for rule in list_rules(store)) == ["no", "read"]
    assert store.changes(0)[0].origin == "b.cedar line 1"


def test_a_retired_rule_is_not_revived_by_its_file(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    sources = tuple(split(TEXT, "b.cedar"))
    import_rules(store, clock, ontology(), sources, root, "from files")
    retire(store, clock, ontology(), "read", root, "no longer wanted")
    import_rules(store, clock, ontology(), sources, root, "from files")
    assert {str(rule["name"]): rule["status"] for rule in list_rules(store)} == {"no": "active", "read": "retired"}
    changed = tuple(split(TEXT.replace('"a; b', '"new'), "b.cedar"))
    import_rules(store, clock, ontology(), changed, root, "a new text is a new will")
    assert {str(rule["name"]): rule["status"] for rule in list_rules(store)} == {"no": "active", "read": "active"}


def test_a_file_never_undoes_what_was_changed_in_the_graph_since(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    old, new = tuple(split(TEXT, "b.cedar")), tuple(split(TEXT.replace('"a; b', '"new'), "b.cedar"))
    import_rules(store, clock, ontology(), old, root, "project set up", [])
    for source in new:
        add(store, clock, ontology(), source.text, root, "reviewed in the graph")
    head, overtaken = store.head().position, list[str]()
    import_rules(store, clock, ontology(), old, root, "project set up", overtaken)
    assert store.head().position == head
    assert len(overtaken) == 1
    assert {str(rule["text"]) for rule in list_rules(store)} == {source.text for source in new}
    # A text that was never there is the file's own new will.
    third = tuple(split(TEXT.replace('"a; b', '"third'), "b.cedar"))
    overtaken.clear()
    import_rules(store, clock, ontology(), third, root, "project set up", overtaken)
    assert overtaken == []
    assert {str(rule["text"]) for rule in list_rules(store)} == {source.text for source in third}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            TEXT + '@id("x") permit(principal, action, resource is Nothing);',
            "b.cedar line 8: rule x: unrecognized entity type",
        ),
        (TEXT + '@id("read") permit(principal, action, resource);', "rule read stands also at b.cedar line 1"),
        (TEXT + '@id("x") permit(principal, action, resource)', "b.cedar line 8: is no Cedar statement"),
    ],
)
def test_a_bad_file_changes_nothing(
    store: GraphStore, clock: ManualClock, root: Principal, text: str, said: str
) -> None:
    with pytest.raises(RuleError) as caught:
        import_rules(store, clock, ontology(), tuple(split(text, "b.cedar")), root, "r")
    assert said in str(caught.value)
    assert store.head().position == 0


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.cedar").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match=r"bad\.cedar is not UTF-8"):
        read_rules(tmp_path)
    with pytest.raises(RuleError, match="cannot be read"):
        read_rules(tmp_path / "absent.cedar")
