"""What decides the public Cedar corpus agrees with what is right by hand, and finds what is not."""

from typing import Any

from tests.conformance.cedar_corpus import Tally, decide

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
