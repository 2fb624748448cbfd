"""Orders of people over runs: terminate, fork from a step; what a cancelled run proposed does not happen any more."""

from typing import Any

import pytest

from coordination.errors import StateError
from coordination.runs import controlling
from coordination.runs.engine import Workflows
from governance.approvals import approve
from governance.people import ensure_principal
from governance.principals import load_principal
from governance.rules import load_rules
from tests.coordination.plant import AUTHOR, RULES, Telling, ontology
from tests.runs.test_starters import CARA, SIGNED, asked
from tests.runs.works import ANNA, STARTERS_MAY, Works, works

CALLED: list[str] = []
LONG = """
do:
  - a: {call: note, with: {name: a}, export: {as: '{seen: .n}'}}
  - rest: {wait: {seconds: 5}}
  - tell: {emit: {event: {with: {type: told, data: 1}}}, output: {as: .data}}
  - say: {call: effect, with: {operation: say, effector: telling, payload: {}}, output: {as: '{said: .state}'}}
  - hear: {listen: {to: {one: {with: {type: go}}}}, foreach: {item: e, do: [{each: {call: note, with: {name: each}}}]}}
  - split: {fork: {branches: [{l: {call: note, with: {name: l}}}, {r: {call: note, with: {name: r}}}]}}
  - t: {try: [{bad: {call: broken}}], catch: {do: [{c: {set: {caught: '${ $error.status }'}}}]}}
  - last: {call: note, with: {name: last}, output: {as: '{n: .n, seen: $context.seen}'}}
"""


def note(name: str) -> Any:
    CALLED.append(name)
    return {"n": name}


@pytest.fixture
def here(store: Any) -> Any:
    CALLED.clear()
    functions: dict[str, Any] = {"note": note, "broken": lambda: 1 / 0}
    rules = (*RULES, STARTERS_MAY, SIGNED)
    with works(Workflows(functions=functions), effectors=[Telling()], store=store, rules=rules) as made:
        yield made


def whole(here: Works) -> str:
    run = here.start(LONG)
    here.later(6)
    here.engine.signal(run, here.event("go", 1))
    here.drain()
    here.output(run)
    return run


def step(here: Works, run: str, task: str) -> str:
    return next(item.id for item in here.steps(run) if item["task"] == task)


def test_a_fork_takes_what_came_before_from_the_record(here: Works) -> None:
    first = whole(here)
    done = list(CALLED)
    assert sorted(done) == ["a", "each", "l", "last", "r"]
    second = here.engine.fork(first, step(here, first, "last"), ANNA)
    here.drain()
    assert here.output(second) == here.output(first) == {"n": "last", "seen": "a"}
    assert [*done, "last"] == CALLED, "only the chosen step was done anew"
    assert len(here.store.find("Proposal").items) == 1, "the effect did not happen again"
    assert [s["task"] for s in here.steps(second)][-1] == "last"
    assert here.run(second).text("forkedFrom") == first
    third = here.engine.fork(first, step(here, first, "split"), ANNA)
    here.drain()
    here.output(third)
    assert sorted(CALLED[len(done) + 1 :]) == ["l", "last", "r"]
    assert here.store.verify() > 0


def test_a_fork_before_a_wait_waits_and_calls_anew(here: Works) -> None:
    first = whole(here)
    second = here.engine.fork(first, step(here, first, "rest"), ANNA)
    here.drain()
    assert here.run(second).state == "waiting"
    here.later(6)
    here.engine.signal(second, here.event("go", 1))
    here.drain()
    here.output(second)
    assert len(here.store.find("Proposal").items) == 2
    assert CALLED.count("a") == 1


def test_a_fork_needs_a_step_of_the_run(here: Works) -> None:
    first = whole(here)
    with pytest.raises(StateError, match="is no step of run"):
        here.engine.fork(first, "nothing", ANNA)
    with pytest.raises(StateError, match="no run"):
        here.engine.fork("nobody", step(here, first, "a"), ANNA)


