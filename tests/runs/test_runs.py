"""Durable runs: started once, advanced one commit a step, waiting on time, events, people, other runs and the world outside."""

from typing import Any

import pytest

from coordination.claims import claim_id
from coordination.codec import derive
from coordination.errors import StateError
from coordination.runs import mailbox
from coordination.runs.engine import Workflows
from governance.approvals import approve
from governance.controls import control_id, stop
from governance.people import ensure_principal
from governance.principals import load_principal
from governance.rules import add, load_rules, rule_id
from kg.errors import ConflictError
from tests.coordination.plant import AUTHOR, Telling, ontology
from tests.runs.works import ANNA, Works, works

FUNCTIONS: dict[str, Any] = {"inc": lambda x: {"x": x + 1}, "boom": lambda: 1 / 0}


@pytest.fixture
def here(store: Any) -> Any:
    with works(Workflows(functions=FUNCTIONS), effectors=[Telling("http")], store=store) as made:
        yield made


def test_tasks_follow_one_another_and_leave_their_steps(here: Works) -> None:
    run = here.start(
        """
do:
  - one: {set: {x: 1}}
  - two: {call: inc, with: {x: '${ .x }'}}
  - three: {for: {in: '[1, 2]'}, do: [{add: {call: inc, with: {x: '${ .x + $item }'}}}]}
"""
    )
    assert here.output(run) == {"x": 7}
    told = [(step["task"], step["state"], step.get("iteration")) for step in here.steps(run)]
    assert told == [
        ("one", "completed", None),
        ("two", "completed", None),
        ("add", "completed", "0"),
        ("add", "completed", "1"),
        ("three", "completed", None),
    ]
    assert here.rows() == {}


def test_the_same_id_starts_once(here: Works) -> None:
    text = "do: [{a: {call: inc, with: {x: 1}}}]"
    first = here.start(text, {"n": 1}, id="r-1")
    here.clock.advance(5)
    assert here.start(text, {"n": 1}, id="r-1") == first
    assert len(here.steps("r-1")) == 1
    with pytest.raises(StateError, match="taken by another start"):
        here.start(text, {"n": 2}, id="r-1")


@pytest.mark.parametrize("id", [control_id("global"), control_id("agent:test.flow"), rule_id("freeze"), claim_id("p")])
def test_no_run_takes_an_id_that_the_platform_makes_from_a_name(here: Works, id: str) -> None:
    """I11: a run under a switch's id would be read as that switch, and nobody could set it any more."""
    other = here.start("do: [{a: {set: {x: 1}}}]", name="other")
    (step,) = here.steps(other)
    with pytest.raises(StateError, match="made by the platform from a name"):
        here.start("do: [{a: {set: {x: 1}}}]", id=id)
    with pytest.raises(StateError, match="made by the platform from a name"):
        here.engine.fork(other, step.id, ANNA, id=id)
    assert id not in here.store.get([id])
    assert stop(here.store, here.clock, AUTHOR, "global", "test").state == "stop"


def test_branches_meet_in_order(here: Works) -> None:
    run = here.start(
        "do: [{f: {fork: {branches: [{a: {call: inc, with: {x: 1}}}, {b: {wait: {seconds: 5}}}, {c: {set: {z: 3}}}]}}}]",
        {"i": 0},
    )
    assert here.run(run).state == "waiting"
    here.later(6)
    assert here.output(run) == [{"x": 2}, {"i": 0}, {"z": 3}]
    assert here.rows() == {}


def test_the_first_branch_wins_and_the_others_end(here: Works) -> None:
    run = here.start(
        """
do:
  - race:
      fork:
        compete: true
        branches:
          - slow: {listen: {to: {one: {with: {type: never}}}}}
          - fast: {wait: {seconds: 1}}
          - nested: {fork: {branches: [{deep: {listen: {to: {any: []}}}}, {w: {wait: {seconds: 9}}}]}}
""",
        {"i": 0},
    )
    here.later(2)
    assert here.output(run) == {"i": 0}
    assert here.rows() == {}


RACE = """
do:
  - race:
      fork:
        compete: true
        branches:
          - broken: {raise: {error: {type: 'x:first', status: 500}}}
          - later: {do: [{rest: {wait: {seconds: 5}}}, {end: %s}]}
"""


def test_a_branch_that_faults_in_a_race_leaves_it_to_the_others(here: Works) -> None:
    run = here.start(RACE % "{set: {won: later}}")
    assert not here.run(run).ended
    here.later(5)
    assert here.output(run) == {"won": "later"}
    assert here.rows() == {}


