"""Faults that were thought of apart from those of `test_diagnosis`, and that a diagnosis once blamed on another layer."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from coordination.acting import Answer
from coordination.diagnosis import diagnose
from coordination.effectors.process import Process
from coordination.errors import RetryLater
from coordination.proposals import Draft
from kg.model import Put
from tests.coordination.plant import AUTHOR
from tests.coordination.test_diagnosis import AGENT, ROUTED, nothing, noting, raising, ran
from tests.runs.works import Works

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
