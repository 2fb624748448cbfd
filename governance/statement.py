"""One rule compiled: its text parsed, its annotations read, classes widened to subclasses, soft forbids made satisfiable.

Invariant: exactly one statement with known annotations and a name, or RuleError naming the rule. The compiled policy decides as
the text does, except that ``is Order`` also means every subclass of Order, and that a soft forbid steps aside once its requirement
is in ``context.satisfied``.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from governance import alike, cedar
from governance.errors import RuleError
from governance.masks import FORMS
from governance.quorum import PLACES_MAX
from governance.scope import Reads, Scope, actions, principal_scope, reads, resource_scope
from governance.verdict import Requirement
from governance.windows import Window, window
from kg.values import Json

ANNOTATIONS: Final = frozenset(
    {"id", "requires", "approvers", "label", "description", "advice", "escalate", "expires", "mask", "readings"}
)
#: Names of rules and of requirements.
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}\Z")
_AFTER: Final = re.compile(r"(.+) after ([1-9][0-9]{0,3})([mhd])\Z")
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,3})([mhd])\Z")
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_ROLE: Final = re.compile(r"([^\s:,](?:[^:,]{0,98}[^\s:,])?):([1-9][0-9]?)\Z")

ANYTHING: Final = Scope()
NOTHING: Final = Reads()

Subclasses = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled rule. `actions` and `classes` are None where the head names none; `policy` is the JSON text that is evaluated.

    `fault` is set, and nothing else matters, where a stored rule cannot be compiled: it then counts as erring in every decision.
    """

    id: str
    version: int
    name: str
    effect: str = "forbid"
    actions: frozenset[str] | None = None
    classes: frozenset[str] | None = None
    principal: Scope = ANYTHING
    resource: Scope = ANYTHING
    reads: Reads = NOTHING
    marks: Mapping[str, alike.Marks] = field(default_factory=dict)
    requirement: Requirement | None = None
    advice: str | None = None
    mask: str | None = None
    window: Window | None = None
    policy: str = ""
    fault: str | None = None


def parse_rule(text: str) -> tuple[str, dict[str, Json]]:
    """The name and the JSON form of the one statement in a text; RuleError for none, several, or bad annotations."""
    statements = cedar.parse(text)
    if len(statements) != 1:
        names = ", ".join(repr(s.get("annotations", {}).get("id")) for s in statements[:5])
        found = f"{len(statements)} statements ({names})" if statements else "no statement"
        raise RuleError(f"the text holds {found}; a rule is exactly one")
    statement = statements[0]
    annotations = statement.get("annotations", {})
    name = annotations.get("id")
    if not isinstance(name, str) or not NAME.match(name):
        raise RuleError(
            f'the rule {"needs a name" if name is None else f"name {name[:120]!r} is not usable"}; begin it with @id("name"), '
            "of lower-case letters, digits, dots, dashes and underscores, at most 100"
        )
    requirement(name, statement)
    return name, statement


def requirement(name: str, statement: Mapping[str, Json]) -> Requirement | None:
    """What a soft forbid requires, None for any other statement; RuleError for unknown or ill-matched annotations."""
    annotations: Mapping[str, str | None] = statement.get("annotations", {})
    for annotation in sorted(annotations):
        if annotation not in ANNOTATIONS:
            raise RuleError(
                f"rule {name}: unknown annotation @{annotation}; known are {', '.join(sorted(ANNOTATIONS))}"
            )
        if not annotations[annotation]:
            raise RuleError(f'rule {name}: annotation @{annotation} is empty; write @{annotation}("…")')
    _mask(name, statement)
    window(name, statement)
    requires, approvers = annotations.get("requires"), annotations.get("approvers")
    late = sorted({"escalate", "expires"} & annotations.keys())
    if requires is None and approvers is None:
        if late:
            raise RuleError(f"rule {name}: @{late[0]} belongs beside @requires and @approvers; add them")
        return None
    if requires is None or approvers is None:
        raise RuleError(
            f'rule {name}: @requires and @approvers belong together; write @requires("name") @approvers("role:1")'
        )
    if statement["effect"] != "forbid":
        raise RuleError(f"rule {name}: @requires belongs on a forbid, which approval lifts; a permit cannot be lifted")
    if not NAME.match(requires):
        raise RuleError(
            f"rule {name}: @requires({requires[:120]!r}) is no name; use lower-case letters, digits, dots and dashes"
        )
    escalate, after = _escalation(name, annotations.get("escalate"))
    return Requirement(
        requires, _approvers(name, approvers), escalate, after, _seconds(name, annotations.get("expires"))
    )


