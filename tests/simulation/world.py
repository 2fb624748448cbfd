"""One simulated run: sources, people, a switch and three workers over one plant, in an order that the seed decides.

Chaos first (crashes, lost and doubled messages, clock jumps, pauses beyond leases), then recovery by one healthy worker; then
`check` says what must hold whatever happened.
"""

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

from coordination.bounds import Bounds
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import EffectorError, RetryLater
from coordination.proposals import MOVES, OPEN, PROPOSAL, Draft
from coordination.runtime import Runtime
from coordination.testing.scheduler import Chances, CrashedError, Life, LifeClock, Port, Scheduler
from coordination.wakes import Wake
from governance.approvals import approve
from governance.controls import resume, stop
from governance.errors import ApprovalError
from governance.principals import load_principal
from governance.rules import add, load_rules, retire
from kg.errors import ConflictError
from kg.model import Cause, Change, Direction, Entity, Input, Kind, Put
from kg.store import GraphStore
from tests.coordination.plant import AUTHOR, Scripted, card, low, number, ontology, populate, reorder
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

FREEZE = '@id("freeze") forbid(principal, action == Action::"apply", resource is Product);'
#: What moves in one run.
PRODUCTS, CUSTOMERS, TICKETS = 2, 2, 2
#: GAP bounds the port calls between two events, so that they meet work under way.
WORKERS, LIVES, EVENTS, GAP = 3, 4, 14, 80
BOUNDS = Bounds(batch=7, attempts_max=200, approval_seconds=10**9, hold_seconds=1.0)
CARDS = (
    card("buyer", Wake("Product", properties=("stock",), condition=low)),
    card("teller", Wake("Ticket", on=frozenset({"created"}))),
    card("caller", Wake("Ticket", on=frozenset({"created"}))),
    card("holder", Wake("Customer", properties=("note",)), priority=2),
    card("seller", Wake("Customer", properties=("note",)), priority=1),
)


def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("notice.send", entity.id, effector="keyed", payload={"to": entity.id}, compatible=("call.make",))]


def ring(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("call.make", entity.id, effector="keyless", payload={"to": entity.id}, compatible=("notice.send",))]