def test_a_race_that_nobody_wins_is_the_fault_of_the_first(here: Works) -> None:
    run = here.start(RACE % "{raise: {error: {type: 'x:second', status: 500}}}")
    here.later(5)
    assert here.run(run).state == "faulted"
    assert here.run(run).error["type"] == "x:first"


def test_a_fault_in_a_branch_ends_the_others_and_may_be_caught(here: Works) -> None:
    run = here.start(
        """
do:
  - t:
      try:
        - f: {fork: {branches: [{a: {raise: {error: {type: 'x:y', status: 500}}}}, {b: {listen: {to: {any: []}}}}]}}
      catch: {do: [{s: {set: {caught: '${ $error.instance }'}}}]}
"""
    )
    assert here.output(run) == {"caught": "/do/0/t/try/0/f/fork/branches/0/a"}
    assert here.rows() == {}


def test_retries_wait_and_end(here: Works) -> None:
    run = here.start(
        """
do:
  - t:
      try: [{bad: {call: boom}}]
      catch:
        retry: {delay: {seconds: 2}, backoff: {exponential: {}}, limit: {attempt: {count: 2}}}
        do: [{s: {set: {caught: '${ $error.type | split("/") | last }', detail: '${ $error.detail }'}}}]
"""
    )
    assert here.run(run).state == "waiting"
    here.later(2.1)
    assert [step["state"] for step in here.steps(run) if step["task"] == "bad"] == ["faulted", "faulted"]
    here.later(2.1)
    assert here.run(run).state == "waiting", "the second wait is twice as long"
    here.later(2)
    assert here.output(run) == {"caught": "runtime", "detail": "boom raised ZeroDivisionError: division by zero"}
    assert [step.get("attempt") for step in here.steps(run) if step["task"] == "bad"] == [None, 2, 3]


def test_a_timeout_interrupts_and_is_catchable(here: Works) -> None:
    run = here.start(
        """
do:
  - t:
      try: [{w: {timeout: {after: {seconds: 3}}, listen: {to: {one: {with: {type: x}}}}}}]
      catch: {errors: {with: {status: 408}}, do: [{s: {set: {late: true}}}]}
"""
    )
    here.later(2)
    assert here.run(run).state == "waiting"
    here.later(2)
    assert here.output(run) == {"late": True}
    assert here.rows() == {}


def test_events_reach_each_listener_once(here: Works) -> None:
    text = "do: [{l: {listen: {to: {any: [{with: {type: t.x}}], until: '. | length >= 2'}}}}]"
    one, two = here.start(text, id="a"), here.start(text, id="b")
    event = here.event("t.x", 1, "e1")
    for _ in range(3):
        here.engine.publish(event)
        here.drain()
    assert here.run(one).state == "waiting"
    here.engine.publish(here.event("t.other", 5))
    here.engine.publish(here.event("t.x", 2))
    here.drain()
    assert here.output(one) == here.output(two) == [1, 2]
    assert here.rows() == {}


def test_signals_keep_until_they_are_wanted(here: Works) -> None:
    text = """
do:
  - first: {wait: {seconds: 5}}
  - l: {listen: {to: {all: [{with: {type: a}}, {with: {type: b}}]}}}
"""
    run = here.start(text)
    signal = here.event("b", "early", "s1")
    for _ in range(2):
        here.engine.signal(run, signal)
        here.drain()
    here.later(6)
    assert here.run(run).state == "waiting"
    here.engine.signal(run, here.event("a", "late"))
    here.drain()
    assert here.output(run) == ["early", "late"]
    with pytest.raises(StateError, match="takes no more events"):
        here.engine.signal(run, here.event("a"))
    with pytest.raises(StateError, match="no run"):
        here.engine.signal("nobody", here.event("a"))
    with pytest.raises(StateError, match="needs `type`"):
        here.engine.signal(run, {"id": "1", "source": "x"})


def test_correlation_ties_events_together(here: Works) -> None:
    run = here.start(
        """
do:
  - l:
      listen:
        to:
          all:
            - {with: {type: temp}, correlate: {room: {from: .roomid}}}
            - {with: {type: hum}, correlate: {room: {from: .roomid}}}
"""
    )
    for kind, room in (("temp", "r1"), ("hum", "r2"), ("hum", "r1")):
        here.engine.publish(here.event(kind, room, roomid=room))
        here.drain()
    assert here.output(run) == ["r1", "r1"]


