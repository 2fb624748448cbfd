"""Claims: one holder at a time, fenced by version; circles are found and the youngest gives way."""

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from coordination.claims import WAIT, WAIT_SECONDS, Held, claim, claim_id, release
from coordination.errors import ClaimedError, DeadlockError
from coordination.proposals import Draft
from coordination.testing.scheduler import Chances, CrashedError, Life, Port, Scheduler
from kg.clock import SystemClock
from kg.committer import Committer
from kg.errors import ConflictError
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests import place
from tests.coordination.plant import number, ontology, plant
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

WHO = 'Service::"coordination"'


def parts() -> tuple[Any, ManualClock]:
    clock = ManualClock()
    return place.make(ontology(), clock), clock


def test_one_holder_at_a_time_and_all_or_none() -> None:
    store, clock = parts()
    held = claim(store, clock, "run-1", ["b", "a"], 60, WHO)
    assert held.ids == ("a", "b")
    with pytest.raises(ClaimedError, match="b is claimed by run-1"):
        claim(store, clock, "run-2", ["c", "b"], 60, WHO)
    assert claim_id("c") not in store.get([claim_id("c")])
    again = claim(store, clock, "run-1", ["a", "b"], 120, WHO)
    assert again.until > held.until
    release(store, clock, again, WHO)
    claim(store, clock, "run-2", ["c", "b"], 60, WHO)


@pytest.mark.usefixtures("on_both")
def test_a_holder_whose_claim_ended_and_went_on_writes_nothing() -> None:
    """I7: the claim's version is the fencing token."""
    store, clock = parts()
    mine = claim(store, clock, "run-1", ["p"], 60, WHO)

    def write(held: Held, stock: int) -> None:
        store.commit([Put("p", "Product", {"stock": stock})], Cause(clock.id(), "t", WHO), held.expects)

    write(mine, 1)
    clock.advance(61)
    theirs = claim(store, clock, "run-2", ["p"], 60, WHO)
    with pytest.raises(ConflictError):
        write(mine, 2)
    release(store, clock, mine, WHO)
    write(theirs, 3)
    assert store.get(["p"])["p"]["stock"] == 3


def test_a_proposal_on_what_another_holds_waits_and_then_goes_on() -> None:
    p = plant()
    held = claim(p.store, p.clock, "run-1", ["p"], 60, WHO)
    p.product("p", stock=1)
    p.run()
    assert p.one()["state"] == "proposed"
    p.later(2)
    assert p.one()["state"] == "proposed"
    release(p.store, p.clock, held, WHO)
    p.later(2)
    assert p.one()["state"] == "applied"


def test_it_waits_for_what_it_would_change_in_passing_too_and_no_longer_than_the_claim() -> None:
    p = plant(acts={"buyer": both})
    p.product("q", stock=50)
    claim(p.store, p.clock, "run-1", ["q"], 60, WHO)
    p.product("p", stock=1)
    p.run()
    assert p.one()["state"] == "proposed"
    p.later(61)
    assert p.one()["state"] == "applied"


def both(change: Any, entity: Any, store: Any, at: int) -> list[Draft]:
    return [Draft("stock.move", "p", (Put("p", "Product", {"onOrder": 1}), Put("q", "Product", {"onOrder": 2})))]


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("claimed", ["p", "q"], ids=["the target", "what is changed in passing"])
@pytest.mark.parametrize("before", [False, True], ids=["first claim", "claimed before"])
def test_a_claim_between_decision_and_commit_holds(claimed: str, before: bool) -> None:
    """I7: the commit that begins an effect expects the claims as they were looked at, also where there was none."""
    p = plant(acts={"buyer": both})
    if before:
        release(p.store, p.clock, claim(p.store, p.clock, "run-0", [claimed], 60, WHO), WHO)
    p.product("q", stock=50)
    p.product("p", stock=1)
    p.runtime.pump()
    gate = type(p.runtime.dispatch.tasks["settle"].gate)  # type: ignore[attr-defined]
    judged = gate.judge
    held: list[Held] = []

    def judge(self: Any, *args: Any) -> Any:
        if not held:
            held.append(claim(p.store, p.clock, "run-1", [claimed], 600, WHO))
        return judged(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "judge", judge)
        p.run()
    assert held
    assert p.one()["state"] == "proposed"
    assert number(p.store.get(["p"])["p"], "onOrder") == 0


