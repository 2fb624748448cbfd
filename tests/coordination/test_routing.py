"""Routing: the posterior, scores that never fall with a better component, one agent a task, learning once, fall-back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordination.acting import AgentCard, Answer
from coordination.bounds import Bounds
from coordination.errors import GiveUp, HeldError, RetryLater
from coordination.learning import reset
from coordination.proposals import Draft
from coordination.routing import Posterior, Router, Task, Weights, posterior, routing_id, score, skill_id
from coordination.runs.engine import Workflows
from coordination.wakes import Wake
from governance.controls import resume, stop
from governance.errors import PrincipalError
from kg.errors import StoreBusyError
from kg.model import Change, Entity, Put
from kg.store import GraphStore
from tests.coordination.plant import AUTHOR, Act, Plant, plant
from tests.coordination.plant import RULES as AGENTS
from tests.runs.works import STARTERS_MAY, Works, works

RULES = (*AGENTS, STARTERS_MAY)

COUNTS = st.integers(0, 10_000)


@given(good=COUNTS, bad=COUNTS)
def test_the_posterior_is_that_of_a_uniform_prior(good: int, bad: int) -> None:
    known = Posterior(good, bad)
    assert known.mean == pytest.approx((good + 1) / (good + bad + 2))
    n = good + bad + 2
    assert known.deviation**2 == pytest.approx(known.mean * (1 - known.mean) / (n + 1))
    assert Posterior(good + 1, bad).mean > known.mean > Posterior(good, bad + 1).mean
    assert 0 < known.mean < 1


def test_samples_follow_the_seed_and_the_distribution() -> None:
    known = Posterior(30, 10)
    assert known.sample("a") == known.sample("a") != known.sample("b")
    drawn = [known.sample(str(i)) for i in range(4_000)]
    mean = sum(drawn) / len(drawn)
    assert mean == pytest.approx(known.mean, abs=0.01)
    assert (sum((x - mean) ** 2 for x in drawn) / len(drawn)) ** 0.5 == pytest.approx(known.deviation, rel=0.1)


@given(
    good=st.integers(0, 50), bad=st.integers(0, 50), cost=st.integers(0, 50), latency=st.floats(0, 100),
    load=st.integers(0, 50), seconds=st.floats(0, 1_000),
)  # fmt: skip
@settings(max_examples=200)
def test_a_better_component_never_lowers_a_score(
    good: int, bad: int, cost: int, latency: float, load: int, seconds: float
) -> None:
    task = Task("t", "answer", "sales")
    one = AgentCard("one", "1", "sales", (), ("answer",), cost=Decimal(cost), latency=latency)
    known = Posterior(good, bad, seconds)
    total = score(one, task, known, load, Weights()).total

    def other(card: AgentCard = one, posterior: Posterior = known, busy: int = load) -> float:
        return score(card, task, posterior, busy, Weights(latency=0.0)).total

    same = other()
    assert other(posterior=replace(known, good=good + 1)) >= same >= other(posterior=replace(known, bad=bad + 1))
    assert other(card=replace(one, cost=Decimal(cost + 1))) < same
    assert other(busy=load + 1) < same
    assert other(card=replace(one, department="else")) < same
    assert score(replace(one, latency=latency + 1), task, known, load, Weights()).total <= total
    assert 0 <= total <= 1


def cards(*names: str, **more: Any) -> dict[str, AgentCard]:
    return {name: AgentCard(name, "1", None, (), ("note",), **more) for name in names}


def noting(text: str = "n", operation: str = "note") -> Act:
    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [
            Draft(
                operation,
                entity.id,
                (Put(entity.id, "Customer", {"note": f"{text}{at}"}),),
                compatible=("look", "note"),
            )
        ]

    return act


def quiet(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return []


def half(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    """Two proposals, one of which the rules deny."""
    return [*noting()(change, entity, store, at), *noting("l", "look")(change, entity, store, at)]


def broken(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    raise ValueError("no idea")


def unwilling(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    raise GiveUp("not for me")


def test_what_was_tried_at_a_step_is_left_out_however_good_it_is() -> None:
    p = plant([], {})
    router = Router(p.store, p.clock, lambda *_: None)
    cheap, dear = cards("one"), cards("two", cost=Decimal(100))
    team = [*cheap.values(), *dear.values()]
    first = Task("k1", "note", run="r", step="s")
    assert [it.agent for it in router.choose(first, team).chain] == ["one", "two"]
    record = router.record(first, router.choose(first, team), "one", {})
    p.put(replace(record, set={**record.set, "state": "failed"}))
    again = router.choose(replace(first, key="k2"), team)
    assert ([it.agent for it in again.chain], again.out) == (["two"], {"one": "was tried before: failed"})
    p.put(
        replace(record, id=routing_id("k0"), set={**record.set, "task": "k0", "agent": "", "failed": ("two: broken",)})
    )
    both = router.choose(replace(first, key="k4"), team)
    assert [it.agent for it in both.chain] == ["one", "two"], "where all were tried they all are again"
    elsewhere = router.choose(replace(first, key="k3", step="t"), team)
    assert [it.agent for it in elsewhere.chain] == ["one", "two"]


def test_open_tasks_of_the_last_hour_are_load_and_a_task_beyond_its_time_was_tried() -> None:
    p = plant([], {})
    router = Router(p.store, p.clock, lambda *_: None)
    team = [*cards("one").values()]
    task = Task("k1", "note", run="r", step="s", until=p.clock.now() + timedelta(seconds=60))
    p.put(router.record(task, router.choose(task, team), "one", {}))

    def load() -> float:
        return router.choose(Task("k2", "note"), team).chain[0].components["load"]

    assert load() == 0.5
    p.clock.advance(60)
    two = router.choose(replace(task, key="k3"), [*team, *cards("two").values()])
    assert two.out == {"one": "was tried before: timeout"}
    p.clock.advance(3_541)
    assert load() == 1.0, "what nobody knows of for an hour is no load"
    done = router.record(Task("k5", "note"), router.choose(Task("k5", "note"), team), "one", {})
    p.put(replace(done, set={**done.set, "state": "applied"}))
    assert load() == 1.0


def test_the_parts_of_a_score_are_those_of_the_table() -> None:
    card = AgentCard("one", "1", None, (), ("note",), latency=20.0)
    made = score(card, Task("t", "note"), Posterior(1, 0, 10.0), 0, Weights())
    assert made.components["latency"] == pytest.approx(0.4), "declared 20 and measured 10 are 15 a task; ten are a half"
    assert made.components["department"] == 1.0, "none is wanted"
    draws = {
        score(card, Task(key, "note"), Posterior(), 0, Weights(explore=True)).components["success"] for key in "ab"
    }
    assert len(draws) == 2, "each task is a draw of its own"


def test_what_says_nothing_of_an_agent_teaches_nothing_and_a_dry_run_does() -> None:
    for acting, sandbox, known in (
        (quiet, False, []),
        (noting(), True, [("one", 1, 0)]),
        (half, False, [("one", 0, 1)]),
    ):
        no = '@id("no-look") forbid(principal, action == Action::"apply", resource) when { context.operation == "look" };'
        with works(cards=cards("one"), acts={"one": acting}, rules=[*RULES, no]) as here:
            start(here, ROUTED, sandbox=sandbox)
            here.later(5)
            assert [(e["agent"], e["good"], e["bad"]) for e in here.store.find("Skill").items] == known


def test_a_question_is_routed_like_an_act() -> None:
    """One who cannot answer is followed by the next; what the agent answered is the output, and on record as its own."""
    with works(cards=cards("one", "two"), acts={}) as here:
        acting: Any = here.runtime.acting
        acting.replies["two"] = lambda assignment: Answer(assignment.text, confidence=Decimal("0.8"))
        run = start(here, "do: [{ask: {call: agent, with: {capability: note, task: say}}}]")
        output = here.output(run)
        assert (output["agent"], output["output"], output["confidence"]) == ("two", "say", 0.8)
        assert output["routing"] == routings(here)[0].id
        here.later(5)
        assert sorted((e["agent"], e["good"], e["bad"]) for e in here.store.find("Skill").items) == [
            ("one", 0, 1),
            ("two", 1, 0),
        ]


def test_a_poor_answer_counts_against_whoever_gave_it() -> None:
    asked = "do: [{ask: {call: agent, with: {capability: note, task: say, check: {confidence: 0.9}}}}]"
    with works(cards=cards("one"), acts={}) as here:
        acting: Any = here.runtime.acting
        acting.replies["one"] = lambda _: Answer("x", confidence=Decimal("0.1"))
        start(here, asked)
        here.later(5)
        assert [(e["agent"], e["good"], e["bad"]) for e in here.store.find("Skill").items] == [("one", 0, 1)]


ROUTED = """
do:
- ask:
    call: agent
    with: {capability: note, entity: c, timeout: PT60S}
