"""Event ordering (constraints 30 to 49): which event precedes which, and whether one would have to precede itself.

Invariant: only a circle that holds a strict step (a derived entity is generated after what it is derived from) is a violation;
without one its events are simultaneous, which PROV allows. Times play no part: PROV does not order events by them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kg.prov_constraints.chase import Chase
from kg.prov_constraints.document import ABSENT

#: Constraint, earlier event, later event.
Step = tuple[int, str, str]
STRICT: Final = 42


def steps(chase: Chase) -> Iterator[Step]:
    """Every step that the constraints ask for."""
    events = _Events(chase)
    yield from _activities(chase, events)
    yield from _entities(chase, events)
    yield from _derivations(chase, events)
    yield from _agents(chase, events)


class _Events:
    """The events of each thing, by kind."""

    def __init__(self, chase: Chase) -> None:
        self.by: dict[str, defaultdict[str, list[str]]] = {}
        kinds = (("wasGeneratedBy", 0), ("wasInvalidatedBy", 0), ("wasStartedBy", 0), ("wasEndedBy", 0), ("used", 1))
        for kind, place in kinds:
            found = self.by[kind] = defaultdict(list)
            for one in chase.statements(kind):
                found[one.arguments[place]].append(one.id)

    def of(self, kind: str, thing: str) -> Sequence[str]:
        """The events of a kind and a thing: all usages, of the others one, since they are simultaneous (31, 32, 39, 40)."""
        found = self.by[kind].get(thing, [])
        return found if kind == "used" else found[:1]

    def pairs(self, number: int, first: tuple[str, str], then: tuple[str, str]) -> Iterator[Step]:
        """Each event of one kind and thing before each of another; an event needs no step to itself."""
        for earlier in self.of(*first):
            for later in self.of(*then):
                if earlier != later or number == STRICT:
                    yield number, earlier, later


def _activities(chase: Chase, events: _Events) -> Iterator[Step]:
    for activity in list(events.by["wasStartedBy"]):
        yield from events.pairs(30, ("wasStartedBy", activity), ("wasEndedBy", activity))
        yield from _circle(31, events.by["wasStartedBy"][activity])
    for activity in list(events.by["wasEndedBy"]):
        yield from _circle(32, events.by["wasEndedBy"][activity])
    for number, kind, place in ((33, "used", 0), (34, "wasGeneratedBy", 1)):
        for one in chase.statements(kind):
            activity = one.arguments[place]
            yield from ((number, start, one.id) for start in events.of("wasStartedBy", activity))
            yield from ((number, one.id, end) for end in events.of("wasEndedBy", activity))
    for one in chase.statements("wasInformedBy"):
        yield from events.pairs(35, ("wasStartedBy", one.arguments[1]), ("wasEndedBy", one.arguments[0]))
    for number, kind in ((43, "wasStartedBy"), (44, "wasEndedBy")):
        for one in chase.statements(kind):
            trigger = one.arguments[1]
            yield from ((number, made, one.id) for made in events.of("wasGeneratedBy", trigger))
            yield from ((number, one.id, gone) for gone in events.of("wasInvalidatedBy", trigger))


def _entities(chase: Chase, events: _Events) -> Iterator[Step]:
    for entity in list(events.by["wasGeneratedBy"]):
        yield from events.pairs(36, ("wasGeneratedBy", entity), ("wasInvalidatedBy", entity))
        yield from events.pairs(37, ("wasGeneratedBy", entity), ("used", entity))
        yield from _circle(39, events.by["wasGeneratedBy"][entity])
    for entity in list(events.by["wasInvalidatedBy"]):
        yield from events.pairs(38, ("used", entity), ("wasInvalidatedBy", entity))
        yield from _circle(40, events.by["wasInvalidatedBy"][entity])
    for one in chase.statements("specializationOf"):
        specific, general = one.arguments
        yield from events.pairs(45, ("wasGeneratedBy", general), ("wasGeneratedBy", specific))
        yield from events.pairs(46, ("wasInvalidatedBy", specific), ("wasInvalidatedBy", general))


def _derivations(chase: Chase, events: _Events) -> Iterator[Step]:
    for one in chase.statements("wasDerivedFrom"):
        later, earlier, _, generation, usage = one.arguments
        if ABSENT not in (generation, usage):
            yield 41, usage, generation
        yield from events.pairs(42, ("wasGeneratedBy", earlier), ("wasGeneratedBy", later))


def _agents(chase: Chase, events: _Events) -> Iterator[Step]:
    for one in chase.statements("wasAssociatedWith"):
        activity, agent = one.arguments[:2]
        yield from events.pairs(47, ("wasStartedBy", activity), ("wasInvalidatedBy", agent))
        yield from events.pairs(47, ("wasGeneratedBy", agent), ("wasEndedBy", activity))
        yield from events.pairs(47, ("wasStartedBy", activity), ("wasEndedBy", agent))
        yield from events.pairs(47, ("wasStartedBy", agent), ("wasEndedBy", activity))
    for one in chase.statements("wasAttributedTo"):
        entity, agent = one.arguments
        yield from events.pairs(48, ("wasGeneratedBy", agent), ("wasGeneratedBy", entity))
        yield from events.pairs(48, ("wasStartedBy", agent), ("wasGeneratedBy", entity))
    for one in chase.statements("actedOnBehalfOf"):
        delegate, responsible = one.arguments[:2]
        yield from events.pairs(49, ("wasGeneratedBy", responsible), ("wasInvalidatedBy", delegate))
        yield from events.pairs(49, ("wasStartedBy", responsible), ("wasEndedBy", delegate))


def _circle(number: int, events: list[str]) -> Iterator[Step]:
    """Steps that make these events simultaneous."""
    distinct = list(dict.fromkeys(events))
    if len(distinct) > 1:
        yield from zip([number] * len(distinct), distinct, [*distinct[1:], distinct[0]], strict=True)


def circles(found: list[Step]) -> list[tuple[Step, set[int]]]:
    """The strict steps that lie on a circle, each with the constraints of that circle."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    for _, earlier, later in found:
        after[earlier].append(later)
    part = components(after)
    inside: defaultdict[int, set[int]] = defaultdict(set)
    for number, earlier, later in found:
        if part[earlier] == part[later]:
            inside[part[earlier]].add(number)
    strict = {step for step in found if step[0] == STRICT and part[step[1]] == part[step[2]]}
    return [(step, inside[part[step[1]]]) for step in sorted(strict)]


def components(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The number of the strongly connected component of each term of a graph (Kosaraju)."""
    before: defaultdict[str, list[str]] = defaultdict(list)
    for node, some in list(after.items()):
        for later in some:
            before[later].append(node)
    part: dict[str, int] = {}
    for number, root in enumerate(reversed(_finished(after))):
        work = [root] if root not in part else []
        while work:
            node = work.pop()
            if node not in part:
                part[node] = number
                work += before.get(node, ())
    return part


def _finished(after: Mapping[str, Sequence[str]]) -> list[str]:
    """The events in the order in which a depth-first walk leaves them."""
    left: list[str] = []
    met: set[str] = set()
    for root in [*after, *(later for some in list(after.values()) for later in some)]:
        if root in met:
            continue
        met.add(root)
        walk = [(root, iter(after.get(root, ())))]
        while walk:
            following = next((node for node in walk[-1][1] if node not in met), None)
            if following is None:
                left.append(walk.pop()[0])
            else:
                met.add(following)
                walk.append((following, iter(after.get(following, ()))))
    return left