def test_its_own_claim_does_not_hold_it_back() -> None:
    p = plant()
    p.product("p", stock=1)
    p.runtime.pump()
    (work,) = [row.key for row in p.store.scan("work") if row.key.startswith("act:")]
    claim(p.store, p.clock, work, ["p"], 60, WHO)
    p.run()
    assert p.one()["state"] == "applied"


def test_a_circle_is_found_and_the_youngest_gives_way() -> None:
    store, clock = parts()
    held = {name: claim(store, clock, name, [name], 600, WHO) for name in ("a", "b", "c")}
    for name, wants in (("a", "b"), ("b", "c")):
        clock.advance(1)
        with pytest.raises(ClaimedError) as waiting:
            claim(store, clock, name, [wants], 60, WHO)
        assert not isinstance(waiting.value, DeadlockError)
    clock.advance(1)
    with pytest.raises(DeadlockError, match="c came last and gives way"):
        claim(store, clock, "c", ["a"], 60, WHO)
    with pytest.raises(ClaimedError) as waiting:
        claim(store, clock, "a", ["b"], 60, WHO)
    assert not isinstance(waiting.value, DeadlockError)
    release(store, clock, held["c"], WHO)
    claim(store, clock, "b", ["c"], 60, WHO)


def refused(store: Any, clock: Any, holder: str, ids: list[str]) -> type[ClaimedError]:
    """Whether a claim has to wait, or to give way."""
    with pytest.raises(ClaimedError) as error:
        claim(store, clock, holder, ids, 60, WHO)
    return type(error.value)


def held_by_two() -> tuple[Any, ManualClock, dict[str, Held]]:
    store, clock = parts()
    return store, clock, {name: claim(store, clock, name, [f"e-{name}"], 90_000, WHO) for name in ("a", "b")}


def test_of_two_that_began_to_wait_at_once_the_later_name_gives_way_whoever_looks_first() -> None:
    store, clock, _ = held_by_two()
    assert refused(store, clock, "b", ["e-a"]) is ClaimedError
    assert refused(store, clock, "a", ["e-b"]) is ClaimedError
    assert refused(store, clock, "b", ["e-a"]) is DeadlockError
    assert [row.key for row in store.scan(WAIT)] == ["a"], "who gives way waits no more"


def test_whoever_asks_again_has_waited_since_it_asked_first() -> None:
    store, clock, _ = held_by_two()
    claim(store, clock, "x", ["e-x"], 90_000, WHO)
    assert refused(store, clock, "a", ["e-x"]) is ClaimedError
    clock.advance(3)
    assert refused(store, clock, "b", ["e-a"]) is ClaimedError
    clock.advance(7)
    assert refused(store, clock, "a", ["e-b"]) is ClaimedError, "b came later"
    assert refused(store, clock, "b", ["e-a"]) is DeadlockError


def test_a_wait_of_long_ago_and_ones_own_claim_are_no_circle() -> None:
    store, clock, held = held_by_two()
    assert refused(store, clock, "a", ["e-b"]) is ClaimedError
    clock.advance(WAIT_SECONDS + 1)
    assert refused(store, clock, "b", ["e-a"]) is ClaimedError
    assert refused(store, clock, "b", ["e-a", "e-b"]) is ClaimedError
    release(store, clock, held["a"], WHO)
    claim(store, clock, "b", ["e-a", "e-b"], 60, WHO)
    assert [row.key for row in store.scan(WAIT)] == [], "whoever got it, or let go, waits no more"


def test_a_claim_is_over_at_its_end() -> None:
    store, clock = parts()
    claim(store, clock, "a", ["e"], 60, WHO)
    clock.advance(59.999)
    assert refused(store, clock, "b", ["e"]) is ClaimedError
    clock.advance(0.001)
    claim(store, clock, "b", ["e"], 60, WHO)


def test_a_long_chain_is_no_circle_and_ends_fast() -> None:
    store, clock = parts()
    for n in range(300):
        claim(store, clock, f"h{n}", [f"e{n}"], 6_000, WHO)
    for n in range(299):
        clock.advance(0.001)
        with pytest.raises(ClaimedError) as waiting:
            claim(store, clock, f"h{n}", [f"e{n + 1}"], 60, WHO)
        assert not isinstance(waiting.value, DeadlockError)
    clock.advance(1)
    with pytest.raises(DeadlockError):
        claim(store, clock, "h299", ["e0"], 60, WHO)


