"""What decides the public Cedar corpus agrees with what is right by hand, and finds what is not."""

import json
from pathlib import Path
from typing import Any

import pytest

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
    assert tally.refused == {"a namespaced action": 1, "a template": 3}


@pytest.mark.parametrize(
    ("asked", "reason", "allow", "deny"),
    [("requests", "reason", "allow", "deny"), ("queries", "reasons", "Allow", "Deny")],
)
def test_a_folder_of_cases_is_read_in_both_forms(
    tmp_path: Path, asked: str, reason: str, allow: str, deny: str
) -> None:
    (tmp_path / "tests" / "multi").mkdir(parents=True)
    (tmp_path / "tests" / "multi" / "all.cedar").write_text(POLICIES)
    (tmp_path / "tests" / "schema.json").write_text("{}")
    (tmp_path / "entities.json").write_text(ENTITIES)
    given = [case("x", allow, ["policy0"], []), case("y", deny, ["policy1"], []), case("z", allow, [], ["policy2"])]
    form = {
        "policies": "tests/multi/all.cedar", "entities": "entities.json",
        asked: [{**{n: v for n, v in one.items() if n != "reason"}, reason: one["reason"]} for one in given],
    }  # fmt: skip
    (tmp_path / "tests" / "multi" / "1.json").write_text(json.dumps(form))
    tally = Tally()
    ((name, *rest),) = by_hand(tmp_path)
    decide(name, *rest, tally)
    assert (name, tally.passed, len(tally.wrong)) == ("tests/multi/1.json", 2, 1)