def test_a_listening_that_follows_another_leaves_no_ear_open(here: Works) -> None:
    run = here.start(
        "do:\n"
        "  - both: {listen: {to: {all: [{with: {type: t.a}}, {with: {type: t.b}}]}}}\n"
        "  - one: {listen: {to: {one: {with: {type: t.a}}}}}\n"
    )
    assert len(here.rows()["listener"]) == 2
    here.engine.signal(run, here.event("t.b", 1))
    here.engine.signal(run, here.event("t.a", 2))
    here.drain()
    assert here.rows()["listener"] == [mailbox.listener_key("t.a", run, "0")]
    here.engine.publish(here.event("t.a", 3))
    here.drain()
    assert here.output(run) == [3]
    assert "listener" not in here.rows()


def test_foreach_works_on_one_event_after_another(here: Works) -> None:
    run = here.start(
        """
do:
  - l:
      listen: {to: {any: [{with: {type: n}}], until: '. | length >= 3'}}
      foreach: {item: e, at: i, do: [{pause: {wait: {seconds: 1}}}, {add: {call: inc, with: {x: '${ $e + $i }'}}}]}
"""
    )
    for number in (10, 20, 30):
        here.engine.publish(here.event("n", number))
    here.drain()
    for _ in range(4):
        here.later(1.1)
    assert here.output(run) == [{"x": 11}, {"x": 22}, {"x": 33}]
    assert here.rows() == {}


def test_an_emitted_event_is_heard(here: Works) -> None:
    listener = here.start("do: [{l: {listen: {to: {one: {with: {type: t.y}}}}}}]", name="listener")
    emitter = here.start("do: [{e: {emit: {event: {with: {type: t.y, data: '${ . }'}}}}}]", {"q": 1}, name="emitter")
    assert here.output(listener) == [{"q": 1}]
    assert here.output(emitter)["source"] == "/test/emitter/1.0.0"


def test_a_workflow_runs_another(here: Works) -> None:
    here.register("child", "do: [{w: {wait: {seconds: 1}}}, {a: {call: inc, with: {x: '${ .n }'}}}]")
    here.register("bad", "do: [{r: {raise: {error: {type: 'x:y', status: 418}}}}]")
    run = here.start(
        """
do:
  - c: {run: {workflow: {namespace: test, name: child, version: latest, input: {n: '${ .n }'}}}}
  - t:
      try: [{b: {run: {workflow: {namespace: test, name: bad, version: 1.0.0}}}}]
      catch: {do: [{s: {set: {status: '${ $error.status }', at: '${ $error.instance }'}}}]}
""",
        {"n": 4},
    )
    assert here.run(run).state == "waiting"
    here.later(2)
    assert here.output(run) == {"status": 418, "at": "/do/1/t/try/0/b"}
    assert here.rows().keys() <= {"strand", "mailbox"}, "only the faulted child keeps its place"


def test_an_outward_call_is_a_proposal_by_the_workflow(here: Works) -> None:
    run = here.start(
        "do: [{h: {call: http, with: {method: post, endpoint: 'https://x.test/{id}', body: {a: 1}}}}]", {"id": 7}
    )
    (proposal,) = here.store.find("Proposal").items
    assert (proposal["agent"], proposal["operation"], proposal["state"]) == ("test.flow", "http.post", "applied")
    assert '"url":"https://x.test/7"' in str(proposal["payload"])
    assert here.run(run).state == "completed"
    assert here.rows() == {}


def test_a_denied_call_is_an_error_that_may_be_caught(here: Works) -> None:
    run = here.start(
        """
do:
  - t:
      try: [{g: {call: effect, with: {operation: gift, effector: http, payload: {}}}}]
      catch: {do: [{s: {set: {status: '${ $error.status }'}}}]}
"""
    )
    assert here.output(run) == {"status": 403}


def test_what_is_not_served_is_the_specifications_error(here: Works) -> None:
    for text, status in (
        ("call: grpc", 501),
        ("call: nothing", 400),
        ("run: {container: {image: x}}", 501),
        ("call: 'a:1@b'", 400),
    ):
        run = here.start(f"do: [{{x: {{{text}}}}}]", name=f"n{abs(hash(text))}")
        assert here.run(run).state == "faulted"
        assert here.run(run).error["status"] == status


