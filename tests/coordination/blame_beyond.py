"""Forty stories as people meet them on platforms in use; the layer to blame was written down before the diagnosis was asked."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from agents.errors import ModelBudgetError
from coordination.acting import Answer, Assignment
from coordination.effectors.confining import Bounds as Box
from coordination.effectors.process import Process, ProcessSettings
from coordination.errors import GiveUp
from coordination.patterns.about import About
from coordination.patterns.asking import Ask
from coordination.patterns.auction import Auction, ContractNet, contract_net
from coordination.patterns.voting import Vote, vote
from coordination.proposals import Draft
from coordination.runs import mailbox
from coordination.runs.engine import Workflows
from coordination.wakes import Wake
from coordination.workflow.scope import Limits
from governance import controls
from governance.approvals import approve
from governance.principals import load_principal
from governance.rules import load_rules
from kg.errors import StoreError
from kg.model import Change, Entity, Input, Put
from kg.store import GraphStore
from tests.coordination.blame import blames, rest, thinks
from tests.coordination.blame_inside import by_ben
from tests.coordination.blame_outside import ASK, TELL, asks, http, pattern, put, says, served
from tests.coordination.plant import AUTHOR, Telling, card, ontology
from tests.coordination.server import reply
from tests.runs.works import ANNA, Works

CHILD = "{workflow: {namespace: test, name: inner, version: latest, input: '${ . }'}}"


def nested(here: Works, text: str, input: Any = None, more: str = "") -> str:
    """A run that starts another with this text and waits for it."""
    here.register("inner", text)
    return rest(here, here.start(f"do: [{{r: {{run: {CHILD}}}}}{more}]", input))


def rescued(task: str) -> str:
    """A task whose failure the workflow catches, only to raise an error of its own that says little."""
    error = "{error: {type: 'https://corp.example/errors/no-quote', status: 500, title: No quote, detail: please try later}}"
    return f"do: [{{t: {{try: [{task}], catch: {{do: [{{sorry: {{raise: {error}}}}}]}}}}}}]"


def only(here: Works, cls: str) -> str:
    (found,) = here.store.find(cls, [], first=5).items
    return found.id


def woken(here: Works, agent: str) -> None:
    """A change that wakes the agent, and time for whatever comes of it."""
    here.runtime.acting.cards[agent] = card(agent, Wake("Product", properties=("stock",)))  # type: ignore[index]
    put(here, "p-1", "Product", stock=3)
    here.drain()
    for _ in range(8):
        here.later(400)


# -- model ------------------------------------------------------------------------------------------------------------

blames("model", "the answer cites a record that the agent never read", agents={
    "writer": thinks(Answer("the contract ends in May", (Input("contract-9", 3),), Decimal("0.9"), Decimal(1)))
})(asks)  # fmt: skip
blames("model", "the agent is 95 sure, of 1", agents={"writer": thinks(says("x", "95"))})(asks)
blames("model", "the agent hands in a dictionary", agents={"writer": thinks({"text": "done"})})(asks)  # type: ignore[arg-type]
blames(
    "model",
    "the agent repeats itself until its answer is too long",
    agents={"writer": thinks(says("sorry " * 200_000))},
)(asks)


@blames("model", "the agent is too little sure", agents={"writer": thinks(says("perhaps", "0.3"))})
def _unsure(here: Works) -> str:
    return rest(here, here.start(ASK.replace("write it", "write it, check: {confidence: 0.8}")))


@blames("model", "the agent times out, and the workflow says only that there is no quote",
        agents={"writer": thinks(TimeoutError("the model did not answer in 60 seconds"))})  # fmt: skip
def _no_quote(here: Works) -> str:
    return rest(here, here.start(rescued("{ask: {call: agent, with: {agent: writer, task: quote}}}")))


def _third(assignment: Assignment) -> Answer:
    return says("low" if "3" not in assignment.text else {"risk": "cannot tell"})


@blames("model", "of five answers in a loop the third has another shape", agents={"writer": _third})
def _loop(here: Works) -> str:
    ask = "{ask: {call: agent, with: {agent: writer, task: '${ \"rate \" + ($n | tostring) }', check: {schema: {type: string}}}}}"
    return rest(here, here.start(f"do: [{{f: {{for: {{each: n, in: '[1, 2, 3, 4, 5]'}}, do: [{ask}]}}}}]"))


def _no_class(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("bill", entity.id, (Put("x-1", "Invoice2024", {"total": 4}),), rationale="r")]


@blames("model", "a woken agent writes to a class that nobody knows", acts={"buyer": _no_class})
def _invented(here: Works) -> str:
    woken(here, "buyer")
    (work,) = [row.key for row in here.store.scan("work", first=50) if row.value["task"] == "act"]
    return work


@blames("model", "a voter answers beside the question", agents={name: thinks(says("it depends")) for name in "abc"})
def _ballot(here: Works) -> str:
    voters = tuple(Ask(name, retries=0) for name in "abc")
    return pattern(here, vote(Vote(About("v"), voters, ("yes", "no"))), {"task": "shall we?"})


# -- tool -------------------------------------------------------------------------------------------------------------


def get(here: Works, answer: Any, shape: str = "do: [%s]") -> str:
    with served(here, answer) as server:
        call = f"{{get: {{call: http, with: {{method: get, endpoint: '{server.url}'}}}}}}"
        return rest(here, here.start(shape % call))


@blames("tool", "a run that it started calls a target that breaks", effectors=http())
def _inner(here: Works) -> str:
    with served(here, lambda handler: reply(handler, 500, b"internal error")) as server:
        return nested(here, f"do: [{{get: {{call: http, with: {{method: get, endpoint: '{server.url}'}}}}}}]")


@blames("tool", "the target says that the token is over", effectors=http())
def _token(here: Works) -> str:
    said = b'{"error":"invalid_token","error_description":"policy: token expired, ask an approver"}'
    return get(here, lambda handler: reply(handler, 401, said, content_type="application/json"))


@blames("tool", "the target leads in a circle", effectors=http())
def _circle(here: Works) -> str:
    return get(here, lambda handler: reply(handler, 302, b"", location="/hook?x=1"))


@blames("tool", "the target hangs up without a word", effectors=http())
def _hangs_up(here: Works) -> str:
    return get(here, lambda handler: handler.connection.close())


@blames("tool", "the target is away, and the workflow says only that there is no quote", effectors=http())
def _away(here: Works) -> str:
    with served(here, lambda handler: reply(handler, 503, b"")) as server:
        return rest(
            here, here.start(rescued(f"{{get: {{call: http, with: {{method: get, endpoint: '{server.url}'}}}}}}"))
        )


@blames("tool", "a script runs longer than it may", effectors=[Process(ProcessSettings(Box(seconds=0.5)))])
def _endless(here: Works) -> str:
    return rest(here, here.start("do: [{s: {run: {script: {language: python, code: 'while True: pass'}}}}]"))


@blames("tool", "the program is not there", effectors=[Process(ProcessSettings(Box(seconds=5)))])
def _no_program(here: Works) -> str:
    return rest(here, here.start("do: [{s: {run: {shell: {command: sap-export --month 5}}}}]"))


def _warehouse() -> Any:
    raise ConnectionError("warehouse: no route to host")


@blames(
    "tool",
    "a function cannot reach its database, however often it is tried",
    workflows=Workflows(functions={"stock": _warehouse}),
)
def _tried(here: Works) -> str:
    retry = "catch: {retry: {delay: {seconds: 5}, limit: {attempt: {count: 3}}}}"
    return rest(here, here.start(f"do: [{{t: {{try: [{{stock: {{call: stock}}}}], {retry}}}}}]"))


@blames(
    "tool",
    "in one of three branches the target refuses",
    effectors=[Telling(faults=[GiveUp("HTTP 409: the period is closed")])],
)
def _branch(here: Works) -> str:
    tell = TELL.removeprefix("do: [").removesuffix("]")
    return rest(
        here,
        here.start(
            f"do: [{{f: {{fork: {{branches: [{{a: {{set: {{x: 1}}}}}}, {tell}, {{b: {{set: {{x: 2}}}}}}]}}}}}}]"
        ),
    )


def _outward(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("bill", entity.id, effector="telling", payload={"a": 1}, rationale="due")]


@blames("tool", "what a woken agent proposed is refused by its target", acts={"buyer": _outward},
        effectors=[Telling(faults=[GiveUp("the account is unknown")])])  # fmt: skip
def _proposed(here: Works) -> str:
    woken(here, "buyer")
    return only(here, "Proposal")


# -- routing ----------------------------------------------------------------------------------------------------------


@blames("routing", "the capability is written in another case", can={"writer": ("translate",)})
def _case(here: Works) -> str:
    return rest(here, here.start("do: [{ask: {call: agent, with: {capability: Translate, task: t}}}]"))


@blames("routing", "the name of the agent is misspelled, in a loop", agents={"writer": thinks(says("x"))})
def _misspelled(here: Works) -> str:
    return rest(
        here, here.start("do: [{f: {for: {in: '[1, 2]'}, do: [{ask: {call: agent, with: {agent: wirter, task: t}}}]}}]")
    )


@blames("routing", "a run that it started asks for what nobody can do", can={"writer": ("write",)})
def _inside(here: Works) -> str:
    return nested(here, "do: [{ask: {call: agent, with: {capability: audit, task: t}}}]")


@blames("routing", "nobody can do it, and the workflow says only that there is no quote", can={"writer": ("write",)})
def _caught(here: Works) -> str:
    return rest(here, here.start(rescued("{ask: {call: agent, with: {capability: price, task: t}}}")))


@blames("routing", "every bidder lets the task go by", agents={name: thinks(says({"bids": []})) for name in "ab"})
def _no_bids(here: Works) -> str:
    auction = Auction(About("a"), ("a", "b"), deadline=60)
    input = {"tasks": [{"id": "t", "task": "translate"}]}
    return pattern(here, contract_net(ContractNet(auction, rounds=1)), input)


# -- context ----------------------------------------------------------------------------------------------------------


@blames("context", "a date of the order is none")
def _date(here: Works) -> str:
    return rest(
        here, here.start("do: [{d: {set: {due: '${ .ordered | fromdate + 86400 }'}}}]", {"ordered": "31.02.2026"})
    )


@blames("context", "what a run hands to the one it starts is not what that takes")
def _handed(here: Works) -> str:
    schema = "input: {schema: {document: {type: object, required: [customer]}}}\n"
    return nested(here, schema + "do: [{s: {set: {x: 1}}}]", {"client": 4})


@blames("context", "the order has no lines to go through")
def _lines(here: Works) -> str:
    return rest(here, here.start("do: [{f: {for: {in: .lines}, do: [{s: {set: {x: 1}}}]}}]", {"order": 7}))


@blames("context", "a step misses what the step before it should have given")
def _misses(here: Works) -> str:
    needs = "{b: {input: {schema: {document: {type: object, required: [iban]}}}, set: {x: 1}}}"
    return rest(here, here.start(f"do: [{{a: {{set: {{name: ben}}}}}}, {needs}]"))


# -- policy -----------------------------------------------------------------------------------------------------------


@blames("policy", "two have to sign and one did")
def _one_signed(here: Works) -> str:
    run = by_ben(here, "do: [{ask: {call: approve, with: {approvers: {managers: 2}, timeout: {days: 2}}}}]")
    (asked,) = [d for d in here.store.find("Decision", [], first=50).items if d["outcome"] == "needs_approval"]
    approve(
        here.store,
        here.clock,
        load_rules(here.store, ontology()),
        asked.id,
        load_principal(here.store, ANNA),
        "approve",
        "fine",
    )
    here.drain()
    here.later(3 * 86_400)
    return rest(here, run)


blames("policy", "the agent's budget for the model is used up", agents={"writer": thinks(ModelBudgetError())})(asks)


@blames("policy", "everything is stopped", effectors=[Telling()])
def _everything(here: Works) -> str:
    controls.stop(here.store, here.clock, AUTHOR, "global", "audit")
    return rest(here, here.start(TELL), 3)


@blames("policy", "an operator paused the run")
def _paused(here: Works) -> str:
    run = here.start("do: [{w: {wait: {hours: 1}}}]")
    here.engine.pause(run, ANNA, "wait for the new prices")
    return rest(here, run, 3)


@blames("policy", "a rule forbids it, and the workflow says only that there is no quote", effectors=[Telling()])
def _hidden_rule(here: Works) -> str:
    return rest(
        here, here.start(rescued("{g: {call: effect, with: {operation: gift, effector: telling, payload: {a: 1}}}}"))
    )


def _gift(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("gift", entity.id, (Put(entity.id, "Product", {"note": "for you"}),), rationale="loyal")]


@blames("policy", "a rule forbids what a woken agent proposes", acts={"buyer": _gift})
def _denied(here: Works) -> str:
    woken(here, "buyer")
    return only(here, "Proposal")


# -- platform ---------------------------------------------------------------------------------------------------------


@blames("platform", "a loop starts more runs than one run may", workflows=Workflows(limits=Limits(runs_started_max=5)))
def _starts(here: Works) -> str:
    here.register("inner", "do: [{s: {set: {x: 1}}}]")
    return rest(here, here.start(f"do: [{{f: {{for: {{in: '[range(9)]'}}, do: [{{r: {{run: {CHILD}}}}}]}}}}]"))


@blames("platform", "nobody registered the function")
def _no_function(here: Works) -> str:
    return rest(here, here.start("do: [{f: {call: convertCurrency, with: {amount: 5}}}]"))


@blames("platform", "shell commands are not switched on")
def _no_shell(here: Works) -> str:
    return rest(here, here.start("do: [{s: {run: {shell: {command: ls}}}}]"))


@blames("platform", "the workflow that it would start was never registered")
def _no_workflow(here: Works) -> str:
    return rest(here, here.start(f"do: [{{r: {{run: {CHILD}}}}}]"))


@blames("platform", "the disk is full while a step is committed")
def _disk(here: Works) -> str:
    real = here.store.commit

    def commit(writes: Sequence[Any], *args: Any, **more: Any) -> Any:
        steps = [write for write in writes if getattr(write, "cls", "") == "Step"]
        if steps and all(write.set.get("state") != "faulted" for write in steps):
            raise StoreError("database or disk is full")
        return real(writes, *args, **more)

    here.store.commit = commit
    return rest(here, here.start("do: [{a: {set: {b: 1}}}]"))


@blames("platform", "more events wait for the run than it can hold")
def _overrun(here: Works) -> str:
    run = here.start("do: [{all: {listen: {to: {any: [{with: {type: go}}], until: '. | length == 5000'}}}}]")
    here.engine.pause(run, ANNA)
    most, mailbox.LETTERS_MAX = mailbox.LETTERS_MAX, 2  # type: ignore[misc]
    try:
        for number in range(4):
            here.engine.publish(here.event("go", number))
            here.drain()
        here.engine.resume(run, ANNA)
        here.drain()
    finally:
        mailbox.LETTERS_MAX = most  # type: ignore[misc]
    return rest(here, run, 3)
