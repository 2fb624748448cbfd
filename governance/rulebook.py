"""The rules in force, compiled for deciding: a RuleBook slices them by scope and evaluates a request over its slice only.

Invariant: a slice decides as the whole set does (a test holds it to that): it leaves out only statements whose head cannot match.
Immutable but for caches that hold nothing a request could change. Reads no store; `governance.rules` loads it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from governance import alike, attributes, cedar
from governance.cedar import Uid
from governance.masks import most_open
from governance.principals import KINDS, Principal
from governance.quorum import merge
from governance.scope import Scope
from governance.statement import Statement
from governance.verdict import ACTIONS, Answer, Request, Requirement
from governance.windows import Window
from kg.errors import ValueDomainError

#: Slices and principals kept ready; beyond this the cache starts anew.
SLICES_MAX: Final = 5_000
LABEL: Final = "Label"

_Key = tuple[str, str | None, frozenset[tuple[str, str]], str, str]


@dataclass(frozen=True, slots=True)
class Slice:
    """The statements that may match one kind of request. `attributes` None means that all of the resource may be read.

    `marks` says of each attribute which of its values they tell apart.
    """

    policies: cedar.PolicySet
    size: int
    permits: int
    attributes: frozenset[str] | None
    identity: bool
    marks: Mapping[str, alike.Marks]


@dataclass(slots=True, eq=False)
class RuleBook:
    """Compiled rules. `position` is the graph position up to which rule changes are in it.

    `departments` maps each class of the ontology to its department (None: it has none); other classes are unknown.
    """

    statements: tuple[Statement, ...]
    departments: Mapping[str, str | None]
    position: int = 0
    _by_id: dict[str, Statement] = field(init=False)
    _faults: tuple[str, ...] = field(init=False)
    _mentioned: frozenset[tuple[str, str]] = field(init=False)
    _by_head: dict[tuple[str, str], tuple[Statement, ...]] = field(init=False, default_factory=dict)
    _slices: dict[_Key, Slice] = field(init=False, default_factory=dict)
    _principals: dict[Principal, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_id = {statement.id: statement for statement in self.statements}
        self._faults = tuple(f"{s.id}: {s.fault}" for s in self.statements if s.fault)
        members = (statement.principal.member for statement in self.statements)
        self._mentioned = frozenset(member for member in members if member is not None)

    def evaluate(self, principal: Principal, request: Request, satisfied: Sequence[str]) -> Answer:
        """The answer to the request as this principal, with these requirements satisfied. No error leads to an exception."""
        cls = request.resource.cls
        if request.action not in ACTIONS:
            return Answer("NoDecision", (), (f"unknown action {request.action[:80]!r}",))
        if cls != LABEL and cls not in self.departments:
            return Answer("NoDecision", (), (f"class {cls[:80]!r} is not in the ontology",))
        piece = self.slice(principal, request.action, cls)
        if not piece.size:
            return Answer("Deny", (), self._faults)
        try:
            context = self._context(request, satisfied)
            entities = self._entities(principal, request, piece)
        except (ValueDomainError, ValueError) as error:
            return Answer("NoDecision", (), (str(error),))
        answer = cedar.authorize(
            piece.policies,
            Uid(principal.kind, principal.id),
            request.action,
            Uid(cls, request.resource.id),
            context,
            entities,
        )
        return Answer(answer.decision, answer.reasons, (*self._faults, *answer.errors)) if self._faults else answer

    def slice(self, principal: Principal, action: str, cls: str) -> Slice:
        """The statements whose head can match this principal, action and class, ready to evaluate."""
        uid = (principal.kind, principal.id)
        groups = _groups(principal) & self._mentioned
        key = (principal.kind, principal.id if uid in self._mentioned else None, groups, action, cls)
        found = self._slices.get(key)
        if found is None:
            if len(self._slices) >= SLICES_MAX:
                self._slices.clear()
            found = self._slices[key] = self._cut(uid, groups, action, cls)
        return found

    def _candidates(self, action: str, cls: str) -> tuple[Statement, ...]:
        """The statements that can match this action on this class, whoever asks."""
        found = self._by_head.get((action, cls))
        if found is None:
            department = self.departments.get(cls)
            within = frozenset({("Department", department)}) if department is not None else frozenset[tuple[str, str]]()
            found = self._by_head[action, cls] = tuple(
                s
                for s in self.statements
                if s.fault is None
                and (s.actions is None or action in s.actions)
                and (s.classes is None or cls in s.classes)
                and Scope(None, s.resource.member).admits(cls, None, within)
            )
        return found

    def _cut(self, uid: tuple[str, str], groups: frozenset[tuple[str, str]], action: str, cls: str) -> Slice:
        chosen = [s for s in self._candidates(action, cls) if s.principal.admits(uid[0], uid, groups)]
        everything = any(s.reads.everything for s in chosen)
        return Slice(
            cedar.policy_set({s.id: s.policy for s in chosen}),
            len(chosen),
            sum(s.effect == "permit" for s in chosen),
            None if everything else frozenset(name for s in chosen for name in s.reads.resource),
            any(s.reads.identity or s.reads.everything for s in chosen),
            alike.together(s.marks for s in chosen),
        )

    @staticmethod
    def _context(request: Request, satisfied: Sequence[str]) -> str:
        context = attributes.record(request.context)
        # What is satisfied, who is acted for and whether glass is broken is never the caller's to say.
        context["satisfied"] = sorted(satisfied)
        context["breakGlass"] = bool(request.principal.under())
        context.pop("onBehalfOf", None)
        if request.principal.on_behalf_of is not None:
            context["onBehalfOf"] = request.principal.on_behalf_of.uid
        return json.dumps(context)

    def _entities(self, principal: Principal, request: Request, piece: Slice) -> str:
        resource = request.resource
        values = attributes.record(resource.properties, piece.attributes)
        department = self.departments.get(resource.cls)
        parents = [{"type": "Department", "id": department}] if department is not None else []
        if (resource.cls, resource.id) == (principal.kind, principal.id):
            parents += [{"type": kind, "id": name} for kind, name in sorted(_groups(principal))]
            return json.dumps([{"uid": {"type": resource.cls, "id": resource.id}, "attrs": values, "parents": parents}])
        thing = json.dumps({"uid": {"type": resource.cls, "id": resource.id}, "attrs": values, "parents": parents})
        return f"[{self._principal(principal)},{thing}]"

    def _principal(self, principal: Principal) -> str:
        text = self._principals.get(principal)
        if text is None:
            if principal.kind not in KINDS:
                raise ValueError(f"{principal.kind[:80]!r} is no kind of principal")
            if len(self._principals) >= SLICES_MAX:
                self._principals.clear()
            parents = [{"type": kind, "id": name} for kind, name in sorted(_groups(principal))]
            uid = {"type": principal.kind, "id": principal.id}
            text = self._principals[principal] = json.dumps({"uid": uid, "attrs": {}, "parents": parents})
        return text

    def requirements(self, ids: Sequence[str]) -> tuple[Requirement, ...] | None:
        """What the forbids with these ids require, merged by name; None where there is none or one of them is hard."""
        found = [self._by_id[id].requirement if id in self._by_id else None for id in ids]
        soft = [requirement for requirement in found if requirement is not None]
        return merge(soft) if soft and len(soft) == len(found) else None

    def named(self, ids: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """Each rule id with its version."""
        return tuple((id, self._by_id[id].version) for id in ids if id in self._by_id)

    def labels(self, ids: Sequence[str]) -> tuple[str, ...]:
        """The names of these rules."""
        return tuple(self._by_id[id].name for id in ids if id in self._by_id)

    def mask(self, ids: Sequence[str]) -> str | None:
        """The form in which these permits together show a label, None where one of them shows it as it is."""
        forms = [self._by_id[id].mask for id in ids if id in self._by_id]
        return None if None in forms else most_open(form for form in forms if form is not None)

    def counted(self, cls: str) -> bool:
        """Whether reads of a class may be counted by some rule."""
        return any(statement.window is not None for statement in self._candidates("read", cls))

    def windows(self, ids: Sequence[str]) -> tuple[tuple[str, Window], ...]:
        """Those of these rules by which reads are counted, as id@version, each with its window."""
        found = (self._by_id[id] for id in ids if id in self._by_id)
        return tuple((f"{one.id}@{one.version}", one.window) for one in found if one.window is not None)

    def advice(self, ids: Sequence[str]) -> tuple[str, ...]:
        """What the rules with these ids advise, in order."""
        found = (self._by_id[id].advice for id in ids if id in self._by_id)
        return tuple(dict.fromkeys(text for text in found if text))


def _groups(principal: Principal) -> frozenset[tuple[str, str]]:
    roles = frozenset(("Role", name) for name in principal.roles)
    return roles | frozenset(("Department", name) for name in principal.departments)
