"""GovernedView: what one principal may see, decided by the same rules and evaluator as every effect.

Invariants: default deny, and an erring rule denies (I6); rows that agree in everything the rules read share one decision, so a list
shows exactly what the detail path shows (I10); a property whose label the principal may not read is removed and named, whether or
not the row has it. Reads no store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from governance.attributes import currency_attribute
from governance.decide import decide
from governance.principals import Principal
from governance.rulebook import LABEL, RuleBook
from governance.verdict import Request, Resource
from kg.model import Entity
from kg.ontology import Class, Ontology

#: Row decisions remembered a class; beyond this they are made anew.
DECISIONS_MAX: Final = 10_000
#: Labels that no rule can lift: API key hashes and the like.
NEVER_SHOWN: Final = frozenset({"secret"})
#: Classes whose property `labels` says (as label@class) what these of their properties repeat.
REPEATING: Final = {"Proposal": frozenset({"writes", "payload", "rationale", "alternatives"})}


@dataclass(slots=True)
class _Plan:
    """How rows of one class are decided. `reads` None: each row for itself."""

    reads: tuple[str, ...] | None
    visible: frozenset[str]
    masked: frozenset[str]
    decided: dict[object, bool] = field(default_factory=dict)


class GovernedView:
    """Port kg.view.View for one principal under one RuleBook; make a new one for each request, since rules and roles change."""

    __slots__ = ("_ontology", "_plans", "_principal", "_repeats", "_rules")

    def __init__(self, principal: Principal, rules: RuleBook, ontology: Ontology) -> None:
        self._principal = principal
        self._rules = rules
        self._ontology = ontology
        self._plans: dict[str, _Plan | None] = {}
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

    def _see(self, entity: Entity) -> Entity | None:
        plan = self._plans.get(entity.cls) if entity.cls in self._plans else self._planned(entity.cls)
        if plan is None or not self._may_read(plan, entity):
            return None
        carried = self._carried(entity)
        if not plan.masked and not carried and entity.properties.keys() <= plan.visible:
            return entity
        visible = plan.visible - carried
        shown = {name: value for name, value in entity.properties.items() if name in visible}
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
            self._repeats[text] = self._may_read_label(label, cls)
        return self._repeats[text]

    def _may_read(self, plan: _Plan, entity: Entity) -> bool:
        key: object
        if plan.reads is None:
            key = (entity.id, entity.version, entity.since)
        else:
            properties = entity.properties
            # With the type, since Python takes True, 1 and Decimal(1) for the same.
            key = tuple([_typed(properties[name]) if name in properties else None for name in plan.reads])
        allowed = plan.decided.get(key)
        if allowed is None:
            if len(plan.decided) >= DECISIONS_MAX:
                plan.decided.clear()
            allowed = plan.decided[key] = decide(Request(self._principal, "read", entity), self._rules).allowed
        return allowed

    def _planned(self, name: str) -> _Plan | None:
        """The plan of a class; None where the class is unknown or nothing permits reading it."""
        cls = self._ontology.classes.get(name)
        if cls is None or not self.classes([name]):
            self._plans[name] = None
            return None
        labels = {prop.sensitivity for prop in cls.properties.values() if prop.sensitivity is not None}
        denied = {label for label in labels if not self._may_read_label(label, name)}
        masked = frozenset(prop.name for prop in cls.properties.values() if prop.sensitivity in denied)
        plan = self._plans[name] = _Plan(self._reads(cls), frozenset(cls.properties) - masked, masked)
        return plan

    def _may_read_label(self, label: str, cls: str) -> bool:
        # INVARIANT: a secret is shown to nobody, whatever the rules say.
        if label in NEVER_SHOWN:
            return False
        return decide(Request(self._principal, "read", Resource(LABEL, label), {"class": cls}), self._rules).allowed

    def _reads(self, cls: Class) -> tuple[str, ...] | None:
        """The properties on which decisions about rows of the class depend."""
        slices = [self._rules.slice(link, "read", cls.name) for link in self._principal.chain()]
        if any(piece.identity or piece.attributes is None for piece in slices):
            return None
        read = frozenset(name for piece in slices for name in piece.attributes or ())
        return tuple(name for name in cls.properties if name in read or currency_attribute(name) in read)


def _typed(value: object) -> object:
    if isinstance(value, tuple):
        return (tuple, tuple([(type(item), item) for item in value]))
    return (type(value), value)
