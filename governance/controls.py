"""Controls: the switches that let the whole platform, a department or an agent act.

Invariant I11: an effect begins with the commit of its intent, and that commit expects the versions of the controls over it; so
after a stop is acknowledged no intent commits, and the acknowledgement lists those already on their way. Stops no effect
that has begun.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from governance.decide import decide
from governance.decisions import record
from governance.errors import ControlError, DeniedError
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.verdict import Request, Resource
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Commit, Cursor, Entity, Input, Op, Put, Where, Write
from kg.store import PAGE_MAX, GraphStore

CLASS: Final = "Control"
GLOBAL: Final = "global"


@dataclass(frozen=True, slots=True)
class Mode:
    """What a state of a control means: may an intent be committed, and where may the state go."""

    intents: bool
    following: frozenset[str]


#: Every state; pause, shadow and throttle will be rows of this table. A state that is not listed lets nothing begin.
STATES: Final[Mapping[str, Mode]] = {
    "run": Mode(intents=True, following=frozenset({"stop"})),
    "stop": Mode(intents=False, following=frozenset({"run"})),
}
_SCOPE: Final = re.compile(r"global\Z|(?:agent|department):[^\x00-\x1f\x7f]{1,200}\Z")
#: Tries to set a control while others set it too.
ATTEMPTS_MAX: Final = 16
#: Intents listed in one acknowledgement.
INTENTS_MAX: Final = 10_000
REASON_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """That a control is set: from `position` on it holds, and `intents` are the effects that were on their way then.

    `more` says that there were more intents than INTENTS_MAX.
    """

    scope: str
    state: str
    position: int
    at: datetime
    intents: tuple[Entity, ...] = ()
    more: bool = False


def control_id(scope: str) -> str:
    """The id of a scope's control, made from the scope, so that its version can be expected before anybody set it."""
    if not _SCOPE.match(scope):
        raise ControlError(f"{scope[:80]!r} is no scope; use global, agent:NAME or department:NAME")
    return "control-" + hashlib.sha256(scope.encode()).hexdigest()[:26]


def scopes(agent: str | None = None, department: str | None = None) -> tuple[str, ...]:
    """The scopes whose controls lie over an agent of a department."""
    named = (("agent", agent), ("department", department))
    return (GLOBAL, *(f"{kind}:{name}" for kind, name in named if name))


def expects(store: GraphStore, agent: str | None = None, department: str | None = None) -> tuple[bool, dict[str, int]]:
    """Whether an intent may begin, and the control versions that its commit must expect."""
    ids = [control_id(scope) for scope in scopes(agent, department)]
    found = store.get(ids)
    # INVARIANT I11: version 0 where nobody set it yet, so that the first stop conflicts with the intent too.
    versions = {id: found[id].version if id in found else 0 for id in ids}
    return all(_lets(found[id]) for id in ids if id in found), versions


def _lets(control: Entity) -> bool:
    mode = STATES.get(str(control.get("state")))
    return mode is not None and mode.intents


def ensure(store: GraphStore, clock: Clock, principal: Principal, wanted: Sequence[str] = (GLOBAL,)) -> None:
    """Make the controls of these scopes exist, running; those that exist stay as they are."""
    ids = {scope: control_id(scope) for scope in wanted}
    for _ in range(ATTEMPTS_MAX):
        found = store.get(list(ids.values()))
        absent = {scope: id for scope, id in ids.items() if id not in found}
        if not absent:
            return
        puts = [
            Put(id, CLASS, {"scope": scope, "state": "run", "setBy": principal.uid}) for scope, id in absent.items()
        ]
        cause = Cause(clock.id(), "control.ensure", principal.uid, "every scope has a control from the start")
        try:
            store.commit(puts, cause, dict.fromkeys(absent.values(), 0))
        except ConflictError:
            continue
        return
    raise ControlError("the controls were made by others at every try; run it again")


def stop(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, reason: str, *, rules: RuleBook | None = None
) -> Acknowledgement:
    """Let nothing begin in this scope; the acknowledgement lists the intents in flight at its position.

    With `rules` the action ``control`` is decided and recorded first (DeniedError); without, the caller has done so.
    """
    commit = _set(store, clock, principal, scope, "stop", reason, rules)
    # Where it was stopped before, nothing began since: what is in flight now is the rest of what was then.
    position = commit.last if commit is not None else store.head().position
    intents, more = _in_flight(store, scope, position)
    return Acknowledgement(scope, "stop", position, commit.at if commit is not None else clock.now(), intents, more)


def resume(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, reason: str, *, rules: RuleBook | None = None
) -> Acknowledgement:
    """Let the scope act again, as far as the controls above it do."""
    commit = _set(store, clock, principal, scope, "run", reason, rules)
    position = commit.last if commit is not None else store.head().position
    return Acknowledgement(scope, "run", position, commit.at if commit is not None else clock.now())


def _set(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, state: str, reason: str, rules: RuleBook | None
) -> Commit | None:
    """Bring the control into the wanted state; the commit that did it, None where it was so already."""
    id = control_id(scope)
    if not reason.strip():
        raise ControlError("a control changes for a reason; say it")
    decision = _decided(store, clock, principal, scope, state, rules)
    for _ in range(ATTEMPTS_MAX):
        present = store.get([id]).get(id)
        if present is not None and present["state"] == state:
            if decision:
                store.commit(decision, _cause(clock, principal, state, reason, present))
            return None
        if present is not None and state not in STATES[str(present["state"])].following:
            raise ControlError(f"control {scope} is in state {present['state']} and cannot become {state}")
        put = Put(id, CLASS, {"scope": scope, "state": state, "reason": reason[:REASON_MAX], "setBy": principal.uid})
        version = present.version if present is not None else 0
        try:
            return store.commit([put, *decision], _cause(clock, principal, state, reason, present), {id: version})
        except ConflictError:
            continue
    raise ControlError("others changed this control at every try; try again")


def _cause(clock: Clock, principal: Principal, state: str, reason: str, present: Entity | None) -> Cause:
    behalf = principal.on_behalf_of.uid if principal.on_behalf_of is not None else None
    inputs = (Input(present.id, present.version),) if present is not None else ()
    return Cause(clock.id(), f"control.{state}", principal.uid, reason[:REASON_MAX], behalf, inputs)


def _decided(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, state: str, rules: RuleBook | None
) -> tuple[Write, ...]:
    if rules is None:
        return ()
    resource = Resource(CLASS, control_id(scope), {"scope": scope, "state": state})
    request = Request(principal, "control", resource, {"operation": state, "scope": scope})
    verdict = decide(request, rules)
    id = clock.id()
    writes = record(id, request, verdict)
    if verdict.allowed:
        return writes
    store.commit(writes, Cause(clock.id(), f"control.{state}", principal.uid, verdict.reason))
    raise DeniedError(f"{principal.uid} may not set control {scope} to {state}: {verdict.reason}", id)


def _in_flight(store: GraphStore, scope: str, at: int) -> tuple[tuple[Entity, ...], bool]:
    """The effects of the scope whose intent is committed and whose receipt is not, at a position."""
    kind, _, name = scope.partition(":")
    where = [Where("status", Op.EQ, "intent"), *([Where(kind, Op.EQ, name)] if name else [])]
    found: list[Entity] = []
    after: Cursor | None = None
    for _ in range(INTENTS_MAX // PAGE_MAX):
        page = store.find("Effect", where, after=after, first=PAGE_MAX, at=at)
        found.extend(page.items)
        after = page.next
        if after is None:
            return tuple(found), False
    return tuple(found), True
