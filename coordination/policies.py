"""Conflict policies: by which steps two rival proposals are settled, declared by operation and class of the target, as entities.

Invariants: the policy of a pair does not depend on which of the two is looked at; where the operations have different policies the
class's counts, then everybody's, then the default. Setting one is decided as ``configure`` by whoever calls; it is versioned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from coordination.codec import derive
from coordination.errors import PolicyError
from governance.principals import Principal
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Entity, Put
from kg.store import PAGE_MAX, GraphStore
from kg.values import Scalar

CLASS: Final = "ConflictPolicy"
#: Begins the id of every policy; the gate keeps such ids from agents.
PREFIX: Final = "conflicts-"
ANY: Final = "*"
STEPS: Final = ("priority", "confidence", "vote", "merge", "person")
DEFAULT: Final = ("priority", "confidence", "person")
#: Seconds for which what was rejected or beaten is not made again unchanged, and the longest that can be declared.
REMEMBER_SECONDS: Final = 7 * 86_400
SECONDS_MAX: Final = 366 * 86_400
#: The longest that a proposal waits for rivals before it is settled.
WINDOW_MAX: Final = 86_400
NAME_MAX: Final = 200
ATTEMPTS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """Steps in order, each decides or passes on; the last resort is a person.

    `quorum` is the least number of agents behind what wins a vote, `window` how many seconds a proposal waits for rivals, so
    that they are heard, `remember` for how many seconds what lost is not made again unchanged. `entity` is its fact, if any.
    """

    steps: tuple[str, ...] = DEFAULT
    quorum: int = 1
    window: int = 0
    remember: int = REMEMBER_SECONDS
    entity: Entity | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that may bear on some proposals, by operation and class."""

    found: Mapping[tuple[str, str], Policy]

    def of(self, operation: str, cls: str) -> Policy:
        """The nearest policy of an operation on a class."""
        places = ((operation, cls), (operation, ANY), (ANY, cls), (ANY, ANY))
        return next((self.found[place] for place in places if place in self.found), Policy())

    def between(self, one: str, other: str, cls: str) -> Policy:
        """The policy of two operations that meet on a target of this class."""
        first, second = self.of(one, cls), self.of(other, cls)
        return first if first == second else self.of(ANY, cls)


def policy_id(operation: str, cls: str) -> str:
    """The id of the policy of an operation and class: one each."""
    return PREFIX + derive(operation, cls)


def load(store: GraphStore, operations: Iterable[str], cls: str) -> Policies:
    """The policies of these operations on a class; one read."""
    places = [(name, kind) for name in dict.fromkeys((*operations, ANY)) for kind in (cls, ANY)]
    ids = {policy_id(*place): place for place in places}
    return Policies({ids[id]: of(entity) for id, entity in store.get(list(ids)).items()})


def of(entity: Entity) -> Policy:
    """The policy of its entity."""
    steps = tuple(str(step) for step in cast(tuple[Scalar, ...], entity["steps"]))
    numbers = {name: cast(int, entity[name]) for name in ("quorum", "window", "remember")}
    return Policy(steps, entity=entity, **numbers)


def every(store: GraphStore) -> list[Entity]:
    """Every declared policy, the first page of them, by id."""
    return list(store.find(CLASS, first=PAGE_MAX).items)


def declare(
    store: GraphStore, clock: Clock, principal: Principal, operation: str, cls: str, policy: Policy, reason: str = ""
) -> Entity:
    """Set the policy of an operation and class (``*``: any); raises PolicyError where it makes no sense."""
    _check(operation, cls, policy)
    id = policy_id(operation, cls)
    put = Put(
        id,
        CLASS,
        {
            "operation": operation,
            "targetClass": cls,
            "steps": policy.steps,
            "quorum": policy.quorum,
            "window": policy.window,
            "remember": policy.remember,
        },
    )
    for _ in range(ATTEMPTS_MAX):
        there = store.get([id]).get(id)
        cause = Cause(clock.id(), "conflicts.set", principal.uid, reason[:2_000])
        try:
            store.commit([put], cause, {id: there.version if there is not None else 0})
        except ConflictError:
            continue
        return store.get([id])[id]
    raise PolicyError("others changed this policy at every try; try again")


def _check(operation: str, cls: str, policy: Policy) -> None:
    names: Sequence[str] = (operation, cls)
    if not all(name and len(name) <= NAME_MAX and name.isprintable() for name in names):
        raise PolicyError("a conflict policy names an operation and a class, or * for any; correct it")
    unknown = [step for step in policy.steps if step not in STEPS]
    if unknown or not policy.steps or len(set(policy.steps)) != len(policy.steps):
        raise PolicyError(f"steps are some of {', '.join(STEPS)}, each once; {' '.join(policy.steps)[:80]!r} is not")
    if policy.steps[-1] != "person" and "person" in policy.steps:
        raise PolicyError("a person decides whatever is left, so `person` comes last; move it")
    if not 1 <= policy.quorum <= 1_000 or not 0 <= policy.window <= WINDOW_MAX:
        raise PolicyError(f"a quorum is 1 to 1,000 agents, a window 0 to {WINDOW_MAX:,} seconds; correct it")
    if not 0 <= policy.remember <= SECONDS_MAX:
        raise PolicyError(f"what lost is remembered for 0 to {SECONDS_MAX:,} seconds; correct it")
