"""GovernedView: what one principal may see, decided by the same rules and evaluator as every effect.

Invariants: default deny, and an erring rule denies (I6); rows that agree in everything the rules read share one decision, so a list
shows exactly what the detail path shows (I10); a property whose label the principal may not read (or only in a form) is removed
(or shown in it) and named, whether or not the row has it. Reads no store.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from governance.alike import PRESENCE, Marks, together, token
from governance.attributes import currency_attribute
from governance.decide import decide
from governance.masks import masked, strictest
from governance.principals import Principal
from governance.rulebook import LABEL, RuleBook
from governance.verdict import Request, Resource
from governance.windows import Window
from kg.model import Entity
from kg.ontology import Class, Ontology
from kg.values import Money, Value

#: Row decisions remembered a class; beyond this they are made anew.
DECISIONS_MAX: Final = 10_000
#: Rows of which is remembered by which rules they are counted; far more than one operation tells.
GRANTED_MAX: Final = 200_000
#: Labels that no rule can lift: API key hashes and the like.
NEVER_SHOWN: Final = frozenset({"secret"})
#: Classes whose property `labels` says (as label@class) what these of their properties repeat.
REPEATING: Final = {"Proposal": frozenset({"writes", "payload", "rationale", "alternatives"})}


#: Rules by which a read is counted, as id@version, each with its window.
Windows = tuple[tuple[str, Window], ...]


@dataclass(slots=True)
class _Plan:
    """How rows of one class are decided. `reads` None: each row for itself; else properties, with what is told apart of each."""

    reads: tuple[tuple[str, Marks, Marks | None], ...] | None
    visible: frozenset[str]
    masked: frozenset[str]
    forms: Mapping[str, str]
    #: Whether reads of the class may be counted, and by which rules those of rows that decide alike are.
    counted: bool = False
    decided: dict[object, bool] = field(default_factory=dict)
    windows: dict[object, Windows] = field(default_factory=dict)


class GovernedView:
    """Port kg.view.View for one principal under one RuleBook; make a new one for each request, since rules and roles change."""

    __slots__ = (
        "_context",
        "_counting",
        "_granted",
        "_key",
        "_labels",
        "_ontology",
        "_plans",
        "_principal",
        "_repeats",
        "_rules",
    )

    def __init__(self, principal: Principal, rules: RuleBook, ontology: Ontology, key: bytes = b"") -> None:
        """`key` makes the hashes of `@mask("hash")`; without one such values are redacted."""
        self._key = key
        self._context: dict[str, Value] = {"purpose": principal.purpose} if principal.purpose else {}
        self._labels: dict[tuple[str, str], str | None] = {}
        self._principal = principal
        self._rules = rules
        self._ontology = ontology
        self._plans: dict[str, _Plan | None] = {}
        self._counting = not principal.under() and all(link.kind == "User" for link in principal.chain())
        self._granted: dict[tuple[str, int], Windows] = {}
        self._repeats: dict[str, bool] = {}

    @property
    def principal(self) -> str:
        """Who reads, as rules name it."""
        return self._principal.uid

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        """Aligned with the input: the entity as the principal may see it, or None."""
        return [self._see(entity) for entity in entities]

    def classes(self, names: Sequence[str]) -> list[str]:
        """Those of the classes for which every principal of the chain has some permit to read."""
        chain = tuple(self._principal.chain())
        known = (name for name in names if name in self._rules.departments)
        return [name for name in known if all(self._rules.slice(link, "read", name).permits for link in chain)]

    def windows(self, entity: Entity) -> Windows:
        """The rules by which the reading of an entity that this view showed is counted; none for anybody but people."""
        return self._granted.get((entity.id, entity.version), ()) if self._granted else ()

    def permits(self, cls: str, names: Iterable[str]) -> frozenset[str]:
        """The rules, as id@version, by which this principal may read the labels of these properties of a class."""
        known = self._ontology.classes[cls].properties if cls in self._ontology.classes else {}
        labels = {known[name].sensitivity for name in names if name in known} - {None}
        found: set[str] = set()
        for label in labels:
            verdict = decide(self._label_request(str(label), cls), self._rules)
            found.update(f"{rule}@{version}" for rule, version in verdict.rules)
        return frozenset(found)

    def _label_request(self, label: str, cls: str) -> Request:
        return Request(self._principal, "read", Resource(LABEL, label), {**self._context, "class": cls})

    def _see(self, entity: Entity) -> Entity | None:
        plan = self._plans.get(entity.cls) if entity.cls in self._plans else self._planned(entity.cls)
        if plan is None or not self._may_read(plan, entity):
            return None
        carried = self._carried(entity)
        if not plan.masked and not carried and entity.properties.keys() <= plan.visible:
            return entity
        visible = plan.visible - carried
        shown = {name: value for name, value in entity.properties.items() if name in visible}
        for name, form in plan.forms.items():
            value = masked(entity.properties[name], form, self._key) if name in entity.properties else None
            if value is not None and name not in carried:
                shown[name] = value
        return replace(entity, properties=shown, masked=entity.masked | plan.masked | carried)

    def _carried(self, entity: Entity) -> frozenset[str]:
        """The properties that repeat values of other entities under a label that this principal may not read."""
        repeating = REPEATING.get(entity.cls)
        labels = entity.get("labels") if repeating is not None else None
        if repeating is None or not isinstance(labels, tuple):
            return frozenset()
        # INVARIANT I10: what repeats a value is masked like the value itself.
        open_to_all = all(self._may_repeat(str(label)) for label in labels)
        return frozenset() if open_to_all else repeating

    def _may_repeat(self, text: str) -> bool:
        if text not in self._repeats:
            label, _, cls = text.partition("@")
            self._repeats[text] = self._form(label, cls) is None
        return self._repeats[text]

    def _may_read(self, plan: _Plan, entity: Entity) -> bool:
        key: object
        if plan.reads is None:
            key = (entity.id, entity.version, entity.since)
        else:
            properties = entity.properties
            key = tuple(
                [_token(properties[name], own, unit) if name in properties else None for name, own, unit in plan.reads]
            )
        allowed = plan.decided.get(key)
        if allowed is None:
            if len(plan.decided) >= DECISIONS_MAX:
                plan.decided.clear()
                plan.windows.clear()
            verdict = decide(Request(self._principal, "read", entity, self._context), self._rules)
            allowed = plan.decided[key] = verdict.allowed
            if plan.counted and allowed:
                plan.windows[key] = self._rules.windows([rule for rule, _ in verdict.rules])
        if plan.counted and allowed:
            if len(self._granted) >= GRANTED_MAX:
                self._granted.clear()
            self._granted[entity.id, entity.version] = plan.windows[key]
        return allowed

    def _planned(self, name: str) -> _Plan | None:
        """The plan of a class; None where the class is unknown or nothing permits reading it."""
        cls = self._ontology.classes.get(name)
        if cls is None or not self.classes([name]):
            self._plans[name] = None
            return None
        labels = {prop.sensitivity for prop in cls.properties.values() if prop.sensitivity is not None}
        forms = {label: form for label in labels if (form := self._form(label, name)) is not None}
        hidden = {prop.name: forms[prop.sensitivity] for prop in cls.properties.values() if prop.sensitivity in forms}
        shown = {prop: form for prop, form in hidden.items() if form != "redact"}
        plan = self._plans[name] = _Plan(
            self._reads(cls),
            frozenset(cls.properties) - set(hidden),
            frozenset(hidden),
            shown,
            self._counting and self._rules.counted(name),
        )
        return plan

    def _form(self, label: str, cls: str) -> str | None:
        """The form in which values of a label are shown, None where as they are; whoever acts for others gets the most closed."""
        if (label, cls) not in self._labels:
            self._labels[label, cls] = self._decided(label, cls)
        return self._labels[label, cls]

    def _decided(self, label: str, cls: str) -> str | None:
        # INVARIANT: a secret is shown to nobody, whatever the rules say.
        if label in NEVER_SHOWN:
            return "redact"
        request = self._label_request(label, cls)
        if not decide(request, self._rules).allowed:
            return "redact"
        links = [self._rules.mask(self._rules.evaluate(link, request, ()).reasons) for link in self._principal.chain()]
        forms = [form for form in links if form is not None]
        return strictest(forms) if forms else None

    def _reads(self, cls: Class) -> tuple[tuple[str, Marks, Marks | None], ...] | None:
        """The properties on which decisions about rows of the class depend, with the marks of each and of its currency."""
        slices = [self._rules.slice(link, "read", cls.name) for link in self._principal.chain()]
        if any(piece.identity or piece.attributes is None for piece in slices):
            return None
        read = frozenset(name for piece in slices for name in piece.attributes or ())
        told = together(piece.marks for piece in slices)
        units = {name: currency_attribute(name) for name in cls.properties}
        return tuple(
            (name, told.get(name, PRESENCE), told.get(unit, PRESENCE) if unit in read else None)
            for name, unit in units.items()
            if name in read or unit in read
        )


def _token(value: Value, own: Marks, unit: Marks | None) -> object:
    """What stands for a property's value among those that decide alike; money has a currency that rules may read too."""
    if unit is None or not isinstance(value, Money):
        return token(value, own)
    return (token(value, own), token(value.currency, unit))
