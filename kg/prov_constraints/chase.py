"""Unification: merges what has to be one (constraints 22 to 29) and adds what has to exist (inferences 5 to 14, 19 and 20).

Invariant: a constant is never merged with another constant; where that would be needed a violation is noted and the two stay
apart. Each statement is expanded once, and what it implies implies less, so the work ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from kg.errors import InputError
from kg.prov_constraints.document import ABSENT, OBJECTS, PROV, Instance, Statement

Note = Callable[[int, str], None]
#: Constraint number -> kind, places of the arguments that must agree for the statements to be one.
UNIQUE: Final = {
    24: ("wasGeneratedBy", (0, 1)),
    25: ("wasInvalidatedBy", (0, 1)),
    26: ("wasStartedBy", (0, 2)),
    27: ("wasEndedBy", (0, 2)),
}
#: Kind -> what a statement of it implies. A number is one of its arguments, a word something that exists ("" a new one each time).
IMPLIED: Final[dict[str, tuple[tuple[str, tuple[int | str, ...]], ...]]] = {
    "entity": (("wasGeneratedBy", ("id", "", "")), ("wasInvalidatedBy", ("id", "", ""))),
    "activity": (("wasStartedBy", ("id", "", "", 0)), ("wasEndedBy", ("id", "", "", 1))),
    "wasInformedBy": (("wasGeneratedBy", ("entity", 1, "")), ("used", (0, "entity", ""))),
    "wasStartedBy": (("wasGeneratedBy", (1, 2, "")),),
    "wasEndedBy": (("wasGeneratedBy", (1, 2, "")),),
    "wasAttributedTo": (("wasGeneratedBy", (0, "activity", "")), ("wasAssociatedWith", ("activity", 1, ABSENT))),
    "actedOnBehalfOf": (("wasAssociatedWith", (2, 0, ABSENT)), ("wasAssociatedWith", (2, 1, ABSENT))),
    "specializationOf": (("alternateOf", (0, 1)),),
}
ROUNDS_MAX: Final = 100


@dataclass(slots=True)
class Chase:
    """One instance being brought to its normal form."""

    instance: Instance
    note: Note
    _parents: dict[str, str] = field(default_factory=dict)
    _noted: set[tuple[int, str, str]] = field(default_factory=set)

    def find(self, term: str) -> str:
        """What a term stands for now."""
        root = term
        while root in self._parents:
            root = self._parents[root]
        while term != root:
            self._parents[term], term = root, self._parents.get(term, root)
        return root

    def statements(self, *kinds: str) -> Iterator[Statement]:
        """The statements of these kinds with every term as it stands now."""
        for one in self.instance.statements:
            if one.kind in kinds:
                yield Statement(one.kind, self.find(one.id), tuple(map(self.find, one.arguments)), one.types)

    def run(self) -> None:
        """Expand, then merge until nothing merges any more; InputError where that takes too long to be judged."""
        self._expand()
        for _ in range(ROUNDS_MAX):
            if not self._merge():
                return
        raise InputError(f"unnamed things stand for one another over more than {ROUNDS_MAX} links; give them names")

    def _unify(self, constraint: int, one: str, other: str) -> bool:
        """Whether two terms were made one just now."""
        first, second = self.find(one), self.find(other)
        if first == second:
            return False
        if not first.startswith("?"):
            first, second = second, first
        if first.startswith("?") and second != ABSENT:
            self._parents[first] = second
            return True
        least, most = sorted((first, second))
        key = (constraint, least, most)
        if key not in self._noted:
            self._noted.add(key)
            self.note(constraint, f"{first} and {second} would have to be the same")
        return False

    def _merge(self) -> bool:
        merged = False
        for kinds, constraint in ((tuple(OBJECTS), 22), (_RELATIONS, 23)):
            seen: dict[tuple[str, str], Sequence[str]] = {}
            for one in self.statements(*kinds):
                held = seen.setdefault((one.kind, one.id), one.arguments)
                for mine, theirs in zip(one.arguments, held, strict=True):
                    merged |= self._unify(constraint, mine, theirs)
        for constraint, (kind, places) in UNIQUE.items():
            alike: dict[tuple[str, ...], Statement] = {}
            for one in self.statements(kind):
                first = alike.setdefault(tuple(one.arguments[place] for place in places), one)
                merged |= self._unify(constraint, one.id, first.id)
                merged |= self._unify(constraint, one.arguments[-1], first.arguments[-1])
        times = {one.id: one.arguments for one in self.statements("activity")}
        for constraint, kind, place in ((28, "wasStartedBy", 0), (29, "wasEndedBy", 1)):
            for one in self.statements(kind):
                if one.arguments[0] in times:
                    merged |= self._unify(constraint, one.arguments[-1], times[one.arguments[0]][place])
        return merged

    def _expand(self) -> None:
        """Add what each statement implies; new statements are expanded in their turn."""
        place = 0
        while place < len(self.instance.statements):
            self.instance.statements += self._implied(self.instance.statements[place])
            place += 1

    def _implied(self, one: Statement) -> list[Statement]:
        if one.kind == "wasDerivedFrom":
            return self._derived(one)
        named: dict[str, str] = {"id": one.id, ABSENT: ABSENT}

        def term(spec: int | str) -> str:
            if isinstance(spec, int):
                return one.arguments[spec]
            return named.setdefault(spec, self.instance.fresh()) if spec else self.instance.fresh()

        return [
            Statement(kind, self.instance.fresh(), tuple(map(term, specs))) for kind, specs in IMPLIED.get(one.kind, ())
        ]

    def _derived(self, one: Statement) -> list[Statement]:
        later, earlier, activity, generation, usage = one.arguments
        made = (
            [Statement("alternateOf", self.instance.fresh(), (later, earlier))]
            if PROV + "Revision" in one.types
            else []
        )
        if ABSENT in (activity, generation, usage):
            return made
        return [
            *made,
            Statement("used", usage, (activity, earlier, self.instance.fresh())),
            Statement("wasGeneratedBy", generation, (later, activity, self.instance.fresh())),
        ]


_RELATIONS: Final = (
    *("wasGeneratedBy", "used", "wasInformedBy", "wasStartedBy", "wasEndedBy", "wasInvalidatedBy", "wasDerivedFrom"),
    *("wasAttributedTo", "wasAssociatedWith", "actedOnBehalfOf", "wasInfluencedBy"),
)
