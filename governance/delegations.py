"""Delegations: a person lets another answer in some of their roles for a while, e.g. during a vacation.

Invariants: nobody gives more than they hold themselves at the moment it is used, and what was given is not given on (no chains);
I5, a role given by whoever stands behind a proposal does not count for it, and a role of one person fills one place, whoever
uses it. Changes no roles: it says which ones an answer may use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from governance.configuring import permit
from governance.errors import ApprovalError, PrincipalError
from governance.principals import Principal, load_principal
from governance.rulebook import RuleBook
from kg.clock import Clock
from kg.model import ABSENT, Cause, Entity, Op, Put, Where
from kg.store import GraphStore
from kg.values import Value

CLASS: Final = "Delegation"
#: Delegations to one person that are looked at, and how long one may last.
DELEGATIONS_MAX: Final = 50
DAYS_MAX: Final = 366
REASON_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Lent:
    """Roles lent to somebody: the delegation, who lent them, and which; `version` is the delegation's."""

    id: str
    by: Principal
    roles: frozenset[str]
    version: int = 0


def delegate(
    store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, giver: str, to: str, roles: Sequence[str],
    start: datetime, end: datetime, reason: str,
) -> Entity:  # fmt: skip
    """Let `to` answer in these roles of `giver` (uids) from start to end; decided as ``configure`` (DeniedError).

    Raises ApprovalError where more would be given than is held, or to oneself, or without an end or a reason.
    """
    held, other = load_principal(store, giver), load_principal(store, to)
    if not reason.strip():
        raise ApprovalError("a delegation needs a reason; say it")
    if held.identities() & other.identities():
        raise ApprovalError("nobody delegates to themselves; name somebody else")
    if not start < end or (end - start).days > DAYS_MAX:
        raise ApprovalError(f"a delegation lasts up to {DAYS_MAX} days and ends after it begins; give its days")
    missing = sorted(set(roles) - held.roles)
    if missing or not roles:
        raise ApprovalError(
            f"{giver} does not hold {', '.join(missing) or 'any role that was named'}; give what is held"
        )
    permit(store, clock, rules, principal, "delegation.add", CLASS, held.id)
    values: dict[str, Value] = {
        "delegator": held.uid,
        "delegate": other.uid,
        "roles": tuple(sorted(set(roles))),
        "validFrom": start,
        "validTo": end,
        "reason": reason[:REASON_MAX],
        "setBy": principal.uid,
    }
    id = clock.id()
    store.commit([Put(id, CLASS, values)], Cause(clock.id(), "delegation.add", principal.uid, reason), {id: ABSENT})
    return store.get([id])[id]


def end(store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, id: str, reason: str) -> None:
    """End a delegation now; its giver may always, others as action ``configure`` says."""
    found = store.get([id]).get(id)
    if found is None or found.cls != CLASS:
        raise ApprovalError(f"there is no delegation {id[:80]!r}; list them to see which there are")
    if found["delegator"] != principal.uid:
        permit(store, clock, rules, principal, "delegation.end", CLASS, id)
    now, until = clock.now(), found.get("validTo")
    if isinstance(until, datetime) and until <= now:
        # Ended again, it would be on record as in force until now.
        raise ApprovalError(f"delegation {id} ended at {until:%Y-%m-%d %H:%M} UTC already; there is nothing to end")
    put = Put(id, CLASS, {"validTo": now})
    store.commit([put], Cause(clock.id(), "delegation.end", principal.uid, reason), {id: found.version})


def lent(store: GraphStore, now: datetime, principal: Principal, proposers: frozenset[str]) -> tuple[Lent, ...]:
    """What others let a person use now, for a decision behind which `proposers` stand (identities)."""
    if principal.on_behalf_of is not None or principal.kind != "User":
        # Who acts for another brings no role that the other lacks, so there is nothing to widen.
        return ()
    where = [Where("delegate", Op.EQ, principal.uid), Where("validTo", Op.GT, now)]
    found = []
    for entity in store.find(CLASS, where, first=DELEGATIONS_MAX).items:
        start = entity.get("validFrom")
        if not isinstance(start, datetime) or start > now:
            continue
        try:
            # INVARIANT I5: a role that the proposer gave away does not approve what the proposer wants.
            giver = load_principal(store, str(entity["delegator"]))
        except PrincipalError:
            continue
        texts = entity.get("roles", ())
        roles = frozenset(map(str, texts)) if isinstance(texts, tuple) else frozenset()
        # Own roles of the giver only, as they are now: what was lent to the giver is not lent on.
        if not giver.identities() & proposers and giver.roles & roles:
            found.append(Lent(entity.id, giver, giver.roles & roles, entity.version))
    return tuple(found)


def widened(principal: Principal, given: Sequence[Lent]) -> Principal:
    """The principal with the roles that were lent."""
    return replace(principal, roles=principal.roles.union(*(item.roles for item in given)))
