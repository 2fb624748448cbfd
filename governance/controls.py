"""Controls: the switches that let the whole platform, a department, a workflow, an agent or a tool act.

Invariant I11: an effect begins with the commit of its intent, and that commit expects the versions of the controls over it; so
after a stop is acknowledged no intent commits, and the acknowledgement lists those already on their way. Steps of a run expect them
too. Stops no effect that has begun.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from governance.decide import decide
from governance.decisions import record
from governance.errors import ControlError, DeniedError
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.throttles import PER_MINUTE_MAX
from governance.verdict import Request, Resource
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Commit, Cursor, Entity, Input, Op, Put, Where, Write
from kg.store import PAGE_MAX, GraphStore
from kg.store import Request as CommitRequest
from kg.values import Value

CLASS: Final = "Control"
GLOBAL: Final = "global"
KINDS: Final = ("department", "workflow", "agent", "tool")
THROTTLE: Final = "throttle"


@dataclass(frozen=True, slots=True)
class Mode:
    """What a state of a control means: may an intent be committed, does it leave, and where may the state go."""

    intents: bool
    following: frozenset[str]
    leaves: bool = True


#: Every state, and which may follow it. After a stop only a resume follows; a state that is not listed lets nothing begin.
STATES: Final[Mapping[str, Mode]] = {
    "run": Mode(intents=True, following=frozenset({"shadow", "throttle", "pause", "stop"})),
    "shadow": Mode(intents=True, following=frozenset({"run", "throttle", "pause", "stop"}), leaves=False),
    "throttle": Mode(intents=True, following=frozenset({"run", "shadow", "throttle", "pause", "stop"})),
    "pause": Mode(intents=False, following=frozenset({"run", "shadow", "throttle", "stop"})),
    "stop": Mode(intents=False, following=frozenset({"run"})),
}
_SCOPE: Final = re.compile(r"global\Z|(?:department|workflow|agent|tool):[^\x00-\x1f\x7f]{1,200}\Z")
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


@dataclass(frozen=True, slots=True)
class Standing:
    """What the controls over something say together; a commit that relies on it expects `versions`.

    `held` says which control lets nothing begin, `shadow` which lets nothing leave, both in words and empty where none does;
    `throttles` are (control id, scope, intents a minute).
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    held: str = ""
    shadow: str = ""
    throttles: tuple[tuple[str, str, int], ...] = ()


def control_id(scope: str) -> str:
    """The id of a scope's control, made from the scope, so that its version can be expected before anybody set it."""
    if not _SCOPE.match(scope):
        raise ControlError(f"{scope[:80]!r} is no scope; use global, or one of {', '.join(KINDS)} as in agent:NAME")
    return "control-" + hashlib.sha256(scope.encode()).hexdigest()[:26]


def scopes(
    agent: str | None = None, department: str | None = None, workflow: str | None = None, tool: str | None = None
) -> tuple[str, ...]:
    """The scopes whose controls lie over an agent of a department, in a workflow, acting by a tool (the effector's kind)."""
    named = (("agent", agent), ("department", department), ("workflow", workflow), ("tool", tool))
    return (GLOBAL, *(f"{kind}:{name}" for kind, name in named if name))


def standing(store: GraphStore, lying: Sequence[str]) -> Standing:
    """What the controls of these scopes say now; one read."""
    ids = {control_id(scope): scope for scope in lying}
    found = store.get(list(ids))
    # INVARIANT I11: version 0 where nobody set it yet, so that the first stop conflicts with the intent too.
    versions = {id: found[id].version if id in found else 0 for id in ids}
    held, shadow, throttles = "", "", []
    for id, scope in ids.items():
        if id not in found:
            continue
        state = str(found[id].get("state"))
        mode = STATES.get(state)
        if mode is None or not mode.intents:
            held = held or f"control {scope} ({state})"
        elif not mode.leaves:
            shadow = shadow or f"control {scope} ({state})"
        elif state == THROTTLE:
            rate = found[id].get("perMinute")
            throttles.append((id, scope, rate if isinstance(rate, int) else 0))
    return Standing(versions, held, shadow, tuple(throttles))


def expects(store: GraphStore, agent: str | None = None, department: str | None = None) -> tuple[bool, dict[str, int]]:
    """Whether an intent may begin, and the control versions that its commit must expect."""
    found = standing(store, scopes(agent, department))
    return not found.held, dict(found.versions)


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
    """Let nothing begin in this scope; the acknowledgement lists the intents in flight at its position."""
    return change(store, clock, principal, scope, "stop", reason, rules=rules)


