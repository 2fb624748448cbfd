"""Claims: for a while one holder alone may act on an entity. A claim is a fact; its version is the fencing token.

Invariants: I7 a holder commits what it does with `expects`, so one whose claim ended and went to another writes nothing; and a
proposal on an entity that another holds begins nothing, whoever claimed in between. Several entities are claimed in one commit, all
or none; holders that ask for more while they hold some are noted as waiting, and of a circle the youngest gives way.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from coordination.errors import ClaimedError, DeadlockError
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Entity, Put, StateWrite
from kg.store import PAGE_MAX, GraphStore
from kg.values import Ref

CLAIM: Final = "Claim"
#: Kind of the rows that say who waits for what.
WAIT: Final = "claim-wait"
#: Entities of one claim, and tries of one that lost a race.
IDS_MAX: Final = 200
ATTEMPTS_MAX: Final = 50
#: How long a note of waiting counts.
WAIT_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a holder claimed: `expects` (claim id to version) goes into every commit that it makes as the holder."""

    holder: str
    ids: tuple[str, ...]
    until: datetime
    expects: Mapping[str, int] = field(default_factory=dict)


def claim_id(id: str) -> str:
    """The id of the claim on an entity: one each, so that it can be expected before anybody claimed."""
    return "claim-" + hashlib.sha256(id.encode()).hexdigest()[:26]


def claim(store: GraphStore, clock: Clock, holder: str, ids: Iterable[str], seconds: float, principal: str) -> Held:
    """Claim these entities, or go on holding them, all or none.

    Raises ClaimedError where another holds one (the wait is noted: ask again), DeadlockError where waiting would never
    end and this holder is the youngest of the circle: it has to release what it holds.
    """
    wanted = tuple(sorted(set(ids)))
    if not holder or not wanted or len(wanted) > IDS_MAX:
        raise ClaimedError(f"a claim names a holder and 1 to {IDS_MAX} entities; correct it")
    for _ in range(ATTEMPTS_MAX):
        now = clock.now()
        claims = {id: claim_id(id) for id in wanted}
        there = store.get(list(claims.values()))
        others = [entity for entity in there.values() if _holder(entity, now) not in ("", holder)]
        if others:
            _wait(store, clock, holder, wanted, others)
        until = now + timedelta(seconds=seconds)
        puts = [Put(claims[id], CLAIM, _properties(id, holder, until)) for id in wanted]
        cause = Cause(clock.id(), "claim", principal, f"{holder} claims {len(wanted)}")
        expects = {key: there[key].version if key in there else 0 for key in claims.values()}
        # INVARIANT I7: each claim at the version that was read; of several claimants one gets it.
        try:
            made = store.commit(puts, cause, expects, [StateWrite(WAIT, holder, None)])
        except ConflictError:
            continue
        return Held(holder, wanted, until, {key: made.versions.get(key, expects[key]) for key in claims.values()})
    raise ClaimedError("others claimed these entities at every try; try again")


def release(store: GraphStore, clock: Clock, held: Held, principal: str) -> None:
    """Give the claims back; those that went to somebody else meanwhile stay with them."""
    for _ in range(ATTEMPTS_MAX):
        there = store.get(list(held.expects))
        own = [entity for entity in there.values() if entity["holder"] == held.holder and entity["state"] == "held"]
        rows = [StateWrite(WAIT, held.holder, None)]
        cause = Cause(clock.id(), "claim.release", principal) if own else None
        puts = [Put(entity.id, CLAIM, {"state": "free"}) for entity in own]
        try:
            store.commit(puts, cause, {entity.id: entity.version for entity in own}, rows)
        except ConflictError:
            continue
        return
    raise ClaimedError("others claimed these entities at every try; they end by themselves")


def blocking(claims: Iterable[Entity], own: Set[str], now: datetime) -> str:
    """Which claim of somebody else keeps a proposal from beginning, in words; empty where none does."""
    for entity in claims:
        holder = _holder(entity, now)
        if holder and holder not in own:
            return f"{entity['target']} is claimed by {holder} until {cast(datetime, entity['until']):%Y-%m-%d %H:%M:%S} UTC"
    return ""


def _holder(entity: Entity, now: datetime) -> str:
    """Who holds a claim now, empty where nobody does."""
    live = entity["state"] == "held" and cast(datetime, entity["until"]) > now
    return str(entity["holder"]) if live else ""


def _properties(id: str, holder: str, until: datetime) -> dict[str, str | datetime]:
    return {"target": Ref(id), "holder": holder, "state": "held", "until": until}


def _wait(store: GraphStore, clock: Clock, holder: str, wanted: Sequence[str], others: Sequence[Entity]) -> None:
    """Note the wait and say who is in the way; raises ClaimedError or DeadlockError."""
    now = clock.now()
    row = store.state(WAIT, [holder]).get(holder)
    since = row.value["since"] if row is not None else now.timestamp()
    value = {"wants": list(wanted), "since": since, "until": now.timestamp() + WAIT_SECONDS}
    due = int((now.timestamp() + WAIT_SECONDS) * 1_000_000)
    store.commit([], None, state=[StateWrite(WAIT, holder, value, due=due)])
    circle = _circle(store, holder, now)
    if circle:
        youngest = max(circle, key=lambda item: (circle[item], item))
        if youngest == holder:
            names = " -> ".join(circle)
            store.commit([], None, state=[StateWrite(WAIT, holder, None)])
            raise DeadlockError(f"{names} wait for each other; {holder} came last and gives way: release what it holds")
    blocker = others[0]
    until = cast(datetime, blocker["until"])
    raise ClaimedError(f"{blocker['target']} is claimed by {blocker['holder']} until {until:%H:%M:%S} UTC", until)


def _circle(store: GraphStore, start: str, now: datetime) -> dict[str, float]:
    """The holders that wait for each other in a circle through `start`, with since when; empty where there is none."""
    waits = {row.key: row.value for row in store.scan(WAIT, first=PAGE_MAX) if row.value["until"] > now.timestamp()}
    claims = {claim_id(id) for value in waits.values() for id in value["wants"]}
    held = {id: _holder(entity, now) for id, entity in store.get(sorted(claims)).items()}
    return {name: waits[name]["since"] for name in _path(start, waits, held)}


def _path(start: str, waits: Mapping[str, Mapping[str, Sequence[str]]], held: Mapping[str, str]) -> tuple[str, ...]:
    """The way from a holder over whom it waits for back to itself; no holder is looked at twice."""
    seen: set[str] = {start}
    stack: list[tuple[str, ...]] = [(start,)]
    while stack:
        path = stack.pop()
        for id in waits[path[-1]]["wants"] if path[-1] in waits else ():
            by = held.get(claim_id(id), "")
            if by == start and len(path) > 1:
                return path
            if by and by not in seen:
                seen.add(by)
                stack.append((*path, by))
    return ()
