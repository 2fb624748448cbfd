"""Runs of workflows over GraphQL: started, signalled, steered and read; a refusal is part of the payload."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from api import orders
from api.cli.executing import parsed
from api.platform import Noesis
from coordination.runtime import Runtime
from coordination.workflow.document import parse
from governance.controls import control_id, standing
from governance.people import ensure_principal
from governance.rules import add
from kg.errors import InputError
from tests.api.client import Client
from tests.api.parts import SYSTEM, key
from tests.coordination.plant import Scripted

TEXT = """
document: {dsl: '1.0.3', namespace: shop, name: restock, version: '1.0.0'}
do:
  - first: {set: {asked: '${ .item }'}}
  - hear: {listen: {to: {one: {with: {type: arrived}}}}}
"""
START = """mutation($w: String!, $in: JSON, $id: String! = "") { startRun(workflow: $w, input: $in, id: $id) {
  run { id ... on Run { state called startedBy } } errors { code message } } }"""
SIGNAL = """mutation($run: ID!, $data: JSON) { signalRun(run: $run, type: "arrived", data: $data, id: "e1") {
  run { id ... on Run { state } } errors { code message } } }"""
STOP = 'mutation { stop(reason: "test") { state errors { code } } }'
CONTROL = """mutation($run: ID!, $order: String!, $step: String! = "") { controlRun(run: $run, order: $order, reason: "test",
  step: $step) { run { id ... on Run { state reason } } errors { code message } } }"""


@pytest.fixture
def platform(platform: Noesis) -> Iterator[Noesis]:
    """The platform with a runtime, whose work is done in this thread."""
    nobody = Scripted(platform.store, {}, {})
    runtime = Runtime(platform.store, platform.clock, platform.ontology, nobody, [], lambda _: None)
    yield replace(platform, runtime=runtime)
    runtime.close()


def registered(platform: Noesis) -> None:
    orders.engine_of(platform).register(parse(TEXT), SYSTEM)


def drive(platform: Noesis) -> None:
    """Do what is to be done, in this thread."""
    runtime = platform.runtime
    for _ in range(50):
        runtime.pump()
        for row in platform.store.scan("work", first=100):
            if row.value["state"] == "ready":
                runtime.handle(row.key)


def test_a_run_is_started_signalled_and_read(client: Client, platform: Noesis) -> None:
    registered(platform)
    made = client.data(START, w="shop.restock", **{"in": {"item": "bolt"}, "id": "r-1"})["startRun"]
    assert made["errors"] == []
    assert made["run"]["called"] == "shop.restock:1.0.0"
    assert made["run"]["startedBy"] == 'User::"local"'
    drive(platform)
    told = client.data('{ run(id: "r-1") { state } steps { nodes { task state output } } }')
    assert told["run"]["state"] == "waiting"
    assert {step["task"]: step["state"] for step in told["steps"]["nodes"]} == {"first": "completed", "hear": "waiting"}
    assert client.data(SIGNAL, run=made["run"]["id"], data=7)["signalRun"]["errors"] == []
    drive(platform)
    assert client.data('{ run(id: "r-1") { state output } }')["run"] == {"state": "completed", "output": "[7]"}
    late = client.data(SIGNAL.replace('"e1"', '"e2"'), run="r-1", data=8)["signalRun"]
    assert "takes no more events" in late["errors"][0]["message"]


def test_a_run_is_steered(client: Client, platform: Noesis) -> None:
    registered(platform)
    client.data(START, w="shop.restock:1.0.0", **{"in": {"item": "nut"}, "id": "r-2"})
    drive(platform)

    def order(word: str, **more: Any) -> Any:
        return client.data(CONTROL, run="r-2", order=word, **more)["controlRun"]

    assert order("pause")["run"]["state"] == "suspended"
    assert order("resume")["run"]["state"] == "running"
    drive(platform)
    steps = client.data("{ steps { nodes { id task } } }")["steps"]["nodes"]
    chosen = next(step["id"] for step in steps if step["task"] == "hear")
    forked = order("fork", step=chosen)
    assert forked["errors"] == []
    assert forked["run"]["id"] != "r-2"
    ended = order("terminate")
    assert (ended["run"]["state"], ended["run"]["reason"]) == ("cancelled", "test")
    assert "cannot become" in order("pause")["errors"][0]["message"]
    assert "is no order for a run" in order("explode")["errors"][0]["message"]


def test_what_may_not_be_is_refused_and_nothing_starts(client: Client, platform: Noesis) -> None:
    registered(platform)
    unknown = client.data(START, w="shop.nothing")["startRun"]
    assert "there is no workflow" in unknown["errors"][0]["message"]
    anna = Client(platform, key(platform, 'User::"anna"'))
    refused = anna.data(START, w="shop.restock")["startRun"]
    assert (refused["run"], refused["errors"][0]["code"]) == (None, "FORBIDDEN")
    nobody = client.data(SIGNAL, run="nobody")["signalRun"]
    assert "there is no run" in nobody["errors"][0]["message"]
    assert client.data("{ runs { nodes { id } } }")["runs"]["nodes"] == []


def test_who_may_only_start_runs_stops_nothing_and_keeps_nobody_from_stopping(client: Client, platform: Noesis) -> None:
    """A run under the id of a switch would be read as one, over the whole platform and for ever."""
    registered(platform)
    may = (
        '@id("starters") permit(principal == User::"stan", action == Action::"configure", resource) '
        'when { context has operation && context.operation == "workflow.run" };'
    )
    add(platform.store, platform.clock, platform.ontology, may, SYSTEM, "test")
    ensure_principal(platform.store, platform.clock, "User", "stan", SYSTEM)
    stan = Client(platform, key(platform, 'User::"stan"'))
    switch, answer = control_id("global"), "approval-" + "0" * 26
    for id in (switch, answer):
        refused = stan.data(START, w="shop.restock", id=id)["startRun"]
        assert "made by the platform from a name" in refused["errors"][0]["message"]
    assert not platform.store.get([switch, answer])
    assert standing(platform.store, ["global"]).held == ""
    assert stan.data(STOP)["stop"]["errors"][0]["code"] == "FORBIDDEN"
    assert client.data(STOP)["stop"] == {"state": "stop", "errors": []}
    assert stan.data(START, w="shop.restock", id="r-9")["startRun"]["errors"] == []


def test_lifecycle_events_are_told_in_pages_and_as_of_a_position(client: Client, platform: Noesis) -> None:
    registered(platform)
    client.data(START, w="shop.restock", **{"in": {"item": "nut"}, "id": "r-3"})
    started = platform.store.head().position
    drive(platform)
    asked = (
        """query($after: String! = "", $first: Int! = 100) { runEvents(run: "r-3", after: $after, first: $first) }"""
    )
    found = client.data(asked)["runEvents"]
    names = [event["type"].removeprefix("io.serverlessworkflow.").removesuffix(".v1") for event in found]
    assert names[0] == "workflow.started"
    assert "workflow.correlation-started" in names
    assert client.data(asked, first=1)["runEvents"] == found[:1]
    assert client.data(asked, after=found[0]["sequence"])["runEvents"] == found[1:]
    then = client.data(asked.replace("100) {", f"100) @asOf(position: {started}) {{"))["runEvents"]
    assert then == found[:1]
    assert client.data(asked.replace('"r-3"', '"nobody"'))["runEvents"] == []


def test_json_of_an_argument_that_cannot_be_read_is_one_sentence() -> None:
    for text, said in (
        ("[" * 100_000, "nested deeper"),
        ("{bad", "cannot be read"),
        ("@nowhere.json", "cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            parsed(text)
