"""Whether a PROV document is valid: unification, ordering, types and impossibility, each violation by its number (22 to 56).

Invariant: a document without violations is valid in the sense of PROV-CONSTRAINTS section 7.1, bundle by bundle. It says what is
wrong and changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kg.prov_constraints.chase import Chase
from kg.prov_constraints.document import ABSENT, PROV, Instance, read
from kg.prov_constraints.order import circles, components, steps

NAMES: Final = {
    22: "key-object", 23: "key-properties", 24: "unique-generation", 25: "unique-invalidation", 26: "unique-wasStartedBy",
    27: "unique-wasEndedBy", 28: "unique-startTime", 29: "unique-endTime", 30: "start-precedes-end",
    31: "start-start-ordering", 32: "end-end-ordering", 33: "usage-within-activity", 34: "generation-within-activity",
    35: "wasInformedBy-ordering", 36: "generation-precedes-invalidation", 37: "generation-precedes-usage",
    38: "usage-precedes-invalidation", 39: "generation-generation-ordering", 40: "invalidation-invalidation-ordering",
    41: "derivation-usage-generation-ordering", 42: "derivation-generation-generation-ordering",
    43: "wasStartedBy-ordering", 44: "wasEndedBy-ordering", 45: "specialization-generation-ordering",
    46: "specialization-invalidation-ordering", 47: "wasAssociatedWith-ordering", 48: "wasAttributedTo-ordering",
    49: "actedOnBehalfOf-ordering", 50: "typing", 51: "impossible-unspecified-derivation-generation-use",
    52: "impossible-specialization-reflexive", 53: "impossible-property-overlap",
    54: "impossible-object-property-overlap", 55: "entity-activity-disjoint", 56: "membership-empty-collection",
}  # fmt: skip
#: Kind -> the type of each argument (constraint 50).
TYPES: Final = {
    "wasGeneratedBy": ("entity", "activity"),
    "used": ("activity", "entity"),
    "wasInformedBy": ("activity", "activity"),
    "wasStartedBy": ("activity", "entity", "activity"),
    "wasEndedBy": ("activity", "entity", "activity"),
    "wasInvalidatedBy": ("entity", "activity"),
    "wasDerivedFrom": ("entity", "entity", "activity"),
    "wasAttributedTo": ("entity", "agent"),
    "wasAssociatedWith": ("activity", "agent", "entity"),
    "actedOnBehalfOf": ("agent", "agent", "activity"),
    "specializationOf": ("entity", "entity"),
    "alternateOf": ("entity", "entity"),
    "hadMember": ("entity", "entity"),
    "mentionOf": ("entity", "entity"),
}
#: Relations that no two may share an id (constraints 53 and 54).
APART: Final = (
    *("used", "wasGeneratedBy", "wasInvalidatedBy", "wasStartedBy", "wasEndedBy", "wasInformedBy"),
    *("wasAttributedTo", "wasAssociatedWith", "actedOnBehalfOf"),
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One constraint that does not hold. `bundle` is empty for the top level."""

    constraint: int
    text: str
    bundle: str = ""

    @property
    def name(self) -> str:
        """What the Recommendation calls the constraint."""
        return NAMES[self.constraint]


def validate(document: Any) -> list[Violation]:
    """The violations of a PROV-JSON document, none where it is valid; InputError where it is no PROV-JSON."""
    return [violation for instance in read(document) for violation in _instance(instance)]


def _instance(instance: Instance) -> Iterator[Violation]:
    noted: list[Violation] = []
    given = [one for one in instance.statements if one.kind == "wasDerivedFrom"]
    chase = Chase(instance, lambda number, text: noted.append(Violation(number, text, instance.name)))
    chase.run()
    yield from noted
    for one in given:
        _, _, activity, generation, usage = one.arguments
        if activity == ABSENT and (generation != ABSENT or usage != ABSENT):
            yield Violation(51, f"{one.arguments[0]} names a generation or usage but no activity", instance.name)
    found = circles(list(steps(chase)))
    made = {one.id: one.arguments[0] for one in chase.statements("wasGeneratedBy")} if found else {}
    for (_, earlier, later), numbers in found:
        shown = ", ".join(str(number) for number in sorted(numbers))
        what = made.get(later, later)
        text = f"the generation of {what} would have to precede itself (constraints {shown}; event {earlier})"
        yield Violation(42, text, instance.name)
    for number, text in (*_special(chase), *_overlaps(chase), *_typed(chase)):
        yield Violation(number, text, instance.name)


def _special(chase: Chase) -> Iterator[tuple[int, str]]:
    """Specialisation is transitive (inference 19), so a circle of it specialises itself."""
    above: defaultdict[str, list[str]] = defaultdict(list)
    for one in chase.statements("specializationOf"):
        above[one.arguments[0]].append(one.arguments[1])
    part = components(above)
    shared = Counter(part.values())
    for start in sorted(above):
        if shared[part[start]] > 1 or start in above[start]:
            yield 52, f"{start} would be a specialization of itself"


def _overlaps(chase: Chase) -> Iterator[tuple[int, str]]:
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for one in chase.statements(*APART):
        kinds[one.id].add(one.kind)
    objects = {one.id: one.kind for one in chase.statements("entity", "activity", "agent")}
    for id, found in sorted(kinds.items()):
        if len(found) > 1:
            yield 53, f"{id} is the id of a {' and of a '.join(sorted(found))}"
        if id in objects:
            yield 54, f"{id} is the id of a {min(found)} and of an {objects[id]}"


def _typed(chase: Chase) -> Iterator[tuple[int, str]]:
    types: defaultdict[str, set[str]] = defaultdict(set)
    empty: set[str] = set()
    for one in chase.statements("entity", "activity", "agent"):
        types[one.id].add(one.kind)
        if PROV + "EmptyCollection" in one.types:
            empty.add(one.id)
    for one in chase.statements(*TYPES):
        for term, kind in zip(one.arguments, TYPES[one.kind], strict=False):
            if term != ABSENT:
                types[term].add(kind)
    for term, found in sorted(types.items()):
        if {"entity", "activity"} <= found:
            yield 55, f"{term} is an entity and an activity"
    for one in chase.statements("hadMember"):
        if one.arguments[0] in empty:
            yield 56, f"{one.arguments[0]} is an empty collection and has the member {one.arguments[1]}"