"""
RETRIED = """
do:
- again:
    try:
      - ask:
          call: agent
          with: {capability: note, entity: c, timeout: PT60S}
    catch:
      retry: {delay: {seconds: 1}, limit: {attempt: {count: 3}}}
"""


def start(here: Works, text: str, **more: Any) -> str:
    if "c" not in here.store.get(["c"]):
        from kg.model import Cause

        here.store.commit([Put("c", "Customer", {"name": "c"})], Cause("seed", "ingest", 'Service::"ingest"'))
    return here.start(text, **more)


def routings(here: Any) -> list[Entity]:
    return sorted(here.store.find("Routing", first=1_000).items, key=lambda e: e.since)


def test_a_workflow_asks_by_capability_and_the_choice_is_on_record() -> None:
    declared = cards("slow", latency=50.0) | cards("quick", cost=Decimal("0.1"))
    with works(cards=declared, acts={name: noting() for name in declared}) as here:
        run = start(here, ROUTED)
        output = here.output(run)
        assert output["agent"] == "quick"
        assert [p["state"] for p in output["proposals"]] == ["applied"]
        (made,) = routings(here)
        assert (made["agent"], made["state"], made["chain"]) == ("quick", "applied", ("quick", "slow"))
        assert '"latency"' in str(made["scores"])
        assert '"slow"' in str(made["scores"])
        known = here.store.get([skill_id("quick", "note")])[skill_id("quick", "note")]
        assert (known["good"], known["bad"]) == (1, 0)


def test_outcomes_are_learnt_once_and_change_the_choice_until_reset() -> None:
    declared = cards("alpha", "beta")
    no = '@id("no-alpha") forbid(principal == Agent::"alpha", action == Action::"apply", resource);'
    with works(cards=declared, acts={name: noting() for name in declared}, rules=[*RULES, no]) as here:
        start(here, ROUTED, id="r1")
        assert routings(here)[0]["agent"] == "alpha"
        assert routings(here)[0]["state"] == "denied"
        start(here, ROUTED, id="r2")
        assert [e["agent"] for e in routings(here)] == ["alpha", "beta"]
        known = here.store.get([skill_id("alpha", "note")])[skill_id("alpha", "note")]
        assert (known["good"], known["bad"]) == (0, 1)
        here.later(1_000)
        assert here.store.get([known.id])[known.id].version == known.version
        assert reset(here.store, here.clock, AUTHOR, agent="alpha") == 1
        assert posterior(here.store.get([known.id])[known.id]) == Posterior()
        assert reset(here.store, here.clock, AUTHOR, capability="other") == 0


def test_the_next_of_the_chain_stands_in_for_one_that_fails() -> None:
    declared = cards("alpha", "beta")
    with works(cards=declared, acts={"alpha": broken, "beta": noting()}) as here:
        assert here.output(start(here, ROUTED))["agent"] == "beta"
        (made,) = routings(here)
        assert made["failed"] == ("alpha: ValueError: no idea",)
        found = here.store.get([skill_id(name, "note") for name in declared])
        assert [(e["agent"], e["good"], e["bad"]) for e in found.values()] == [("alpha", 0, 1), ("beta", 1, 0)]


def test_a_store_that_is_busy_is_no_failure_of_an_agent() -> None:
    declared = cards("alpha", "beta")
    busy = [StoreBusyError()]

    def alpha(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        if busy:
            raise busy.pop()
        return noting()(change, entity, store, at)

    with works(cards=declared, acts={"alpha": alpha, "beta": noting()}) as here:
        run = start(here, ROUTED)
        here.later(2)
        here.drain()
        assert here.output(run)["agent"] == "alpha"
        assert "failed" not in routings(here)[0].properties
        assert [(e["agent"], e["bad"]) for e in here.store.find("Skill").items] == [("alpha", 0)]


def test_a_budget_that_waits_is_no_failure_of_an_agent() -> None:
    """The other one stands in, and where all are held the step waits; nobody learns anything bad of them."""
    held = ["alpha", "beta"]

    def acting(name: str) -> Act:
        def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
            if name in held:
                raise HeldError("budget tokens has 1 left, 100 is asked for")
            return noting()(change, entity, store, at)

        return act

    with works(cards=cards("alpha", "beta"), acts={name: acting(name) for name in held}) as here:
        run = start(here, ROUTED)
        assert here.run(run).state == "running"
        held.remove("beta")
        here.later(61)
        here.later(1)
        assert here.output(run)["agent"] == "beta"
        assert [(e["agent"], e["bad"]) for e in here.store.find("Skill").items] == [("beta", 0)]


def test_where_every_agent_fails_the_workflow_is_told_what_each_said() -> None:
    declared = cards("alpha", "beta")
    with works(cards=declared, acts={"alpha": broken, "beta": broken}) as here:
        run = here.run(start(here, ROUTED))
        assert run.state == "faulted"
        assert "Escalated" in run.text("error")
        assert "alpha: ValueError: no idea; beta: ValueError" in run.text("error")
        here.later(5)
        assert [e["bad"] for e in here.store.find("Skill").items] == [1, 1]


def test_a_time_out_goes_to_another_agent_on_the_next_try() -> None:
    declared = cards("alpha", "beta")
    wait = (
        '@id("ask") @requires("check") @approvers("managers:1") '
        'forbid(principal == Agent::"alpha", action == Action::"apply", resource);'
    )
    with works(cards=declared, acts={name: noting() for name in declared}, rules=[*RULES, wait]) as here:
        run = start(here, RETRIED)
        assert here.run(run).state == "waiting"
        here.later(61)
        for _ in range(4):
            here.later(10)
        # What alpha proposed still waits on the same target: beta's newer one weighs the same, so a person chooses; or it went on.
        chosen = [(e["agent"], e["state"]) for e in routings(here)]
        assert chosen[0] == ("alpha", "timeout")
        assert chosen[1][0] == "beta"


def test_nobody_with_the_capability_is_one_clear_sentence() -> None:
    with works(cards=cards("alpha"), acts={"alpha": noting()}) as here:
        run = here.run(start(here, ROUTED.replace("capability: note", "capability: sing")))
        assert "no agent is there for 'sing': none declares it" in run.text("error")


def test_where_all_who_can_are_held_the_step_waits_for_the_first_that_is_let() -> None:
    declared = cards("alpha", "beta")
    with works(cards=declared, acts={name: noting() for name in declared}) as here:
        for name in declared:
            stop(here.store, here.clock, AUTHOR, f"agent:{name}", "test")
        run = start(here, ROUTED)
        here.later(60)
        assert (here.run(run).state, routings(here)) == ("running", [])
        resume(here.store, here.clock, AUTHOR, "agent:beta", "looked into")
        here.drain()
        assert (here.run(run).state, routings(here)[0]["agent"]) == ("completed", "beta")


def test_a_stopped_agent_is_left_out_and_the_record_says_so() -> None:
    declared = cards("alpha", "beta")
    with works(cards=declared, acts={name: noting() for name in declared}) as here:
        stop(here.store, here.clock, AUTHOR, "agent:alpha", "test")
        assert here.output(start(here, ROUTED))["agent"] == "beta"
        assert "is held by" in str(routings(here)[0]["scores"])
        resume(here.store, here.clock, AUTHOR, "agent:alpha", "test")


def test_choosing_again_gives_what_was_chosen() -> None:
    declared = list(cards("alpha", "beta", "gamma").values())
    with works() as here:
        for seed in range(20):
            router = Router(here.store, here.clock, lambda *_: None, Weights(explore=True, seed=seed))
            task = Task(f"t{seed}", "note")
            choice = router.choose(task, declared)
            assert [s.agent for s in choice.chain] == [s.agent for s in router.choose(task, declared[::-1]).chain]
            from kg.model import Cause

            here.store.commit([router.record(task, choice, choice.chain[0].agent, {})], Cause(f"c{seed}", "x", "y"))
            assert [s.agent for s in Router(here.store, here.clock, lambda *_: None).choose(task, declared).chain] == [
                s.agent for s in choice.chain
            ]
        assert len({str(e["chain"]) for e in routings(here)}) > 1


def exclusive(acts: dict[str, Act], bounds: Bounds | None = None) -> Plant:
    made = [
        AgentCard(name, "1", None, (Wake("Customer", properties=("name",)),), ("note",), exclusive=("note",))
        for name in sorted(acts)
    ]
    other = AgentCard("watcher", "1", None, (Wake("Customer", properties=("name",)),), ("look",))
    return plant([*made, other], {**acts, "watcher": noting("w", "look")}, bounds=bounds)


def test_of_agents_that_declare_a_capability_as_theirs_alone_one_is_woken() -> None:
    p = exclusive({"alpha": noting("a"), "beta": noting("b")})
    for index in range(6):
        p.put(Put(f"c{index}", "Customer", {"name": str(index)}))
        p.run()
    made = [e for e in p.proposals() if e["agent"] != "watcher"]
    assert len(made) == 6
    assert len([e for e in p.proposals() if e["agent"] == "watcher"]) == 6
    assert {e["state"] for e in routings(p)} <= {"applied", "overridden", "ended"}
    assert len(routings(p)) == 6
    assert all(routing_id(str(e["work"])) in {r.id for r in routings(p)} for e in made)


def giving_up(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    raise GiveUp("I cannot")


def test_work_that_is_put_aside_goes_to_the_next_agent_and_at_last_to_a_person() -> None:
    p = exclusive({"alpha": giving_up, "beta": noting("b")})
    p.put(Put("c", "Customer", {"name": "c"}))
    p.run()
    assert [e["agent"] for e in p.proposals() if e["agent"] != "watcher"] == ["beta"]
    assert not p.runtime.failures()
    known = p.store.get([skill_id("alpha", "note")])[skill_id("alpha", "note")]
    assert (known["good"], known["bad"]) == (0, 1)
    q = exclusive({"alpha": giving_up, "beta": giving_up})
    q.put(Put("c", "Customer", {"name": "c"}))
    q.run()
    assert [work.agent for work in q.runtime.failures()] == ["beta"]


def test_the_installations_weights_count() -> None:
    declared = cards("cheap", latency=100.0) | cards("fast", cost=Decimal(100))
    for weights, chosen in ((Weights(cost=5.0), "cheap"), (Weights(latency=5.0), "fast")):
        with works(Workflows(routing=weights), cards=declared, acts={name: noting() for name in declared}) as here:
            assert here.output(start(here, ROUTED))["agent"] == chosen


CAUGHT = """
do:
  - ask:
      try:
        - act: {call: agent, with: {agent: alpha, entity: c}}
      catch:
        errors: {with: {type: https://open-workflow-specification.org/spec/1.0.0/errors/runtime}}
        as: problem
        do: [{tell: {set: {said: '${ $problem.detail }', title: '${ $problem.title }'}}}]
"""


def test_what_a_named_agent_raises_as_it_acts_is_an_error_that_the_workflow_may_catch() -> None:
    with works(cards=cards("alpha"), acts={"alpha": broken}) as here:
        said = {"said": "agent alpha raised ValueError: no idea", "title": "No Answer"}
        assert here.output(start(here, CAUGHT)) == said
    with works(cards=cards("alpha"), acts={"alpha": unwilling}) as here:
        assert here.output(start(here, CAUGHT))["said"] == "agent alpha raised GiveUp: not for me"


def test_an_agent_that_asks_to_be_tried_again_is_tried_again_and_nothing_is_caught() -> None:
    tries: list[int] = []

    def at_last(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        tries.append(at)
        if len(tries) < 3:
            raise RetryLater("the model is busy")
        return ()

    with works(cards=cards("alpha"), acts={"alpha": at_last}) as here:
        run = start(here, CAUGHT)
        for _ in range(4):
            here.later(10)
        assert here.output(run) == {"proposals": []}
        assert len(tries) == 3


def test_an_agent_that_the_platform_does_not_know_as_a_principal_raised_nothing_itself() -> None:
    def unknown(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        raise PrincipalError("no Agent is called 'alpha'; add it to people.yaml")

    with works(cards=cards("alpha"), acts={"alpha": unknown}) as here:
        run = start(here, CAUGHT)
        for _ in range(9):
            here.later(60)
        assert here.run(run).state == "faulted"
        assert "raised" not in here.run(run).text("error")
