"""Faults that were thought of apart from those of `test_diagnosis`, and that a diagnosis once blamed on another layer."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from coordination.acting import Answer, Assignment
from coordination.diagnosis import diagnose
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.process import Process
from coordination.errors import AnswerError, RetryLater
from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from coordination.workflow.expressions import Expressions
from kg.jq import Jq
from kg.model import Put
from tests.coordination import server as web
from tests.coordination.plant import AUTHOR
from tests.coordination.test_diagnosis import AGENT, QUESTION, ROUTED, nothing, noting, raising, ran
from tests.runs.works import ANNA, Works, works

UNFIT = (
    "do: [{ask: {call: agent, with: {agent: one, task: say}, "
    "output: {schema: {document: {properties: {output: {type: string}}}}}}}]"
)
CHILD = "do: [{r: {run: {workflow: {namespace: test, name: inner, version: latest}}}}]"


def _children(here: Works) -> None:
    here.register("inner", "do: [{w: {wait: {days: 1}}}]")


def _cancelled(here: Works, run: str) -> None:
    (child,) = [found.id for found in here.store.find("Run", first=5).items if found.id != run]
    here.engine.cancel(child, str(AUTHOR.uid))


def _said(error: str) -> tuple[Any, str]:
    """A question whose agent cannot answer, with these words of the checks around agents."""

    def reply(assignment: Assignment) -> Any:
        raise AnswerError(error)

    def asked(here: Works) -> None:
        acting: Any = here.runtime.acting
        acting.replies["one"] = reply

    return ran(QUESTION % "{}", before=asked)


def _raised(title: str, detail: str) -> tuple[Any, str]:
    """An error as the patterns raise it."""
    kind = "https://open-workflow-specification.org/spec/1.0.0/errors/runtime"
    return ran(
        f"do: [{{r: {{raise: {{error: {{type: '{kind}', status: 422, title: '{title}', detail: '{detail}'}}}}}}}}]"
    )


def _page() -> tuple[Any, str]:
    """A call that gets a login page, and a step that looks for a member of it."""
    with web.serving() as server:
        server.answer = lambda handler: web.reply(handler, 200, b"<html>", content_type="text/html")
        call = f"{{call: http, with: {{method: get, endpoint: 'http://{server.host}/x'}}}}"
        text = f"do: [{{h: {call}}}, {{u: {{set: {{a: '${{ .b.c }}'}}}}}}]"
        return ran(text, effectors=[Http(HttpSettings(Reach((server.host,))))])


def _left() -> tuple[Any, str]:
    """A run that no worker took up."""
    with works() as here:
        run = here.engine.start(here.register("flow", "do: [{s: {set: {a: 1}}}]"), None, ANNA)
        return here.store, run


FAULTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "a draft of a class that nobody knows": (
        "model",
        lambda: ran(AGENT, lambda *_: [Draft("note", "c", (Put("x", "Nonsense", {"q": 1}),))]),
    ),
    "a model that cannot be reached": (
        "model",
        lambda: ran(AGENT, raising(RetryLater("model 'small' cannot be reached at http://m: ReadTimeout")), hours=4),
    ),
    "an answer that the workflow cannot use": ("model", lambda: ran(UNFIT, reply=Answer(5, confidence=Decimal(1)))),
    "a process that ends in an error": (
        "tool",
        lambda: ran("do: [{p: {run: {shell: {command: 'exit 3'}}}}]", effectors=[Process()]),
    ),
    "one chosen who proposes nothing, looked at right away": (
        "routing",
        lambda: ran(ROUTED, acts={"one": nothing, "two": noting()}, hours=0),
    ),
    "a target that is not there": (
        "context",
        lambda: ran("do: [{act: {call: effect, with: {operation: note, target: ghost, set: {note: n}}}}]"),
    ),
    "a child that a person cancelled": ("policy", lambda: ran(CHILD, before=_children, then=_cancelled)),
    "an agent that returns no Answer": (
        "model",
        lambda: _said("agent 'one' answered with dict; let it return an Answer"),
    ),
    "an agent that is surer than sure": (
        "model",
        lambda: _said("agent 'one' gave '1.7' as confidence; give a Decimal"),
    ),
    "an agent that cites what it did not read": (
        "model",
        lambda: _said("agent 'one' cites c@1, which it did not read; cite it"),
    ),
    "an agent that says why it cannot answer": ("model", lambda: _said("the customer has no tier")),
    "an agent that does not see what it needs": (
        "context",
        lambda: _said("the lead may not be seen; permit the agent to read it"),
    ),
    "an agent that is not made to be asked": ("routing", lambda: _said("agent 'one' answers no tasks; ask another")),
    "a question beyond the budget of tokens": (
        "policy",
        lambda: _said("agent 'one' raised ModelBudgetError: budget tokens of agent:one has 1 left, 9 is asked for"),
    ),
    "a draft that no judge accepts, whatever he says": ("model", lambda: _raised("Not Accepted", "it answered 500")),
    "two who hand on to each other": ("routing", lambda: _raised("Ping-Pong", "one handed on to two 3 times")),
    "an answer of text where members are read": ("tool", _page),
    "an expression that never ends": (
        "platform",
        lambda: ran(
            "do: [{s: {set: {a: '${ last(range(1e12)) }'}}}]",
            workflows=Workflows(expressions=Expressions(Jq(deadline_seconds=0.2))),
        ),
    ),
    "a secret that nobody set": (
        "platform",
        lambda: ran("use: {secrets: [gone]}\ndo: [{s: {set: {x: '${ $secrets.gone }'}}}]"),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_layer_to_blame_is_named(name: str) -> None:
    layer, made = FAULTS[name]
    found = diagnose(*made())
    assert (found.layer, bool(found.signs)) == (layer, True), found


def test_a_run_that_no_worker_takes_up_says_so_after_a_minute() -> None:
    store, run = _left()
    began = store.get([run])[run]["began"]
    assert diagnose(store, run, began + timedelta(seconds=59)).layer == "none"
    found = diagnose(store, run, began + timedelta(seconds=61))
    assert (found.layer, found.state) == ("platform", "running")
    assert "no worker took it up since 2026-03-02 09:00 UTC" in found.because