def _escalation(name: str, text: str | None) -> tuple[dict[str, int], int]:
    """Who may answer instead, and after how many seconds."""
    if text is None:
        return {}, 0
    match = _AFTER.match(text)
    if match is None:
        raise RuleError(
            f'rule {name}: @escalate({text[:120]!r}) is not usable; write "role:count after 2h" (m, h or d)'
        )
    return _approvers(name, match[1]), int(match[2]) * _UNITS[match[3]]


def _seconds(name: str, text: str | None) -> int:
    if text is None:
        return 0
    match = _LENGTH.match(text)
    if match is None:
        raise RuleError(
            f'rule {name}: @expires({text[:120]!r}) is not usable; write a time such as "30m", "2h" or "3d"'
        )
    return int(match[1]) * _UNITS[match[2]]


def _mask(name: str, statement: Mapping[str, Json]) -> None:
    """Refuse an @mask that no View would heed."""
    form = statement.get("annotations", {}).get("mask")
    if form is None:
        return
    if form not in FORMS:
        raise RuleError(f"rule {name}: @mask({form[:40]!r}) is no form; write one of {', '.join(FORMS)}")
    scope = resource_scope(statement)
    about_label = (scope.member or ("",))[0] == "Label" or scope.kind == "Label"
    if statement["effect"] != "permit" or not about_label:
        raise RuleError(f'rule {name}: @mask belongs on a permit to read a label; write resource == Label::"pii"')


def _approvers(name: str, text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in text.split(","):
        match = _ROLE.match(part.strip())
        if match is None or match[1] in counts:
            raise RuleError(
                f'rule {name}: @approvers({text[:120]!r}) is not usable; write "role:count", e.g. "finance-manager:2"'
            )
        counts[match[1]] = int(match[2])
    if sum(counts.values()) > PLACES_MAX:
        raise RuleError(f"rule {name}: more than {PLACES_MAX} approvers are asked for; ask for fewer")
    return counts


def compile_rule(id: str, version: int, text: str, subclasses: Subclasses) -> Statement:
    """The compiled form of a rule's text; raises RuleError."""
    name, statement = parse_rule(text)
    needed = requirement(name, statement)
    resource = resource_scope(statement)
    widened = widen(statement, subclasses)
    if needed is not None:
        # At the end, so that an erring condition errs even when the requirement is satisfied.
        widened["conditions"] = [*widened["conditions"], {"kind": "unless", "body": _satisfied(needed.name)}]
    return Statement(
        id,
        version,
        name,
        statement["effect"],
        actions(statement),
        frozenset(_below(resource.kind, subclasses)) if resource.kind is not None else None,
        principal_scope(statement),
        resource,
        reads(statement),
        alike.marks(statement),
        needed,
        statement.get("annotations", {}).get("advice"),
        statement.get("annotations", {}).get("mask"),
        window(name, statement),
        json.dumps({key: value for key, value in widened.items() if key != "annotations"}),
    )


def _satisfied(name: str) -> Json:
    held = {".": {"left": {"Var": "context"}, "attr": "satisfied"}}
    return {"contains": {"left": held, "right": {"Value": name}}}


def _below(cls: str, subclasses: Subclasses) -> Sequence[str]:
    below = subclasses(cls)
    return below if cls in below else (cls, *below)


def widen(statement: Mapping[str, Json], subclasses: Subclasses) -> dict[str, Json]:
    """The statement with every ``is Class`` meaning the class and all below it; Cedar itself has no subtypes."""
    wide = dict(statement)
    wide["conditions"] = [{**c, "body": _widen(c["body"], subclasses)} for c in statement["conditions"]]
    head = statement["resource"]
    cls = head.get("entity_type")
    if cls is not None and len(_below(cls, subclasses)) > 1:
        wide["resource"] = {"op": "in", **head["in"]} if "in" in head else {"op": "All"}
        test = {"is": {"left": {"Var": "resource"}, "entity_type": cls}}
        wide["conditions"] = [{"kind": "when", "body": _widen(test, subclasses)}, *wide["conditions"]]
    return wide


def _widen(node: Any, subclasses: Subclasses) -> Any:
    if isinstance(node, list):
        return [_widen(item, subclasses) for item in node]
    if not isinstance(node, dict) or set(node) == {"Value"}:
        return node
    if set(node) == {"is"} and "entity_type" in node["is"]:
        test = {key: _widen(value, subclasses) for key, value in node["is"].items()}
        return _any([{"is": {**test, "entity_type": cls}} for cls in _below(test["entity_type"], subclasses)])
    return {key: _widen(value, subclasses) for key, value in node.items()}


def _any(tests: list[Any]) -> Any:
    """The tests joined by ``||`` as a balanced tree, so that many subclasses do not make a deep one."""
    if len(tests) == 1:
        return tests[0]
    middle = len(tests) // 2
    return {"||": {"left": _any(tests[:middle]), "right": _any(tests[middle:])}}
