"""Break-glass: a person with the declared right opens wider rights for themselves, for a bounded while, with a reason, and loudly.

Invariants: while it is open the evaluator alone sets ``context.breakGlass``, for that person only: never for an agent, a service
or whoever acts on behalf, nor for a key or token that is narrower than the person. It ends by the later of the clock and the last
commit, so a clock turned back opens nothing that was over; it opens nothing itself, another opening least of all. Another person
reviews it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from governance.configuring import permit
from governance.errors import BreakGlassError, DeniedError, PrincipalError, SelfApprovalError, UnknownBreakGlassError
from governance.kept import kept
from governance.principals import Principal, load_principal
from governance.rulebook import RuleBook
from kg import tracing
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Entity, Input, Op, Order, Put, Where
from kg.store import GraphStore, Head
from kg.values import Value
from kg.view import View

CLASS: Final = "BreakGlass"
#: Ids are made from the person and a number, so two openings at once meet; nothing else may take such an id.
PREFIX: Final = "breakglass-"
#: How long one opening lasts at most, and where nothing is said.
MINUTES_MAX: Final = 480
MINUTES: Final = 60
REASON_MAX: Final = 2_000
#: Openings that an inbox lists.
LISTED_MAX: Final = 100
#: What a review may find, and which stage follows which.
FINDINGS: Final = ("justified", "unjustified")
MOVES: Final[Mapping[str, frozenset[str]]] = {
    "open": frozenset({"over"}),
    "over": frozenset({"reviewed"}),
    "reviewed": frozenset(),
}


def stage(glass: Entity, now: datetime) -> str:
    """Where an opening stands at a time: open, over (it waits for its review), or reviewed."""
    if "finding" in glass.properties:
        return "reviewed"
    end = glass.get("validTo")
    return "open" if isinstance(end, datetime) and now < end else "over"


def moment(store: GraphStore, clock: Clock, end: Head | None = None) -> datetime:
    """The later of the clock and the last commit: by it an opening ends, whoever turns the clock back."""
    last = (end or store.head()).at
    return clock.now() if last is None else max(clock.now(), last)


def carried(store: GraphStore, clock: Clock, principal: Principal, end: Head | None = None) -> Principal:
    """The principal with the opening that it may use now; who acts for another, or with less than its own rights, uses none.

    `end` is the end of the log, where the caller has read it already.
    """
    alone = replace(principal, break_glass="")
    if principal.kind != "User" or principal.on_behalf_of is not None:
        return alone
    end = end or store.head()
    now, uid = moment(store, clock, end), principal.uid
    # That there is none is kept: time ends an opening and begins none. One that there is, is looked at each time.
    if not kept(store, end, (CLASS, uid), {CLASS}, lambda: (_open(store, now, uid) is not None, ())):
        return alone
    found = _open(store, now, uid)
    if found is None:
        return alone
    try:
        whole = load_principal(store, uid, end=end).roles
    except PrincipalError:
        whole = principal.roles
    # A key or token that was narrowed is not the person in an emergency, and may lie in a script.
    return alone if whole - principal.roles else replace(principal, break_glass=found.id)


def open_glass(
    store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, reason: str, minutes: int = MINUTES
) -> Entity:
    """Open it for the principal itself; decided as ``configure``, operation ``breakglass.open`` (DeniedError, on record).

    Raises BreakGlassError where the principal is no person, where no reason or bounded time is given, and where one is open.
    """
    if principal.kind != "User" or principal.on_behalf_of is not None:
        raise BreakGlassError(
            "only a person opens break-glass, and only for themselves; act without another in between"
        )
    said = _said(reason, "a break-glass")
    if not 1 <= minutes <= MINUTES_MAX:
        raise BreakGlassError(f"a break-glass lasts 1 to {MINUTES_MAX} minutes, not {minutes}; say how long you need")
    now = moment(store, clock)
    last = _last(store, principal.uid)
    if last is not None and stage(last, now) == "open":
        raise BreakGlassError(
            f"{last.id} is open until {last['validTo']:%H:%M} UTC and is not extended; close it first"
        )
    number = int(str(last["opening"])) + 1 if last is not None else 1
    id = _id(principal.uid, number)
    # INVARIANT: what an opening permits never opens the next one.
    permit(store, clock, rules, replace(principal, break_glass=""), "breakglass.open", CLASS, id)
    values: dict[str, Value] = {
        "holder": principal.uid,
        "holders": tuple(sorted(principal.identities())),
        "opening": number,
        "validFrom": now,
        "validTo": now + timedelta(minutes=minutes),
        "reason": said,
    }
    try:
        _commit(store, clock, Put(id, CLASS, values), ABSENT, principal, "breakglass.open", said)
    except ConflictError:
        raise BreakGlassError("it was opened at the same moment elsewhere; list what is open") from None
    tracing.count(tracing.BREAK_GLASS, what="opened")
    return store.get([id])[id]


def close_glass(store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, id: str, reason: str) -> Entity:
    """End an opening before its time; its holder always may, others as ``configure``, ``breakglass.close`` says."""
    said = _said(reason, "closing it")
    glass, now = _found(store, id), moment(store, clock)
    if stage(glass, now) != "open":
        raise BreakGlassError(f"{id[:80]} is {stage(glass, now)} already; there is nothing to close")
    if glass["holder"] != principal.uid:
        permit(store, clock, rules, replace(principal, break_glass=""), "breakglass.close", CLASS, id)
    put = Put(id, CLASS, {"validTo": now, "closedBy": principal.uid, "closeReason": said})
    _commit(store, clock, put, glass.version, principal, "breakglass.close", said)
    tracing.count(tracing.BREAK_GLASS, what="closed")
    return store.get([id])[id]


def review(
    store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, id: str, finding: str, comment: str
) -> Entity:
    """Say of an opening that is over whether it was justified, as another person; ``configure``, ``breakglass.review``."""
    if principal.kind != "User" or principal.on_behalf_of is not None:
        # A service's key may be in the holder's own hands.
        raise BreakGlassError("only a person reviews a break-glass; act without another in between")
    if finding not in FINDINGS:
        raise BreakGlassError(f"a review finds {' or '.join(FINDINGS)}, not {finding[:40]!r}")
    said = _said(comment, "a review")
    glass, now = _found(store, id), moment(store, clock)
    if "reviewed" not in MOVES[stage(glass, now)]:
        raise BreakGlassError(f"{id[:80]} is {stage(glass, now)}; what is over and not reviewed yet can be reviewed")
    # INVARIANT I5: no identity of the holder and no person behind one reviews it.
    if principal.identities() & _holders(store, glass):
        raise SelfApprovalError("nobody reviews an own break-glass, under whatever identity; ask somebody else")
    permit(store, clock, rules, replace(principal, break_glass=""), "breakglass.review", CLASS, id)
    put = Put(id, CLASS, {"finding": finding, "reviewer": principal.uid, "comment": said})
    _commit(store, clock, put, glass.version, principal, "breakglass.review", said)
    tracing.count(tracing.BREAK_GLASS, what="reviewed")
    return store.get([id])[id]


def asked_after(
    store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, view: View, id: str, activity: str
) -> None:
    """Let on who holds an opening, who sees it, and who has the right; to all others, on record, it is not there.

    Raises UnknownBreakGlassError, whether it is there or not.
    """
    # INVARIANT I10: ids are made from the holder's name, so a stranger could ask after anybody's emergencies one by one.
    glass = store.get([id]).get(id)
    if glass is not None and (glass.get("holder") == principal.uid or view.see([glass])[0] is not None):
        return
    try:
        permit(store, clock, rules, replace(principal, break_glass=""), activity, CLASS, id[:200])
    except DeniedError:
        raise UnknownBreakGlassError(f"there is no break-glass {id[:80]!r}; list them to see which there are") from None


def _holders(store: GraphStore, glass: Entity) -> frozenset[str]:
    """Who held an opening: by every identity known then, and by those known since, as the person behind two names."""
    held = glass.get("holders", ())
    then = frozenset(map(str, held if isinstance(held, tuple) else ()))
    try:
        return then | load_principal(store, str(glass["holder"])).identities()
    except PrincipalError:
        return then


def unreviewed(store: GraphStore) -> list[Entity]:
    """Openings that nobody reviewed yet, open ones too, newest first; at most LISTED_MAX."""
    where = [Where("finding", Op.ABSENT)]
    return list(store.find(CLASS, where, Order("validFrom", descending=True), first=LISTED_MAX).items)


def _open(store: GraphStore, now: datetime, holder: str) -> Entity | None:
    where = [Where("holder", Op.EQ, holder), Where("validTo", Op.GT, now)]
    found = store.find(CLASS, where, first=1).items
    return found[0] if found and stage(found[0], now) == "open" else None


def _last(store: GraphStore, holder: str) -> Entity | None:
    where = [Where("holder", Op.EQ, holder)]
    return next(iter(store.find(CLASS, where, Order("opening", descending=True), first=1).items), None)


def _id(holder: str, number: int) -> str:
    return PREFIX + hashlib.sha256(f"{holder}\x1f{number}".encode()).hexdigest()[:26]


def _found(store: GraphStore, id: str) -> Entity:
    glass = store.get([id]).get(id)
    if glass is None or glass.cls != CLASS:
        raise UnknownBreakGlassError(f"there is no break-glass {id[:80]!r}; list them to see which there are")
    return glass


def _said(reason: str, what: str) -> str:
    if not reason.strip() or len(reason) > REASON_MAX:
        raise BreakGlassError(f"{what} needs a reason of 1 to {REASON_MAX:,} characters; say it")
    return reason.strip()


def _commit(
    store: GraphStore, clock: Clock, put: Put, version: int, who: Principal, activity: str, reason: str
) -> None:
    behalf = who.on_behalf_of.uid if who.on_behalf_of is not None else None
    inputs = (Input(put.id, version),) if version else ()
    store.commit([put], Cause(clock.id(), activity, who.uid, reason, behalf, inputs), {put.id: version})