def test_what_a_cancelled_run_proposed_expires(here: Works) -> None:
    run = here.start("do: [{n: {call: effect, with: {operation: notice.send, effector: telling, payload: {}}}}]")
    decision = asked(here).id
    here.engine.terminate(run, ANNA, "enough")
    ensure_principal(here.store, here.clock, "User", "cara", AUTHOR, roles=["managers"])
    approve(
        here.store,
        here.clock,
        load_rules(here.store, ontology()),
        decision,
        load_principal(here.store, CARA),
        "approve",
    )
    here.drain()
    (proposal,) = here.store.find("Proposal").items
    assert (proposal["state"], proposal["reason"]) == ("expired", f"run {run} was cancelled")
    assert not here.store.find("Effect").items
    assert here.run(run).state == "cancelled"
    assert here.run(run).text("reason") == "enough"


def test_terminating_ends_children_and_undoes_nothing(here: Works) -> None:
    here.register("child", "do: [{l: {listen: {to: {any: []}}}}]")
    run = here.start(
        "do: [{s: {call: effect, with: {operation: say, effector: telling, payload: {}}}}, "
        "{c: {run: {workflow: {namespace: test, name: child, version: latest}}}}]"
    )
    here.engine.terminate(run, ANNA)
    here.drain()
    assert {str(found["state"]) for found in here.store.find("Run").items} == {"cancelled"}
    assert not here.store.find("Compensation").items
    assert here.rows() == {}


def test_an_effect_in_hand_while_its_run_is_cancelled_is_undone_once_it_ended() -> None:
    telling = Telling()
    undo = "undo: {operation: unsay, payload: {}}"
    with works(effectors=[telling]) as here:

        def cancelled() -> None:
            telling.before = lambda: None
            (run,) = here.store.find("Run").items
            here.engine.cancel(run.id, ANNA, compensate=True)

        telling.before = cancelled
        here.start(f"do: [{{s: {{call: effect, with: {{operation: say, effector: telling, payload: {{{undo}}}}}}}}}]")
        here.later(31)
        assert [str(effect["status"]) for effect in here.store.find("Effect").items] == ["compensated", "done"]
        (compensation,) = here.store.find("Compensation").items
        assert compensation["state"] == "done"


def test_a_run_with_more_effects_than_one_compensation_undoes_is_not_undone_in_part(
    here: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controlling, "EFFECTS_MAX", 1)
    said = "{call: effect, with: {operation: say, effector: telling, payload: {}}}"
    run = here.start(f"do: [{{a: {said}}}, {{b: {said}}}, {{c: {{wait: {{seconds: 9}}}}}}]")
    with pytest.raises(StateError, match="more than 1 effects"):
        here.engine.cancel(run, ANNA, compensate=True)
    assert here.run(run).state == "waiting"
    here.engine.cancel(run, ANNA)
    assert here.run(run).state == "cancelled"


def test_of_many_children_the_ones_that_still_run_are_cancelled(here: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlling, "PAGE_MAX", 2)
    here.register("quick", "do: [{a: {set: {x: 1}}}]")
    here.register("slow", "do: [{a: {wait: {hours: 1}}}]")
    tasks = [
        f"{{c{n}: {{run: {{await: false, workflow: {{namespace: test, name: {'slow' if n % 2 else 'quick'}, version: latest}}}}}}}}"
        for n in range(8)
    ]
    run = here.start(f"do: [{', '.join(tasks)}, {{w: {{wait: {{hours: 1}}}}}}]")
    here.engine.cancel(run, ANNA)
    here.later(6)
    states = sorted(str(found["state"]) for found in here.store.find("Run").items)
    assert states == ["cancelled"] * 5 + ["completed"] * 4


def test_a_run_whose_very_first_step_failed_is_taken_up_again() -> None:
    called: list[int] = []

    def step() -> int:
        called.append(1)
        return 1 // (len(called) - 1)

    with works(Workflows(functions={"step": step})) as here:
        # A quick function is asked before the first commit, so nothing of the run was committed when it failed.
        here.engine.driving.taken["step"] = 0.001
        run = here.start("do: [{a: {call: step, with: {}}}]", {"x": 1})
        assert here.run(run).state == "faulted"
        here.engine.retry(run, ANNA)
        here.drain()
        assert here.output(run) == 1