def hold(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    evidence = (Input(entity.id, entity.version),)
    return [Draft("credit.hold", entity.id, (Put(entity.id, "Customer", {"held": True}),), evidence=evidence)]


def offer(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("credit.offer", entity.id, (Put(entity.id, "Customer", {"name": f"offer {change.position}"}),))]


ACTS = {"buyer": reorder, "teller": tell, "caller": ring, "holder": hold, "seller": offer}


@dataclass
class Outside:
    """A system outside: it keeps what it was told, and honours keys or does not."""

    kind: str
    idempotent: bool
    can_look_up: bool = False
    told: list[str] = field(default_factory=list)
    moods: random.Random = field(default_factory=random.Random)
    moody: bool = True

    def act(self, effect: Effect) -> Receipt:
        mood = self.moods.random() if self.moody else 1.0
        if mood < 0.15:
            raise RetryLater("not now")
        if not (self.idempotent and effect.key in self.told):
            self.told.append(effect.key)
        if mood < 0.3:
            raise EffectorError("it acted, and the answer was lost")
        return Receipt(effect.key)

    def look_up(self, effect: Effect) -> Receipt | None:
        raise AssertionError("it cannot be asked")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return None

    def simulate(self, effect: Effect) -> Receipt:
        return Receipt()


class Watched(DictStore):
    """The oracle, counting how often each piece of work was finished."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(ontology(), clock)
        self.finished: dict[str, int] = {}

    def begin(self) -> None:
        """Start from people and rules, made once a process: copying them costs less than deciding them again."""
        versions, *rest = populated()
        self._restore(({id: list(known) for id, known in versions.items()}, *(copy.copy(part) for part in rest)))

    def commit(self, writes: Any, cause: Any, expects: Any = None, state: Any = ()) -> Any:
        commit = super().commit(writes, cause, expects, state)
        if not commit.repeated:
            for row in state:
                if row.kind == "work" and row.value is not None and row.value["state"] == "done":
                    self.finished[row.key] = self.finished.get(row.key, 0) + 1
        return commit


@cache
def populated() -> Any:
    clock = ManualClock(seed=10**9)
    store = DictStore(ontology(), clock)
    populate(store, clock, [c.name for c in CARDS])
    return store._save()


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, chances: Chances | None = None) -> None:
        self.clock = ManualClock(seed=seed)
        self.store = Watched(self.clock)
        self.store.begin()
        self.scheduler = Scheduler(seed, chances)
        self.random = self.scheduler.random
        self.queue: list[str] = []
        self.ports: dict[Life, Any] = {}
        self.keyed = Outside("keyed", True, moods=self.random)
        self.keyless = Outside("keyless", False, moods=self.random)
        self.stops: list[tuple[int, int]] = []
        self.stopped_at: int | None = None
        self.low: dict[str, int] = {}

    # -- chaos --------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Chaos, then recovery."""
        bodies = {f"worker{n}": self._worker for n in range(WORKERS)}
        self.scheduler.run({"sources": self._sources, "people": self._people, **bodies})
        self.scheduler.chances = Chances(0, 0, 0, 0)
        self.keyed.moody = self.keyless.moody = False
        self.scheduler.run({"healthy": self._recover})

    def _runtime(self, life: Life) -> Runtime:
        clock: Any = LifeClock(self.scheduler, life, self.clock)
        # One port a worker: the compiled rules of the life before are compared with the log anyway, and cost the most.
        store: Any = self.ports.setdefault(life, Port(self.scheduler, life, self.store))
        queue: Any = Port(self.scheduler, life, self.queue)
        effectors: Any = [Port(self.scheduler, life, self.keyed), Port(self.scheduler, life, self.keyless)]
        acting = Scripted(store, {c.name: c for c in CARDS}, ACTS)
        return Runtime(store, clock, ontology(), acting, effectors, queue.append, BOUNDS)

    def _worker(self, life: Life) -> None:
        for _ in range(LIVES):
            try:
                runtime = self._runtime(life)
                while True:
                    self._act(runtime, life)
                    if self.random.random() < 0.04:
                        break
            except CrashedError:
                self.scheduler.alive_or_end()
                self.scheduler.reborn(life)

    def _act(self, runtime: Runtime, life: Life) -> None:
        choice = self.random.random()
        if choice < 0.3:
            runtime.pump()
        elif choice < 0.8:
            self._message(runtime, life)
        elif choice < 0.9:
            runtime.reconcile()
        elif choice < 0.97:
            self.clock.advance(self.random.choice([0.1, 1.0, 3.0, 61.0]))
        else:
            self.clock.jump(self.random.choice([-3600.0, -5.0, 3600.0]))

    def _message(self, runtime: Runtime, life: Life) -> None:
        """Handle a message in any order; now and then it is lost, or comes again."""
        if not self.queue:
            self.scheduler.rest(life, self.random.randint(1, 30))
            return
        index = self.random.randrange(len(self.queue))
        fate = self.random.random()
        id = self.queue[index] if fate < 0.1 else self.queue.pop(index)
        if fate < 0.9:
            runtime.handle(id)

    def _sources(self, life: Life) -> None:
        store: Any = Port(self.scheduler, life, self.store)
        for event in range(EVENTS):
            self.scheduler.rest(life, self.random.randint(0, GAP))
            self._event(store, event)

    def _event(self, store: Any, event: int) -> None:
        chance = self.random.random()
        if chance < 0.5:
            id = f"p{self.random.randrange(PRODUCTS)}"
            self._put(store, Put(id, "Product", {"stock": self.random.choice([3, 5, 20, 30])}))
        elif chance < 0.7:
            self._put(store, Put(f"c{self.random.randrange(CUSTOMERS)}", "Customer", {"note": f"note {event}"}))
        elif chance < 0.85:
            self._put(store, Put(f"t{self.random.randrange(TICKETS)}", "Ticket", {"note": f"ticket {event}"}))
        else:
            self._put(store, Put(f"p{self.random.randrange(PRODUCTS)}", "Product", {"note": f"noise {event}"}))

    def _put(self, store: Any, put: Put) -> None:
        try:
            store.commit([put], Cause(self.clock.id(), "ingest", 'Service::"ingest"'))
        except CrashedError:
            life = store._life
            self.scheduler.alive_or_end()
            self.scheduler.reborn(life)

    def _people(self, life: Life) -> None:
        store: Any = Port(self.scheduler, life, self.store)
        for _ in range(EVENTS):
            self.scheduler.rest(life, self.random.randint(0, GAP))
            try:
                self._decide(store)
            except (ConflictError, ApprovalError):
                continue
            except CrashedError:
                self.scheduler.alive_or_end()
                self.scheduler.reborn(life)

    def _decide(self, store: Any) -> None:
        choice = self.random.random()
        if choice < 0.2:
            self._toggle(store)
        elif choice < 0.65:
            self._freeze(store)
        elif waiting := self._waiting(store):
            self._approve(store, self.random.choice(waiting))

    def _toggle(self, store: Any) -> None:
        if self.stopped_at is None:
            # Recorded as acknowledged only when the call has come back.
            self.stopped_at = stop(store, self.clock, AUTHOR, "global", "test").position
        else:
            since, self.stopped_at = self.stopped_at, None
            before = self.store.head().position
            self.stops.append((since, before))
            resume(store, self.clock, AUTHOR, "global", "test")

    def _freeze(self, store: Any) -> None:
        frozen = any(r["name"] == "freeze" and r["status"] == "active" for r in self.store.find("Rule").items)
        if frozen:
            retire(store, self.clock, ontology(), "freeze", AUTHOR, "test")
        else:
            add(store, self.clock, ontology(), FREEZE, AUTHOR, "test")

    def _approve(self, store: Any, proposal: Entity) -> None:
        edges = store.expand([proposal.id], "decidedBy")[proposal.id]
        asked = max((e.entity for e in edges), key=lambda d: d.since)
        anna = load_principal(store, 'User::"anna"')
        approve(store, self.clock, load_rules(store, ontology()), asked.id, anna, "approve")

    @staticmethod
    def _waiting(store: Any) -> list[Entity]:
        return [p for p in store.find(PROPOSAL, first=1_000).items if p["state"] == "waiting_approval"]

    # -- recovery -----------------------------------------------------------------------------------------------------

    def _recover(self, life: Life) -> None:
        if self.stopped_at is not None or any(c["state"] == "stop" for c in self.store.find("Control").items):
            if self.stopped_at is not None:
                self.stops.append((self.stopped_at, self.store.head().position))
            resume(self.store, self.clock, AUTHOR, "global", "test")
        runtime = self._runtime(life)
        for _ in range(60):
            self.clock.advance(301)
            runtime.reconcile()
            read = runtime.pump()
            while self.queue:
                runtime.handle(self.queue.pop())
            if not self._answer() and not read and not self._open():
                return
        raise AssertionError(f"work is left: {self._open()}")

    def _answer(self) -> bool:
        """Approve whatever waits; whether anything was still unanswered."""
        before = self.store.head().position
        for proposal in self._waiting(self.store):
            self._approve(self.store, proposal)
        return self.store.head().position > before

    def _open(self) -> list[str]:
        now = self.clock.now().timestamp() * 1_000_000
        rows = self.store.scan("work", first=100_000)
        reminders = {r.key for r in rows if r.value["until"] > now + 10**12}
        return [r.key for r in rows if r.value["state"] in ("ready", "claimed") and r.key not in reminders]

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """I3, I4, I7, I11, and that nothing is lost."""
        proposals = self.store.find(PROPOSAL, first=1_000).items
        effects = self.store.find("Effect", first=1_000).items
        assert not [p for p in proposals if p["state"] in OPEN], "a proposal never came to an end"
        self._once(proposals, effects)
        for effect in effects:
            self._decided(effect)
        self._nothing_lost(proposals)

    def _once(self, proposals: Sequence[Entity], effects: Sequence[Entity]) -> None:
        by_state = {p.id: str(p["state"]) for p in proposals}
        assert max(self.store.finished.values(), default=1) == 1, "I7: work was finished twice"
        assert len(set(self.keyed.told)) == len(self.keyed.told), "I3: the keyed target acted twice"
        assert len(set(self.keyless.told)) == len(self.keyless.told), "I3: the keyless target acted twice"
        for effect in effects:
            (edge,) = self.store.expand([effect.id], "performs")[effect.id]
            state = {"done": "applied", "failed": "failed", "in_doubt": "in_doubt"}[str(effect["status"])]
            assert by_state[edge.entity.id] == state
            told = {"keyed": self.keyed.told, "keyless": self.keyless.told}.get(str(effect["effector"]))
            if told is not None and state == "applied":
                assert effect["idempotencyKey"] in told, "applied, yet the target knows nothing"
            assert state != "failed"
            assert state != "in_doubt" or effect["effector"] == "keyless", "in doubt although the target honours keys"
        for proposal in proposals:
            states = [str(version["state"]) for version in self.store.history(proposal.id)]
            assert all(there in MOVES[here] for here, there in pairwise(states)), f"moved as it may not: {states}"
        keys = {str(e["idempotencyKey"]) for e in effects}
        assert set(self.keyed.told) | set(self.keyless.told) <= keys, "the target was told what nobody intended"
        for product in self.store.find("Product").items:
            orders = self.store.expand([product.id], "orderedFor", Direction.IN)[product.id]
            assert number(product, "onOrder") <= 100 * len(orders)
            applied = [p for p in proposals if p["target"] == product.id and p["state"] == "applied"]
            assert len(orders) == len(applied), "I3: orders and applied proposals differ"

    def _decided(self, effect: Entity) -> None:
        """I4 and I11, from the record alone: what the effect's first commit holds, and what stood at that position."""
        (first,) = (v for v in self.store.history(effect.id) if v.version == 1)
        made = self.store.caused(self.store.changes(first.since - 1, 1)[0].cause)
        decisions = [self.store.history(c.subject)[0] for c in made if c.cls == "Decision" and c.kind is Kind.CREATED]
        assert [d["outcome"] for d in decisions] == ["allow"], "I4: an effect without an allowing decision beside it"
        start = made[0].position - 1
        target = self.store.get([str(effect["target"])], at=start)[str(effect["target"])]
        rules = [r for r in self.store.find("Rule", at=start).items if r["name"] == "freeze"]
        frozen = any(r["status"] == "active" for r in rules) and target.cls == "Product"
        assert not frozen, "I4: decided by rules that did not hold any more"
        assert decisions[0].get("targetVersion") == target.version, "I4: decided on another version of the target"
        for since, until in self.stops:
            assert not since < first.since <= until, "I11: an intent after an acknowledged stop"

    def _nothing_lost(self, proposals: Sequence[Entity]) -> None:
        """Every ticket led to a notice and a call; every product that is low was ordered, asked for or refused."""
        for ticket in self.store.find("Ticket").items:
            found = sorted(str(p["operation"]) for p in proposals if p["target"] == ticket.id)
            assert found == ["call.make", "notice.send"], f"lost or doubled: {found}"
        for customer in self.store.find("Customer").items:
            assert {p["operation"] for p in proposals if p["target"] == customer.id} == {"credit.hold", "credit.offer"}
        for product in self.store.find("Product").items:
            if number(product, "stock") < 10:
                assert [p for p in proposals if p["target"] == product.id], "a low product woke nobody"