def test_people_approve(here: Works) -> None:
    text = "do: [{a: {call: approve, with: {approvers: {managers: 1}, summary: 'may we?', timeout: {hours: 1}}}}]"
    run = here.engine.start(here.register("ask", text), None, 'User::"ben"')
    here.drain()
    (decision,) = here.store.find("Decision").items
    rules = load_rules(here.store, ontology())
    approve(here.store, here.clock, rules, decision.id, load_principal(here.store, 'User::"anna"'), "approve")
    here.drain()
    assert here.output(run)["by"] == ['User::"anna"']
    late = here.engine.start(here.register("ask", text), None, 'User::"ben"')
    here.drain()
    here.later(3_700)
    assert here.run(late).error["status"] == 408


def test_of_several_roles_all_approve_and_nobody_counts_for_two(here: Works) -> None:
    people = {"carla": ["managers", "auditors"], "dora": ["auditors"]}
    for name, roles in people.items():
        ensure_principal(here.store, here.clock, "User", name, AUTHOR, roles=roles)
    may = '@id("auditors-may") permit(principal in Role::"auditors", action == Action::"approve", resource);'
    add(here.store, here.clock, ontology(), may, AUTHOR, "test")
    text = "do: [{a: {call: approve, with: {approvers: {managers: 1, auditors: 1}, summary: 'may we?'}}}]"

    def asked(id: str) -> str:
        run = here.engine.start(here.register("ask", text), None, 'User::"ben"', id=id)
        here.drain()
        (step,) = here.steps(run)
        assert (here.run(run).state, step["state"]) == ("waiting", "waiting")
        return derive("approve", f"run:{run}/0/0")

    def says(decision: str, who: str, answer: str) -> None:
        person = load_principal(here.store, f'User::"{who}"')
        approve(here.store, here.clock, load_rules(here.store, ontology()), decision, person, answer)
        here.drain()

    decision = asked("both")
    says(decision, "carla", "approve")
    assert here.run("both").state == "waiting"
    # Dora takes the auditor's place, so that carla fills the manager's.
    says(decision, "dora", "approve")
    assert here.output("both")["by"] == ['User::"carla"', 'User::"dora"']

    decision = asked("refused")
    says(decision, "dora", "approve")
    says(decision, "carla", "reject")
    assert here.run("refused").error["title"] == "Rejected"


def test_pause_resume_cancel(here: Works) -> None:
    run = here.start("do: [{w: {wait: {seconds: 5}}}, {a: {call: inc, with: {x: 1}}}]")
    here.engine.pause(run, 'User::"anna"', "lunch")
    here.later(10)
    assert here.run(run).state == "suspended"
    here.engine.resume(run, 'User::"anna"')
    here.drain()
    assert here.output(run) == {"x": 2}
    with pytest.raises(StateError, match="cannot become"):
        here.engine.cancel(run, 'User::"anna"')


def test_cancel_ends_children_and_leaves_nothing(here: Works) -> None:
    here.register("sleeper", "do: [{l: {listen: {to: {any: []}}}}]")
    run = here.start(
        "do: [{f: {fork: {branches: [{c: {run: {workflow: {namespace: test, name: sleeper, version: latest}}}}, "
        "{w: {wait: {days: 1}}}]}}}]"
    )
    here.engine.cancel(run, 'User::"anna"')
    here.drain()
    assert {str(found["state"]) for found in here.store.find("Run").items} == {"cancelled"}
    assert {str(step["state"]) for step in here.steps(run)} == {"cancelled"}
    assert here.rows() == {}


def test_a_faulted_run_is_retried_from_the_step_that_failed(here: Works) -> None:
    run = here.start(
        "do: [{a: {call: inc, with: {x: 1}}}, {h: {call: effect, with: {operation: gift, effector: http, payload: {}}}}, "
        "{b: {call: inc, with: {x: 5}}}]"
    )
    assert here.run(run).state == "faulted"
    from governance.rules import retire

    retire(here.store, here.clock, ontology(), "no-gifts", AUTHOR, "test")
    here.engine.retry(run, 'User::"anna"')
    here.drain()
    assert here.output(run) == {"x": 6}
    assert [step["task"] for step in here.steps(run)].count("a") == 1


def test_endless_loops_and_huge_fan_outs_harm_nobody(here: Works) -> None:
    from dataclasses import replace

    here.engine.driving.limits = replace(here.engine.driving.limits, history_max=300, branches_max=5, items_max=10)
    loop = here.start("do: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 2}, then: a}}]", name="loop")
    fan = here.start(
        "do: [{f: {fork: {branches: [" + ", ".join(f"{{b{i}: {{set: {{}}}}}}" for i in range(6)) + "]}}}]", name="fan"
    )
    many = here.start("do: [{f: {for: {in: '[range(11)]'}, do: [{s: {set: {}}}]}}]", name="many")
    fine = here.start("do: [{a: {set: {x: 1}}}]", name="fine")
    for run, word in ((loop, "300 tasks"), (fan, "6 branches"), (many, "11 items")):
        assert word in here.run(run).error["detail"]
    assert here.output(fine) == {"x": 1}


