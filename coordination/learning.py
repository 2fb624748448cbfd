"""Learning: what became of a routed task, counted once for the agent that had it: the task "learn".

Invariants: I3 the choice's state and what is known of the agents change in one commit that expects both, and an ended choice has no
follower, so an outcome counts once. It can be reset; the history of what was known stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, cast

from coordination.codec import derive
from coordination.proposals import OPEN as WANTING
from coordination.proposals import Proposal, proposal_id
from coordination.routing import BAD, CLASS, OPEN, SKILL, routing_id, skill_id
from coordination.works import Work
from governance.principals import Principal
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Entity, Op, Put, Where, Write
from kg.store import PAGE_MAX, GraphStore
from kg.values import Value

#: Proposals of one act.
PROPOSALS_MAX: Final = 100
ATTEMPTS_MAX: Final = 16
#: What speaks for the agent, and what for neither side.
_GOOD: Final = frozenset({"applied", "simulated"})
NEUTRAL: Final = "ended"
#: Of several outcomes of one task the first in this order counts.
_ORDER: Final = (*BAD, "applied", NEUTRAL)
_SECONDS_MAX: Final = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class Learning:
    """The task that counts outcomes."""

    store: GraphStore
    clock: Clock

    def run(self, work: Work) -> Sequence[str]:
        """Count the outcome where there is one, once."""
        for _ in range(ATTEMPTS_MAX):
            try:
                self._once(work)
            except ConflictError as error:
                if work.id in error.found:
                    raise
                continue
            return ()
        raise ConflictError(f"others changed what is known about {work.subject} at every try", {})

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put it aside: the choice stays open, nothing is counted."""
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()

    def _once(self, work: Work) -> None:
        routing = self.store.get([work.subject]).get(work.subject)
        outcome = _outcome(self.store, self.clock, routing) if routing is not None and routing["state"] == OPEN else ""
        if routing is None or not outcome:
            self.store.commit([], None, state=[work.done().write()])
            return
        now = self.clock.now()
        agent, capability = str(routing.get("agent", "")), str(routing["capability"])
        seconds = Decimal(str(round(max(0.0, (now - cast(datetime, routing["began"])).total_seconds()), 3)))
        failed = [str(text).partition(": ")[0] for text in cast(Sequence[str], routing.get("failed", ()))]
        counts = {name: (0, 1, Decimal(0)) for name in failed}
        if agent and outcome != NEUTRAL:
            good = outcome == "applied"
            counts[agent] = (int(good), int(not good), min(seconds, _SECONDS_MAX))
        writes: list[Write] = [Put(routing.id, CLASS, {"state": outcome, "ended": now})]
        expects = {routing.id: routing.version}
        there = self.store.get([skill_id(name, capability) for name in counts])
        for name, added in counts.items():
            id = skill_id(name, capability)
            old = there.get(id)
            expects[id] = old.version if old is not None else 0
            writes.append(Put(id, SKILL, _added(old, name, capability, added, outcome if name == agent else "failed")))
        # INVARIANT I3: an open choice ends once, with what it taught.
        cause = Cause(self.clock.id(), "routing.learn", 'Service::"coordination"', outcome, attributes={"depth": 0})
        self.store.commit(writes, cause, expects, [work.done().write()])


def learn(routing: str, because: object) -> Work:
    """Work that looks what became of a routed task."""
    return Work(f"learn:{routing}:{because}", "learn", routing)


def ended(store: GraphStore, position: int, proposal: Entity) -> list[Work]:
    """Work that follows from a proposal that ended, where its task was routed."""
    if proposal["state"] in WANTING or proposal["state"] == "in_doubt":
        return []
    id = routing_id(str(proposal.get("work", "")))
    return [learn(id, position)] if id in store.get([id]) else []


def reset(store: GraphStore, clock: Clock, principal: Principal, agent: str = "", capability: str = "") -> int:
    """Forget what is known of an agent, of a kind of task, or of all: they start from the prior again. How many there were."""
    where = [Where(name, Op.EQ, value) for name, value in (("agent", agent), ("capability", capability)) if value]
    page = store.find(SKILL, where, first=PAGE_MAX)
    zero: dict[str, Value] = {"good": 0, "bad": 0, "seconds": Decimal(0), "last": "reset"}
    puts = [Put(entity.id, SKILL, zero) for entity in page.items]
    if puts:
        store.commit(puts, Cause(clock.id(), "routing.reset", principal.uid, f"{agent or 'all'} {capability}".strip()))
    return len(puts)


def _added(
    old: Entity | None, agent: str, capability: str, added: tuple[int, int, Decimal], outcome: str
) -> dict[str, Value]:
    good, bad, seconds = added
    there = old.properties if old is not None else {}
    return {
        "agent": agent,
        "capability": capability,
        "good": cast(int, there.get("good", 0)) + good,
        "bad": cast(int, there.get("bad", 0)) + bad,
        "seconds": min(cast(Decimal, there.get("seconds", Decimal(0))) + seconds, _SECONDS_MAX),
        "last": outcome,
    }


def _outcome(store: GraphStore, clock: Clock, routing: Entity) -> str:
    """How a routed task ended, empty while it has not."""
    key, until = str(routing["task"]), routing.get("until")
    late = isinstance(until, datetime) and clock.now() >= until
    if not routing.get("agent"):
        return NEUTRAL
    answer = store.get([derive("answer", key)]).get(derive("answer", key))
    if answer is not None:
        return "failed" if answer.get("state") == "poor" else "applied"
    ids = [proposal_id(key, index) for index in range(PROPOSALS_MAX)]
    found = [Proposal(entity) for entity in store.get(ids).values()]
    outcomes = {_of(proposal) for proposal in found}
    if "" in outcomes:
        return "timeout" if late else ""
    return min(outcomes, key=_ORDER.index, default=NEUTRAL)


def _of(proposal: Proposal) -> str:
    state = proposal.state
    if state in WANTING or state == "in_doubt":
        return ""
    if state == "superseded":
        # A newer proposal of its own, the same wish of another, or a part of a merged one: nobody said that it was wrong.
        own = ("merged into", "rests on newer facts", "asks for the same")
        return NEUTRAL if any(words in proposal.text("reason") for words in own) else "overridden"
    return "applied" if state in _GOOD else state
