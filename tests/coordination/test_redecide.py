"""Decided again, never remembered: what changed between asking and acting, or between pause and resume, denies, on record."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from coordination.runs.engine import Workflows
from governance.budgeting import define
from governance.controls import change
from governance.people import import_people
from governance.peoplefile import read_people
from governance.principals import load_principal
from governance.rules import add, retire
from kg.model import Cause, Entity, Put, Unlink
from tests.coordination.plant import AUTHOR, Plant, Telling, ontology, plant
from tests.runs.works import ANNA, Works, works

FREEZE = '@id("freeze") forbid(principal, action == Action::"apply", resource);'


def take_role(p: Plant | Works, uid: str) -> None:
    entity = str(load_principal(p.store, uid).entity)
    role = p.store.expand([entity], "hasRole")[entity][0].entity.id
    p.store.commit([Unlink(entity, "hasRole", role)], Cause(p.clock.id(), "people", AUTHOR.uid))


def disable(p: Plant | Works, uid: str) -> None:
    found = load_principal(p.store, uid)
    p.store.commit([Put(str(found.entity), found.kind, {"disabled": True})], Cause(p.clock.id(), "people", AUTHOR.uid))


def freeze(p: Plant | Works, uid: str) -> None:
    del uid
    add(p.store, p.clock, ontology(), FREEZE, AUTHOR, "test")


def thaw(p: Plant | Works, uid: str) -> None:
    del uid
    retire(p.store, p.clock, ontology(), "agents-may", AUTHOR, "test")


CHANGES: dict[str, tuple[Callable[[Any, str], None], str]] = {
    "role taken": (take_role, "no rule permits it"),
    "disabled": (disable, "is disabled"),
    "rule added": (freeze, "freeze"),
    "permit retired": (thaw, "no rule permits it"),
}


def told(decision: Entity) -> tuple[Any, bool]:
    return decision["outcome"], bool(decision.get("reason"))


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_while_people_answered_denies(name: str) -> None:
    p = plant()
    p.product("p", stock=9)
    p.run()
    assert p.one()["state"] == "waiting_approval"
    happens, said = CHANGES[name]
    happens(p, 'Agent::"buyer"')
    p.answer(p.one().id)
    p.run()
    assert p.one()["state"] == "denied"
    assert said in str(p.one()["reason"])
    assert [told(d) for d in p.decisions(p.one().id)] == [("needs_approval", True), ("deny", True)]
    assert not p.store.find("Effect").items


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("state", ["pause", "stop"])
def test_what_changed_while_an_agent_stood_still_denies(name: str, state: str) -> None:
    p = plant()
    change(p.store, p.clock, AUTHOR, "tool:graph", state, "test")
    p.product("p", stock=1)
    p.run()
    assert (p.one()["state"], p.decisions(p.one().id)) == ("proposed", [])
    happens, said = CHANGES[name]
    happens(p, 'Agent::"buyer"')
    p.resume("tool:graph")
    p.run()
    assert p.one()["state"] == "denied"
    assert said in str(p.one()["reason"])
    assert [told(d) for d in p.decisions(p.one().id)] == [("deny", True)]


def test_a_budget_that_is_gone_when_people_have_answered_denies() -> None:
    p = plant()
    p.product("p", stock=9)
    p.run()
    define(p.store, p.clock, AUTHOR, "agent:buyer", "calls", Decimal(0), when_out="degrade")
    p.answer(p.one().id)
    p.run()
    assert p.one()["state"] == "denied"
    assert "has 0 left" in str(p.one()["reason"])
    assert [d["outcome"] for d in p.decisions(p.one().id)] == ["needs_approval", "deny"]


def test_an_agent_stopped_while_people_answered_does_nothing_until_it_is_let_go() -> None:
    p = plant()
    p.product("p", stock=9)
    p.run()
    p.stop("agent:buyer")
    p.answer(p.one().id)
    p.run()
    assert p.one()["state"] == "waiting_approval"
    assert not p.store.find("Effect").items
    retire(p.store, p.clock, ontology(), "agents-may", AUTHOR, "test")
    p.resume("agent:buyer")
    p.run()
    assert p.one()["state"] == "denied"


HTTP = "do: [{w: {wait: {seconds: 5}}}, {h: {call: http, with: {method: post, endpoint: 'https://x.test/', body: {a: 1}}}}]"


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("whose", ["agent", "starter"])
def test_what_changed_while_a_run_was_paused_denies_its_next_step(name: str, whose: str) -> None:
    target = Telling("http")
    with works(Workflows(), effectors=[target]) as here:
        run = here.start(HTTP, {})
        here.engine.pause(run, ANNA, "lunch")
        happens, said = CHANGES[name]
        happens(here, 'Agent::"test.flow"' if whose == "agent" else ANNA)
        here.engine.resume(run, ANNA, "back")
        here.later(6)
        (proposal,) = here.store.find("Proposal").items
        assert (proposal["state"], target.told) == ("denied", [])
        assert said in str(proposal["reason"])
        (decision,) = here.store.find("Decision", first=10).items
        assert told(decision) == ("deny", True)
        assert (here.run(run).state, here.run(run).error["status"]) == ("faulted", 403)


def test_a_workflow_stopped_while_its_call_waits_for_the_gate_sends_nothing() -> None:
    target = Telling("http")
    with works(Workflows(), effectors=[target]) as here:
        change(here.store, here.clock, AUTHOR, "tool:http", "pause", "test")
        run = here.start(HTTP, {})
        here.later(6)
        (proposal,) = here.store.find("Proposal").items
        assert proposal["state"] == "proposed"
        change(here.store, here.clock, AUTHOR, "workflow:test.flow", "stop", "test")
        change(here.store, here.clock, AUTHOR, "tool:http", "run", "test")
        here.drain()
        here.later(120)
        assert target.told == []
        freeze(here, "")
        change(here.store, here.clock, AUTHOR, "workflow:test.flow", "run", "test")
        here.drain()
        (proposal,) = here.store.find("Proposal").items
        assert (proposal["state"], target.told) == ("denied", [])
        assert here.run(run).state == "faulted"


@pytest.mark.usefixtures("on_both")
def test_a_role_taken_between_the_decision_and_its_commit_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The roles were read, the rules said yes, and only then the role went: the commit that begins expects who was asked about."""
    p = plant()
    p.product("p", stock=50)
    p.run()
    commit, taken = p.store.commit, []

    def late(writes: Any, *more: Any, **named: Any) -> Any:
        if not taken and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            taken.append(True)
            bare = "agents:\n  - {name: buyer}\n"
            assert import_people(p.store, p.clock, read_people(bare, "people.yaml"), AUTHOR).changes == 2
        return commit(writes, *more, **named)

    monkeypatch.setattr(p.store, "commit", late)
    p.product("p", stock=1)
    p.run()
    assert taken
    assert p.one()["state"] == "denied"
    assert p.store.find("Effect").items == ()
