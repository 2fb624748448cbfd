"""Runtime: coordination as three plain, synchronous calls: `pump` reads the feed, `handle` does one piece of work, `reconcile`
sends again what is left.

Invariant: nothing is kept in memory that a crash would lose; any process may call any of the three at any time. Makes no thread
and chooses no adapter: `worker` and bootstrap do.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from coordination import beats, effects, lanes, latest, learning, leases, refusals, works
from coordination.acting import Acting
from coordination.acts import Acts
from coordination.bounds import Bounds
from coordination.breakers import Breaker, Breakers
from coordination.compensation import Compensations, compensate, ended
from coordination.dispatch import Dispatch
from coordination.effectors.effector import Effector
from coordination.effects import Effects
from coordination.errors import BrokerError, StateError
from coordination.feed import LEASE, Feed
from coordination.gate import Gate
from coordination.learning import Learning
from coordination.proposals import PROPOSAL
from coordination.reconciler import Reconciler
from coordination.release import Release
from coordination.routing import Router
from coordination.runs import announcing, runs
from coordination.runs.engine import Engine, Workflows
from coordination.settling import Settling
from coordination.stillness import still
from coordination.sweeping import Sweeping
from coordination.works import Work, micros
from governance import budgets, controls
from kg import tracing
from kg.clock import Clock
from kg.fibers import Crew, StuckError
from kg.model import Cause, Change, Direction, Entity, Op, Where
from kg.ontology import Ontology
from kg.store import PAGE_MAX, GraphStore

#: Rows that are open or put aside among which failures are looked for; where there are more, all pages of work are looked through.
FAILURE_ROWS_MAX: Final = 20_000
FAILURE_PAGES_MAX: Final = 1_000
#: Pages of proposals that an erring rule holds.
ESCALATED_PAGES_MAX: Final = 200
#: How the ids of work begin that drives a run.
RUN: Final = "run:"
#: Who may choose between proposals of the same weight, unless bootstrap says otherwise.
CHOOSERS: Final[Mapping[str, int]] = {"manager": 1}


@dataclass(slots=True)
class Runtime:
    """Everything coordination does, wired. `enqueue` carries a work id to whoever calls `handle`.

    `holder` names the process in its claims; one that gives beats under that name (see `worker`) is taken over soon after it
    dies, one without a name when its claims run out.
    """

    store: GraphStore
    clock: Clock
    ontology: Ontology
    acting: Acting
    effectors: Sequence[Effector]
    enqueue: Callable[[str], None]
    bounds: Bounds = field(default_factory=Bounds)
    choosers: Mapping[str, int] = field(default_factory=lambda: CHOOSERS)
    holder: str = ""
    workflows: Workflows = field(default_factory=Workflows)
    declared: Sequence[Breaker] = ()
    #: In whose turns runs are driven, where they are.
    crew: Crew | None = None
    breakers: Breakers = field(init=False)
    engine: Engine = field(init=False)
    feed: Feed = field(init=False)
    dispatch: Dispatch = field(init=False)
    reconciler: Reconciler = field(init=False)
    sweeping: Sweeping = field(init=False)

    def __post_init__(self) -> None:
        store, clock, bounds = self.store, self.clock, self.bounds
        kinds = {effector.kind: effector for effector in self.effectors}
        gate = Gate(store, clock, self.ontology, bounds.approval_seconds)
        self.engine = Engine(
            store, clock, self.ontology, self.acting, frozenset(kinds), self.workflows, self._send_all, gate.held
        )
        router = Router(store, clock, gate.held, self.workflows.routing)
        reactions = {
            "Approval": self._answered,
            "RuleBook": self._ruled,
            "Control": self._switched,
            "BudgetBook": self._budgeted,
            "Proposal": self._settled,
            "Compensation": self.engine.compensated,
        }
        if self.workflows.sink is not None:
            reactions |= {runs.RUN: announcing.reaction, runs.STEP: announcing.reaction}
        self.feed = Feed(store, clock, self.ontology, self.acting, bounds, reactions, self.holder, router)
        self.dispatch = Dispatch(
            store,
            clock,
            bounds,
            {
                "act": Acts(store, clock, self.acting, self.ontology, gate.held, router),
                "learn": Learning(store, clock),
                "settle": Settling(store, clock, gate, bounds, self.choosers),
                "release": Release(store, clock, bounds),
                "effect": Effects(store, clock, kinds),
                "compensate": Compensations(store, clock, self.ontology, kinds),
                **self.engine.tasks(),
            },
            holder=self.holder,
        )
        self.reconciler = Reconciler(store, clock, bounds, self._send, self.holder)
        self.sweeping = Sweeping(store, clock, bounds)
        self.breakers = Breakers(store, clock, self.declared)

    def close(self) -> None:
        """End the child process of the workflows' expressions; a later call starts another."""
        self.engine.close()
        if self.crew is not None:
            self.crew.close()

    def pump(self) -> int:
        """Read the next batch of changes and send the work it makes; how many changes were read."""
        read, made = self.feed.step()
        self._send_all(made)
        return read

    def handle(self, work_id: str) -> None:
        """Do the work with this id if it is open, and send what follows from it. Safe to call any number of times."""
        if self.crew is None or not work_id.startswith(RUN):
            self._send_all(self.dispatch.handle(work_id))
            return
        try:
            follow = self.crew.run(lambda: self.dispatch.handle(work_id))
        except StuckError as error:
            logging.getLogger(__name__).warning("work %s: %s", work_id, error)
            follow = self.dispatch.put_back(work_id)
        self._send_all(follow)

    def reconcile(self) -> int:
        """Send again what is open and due, and end reservations whose holder is gone; how many messages that were."""
        budgets.sweep(self.store, self.clock)
        refusals.sweep(self.store, self.clock)
        sent = self.reconciler.step()
        if self.reconciler.leading:
            self.sweeping.step()
            latest.sweep(self.store, self.clock)
            self.breakers.step()
        return sent

    def settle(self, proposal_id: str) -> None:
        """Ask for a proposal to be settled now, without waiting for the feed (for whoever answered it)."""
        work = works.settle(proposal_id, f"asked:{self.store.head().position}")
        rows = works.new(self.store, self.clock, [work])
        self.store.commit([], None, state=rows)
        self._send(work.id)

    def failures(self, after: str = "", first: int = 100) -> list[Work]:
        """Work that was put aside for a person, with the reason, in order of id after `after`."""
        due = self.store.scan(works.KIND, after=after, due=works.ASIDE, first=FAILURE_ROWS_MAX)
        if len(due) < FAILURE_ROWS_MAX:
            aside = (work for row in due if (work := works.of(row)).state == works.FAILED)
            return sorted(aside, key=lambda work: work.id)[:first]
        found: list[Work] = []
        for _ in range(FAILURE_PAGES_MAX):
            rows = self.store.scan(works.KIND, after=after, first=PAGE_MAX)
            found += [work for row in rows if (work := works.of(row)).state == works.FAILED]
            if len(found) >= first or len(rows) < PAGE_MAX:
                break
            after = rows[-1].key
        return found[:first]

    def retry(self, work_id: str) -> None:
        """Take up again what was put aside; raises StateError where it was not."""
        work = works.read(self.store, work_id)
        if work is None or work.state != works.FAILED:
            raise StateError(f"there is no failed work {work_id}; list the failures to see which there is")
        self.store.commit([], None, state=[work.again(micros(self.clock.now())).write()])
        self._send(work_id)

    def drop(self, work_id: str, principal: str, reason: str) -> None:
        """Give up what was put aside, with who did so and why on record; raises StateError where it was not."""
        work = works.read(self.store, work_id)
        if work is None or work.state != works.FAILED:
            raise StateError(f"there is no failed work {work_id}; list the failures to see which there is")
        about = {"work": work.id, "subject": work.subject, "agent": work.agent, "failure": work.reason}
        cause = Cause(self.clock.id(), "work.drop", principal, reason, attributes=about)
        self.store.commit([], cause, state=[work.dropped(reason).write()])

    def still(self, seconds: float) -> bool:
        """Whether nothing will happen by itself within so many seconds: what is open waits for a person, an event or later."""
        return still(self.store, self.clock, seconds)

    def serving(self) -> Mapping[str, int]:
        """For each lane the living worker processes that take its messages."""
        return beats.serving(self.store, self.clock)

    def resolve(self, effect_id: str, happened: bool, principal: str, comment: str) -> None:
        """Record what a person found out about an effect in doubt."""
        effects.resolve(self.store, self.clock, effect_id, happened, principal, comment)

    def compensate(self, effect_ids: Sequence[str], reason: str, principal: str) -> str:
        """Begin to undo effects, given in the order in which they happened; the id of the compensation."""
        id, made = compensate(self.store, self.clock, effect_ids, reason=reason, principal=principal)
        self._send_all(made)
        return id

    def lane(self, work_id: str) -> str:
        """The lane in which a message with this id travels, by the agent that the work follows from."""
        cards = self.acting.agents()
        if len(lanes.every(cards.values())) == 1:
            return lanes.GENERAL
        task, _, rest = work_id.partition(":")
        if task == "act":
            return lanes.of(cards.get(rest.partition(":")[0]))
        work = works.read(self.store, work_id)
        return lanes.of(cards.get(work.agent) if work is not None else None)

    def yield_leases(self) -> None:
        """Leave feed and reconciling to another process at once; called when this one ends in order."""
        leases.release(self.store, self.clock, LEASE[1], self.feed.holder)
        self.reconciler.release()

    def _send_all(self, ids: Sequence[str]) -> None:
        for place, id in enumerate(ids):
            if not self._send(id):
                # A broker that is away would make each of them wait.
                for left in ids[place + 1 :]:
                    self.reconciler.missed(left)
                return

    def _send(self, id: str) -> bool:
        try:
            with tracing.span(tracing.SEND, self.feed.traces.get(id, ""), work=id):
                self.enqueue(id)
        except BrokerError as error:
            logging.getLogger(__name__).warning("work %s was not sent: %s", id, error)
            self.reconciler.missed(id)
            return False
        return True

    def _answered(self, change: Change, _: Entity) -> Sequence[Work]:
        """An answer to a decision settles the proposals that the decision is about, and wakes the step that asked."""
        if change.relation != "wasInformedBy" or change.target is None:
            return ()
        edges = self.store.expand([change.target], "decidedBy", Direction.IN, first=1)[change.target]
        settles = [works.settle(edge.entity.id, change.position, _agent(edge.entity)) for edge in edges]
        return [*settles, *self.engine.answered(change)]

    def _settled(self, change: Change, proposal: Entity) -> Sequence[Work]:
        """An ended proposal takes the compensation on that it belongs to, and wakes the step that made it."""
        learnt = learning.ended(self.store, change.position, proposal)
        return [*learnt, *ended(change, proposal), *self.engine.proposal_changed(change, proposal)]

    def _switched(self, change: Change, control: Entity) -> Sequence[Work]:
        """A control that lets go releases what waits for it at once."""
        mode = controls.STATES.get(str(control.get("state")))
        return [works.release(control.id, change.position)] if mode is not None and mode.intents else ()

    def _budgeted(self, change: Change, book: Entity) -> Sequence[Work]:
        """A changed budget may have room for what waits."""
        return [works.release(book.id, change.position)]

    def _ruled(self, change: Change, _book: Entity) -> Sequence[Work]:
        """Changed rules are asked again about proposals that an erring rule sent to a person."""
        where = [Where("state", Op.EQ, "waiting_approval"), Where("outcome", Op.EQ, "escalate")]
        made: list[Work] = []
        after = None
        for _ in range(ESCALATED_PAGES_MAX):
            page = self.store.find(PROPOSAL, where, after=after, first=self.bounds.batch)
            made += [works.settle(entity.id, change.position, _agent(entity)) for entity in page.items]
            after = page.next
            if after is None:
                break
        return made


def _agent(proposal: Entity) -> str:
    return str(proposal.get("agent") or "")
