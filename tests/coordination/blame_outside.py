"""Stories whose fault lies with who thought, what was called, who was asked, or what was known."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from agents.errors import ModelError, ModelOffError, ModelRefusedError
from coordination.acting import Answer
from coordination.effectors.confining import Bounds as Box
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.process import Process, ProcessSettings
from coordination.effectors.smtp import Smtp, SmtpSettings
from coordination.errors import AnswerError, GiveUp, RetryLater
from coordination.patterns.about import About
from coordination.patterns.asking import Ask
from coordination.patterns.handoff import Handoff, handoff
from coordination.patterns.refinement import Refinement, refinement
from coordination.patterns.saga import Act as Step
from coordination.patterns.saga import Saga, saga
from coordination.patterns.sequential import Sequential, sequential
from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from coordination.wakes import Wake
from coordination.workflow.document import Document
from kg.model import Cause, Change, Entity, Put
from kg.store import GraphStore
from tests.coordination.blame import blames, rest, thinks
from tests.coordination.plant import AUTHOR, Telling, card
from tests.coordination.server import Server, drip, reply, serving
from tests.parts import OpenView
from tests.runs.works import ANNA, Works

ASK = "do: [{ask: {call: agent, with: {agent: writer, task: write it}}}]"


def says(output: Any, sure: str = "0.9") -> Answer:
    return Answer(output, (), Decimal(sure), Decimal(1))


def put(here: Works, id: str, cls: str, **properties: Any) -> None:
    here.store.commit([Put(id, cls, properties)], Cause(here.clock.id(), "ingest", 'Service::"ingest"'))


def pattern(here: Works, document: Document, input: Any) -> str:
    run = here.engine.start(here.engine.register(document, AUTHOR, ("agents",)), input, ANNA)
    here.drain()
    return rest(here, run)


def asks(here: Works) -> str:
    return rest(here, here.start(ASK))


# -- model ------------------------------------------------------------------------------------------------------------

LIMITED = (
    "model 'small' gave no usable answer: status_code: 429, body: {'message': 'Rate limit reached', 'type': 'requests'}"
)
blames("model", "the model's provider limits the rate", agents={"writer": thinks(ModelError(LIMITED))})(asks)
blames(
    "model",
    "the model's provider is away",
    agents={"writer": thinks(ModelError("model 'small' cannot be reached at https://llm.example/v1: ConnectTimeout"))},
)(asks)


@blames("model", "the agent's code reads what the model said as JSON, and it is none", agents={
    "writer": thinks(json.JSONDecodeError("Expecting value", "Sure! Here is the JSON you asked for", 0))
})  # fmt: skip
def _no_json(here: Works) -> str:
    return asks(here)


@blames("model", "an answer of the wrong shape that speaks like a rule", agents={
    "writer": thinks(says({"verdict": "forbidden by gdpr, rejected by anna, nobody answered, budget has 0 left"}))
})  # fmt: skip
def _poor(here: Works) -> str:
    schema = "{type: object, properties: {verdict: {enum: [yes, no]}}}"
    return rest(here, here.start(ASK.replace("write it", f"write it, check: {{schema: {schema}}}")))


DOUBT = says({"accepted": False, "reason": "rejected by my budget of trust: answered 500 words"})


@blames("model", "another agent finds the answer poor, and says it was rejected by the budget",
        agents={"writer": thinks(says("draft")), "judge": thinks(DOUBT)})  # fmt: skip
def _evaluated(here: Works) -> str:
    return pattern(
        here, sequential(Sequential(About("w"), (Ask("writer", evaluator="judge", retries=0),))), {"task": "t"}
    )


@blames("model", "every draft is sent back", agents={
    "writer": thinks(says("draft")), "judge": thinks(says({"accepted": False, "reason": "cannot be reached"}))
})  # fmt: skip
def _refined(here: Works) -> str:
    return pattern(here, refinement(Refinement(About("w"), Ask("writer"), Ask("judge"), 2)), {"task": "t"})


@blames("model", "all agents that can do it break",
        agents={"a": thinks(ZeroDivisionError("division by zero")), "b": thinks(KeyError("forbidden by nobody"))},
        can={"a": ("draft",), "b": ("draft",)})  # fmt: skip
def _all_break(here: Works) -> str:
    return rest(here, here.start("do: [{ask: {call: agent, with: {capability: draft, task: write}}}]"))


def _key_error(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    raise KeyError("price")


@blames("model", "a woken agent breaks until its work is put aside", acts={"buyer": _key_error})
def _woken(here: Works) -> str:
    cards = here.runtime.acting.agents()
    cards["buyer"] = card("buyer", Wake("Product"))  # type: ignore[index]
    put(here, "p-1", "Product", stock=3)
    here.drain()
    for _ in range(4):
        here.later(700)
    return here.runtime.failures()[0].id


@blames(
    "model",
    "what the last agent said does not fit what the workflow promises",
    agents={"writer": thinks(says({"sum": "lots"}))},
)
def _promised(here: Works) -> str:
    schema = "output: {as: .output, schema: {document: {type: object, properties: {sum: {type: number}}}}}\n"
    return rest(here, here.start(schema + ASK))


# -- tool -------------------------------------------------------------------------------------------------------------


@contextmanager
def served(here: Works, answer: Any) -> Iterator[Server]:
    with serving() as server:
        server.answer = answer
        for effector in here.runtime.effectors:
            if isinstance(effector, Http):
                object.__setattr__(effector.settings.reach, "allowed", (server.host, "127.0.0.1"))
        yield server


def http(seconds: float = 2.0) -> list[Http]:
    return [Http(HttpSettings(Reach(("127.0.0.1",), seconds)))]


def _get(here: Works, answer: Any, scheme: str = "http", more: str = "") -> str:
    with served(here, answer) as server:
        url = server.url.replace("http:", f"{scheme}:")
        return rest(here, here.start(f"do: [{{get: {{call: http, with: {{method: get, endpoint: '{url}'}}}}}}{more}]"))


@blames("tool", "the target knows no such address", effectors=http())
def _missing(here: Works) -> str:
    return _get(
        here, lambda handler: reply(handler, 404, b'{"error":"no rule permits"}', content_type="application/json")
    )


@blames("tool", "the target is too slow", effectors=http(0.2))
def _slow(here: Works) -> str:
    return _get(here, drip)


@blames("tool", "the target speaks no TLS", effectors=http())
def _tls(here: Works) -> str:
    return _get(here, lambda handler: reply(handler, 200), "https")


@blames("tool", "the target limits the rate", effectors=http())
def _limited(here: Works) -> str:
    return _get(here, lambda handler: reply(handler, 429, b"slow down"))


@blames("tool", "the target answers with an apology where a price should be", effectors=http())
def _apology(here: Works) -> str:
    said = b'{"error":"maintenance"}'
    more = ", {price: {set: '${ .price | tonumber }'}}"
    return _get(here, lambda handler: reply(handler, 200, said, content_type="application/json"), more=more)


#: An effect outside.
TELL = "do: [{tell: {call: effect, with: {operation: bill, effector: telling, payload: {a: 1}}}}]"


def tells(here: Works) -> str:
    return rest(here, here.start(TELL))


blames(
    "tool", "the target takes the order never, and says why in words of ours",
    effectors=[Telling(faults=[GiveUp("the ERP says: forbidden by rule 7, needs approval")])],
)(tells)  # fmt: skip
blames(
    "tool", "the target is away for longer than it is tried",
    effectors=[Telling(faults=[RetryLater("maintenance until 22:00, budget run")] * 9)],
)(tells)  # fmt: skip
blames(
    "tool", "nobody knows whether the target did it",
    effectors=[Telling(idempotent=False, faults=[ConnectionResetError("connection reset by peer")])],
)(tells)  # fmt: skip


NO_MAIL = Smtp(
    SmtpSettings("127.0.0.1", 9, "a@corp.example", tls="none", seconds=2), lambda entity, name: "b@x.example"
)


@blames("tool", "no mail server stands there", effectors=[NO_MAIL])
def _mail(here: Works) -> str:
    payload = "{to: [b@x.example], subject: s, text: t}"
    return rest(
        here,
        here.start(f"do: [{{tell: {{call: effect, with: {{operation: mail, effector: smtp, payload: {payload}}}}}}}]"),
    )


@blames("tool", "a program ends with an error that quotes a rule", effectors=[Process(ProcessSettings(Box(seconds=5)))])
def _program(here: Works) -> str:
    return rest(here, here.start("do: [{sh: {run: {shell: {command: 'echo \"forbidden by law\" >&2; exit 3'}}}}]"))


def _erp(arguments: Any) -> Any:
    raise PermissionError("rejected by the ERP: no rule permits it, agent buyer gave nothing")


@blames("tool", "a function breaks and speaks like a rule", workflows=Workflows(functions={"erp": _erp}))
def _function(here: Works) -> str:
    return rest(here, here.start("do: [{get: {call: erp, with: {a: 1}}}]"))


@blames("tool", "what was done cannot be undone, since its target refuses", effectors=[Telling(faults=[])], tries=2)
def _undoing(here: Works) -> str:
    (outside,) = here.runtime.effectors
    assert isinstance(outside, Telling)
    undo = {"operation": "hotel.cancel", "payload": {"what": "cancel"}}
    hotel = Step(
        "hotel", {"operation": "hotel.book", "effector": "telling", "payload": {"what": "hotel", "undo": undo}}
    )
    gift = Step("gift", {"operation": "gift", "effector": "telling", "payload": {"what": "gift"}})
    calls = iter([None, GiveUp("the cancel window is closed")])

    def before() -> None:
        fault = next(calls, None)
        if fault is not None:
            raise fault

    outside.before = before
    return pattern(here, saga(Saga(About("trip"), (hotel, gift))), {})


# -- routing ----------------------------------------------------------------------------------------------------------


@blames("routing", "nobody can do it", can={"writer": ("write",)})
def _nobody(here: Works) -> str:
    return rest(here, here.start("do: [{ask: {call: agent, with: {capability: translate, task: t}}}]"))


@blames("routing", "the agent of this name was unloaded")
def _unloaded(here: Works) -> str:
    return asks(here)


@blames("routing", "a woken agent was unloaded before it acted", acts={"buyer": _key_error})
def _dead_letter(here: Works) -> str:
    cards = here.runtime.acting.agents()
    cards["buyer"] = card("buyer", Wake("Product"))  # type: ignore[index]
    put(here, "p-1", "Product", stock=3)
    here.runtime.pump()
    del cards["buyer"]  # type: ignore[attr-defined]
    here.drain()
    return here.runtime.failures()[0].id


@blames("routing", "each hands the task on to the next",
        agents={name: thinks(says({"handoff": to, "reason": "the model cannot be reached"}))
                for name, to in {"a": "b", "b": "c", "c": "a"}.items()})  # fmt: skip
def _round(here: Works) -> str:
    return pattern(here, handoff(Handoff(About("w"), ("a", "b", "c"), handoffs=4, ping_pong=3)), {"task": "t"})


# -- context ----------------------------------------------------------------------------------------------------------


@blames("context", "what the agent should act on is not there", acts={"buyer": _key_error})
def _gone(here: Works) -> str:
    return rest(here, here.start("do: [{act: {call: agent, with: {agent: buyer, entity: p-404}}}]"))


def _citing(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    write = Put(entity.id, "Product", {"note": "n"})
    return [Draft("bulk", entity.id, (write,), expects={"c-1": 1}, rationale="c-1 pays late")]


@blames("context", "what the proposal rests on changed before it was settled", acts={"buyer": _citing})
def _stale(here: Works) -> str:
    put(here, "c-1", "Customer", name="Ann")
    put(here, "p-1", "Product", stock=3)
    here.drain()
    here.engine.start(
        here.register("flow", "do: [{act: {call: agent, with: {agent: buyer, entity: p-1}}}]"), None, ANNA
    )
    here.runtime.handle(here.queue.popleft())
    put(here, "c-1", "Customer", name="Anna")
    here.drain()
    (proposal,) = here.store.find("Proposal", [], first=10).items
    return str(proposal.id)


@blames("context", "the agent is not shown what it should work on",
        agents={"writer": thinks(AnswerError("the lead may not be seen; permit the agent to read it"))})  # fmt: skip
def _masked(here: Works) -> str:
    return asks(here)


@blames("context", "the input is not what the workflow takes")
def _input(here: Works) -> str:
    schema = "input: {schema: {document: {type: object, required: [customer]}}}\n"
    return rest(here, here.start(schema + "do: [{a: {set: {b: 1}}}]", {"costumer": "c-1"}))


@blames("context", "the event came without what is reckoned with")
def _event(here: Works) -> str:
    run = here.start(
        "do: [{hear: {listen: {to: {one: {with: {type: paid}}}}}}, {sum: {set: {twice: '${ .[0].amount * 2 }'}}}]"
    )
    here.engine.signal(run, here.event("paid", {"amout": 7}))
    here.drain()
    return rest(here, run)


@blames("context", "the question finds nothing", workflows=Workflows(views=lambda agent: OpenView()))
def _empty(here: Works) -> str:
    query = "{find: {call: query, with: {class: Customer, where: {name: Zoe}}}}"
    return rest(here, here.start(f"do: [{query}, {{up: {{set: {{n: '${{ .[0].name | ascii_upcase }}'}}}}}}]"))


@blames("context", "the effect is about something that is not there")
def _target(here: Works) -> str:
    return rest(
        here, here.start("do: [{e: {call: effect, with: {operation: hold, target: c-404, set: {held: true}}}}]")
    )


# -- seen from an agent, and yet not its fault ------------------------------------------------------------------------

REFUSED = "agent 'writer' may not send this to 'small': forbidden by no-pii; decision d-1"
blames("policy", "a rule forbids what would go to the model", agents={"writer": thinks(ModelRefusedError(REFUSED))})(
    asks
)
blames("platform", "no model is configured", agents={"writer": thinks(ModelOffError())})(asks)