@pytest.mark.parametrize(("holder", "ids"), [("", ["a"]), ("h", []), ("h", [str(n) for n in range(201)])])
def test_what_is_no_claim_is_refused(holder: str, ids: list[str]) -> None:
    store, clock = parts()
    with pytest.raises(ClaimedError, match="1 to 200"):
        claim(store, clock, holder, ids, 60, WHO)


def test_threads_in_any_order_never_hold_the_same_and_all_get_through(tmp_path: Path) -> None:
    store = Committer(SqliteStore(tmp_path / "graph.db", ontology(), SystemClock(), durable=False))
    clock, inside, wrong, through = SystemClock(), set[str](), list[str](), list[int]()
    lock = threading.Lock()

    def work(n: int) -> None:
        mine = random.Random(n)
        for _ in range(6):
            wanted = mine.sample(["a", "b", "c", "d"], 2)
            # Each of them lets go in the end, however seldom its thread is given a turn.
            for _ in range(200_000):
                try:
                    held = claim(store, clock, f"h{n}", wanted, 60, WHO)
                    break
                except ClaimedError:
                    continue
            with lock:
                wrong.extend(inside & set(wanted))
                inside.update(wanted)
            with lock:
                inside.difference_update(wanted)
            release(store, clock, held, WHO)
        through.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(through) == 4
    store.close()


def _life(world: "World", life: Life) -> None:
    """Claim two entities one after the other, write under both, release; a crash leaves the claims to their end."""
    store: Any = Port(world.scheduler, life, world.store)
    while world.left > 0:
        try:
            world.left -= 1
            _turn(world, store, f"{life.name}-{world.left}")
        except CrashedError:
            world.scheduler.alive_or_end()
            world.scheduler.reborn(life)


def _turn(world: "World", store: Any, holder: str) -> None:
    first, second = world.scheduler.random.sample(["x", "y", "z"], 2)
    held: list[Held] = []
    for _ in range(40):
        try:
            for id in (first, second)[len(held) :]:
                held.append(claim(store, world.clock, holder, [id], 30, WHO))
            fence = {key: version for one in held for key, version in one.expects.items()}
            cause = Cause(world.clock.id(), "turn", WHO, holder)
            total = number(store.get(["sum"])["sum"], "stock")
            world.clock.advance(world.scheduler.random.choice([0, 1, 40]))
            store.commit([Put("sum", "Product", {"stock": total + 1})], cause, fence)
            world.done += 1
            break
        except DeadlockError:
            world.circles += 1
            for one in held:
                release(store, world.clock, one, WHO)
            held = []
        except ClaimedError:
            world.clock.advance(1)
        except ConflictError:
            world.fenced += 1
            break
    for one in held:
        release(store, world.clock, one, WHO)


class World:
    """Lives that take claims in any order."""

    def __init__(self, seed: int) -> None:
        self.clock = ManualClock(seed=seed)
        self.store = DictStore(ontology(), self.clock)
        self.scheduler = Scheduler(seed, Chances(crash_before=0.02, crash_after=0.02))
        self.left, self.done, self.circles, self.fenced = 12, 0, 0, 0
        self.store.commit([Put("sum", "Product", {"stock": 0})], Cause(self.clock.id(), "t", WHO))


@pytest.mark.parametrize("first", [0, 20, 40])
def test_every_seed_ends_and_no_write_is_under_anothers_claim(first: int) -> None:
    """Simulation: holders crash, claims run out, circles form; who writes held both claims at that very commit."""
    circles = fenced = 0
    for seed in range(first, first + 20):
        world = World(seed)
        world.scheduler.run({name: lambda life, world=world: _life(world, life) for name in ("l1", "l2", "l3")})  # type: ignore[misc]
        circles, fenced = circles + world.circles, fenced + world.fenced
        turns = _turns(world)
        assert len(turns) >= world.done
    assert circles + fenced > 0, "nothing was ever in the way"


def _turns(world: World) -> list[Any]:
    return [version for version in world.store.history("sum") if number(version, "stock") > 0]
