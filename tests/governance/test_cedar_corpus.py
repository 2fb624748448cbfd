"""What decides the public Cedar corpus agrees with what is right by hand, and finds what is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import __main__ as conformance
from tests.conformance import cedar_by_hand
from tests.conformance.cedar_corpus import Tally, by_hand, decide

POLICIES = """
permit(principal in Team::"a", action == Action::"see", resource in Folder::"f") when { context.open };
forbid(principal, action, resource) when { resource.level > 3 };
forbid(principal, action, resource) when { resource.missing };
"""
ENTITIES = """[
{"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": [{"type": "Team", "id": "inner"}]},
{"uid": {"type": "Team", "id": "inner"}, "attrs": {}, "parents": [{"type": "Team", "id": "a"}]},
{"uid": {"type": "File", "id": "x"}, "attrs": {"level": 1, "missing": false}, "parents": [{"type": "Folder", "id": "f"}]},
{"uid": {"type": "File", "id": "y"}, "attrs": {"level": 4, "missing": false}, "parents": [{"type": "Folder", "id": "f"}]},
{"uid": {"type": "File", "id": "z"}, "attrs": {"level": 1}, "parents": []}
]"""


def case(file: str, decision: str, reason: list[str], errors: list[str], action: str = "Action") -> dict[str, Any]:
    return {
        "description": file, "principal": {"type": "User", "id": "u"}, "action": {"type": action, "id": "see"},
        "resource": {"type": "File", "id": file}, "context": {"open": True},
        "decision": decision, "reason": reason, "errors": errors,
    }  # fmt: skip


def test_cases_by_hand_agree_and_a_wrong_one_is_found() -> None:
    right = [
        case("x", "allow", ["policy0"], []), case("y", "deny", ["policy1"], []), case("z", "deny", [], ["policy2"]),
    ]  # fmt: skip
    tally = Tally()
    decide("by hand", {"requests": right}, POLICIES, ENTITIES, tally)
    assert (tally.passed, tally.wrong) == (3, [])
    decide("wrong", {"requests": [case("x", "deny", [], [])]}, POLICIES, ENTITIES, tally)
    assert len(tally.wrong) == 1
    decide("elsewhere", {"requests": [case("x", "allow", [], [], "Other::Action")]}, POLICIES, ENTITIES, tally)
    decide("template", {"requests": right}, "permit(principal == ?principal, action, resource);", ENTITIES, tally)
    decide("nobody", {"requests": [{**right[0], "principal": None}]}, POLICIES, ENTITIES, tally)
    without = "a request without a principal or a resource"
    assert tally.refused == {"a second type of action": 1, "a template": 3, without: 1}


def test_actions_of_one_type_of_another_name_are_decided_and_their_groups_count() -> None:
    entities = [
        {"uid": {"type": "Far::Action", "id": "see"}, "attrs": {}, "parents": [{"type": "Far::Action", "id": "use"}]},
        {"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": []},
    ]
    policies = 'permit(principal, action in Far::Action::"use", resource) when { action != Far::Action::"do" };'
    asked = [case("x", "allow", ["policy0"], [], "Far::Action"), case("x", "deny", [], [], "Far::Action")]
    asked[1]["action"] = {"type": "Far::Action", "id": "do"}
    tally = Tally()
    decide("far", {"requests": asked}, policies, json.dumps(entities), tally)
    assert (tally.passed, tally.wrong, tally.refused) == (2, [], {})


def folder(root: Path, form: dict[str, Any]) -> Path:
    """A folder with one case, by a schema that alone says that an owner is an entity."""
    (root / "tests" / "multi").mkdir(parents=True)
    (root / "sample-data").mkdir()
    (root / "tests" / "multi" / "own.cedar").write_text(
        'permit(principal, action == Action::"see", resource) when { resource.owner == principal };'
    )
    (root / "tests" / "multi" / "other.json").write_text("{}")
    (root / "sample-data" / "box.cedarschema").write_text(
        "entity User; entity File = { owner: User };"
        "action see appliesTo { principal: [User], resource: [File], context: { open: Bool } };"
    )
    owned = {"uid": {"type": "File", "id": "x"}, "attrs": {"owner": {"type": "User", "id": "u"}}, "parents": []}
    (root / "sample-data" / "box.json").write_text(json.dumps([owned]))
    named = {
        "policies": "tests/multi/own.cedar", "entities": "sample-data/box.json", "schema": "sample-data/box.cedarschema",
    }  # fmt: skip
    (root / "tests" / "multi" / "1.json").write_text(json.dumps({**named, **form}))
    return root


@pytest.mark.parametrize(
    ("asked", "reason", "allow", "valid"),
    [("requests", "reason", "allow", "shouldValidate"), ("queries", "reasons", "Allow", "should_validate")],
)
def test_a_folder_of_cases_is_read_in_every_form_and_what_is_wrong_is_found(
    tmp_path: Path, asked: str, reason: str, allow: str, valid: str
) -> None:
    one = {n: v for n, v in case("x", allow, [], []).items() if n != "reason"}
    told = [{**one, reason: ["policy0"]}, {**one, reason: []}, {**one, reason: [], "resource": None}]
    found = cedar_by_hand.read(folder(tmp_path, {asked: told, valid: False}))
    tally = Tally()
    (line,) = by_hand(found, tally)
    assert line == "by hand: 1 of 3 requests agree, 1 left out, 1 disagree; 0 of 1 files agree in all"
    disagrees, invalid = tally.wrong
    assert disagrees.startswith("tests/multi/1.json x: ('allow', ['policy0'], [])")
    assert invalid == "tests/multi/1.json: validation says all is well, the case says invalid"


def test_policies_that_do_not_hold_by_the_schema_are_a_disagreement_unless_the_case_says_so(tmp_path: Path) -> None:
    root = folder(tmp_path, {"requests": []})
    (root / "tests" / "multi" / "own.cedar").write_text(
        "permit(principal, action, resource) when { resource.size > 1 };"
    )
    tally = Tally()
    by_hand(cedar_by_hand.read(root), tally)
    assert len(tally.wrong) == 1
    assert "size" in tally.wrong[0]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"requests": [], "policies": "../secret"}, "'../secret' as `policies`, which is no path inside the folder"),
        ({"requests": [], "entities": "gone.json"}, "names gone.json as `entities`, which is not there"),
        ({"requests": [], "entities": None}, "names no `entities`"),
        ({"requests": [], "schema": "tests/multi/own.cedar"}, "names a schema that Cedar cannot read"),
        ({"requests": [], "entities": "tests/multi/other.json"}, "names entities that do not fit"),
        ({"requests": [{"principal": None}]}, "has a request that is none"),
        ({"requests": 7}, "has a request that is none"),
        ({"other": []}, "no .json file there has `requests` or `queries`"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: dict[str, Any], said: str
) -> None:
    assert conformance.main(["cedar", "--cases", str(folder(tmp_path, form))]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_folder_that_is_none_and_a_suite_without_cases_are_said() -> None:
    assert conformance.main(["cedar", "--cases", "/nowhere"]) == 2
    assert conformance.main(["open-workflow", "--cases", "/nowhere"]) == 2