def test_schedules_start_runs_once(here: Works) -> None:
    every = here.register("every", "schedule: {every: {minutes: 1}}\ndo: [{a: {set: {x: 1}}}]")
    on = here.register(
        "on", "schedule: {on: {one: {with: {type: go}}}}\ndo: [{a: {set: {x: '${ $workflow.input[0] }'}}}]"
    )
    for workflow in (every, every, on):
        here.engine.activate(workflow, 'User::"anna"')
    for _ in range(3):
        here.later(61)
    assert len([run for run in here.store.find("Run").items if run["workflow"] == every]) == 3
    event = here.event("go", 9)
    for _ in range(2):
        here.engine.publish(event)
        here.drain()
    (run,) = [run for run in here.store.find("Run").items if run["workflow"] == on]
    assert here.output(run.id) == {"x": 9}
    here.engine.deactivate(every)
    here.later(61)
    here.later(61)
    assert len([run for run in here.store.find("Run").items if run["workflow"] == every]) == 3


def test_large_values_stand_beside_the_rows(here: Works) -> None:
    run = here.start(
        "do: [{a: {set: {big: '${ \"x\" * 30000 }', n: 0}}}, {l: {for: {in: '[1,2]'}, do: [{w: {wait: {seconds: 1}}}]}}]"
    )
    here.later(2)
    here.later(2)
    assert len(here.output(run)["big"]) == 30_000
    assert all("output" not in step.properties for step in here.steps(run) if step["task"] == "a")


def test_pruning_drops_rows_and_keeps_facts(here: Works) -> None:
    from coordination.runs.retention import prune
    from kg.errors import StoreError

    run = here.start("do: [{a: {set: {big: '${ \"x\" * 30000 }'}}}]")
    here.start("do: [{a: {raise: {error: {type: 'x:y', status: 500}}}}]", name="bad")
    waits = here.start("do: [{l: {listen: {to: {any: []}}}}]", name="waits")
    here.clock.advance(10)
    assert prune(here.store, here.clock.now()) >= 3
    assert prune(here.store, here.clock.now()) == 0
    with pytest.raises(StoreError, match="pruned"):
        here.engine.output(run)
    assert here.run(waits).state == "waiting"
    assert here.rows()["strand"] == [f"{waits}/0"]
    assert here.store.verify() > 0


def test_a_run_that_is_retried_while_rows_are_pruned_keeps_its_place(here: Works) -> None:
    from coordination.runs import rows
    from coordination.runs.retention import prune

    run = here.start("do: [{a: {raise: {error: {type: 'x:y', status: 500}}}}]")
    here.clock.advance(10)
    scan = here.store.scan

    def meanwhile(kind: str, *args: Any, **more: Any) -> Any:
        found = scan(kind, *args, **more)
        if kind == rows.KIND:
            here.store.scan = scan
            here.engine.retry(run, 'User::"anna"')
        return found

    here.store.scan = meanwhile
    prune(here.store, here.clock.now())
    assert here.rows()["strand"] == [f"{run}/0"]
    here.drain()
    assert here.run(run).state == "faulted", "it was driven again"


def test_a_commit_that_lost_a_race_calls_no_function_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def counted(x: int) -> dict[str, int]:
        called.append(x)
        return {"x": x + 1}

    with works(Workflows(functions={"counted": counted})) as here:
        commit, lost = here.store.commit, []

        def losing(writes: Any, cause: Any, *more: Any, **named: Any) -> Any:
            if called and not lost:
                lost.append(cause)
                raise ConflictError("another branch was faster", {"elsewhere": 1})
            return commit(writes, cause, *more, **named)

        monkeypatch.setattr(here.store, "commit", losing)
        run = here.start("do: [{a: {call: counted, with: {x: 1}}}]")
        assert here.output(run) == {"x": 2}
        assert len(lost) == 1
        assert called == [1]

        # By now the function is known to be quick, so that its answer goes into the first commit.
        called.clear()
        lost.clear()
        again = here.start("do: [{a: {call: counted, with: {x: 5}}}]", name="again")
        assert here.output(again) == {"x": 6}
        assert (len(lost), called) == (1, [5])
