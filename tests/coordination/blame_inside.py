"""Stories whose fault lies with rules, people, budgets and controls, or with the platform itself."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from coordination import claims
from coordination.acting import Answer, Assignment
from coordination.breakers import BREAKER
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.openapi import OpenApi
from coordination.errors import BrokerError, HeldError
from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from coordination.wakes import Wake
from coordination.workflow.expressions import Expressions
from coordination.workflow.scope import Limits
from governance import controls
from governance.approvals import approve
from governance.budgeting import define
from governance.principals import load_principal
from governance.rules import load_rules
from kg.errors import StoreBusyError
from kg.jq import Jq
from kg.model import Change, Entity, Put
from kg.store import GraphStore
from tests.coordination.blame import blames, rest, thinks
from tests.coordination.blame_outside import ASK, TELL, put, says, tells
from tests.coordination.plant import AUTHOR, RULES, Telling, card, ontology
from tests.runs.works import ANNA, STARTERS_MAY, Works

#: How a workflow of the tests is called as an agent.
FLOW = "agent:test.flow"
APPROVE = "do: [{ask: {call: approve, with: {approvers: {managers: 1}, timeout: {days: 2}}}}]"
EVERYTHING_NEEDS = (
    '@id("all") @requires("purchasing") @approvers("managers:1") forbid(principal, action == Action::"apply", resource) '
    'when { context.operation == "bill" };'
)
ASKING = (*RULES, STARTERS_MAY, EVERYTHING_NEEDS)
BEN = 'User::"ben"'


def reject(here: Works, comment: str) -> None:
    (asked,) = [d for d in here.store.find("Decision", [], first=50).items if d["outcome"] == "needs_approval"]
    rules = load_rules(here.store, ontology())
    approve(here.store, here.clock, rules, asked.id, load_principal(here.store, ANNA), "reject", comment)
    here.drain()


def by_ben(here: Works, text: str, **more: Any) -> str:
    """Started by somebody else than who answers."""
    run = here.engine.start(here.register("flow", text), None, BEN, **more)
    here.drain()
    return run


# -- policy -----------------------------------------------------------------------------------------------------------


@blames("policy", "a rule forbids the effect", effectors=[Telling()])
def _forbidden(here: Works) -> str:
    return rest(here, here.start(TELL.replace("bill", "gift")))


@blames("policy", "a person rejects, in words of a broken tool")
def _rejected(here: Works) -> str:
    run = by_ben(here, APPROVE)
    reject(here, "the http server answered 500, the model 'small' gave no usable answer: StoreBusyError")
    return rest(here, run)


@blames("policy", "nobody answers what was asked")
def _overdue(here: Works) -> str:
    run = by_ben(here, APPROVE)
    here.later(2.1 * 86_400)
    return rest(here, run)


@blames("policy", "nobody approves the effect in time", effectors=[Telling()], rules=ASKING)
def _expired(here: Works) -> str:
    run = here.start(TELL)
    here.later(8 * 86_400)
    return rest(here, run)


@blames("policy", "an operator stopped the workflow", effectors=[Telling()])
def _stopped(here: Works) -> str:
    here.register("flow", TELL)
    controls.stop(here.store, here.clock, AUTHOR, FLOW, "something is wrong with http: it answered 500")
    return rest(here, here.start(TELL), 2)


@blames("policy", "a circuit breaker paused the agent that is asked", agents={"writer": thinks(says(1))})
def _broken(here: Works) -> str:
    controls.change(here.store, here.clock, BREAKER, "agent:writer", "pause", "circuit breaker: errors 5 of 6")
    return rest(here, here.start(ASK), 2)


@blames("policy", "all agents that can do it are paused",
        agents={"a": thinks(says(1)), "b": thinks(says(2))}, can={"a": ("draft",), "b": ("draft",)})  # fmt: skip
def _all_held(here: Works) -> str:
    for name in "ab":
        controls.change(here.store, here.clock, AUTHOR, f"agent:{name}", "pause", "look into it")
    return rest(here, here.start("do: [{ask: {call: agent, with: {capability: draft, task: t}}}]"), 2)


def _budgeted(assignment: Assignment) -> Answer:
    raise HeldError("budget agent:writer tokens has 0 left, 4000 is asked for")


blames("policy", "the model's budget waits for the next day", agents={"writer": _budgeted})(
    lambda here: rest(here, here.start(ASK), 2)
)
blames(
    "policy", "the model's budget of who was chosen waits", agents={"writer": _budgeted}, can={"writer": ("draft",)}
)(lambda here: rest(here, here.start("do: [{ask: {call: agent, with: {capability: draft, task: t}}}]"), 2))


@blames("policy", "one of those who can do it is held, the other broke",
        agents={"a": _budgeted, "b": thinks(says(2))}, can={"a": ("draft",), "b": ("draft",)})  # fmt: skip
def _some_held(here: Works) -> str:
    controls.change(here.store, here.clock, AUTHOR, "agent:b", "pause", "look into it")
    return rest(here, here.start("do: [{ask: {call: agent, with: {capability: draft, task: t}}}]"), 2)


@blames("policy", "a throttle lets one begin a minute", effectors=[Telling()])
def _throttled(here: Works) -> str:
    here.register("flow", TELL)
    controls.change(here.store, here.clock, AUTHOR, "tool:telling", "throttle", "slowly", per_minute=1)
    here.start(TELL)
    return here.start(TELL)


@blames("policy", "something weightier is done to the same", rules=ASKING)
def _outdone(here: Works) -> str:
    put(here, "c-1", "Customer", name="Ann")
    effect = "do: [{e: {call: effect, with: {operation: bill, target: c-1, set: {held: true}, priority: %d}}}]"
    low = here.start(effect % 1)
    here.start(effect.replace("bill", "note").replace("held: true", "note: x") % 9, name="other")
    return rest(here, low)


@blames("policy", "two of the same weight wait for a person", rules=ASKING)
def _undecided(here: Works) -> str:
    put(here, "c-1", "Customer", name="Ann")
    effect = "do: [{e: {call: effect, with: {operation: bill, target: c-1, set: {held: %s}}}}]"
    here.start(effect % "true", name="other")
    return rest(here, here.start(effect % "false"), 2)


@blames("policy", "a run that it started waits for people", effectors=[Telling()], rules=ASKING)
def _child(here: Works) -> str:
    here.register("inner", TELL)
    return rest(here, here.start("do: [{go: {run: {workflow: {namespace: test, name: inner, version: '1.0.0'}}}}]"), 2)


def _bill(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("bill", entity.id, (Put(entity.id, "Product", {"note": "n"}),), rationale="r")]


@blames("policy", "the time of who was chosen ran out while people were asked", acts={"buyer": _bill},
        can={"buyer": ("bill",)}, rules=ASKING)  # fmt: skip
def _late_people(here: Works) -> str:
    put(here, "p-1", "Product", stock=3)
    call = "do: [{act: {call: agent, with: {capability: bill, entity: p-1, timeout: {hours: 1}}}}]"
    return rest(here, here.start(call), 20)


@blames("policy", "somebody cancels the run")
def _cancelled(here: Works) -> str:
    run = by_ben(here, APPROVE)
    here.engine.cancel(run, ANNA, "the tool answered 500 too often")
    here.drain()
    return rest(here, run)


@blames("policy", "the budget of the tool is used up", effectors=[Telling()])
def _spent(here: Works) -> str:
    define(here.store, here.clock, AUTHOR, "tool:telling", "calls", Decimal(0), window="day")
    return rest(here, here.start(TELL), 2)


@blames("policy", "who started it may do less than it does", effectors=[Telling()])
def _starter(here: Works) -> str:
    return rest(here, by_ben(here, TELL))


@blames("policy", "it waits for people, who have time yet", effectors=[Telling()], rules=ASKING)
def _waits(here: Works) -> str:
    return here.start(TELL)


# -- platform ---------------------------------------------------------------------------------------------------------


@blames("platform", "the broker is away")
def _away(here: Works) -> str:
    def refuse(id: str) -> None:
        raise BrokerError("amqp://broker:5672 refuses the connection")

    here.runtime.enqueue = refuse
    run = here.start("do: [{a: {set: {b: 1}}}]")
    here.clock.advance(90)
    return run


def _busy(here: Works, text: str) -> str:
    """The store takes no steps while it is tried."""
    real, times = here.store.commit, [0]

    def commit(writes: Sequence[Any], *args: Any, **more: Any) -> Any:
        if times[0] < 40 and any(getattr(write, "cls", "") == "Step" for write in writes):
            times[0] += 1
            if any(write.set.get("state") == "faulted" for write in writes if getattr(write, "cls", "") == "Step"):
                return real(writes, *args, **more)
            raise StoreBusyError
        return real(writes, *args, **more)

    here.store.commit = commit
    return rest(here, here.start(text))


blames("platform", "the store is locked for longer than it is tried")(
    lambda here: _busy(here, "do: [{a: {set: {b: 1}}}]")
)


class KilledError(BaseException):
    """The process is gone."""


def _killed(assignment: Assignment) -> Answer:
    raise KilledError


@blames("platform", "the worker dies each time", agents={"writer": _killed})
def _dies(here: Works) -> str:
    run = ""
    for _ in range(5):
        try:
            run = run or here.engine.start(here.register("flow", ASK), None, ANNA, id="run")
            here.later(700)
        except KilledError:
            here.queue.clear()
            run = "run"
    return rest(here, "run")


def _dying(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    raise KilledError


@blames("platform", "the worker dies each time an agent is woken", acts={"buyer": _dying})
def _dies_awake(here: Works) -> str:
    here.runtime.acting.agents()["buyer"] = card("buyer", Wake("Product"))  # type: ignore[index]
    put(here, "p-1", "Product", stock=3)
    for _ in range(5):
        try:
            here.later(700)
        except KilledError:
            here.queue.clear()
    return here.runtime.failures()[0].id


@blames("platform", "an expression reckons without end",
        workflows=Workflows(expressions=Expressions(Jq(deadline_seconds=0.2))))  # fmt: skip
def _endless(here: Works) -> str:
    return rest(here, here.start("do: [{a: {set: {n: '${ [range(1000000000)] | length }'}}}]"))


@blames("platform", "a loop has more rounds than one may", workflows=Workflows(limits=Limits(items_max=10)))
def _many(here: Works) -> str:
    return rest(here, here.start("do: [{l: {for: {in: '${ [range(11)] }'}, do: [{a: {set: {b: 1}}}]}}]"))


@blames("platform", "what a step gives is larger than may be kept", workflows=Workflows(limits=Limits(data_max=1_000)))
def _large(here: Works) -> str:
    return rest(here, here.start("do: [{a: {set: {n: '${ [range(1000)] | map(tostring) | add }'}}}]"))


@blames("platform", "nobody set up that effector", effectors=[Telling(kind="other")])
def _no_effector(here: Works) -> str:
    return tells(here)


@blames("platform", "the secret of a call is not there", effectors=[Http(HttpSettings(Reach()))])
def _secret(here: Works) -> str:
    call = "{method: get, endpoint: 'https://crm.example/x', headers: {authorization: {secret: crm}}}"
    return rest(here, here.start(f"do: [{{get: {{call: http, with: {call}}}}}]"))


@blames("platform", "nobody set up that description of an API", effectors=[OpenApi(HttpSettings(Reach()), {})])
def _no_document(here: Works) -> str:
    call = "{document: {endpoint: 'https://crm.example/api.json'}, operationId: getLead}"
    return rest(here, here.start(f"do: [{{get: {{call: openapi, with: {call}}}}}]"))


@blames("platform", "workflows start each other in a circle")
def _circle(here: Works) -> str:
    go = "do: [{go: {run: {workflow: {namespace: test, name: %s, version: '1.0.0'}}}}]"
    return rest(here, here.start(go % "round", name="round"))


@blames("platform", "another holds what it would change", rules=(*RULES, STARTERS_MAY))
def _claimed(here: Works) -> str:
    put(here, "c-1", "Customer", name="Ann")
    claims.claim(here.store, here.clock, "run:other", ["c-1"], 86_400, ANNA)
    effect = "do: [{e: {call: effect, with: {operation: bill, target: c-1, set: {held: true}}}}]"
    return rest(here, here.start(effect), 2)
