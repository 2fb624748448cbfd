"""Throttles: how many effects a control lets begin in any sixty seconds. What began is counted in the commit that begins.

Invariant: of any number of processes at most `per minute` begin in any sixty seconds by the clocks that count them: the row of
moments is written by compare-and-set with the intent, or neither is. A moment ahead of the clock counts as now; one that is more
than a minute ahead was told by a clock that went back since, and is forgotten. Decides nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kg.model import ABSENT, StateWrite
from kg.store import GraphStore

#: Kind of the state row that holds the moments of the last minute, in microseconds since 1970.
KIND: Final = "throttle"
#: Moments that one row may hold.
PER_MINUTE_MAX: Final = 1_000
MINUTE: Final = 60_000_000
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Room:
    """The rows that count one more; or, where there is no room, how many seconds until there may be, and why."""

    rows: tuple[StateWrite, ...] = ()
    seconds: float = 0.0
    reason: str = ""


def room(store: GraphStore, now: datetime, throttles: Iterable[tuple[str, str, int]]) -> Room:
    """Whether one more may begin under all of these (control id, scope, per minute); one read."""
    known = {id: (scope, rate) for id, scope, rate in throttles}
    if not known:
        return Room()
    moment = (now - _EPOCH) // timedelta(microseconds=1)
    there = store.state(KIND, list(known))
    rows, full = [], Room()
    for id, (scope, rate) in known.items():
        row = there.get(id)
        begun = (
            [] if row is None else sorted(min(int(at), moment) for at in row.value["begun"] if at <= moment + MINUTE)
        )
        recent = [at for at in begun if at > moment - MINUTE]
        if len(recent) >= rate:
            wait = (recent[-rate] + MINUTE - moment) / 1_000_000 if rate else MINUTE / 1_000_000
            if wait > full.seconds:
                full = Room(seconds=wait, reason=f"control {scope} lets {rate} begin a minute, and they did")
        # INVARIANT I12: at the revision that was read, in the commit of the intent.
        expect = ABSENT if row is None else row.revision
        rows.append(StateWrite(KIND, id, {"begun": [*recent, moment]}, expect=expect))
    return full if full.seconds else Room(tuple(rows))