def resume(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, reason: str, *, rules: RuleBook | None = None
) -> Acknowledgement:
    """Let the scope act again, as far as the controls above it do."""
    return change(store, clock, principal, scope, "run", reason, rules=rules)


def change(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, state: str, reason: str, *,
    per_minute: int | None = None, rules: RuleBook | None = None, beside: Sequence[Write] = (),
) -> Acknowledgement:  # fmt: skip
    """Bring a control into a state of STATES; `beside` is committed with the change, and only with it.

    With `rules` the action ``control`` is decided and recorded first (DeniedError); without, the caller has done so. Raises
    ControlError for a state that cannot follow, and where a rate is missing or out of place.
    """
    id = control_id(scope)
    if state not in STATES:
        raise ControlError(f"{state[:40]!r} is no state of a control; use one of {', '.join(STATES)}")
    if not reason.strip():
        raise ControlError("a control changes for a reason; say it")
    if (state == THROTTLE) != (per_minute is not None):
        raise ControlError("how many may begin a minute goes with the state throttle, and only with it")
    if per_minute is not None and not 1 <= per_minute <= PER_MINUTE_MAX:
        raise ControlError(f"a throttle lets 1 to {PER_MINUTE_MAX:,} begin a minute; to let none, pause it")
    decision = _decided(store, clock, principal, scope, state, rules)
    values: dict[str, Value] = {"scope": scope, "state": state, "reason": reason[:REASON_MAX], "setBy": principal.uid}
    if per_minute is not None:
        values["perMinute"] = per_minute
    commit = _set(store, clock, principal, Put(id, CLASS, values, replace=True), (*decision, *beside), decision)
    # Where it was so before, nothing began since: what is in flight now is the rest of what was then.
    position = commit.last if commit is not None else store.head().position
    at = commit.at if commit is not None else clock.now()
    if state in ("run", THROTTLE):
        return Acknowledgement(scope, state, position, at)
    intents, more = _in_flight(store, scope, position)
    return Acknowledgement(scope, state, position, at, intents, more)


def _set(
    store: GraphStore, clock: Clock, principal: Principal, put: Put, more: Sequence[Write], decision: Sequence[Write]
) -> Commit | None:
    """Bring the control into the wanted state; the commit that did it, None where it was so already."""
    state, scope = str(put.set["state"]), str(put.set["scope"])
    for _ in range(ATTEMPTS_MAX):
        present = store.get([put.id]).get(put.id)
        cause = _cause(clock, principal, state, str(put.set["reason"]), present)
        if present is not None and (present["state"], present.get("perMinute")) == (state, put.set.get("perMinute")):
            if decision:
                store.commit(decision, cause)
            return None
        if present is not None and state not in STATES[str(present["state"])].following:
            raise ControlError(
                f"control {scope} is in state {present['state']} and cannot become {state}; resume it first"
            )
        try:
            expected = {put.id: present.version if present is not None else 0}
            # Ahead of the work that it stops: behind it, the last to be heard would be who says stop.
            (done,) = store.commit_many([CommitRequest([put, *more], cause, expected, urgent=True)])
            if isinstance(done, Exception):
                raise done
            return done
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
    where = [Where("status", Op.EQ, "intent")]
    if kind in ("agent", "department"):
        where.append(Where(kind, Op.EQ, name))
    elif kind == "tool":
        where.append(Where("effector", Op.EQ, name))
    found: list[Entity] = []
    after: Cursor | None = None
    for _ in range(INTENTS_MAX // PAGE_MAX):
        page = store.find("Effect", where, after=after, first=PAGE_MAX, at=at)
        found.extend(_of_workflow(store, page.items, name) if kind == "workflow" else page.items)
        after = page.next
        if after is None:
            return tuple(found), False
    return tuple(found), True


def _of_workflow(store: GraphStore, effects: Iterable[Entity], name: str) -> list[Entity]:
    named = {effect.id: str(effect.get("run", "")) for effect in effects}
    runs = store.get([run for run in named.values() if run])
    return [effect for effect in effects if (run := runs.get(named[effect.id])) and workflow_of(run) == name]


def workflow_of(run: Entity | None) -> str:
    """The name by which controls know a run's workflow (namespace.name), empty where there is no run."""
    return str(run.get("called", "")).rpartition(":")[0] if run is not None else ""
