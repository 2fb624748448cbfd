"""Circuit breakers: where too many of an agent's proposals fail, are denied, or cost too much within a while, it is paused.

Invariants: I3 the tally of a batch and the cursor over the feed are one commit, so no proposal counts twice; what is tripped is on
record with the figures (Trip), in the commit that pauses. A trip is never lifted by itself. Counts facts only: ended proposals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from coordination.codec import derive
from coordination.proposals import PROPOSAL, Proposal
from coordination.works import micros
from governance import controls
from governance.errors import ControlError
from governance.principals import Principal
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Change, Op, Put, StateWrite, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import canonical

TRIP: Final = "Trip"
#: Kind of the state rows: the cursor, and the tally of one agent.
KIND: Final = "breaker"
CURSOR: Final = "cursor"
#: Ended proposals of one agent that are kept for counting, and pages of changes read in one step.
ENDED_MAX: Final = 500
PAGES_MAX: Final = 20
MEASURES: Final[Mapping[str, frozenset[str]]] = {
    "errors": frozenset({"failed", "in_doubt"}),
    "denials": frozenset({"denied", "rejected"}),
    "cost": frozenset({"applied"}),
}
_ENDS: Final = frozenset({"applied", "simulated", "failed", "in_doubt", "denied", "rejected"})
BREAKER: Final = Principal("Service", "breaker")


@dataclass(frozen=True, slots=True)
class Breaker:
    """What trips: a measure of MEASURES, over `seconds`; a rate (0 to 1) among `at_least` ended proposals, or for cost an amount.

    `agent` is a name, or * for each; `tells` is the role that is told.
    """

    measure: str
    limit: Decimal
    seconds: int
    agent: str = "*"
    at_least: int = 5
    tells: str = "admin"


@dataclass(slots=True)
class Breakers:
    """Follows ended proposals and pauses whose figures are beyond what was declared; one step at a time."""

    store: GraphStore
    clock: Clock
    declared: Sequence[Breaker] = ()
    tripped: int = field(default=0, init=False)

    def step(self) -> int:
        """Count what ended since the last step and pause whoever is beyond a limit; how many changes were read."""
        if not self.declared:
            return 0
        read = 0
        for _ in range(PAGES_MAX):
            try:
                page = self._count()
            except ConflictError:
                # Another process counted this page; it trips as well.
                break
            read += page
            if page < PAGE_MAX:
                break
        return read

    def _count(self) -> int:
        row = self.store.state(KIND, [CURSOR]).get(CURSOR)
        after = int(row.value["position"]) if row is not None else self.store.head().position
        page = self.store.changes(after)
        ended = self._ended(page)
        tallies = self.store.state(KIND, [f"agent:{name}" for name in ended])
        position = page[-1].position if page else after
        if row is not None and not page:
            return 0
        rows = [StateWrite(KIND, CURSOR, {"position": position}, expect=ABSENT if row is None else row.revision)]
        now = micros(self.clock.now())
        for name, events in ended.items():
            known = tallies.get(f"agent:{name}")
            kept = [*(known.value["ended"] if known is not None else []), *events][-ENDED_MAX:]
            expect = ABSENT if known is None else known.revision
            rows.append(StateWrite(KIND, f"agent:{name}", {"ended": kept}, expect=expect))
        # Before the count is committed: where this breaks off the page is counted again, and a scope that is paused is left.
        for row_ in rows[1:]:
            self._look(row_.key.removeprefix("agent:"), (row_.value or {})["ended"], now)
        # INVARIANT I3: cursor and tallies together, so each ended proposal counts once.
        self.store.commit([], None, state=rows)
        return len(page)

    def _ended(self, page: Sequence[Change]) -> dict[str, list[list[Any]]]:
        """By agent what ended: moment, state, amount."""
        moved = [(c.subject, c.version) for c in page if c.cls == PROPOSAL and "state" in c.changed]
        found = self.store.versions(moved) if moved else {}
        at = {(c.subject, c.version): micros(c.at) for c in page}
        ended: dict[str, list[list[Any]]] = {}
        for key in moved:
            proposal = Proposal(found[key])
            if proposal.state in _ENDS:
                amount = proposal.amount
                cost = str(amount.amount) if amount is not None else "0"
                ended.setdefault(proposal.text("agent"), []).append([at[key], proposal.state, cost])
        return ended

    def _look(self, agent: str, ended: Sequence[Sequence[Any]], now: int) -> None:
        for breaker in self.declared:
            if breaker.agent not in ("*", agent):
                continue
            # What ended before the agent was last let go does not trip it again.
            since = max(now - breaker.seconds * 1_000_000, self._let_go(agent))
            recent = [(state, Decimal(cost)) for at, state, cost in ended if at > since]
            hits = [cost for state, cost in recent if state in MEASURES[breaker.measure]]
            value = sum(hits, Decimal(0)) if breaker.measure == "cost" else Decimal(len(hits)) / max(1, len(recent))
            enough = breaker.measure == "cost" or len(recent) >= breaker.at_least
            if enough and value > breaker.limit:
                self._trip(agent, breaker, value, len(hits), len(recent))
                return

    def _let_go(self, agent: str) -> int:
        control = self.store.get([controls.control_id(f"agent:{agent}")]).get(controls.control_id(f"agent:{agent}"))
        return micros(self.store.changes(control.since - 1, 1)[0].at) if control is not None else 0

    def _trip(self, agent: str, breaker: Breaker, value: Decimal, hits: int, ended: int) -> None:
        scope = f"agent:{agent}"
        figures = {
            "measure": breaker.measure, "value": f"{value:.4f}", "limit": str(breaker.limit), "hits": hits, "ended": ended,
            "seconds": breaker.seconds,
        }  # fmt: skip
        what = f"{hits} of {ended}" if breaker.measure != "cost" else f"{value:f}"
        reason = f"circuit breaker: {breaker.measure} {what} within {breaker.seconds:,} s, the limit is {breaker.limit}"
        present = self.store.get([controls.control_id(scope)]).get(controls.control_id(scope))
        if present is not None and present["state"] in ("pause", "stop"):
            return
        id = derive("trip", scope, canonical(figures), self.store.head().position)
        trip = Put(id, TRIP, {
            "scope": scope, "kind": breaker.measure, "figures": canonical(figures), "reason": reason, "tells": breaker.tells,
        })  # fmt: skip
        try:
            controls.change(self.store, self.clock, BREAKER, scope, "pause", reason, beside=[trip])
            self.tripped += 1
        except ControlError:
            # A person stopped it meanwhile, which is stronger.
            return


def open_trips(store: GraphStore, first: int = 100) -> list[Any]:
    """Trips whose scope still stands still because of them, for the inbox."""
    found = store.find(TRIP, first=first).items
    paused = store.find(controls.CLASS, [Where("state", Op.EQ, "pause"), Where("setBy", Op.EQ, BREAKER.uid)]).items
    reasons = {(str(c["scope"]), str(c.get("reason"))) for c in paused}
    return [trip for trip in found if (str(trip["scope"]), str(trip["reason"])) in reasons]
