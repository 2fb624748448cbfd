"""What is wrong ends in one clear error and harms no other run: endless loops, fan-outs, poisoned data, deep nesting, secrets."""

import json
from dataclasses import replace
from typing import Any

import pytest

from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.secrets import Secret
from coordination.errors import StateError
from coordination.runs.engine import Workflows
from tests.coordination.plant import Telling
from tests.coordination.server import reply, serving
from tests.runs.works import Works, works

SECRET = "s3cret-value"
NEIGHBOUR = "do: [{w: {wait: {seconds: 5}}}, {a: {call: inc, with: {x: '${ .x }'}}}]"


def poison() -> Any:
    return float("nan")


@pytest.fixture
def here() -> Any:
    functions: dict[str, Any] = {"inc": lambda x: {"x": x + 1}, "poison": poison, "object": object}
    made = Workflows(functions=functions, secrets={"token": SECRET})
    with works(made, effectors=[Telling("http")]) as found:
        limits = found.engine.driving.limits
        found.engine.driving.limits = replace(
            limits, history_max=200, branches_max=5, items_max=10, depth_max=20, data_max=5_000, runs_deep_max=3
        )
        yield found


def nested(depth: int) -> str:
    return "do: [{x: {set: {a: 1}}}]" if not depth else f"do: [{{n: {{{nested(depth - 1)}}}}}]"


BAD = {
    "loop": ("do: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 2}, then: a}}]", "200 tasks"),
    "caught loop": (
        "do: [{t: {try: [{a: {set: {x: 1}, then: b}}, {b: {set: {}, then: a}}], catch: {do: []}}}]",
        "200 tasks",
    ),
    "fan": (
        "do: [{f: {fork: {branches: [" + ", ".join(f"{{b{i}: {{set: {{}}}}}}" for i in range(6)) + "]}}}]",
        "6 branches",
    ),
    "items": ("do: [{f: {for: {in: '[range(11)]'}, do: [{s: {set: {}}}]}}]", "11 items"),
    "deep": (nested(15), "more than 20 deep"),
    "large": ("do: [{s: {set: {x: '${ \"y\" * 9000 }'}}}]", "larger than 5,000"),
    "nan": ("do: [{p: {call: poison}}]", "poison raised"),
    "object": ("do: [{p: {call: object}}]", "object raised"),
    "bad jq": ("do: [{s: {set: {x: '${ error(1) }'}}}]", "expression"),
    "unknown child": (
        "do: [{r: {run: {workflow: {namespace: test, name: nowhere, version: latest}}}}]",
        "there is no workflow",
    ),
    "itself": ("do: [{r: {run: {workflow: {namespace: test, name: itself, version: latest}}}}]", "more than 3 deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_run_faults_with_a_sentence_and_its_neighbour_goes_on(here: Works, name: str) -> None:
    neighbour = here.start(NEIGHBOUR, {"x": 1}, name="neighbour")
    text, said = BAD[name]
    run = here.start(text, {}, name=name.replace(" ", "-"))
    assert here.run(run).state == "faulted", here.run(run).state
    assert said in here.run(run).error["detail"]
    here.later(6)
    assert here.output(neighbour) == {"x": 2}
    assert not here.runtime.failures()


def test_poisoned_orders_are_refused(here: Works) -> None:
    neighbour = here.start(NEIGHBOUR, {"x": 1}, name="neighbour")
    with pytest.raises(StateError, match="no run"):
        here.engine.signal("unknown", here.event("go"))
    with pytest.raises(StateError, match="larger than"):
        here.engine.signal(neighbour, here.event("go", "x" * 1_100_000))
    with pytest.raises(StateError, match="no slash"):
        here.engine.start(here.register("other", NEIGHBOUR), {}, 'User::"anna"', id="a/b")
    here.later(6)
    assert here.output(neighbour) == {"x": 2}


def test_a_secret_stands_in_no_fact(here: Works) -> None:
    run = here.start(
        "use: {secrets: [token]}\n"
        "do: [{s: {set: {t: '${ \"Bearer \" + $secrets.token }'}}}, {r: {raise: {error: {type: 'u:x', status: 400, "
        "detail: '${ \"no \" + .t }'}}}}]"
    )
    call = here.start(
        "use: {secrets: [token]}\n"
        "do: [{h: {call: http, with: {method: post, endpoint: 'https://x.test', body: {t: '${ $secrets.token }'}}}}]",
        name="call",
    )
    assert "would stand in a fact" in here.run(call).error["detail"]
    assert "[secret token]" in here.run(run).error["detail"]
    assert [step["output"] for step in here.steps(run) if step["task"] == "s"] == ['{"t":"Bearer [secret token]"}']
    for cls in ("Run", "Step", "Proposal"):
        assert SECRET not in repr(here.store.find(cls, first=100).items)


@pytest.mark.parametrize(
    "scheme",
    [
        "basic: {username: anna, password: '${ $secrets.token }'}",
        "digest: {username: anna, password: '${ $secrets.token }'}",
        "bearer: {use: token}",
        "bearer: {token: '${ $secrets.deep.key }'}",
        "oauth2: {authority: 'http://HOST', grant: client_credentials, client: {id: me, secret: '${ $secrets.token }'}}",
    ],
)
def test_a_secret_authenticates_a_call_and_stands_in_no_fact(scheme: str) -> None:
    made = Workflows(secrets={"token": SECRET, "deep": {"key": SECRET + "-2"}})
    with serving() as server:
        heard = frozenset({server.host})
        values = {"token": Secret(SECRET, heard), "deep": Secret(json.dumps({"key": SECRET + "-2"}), heard)}
        answers = b'{"access_token": "acc3ss", "ok": true}'
        server.answer = lambda handler: reply(handler, 200, answers, content_type="application/json")
        reach = HttpSettings(Reach((server.host,), 2.0), secrets=values)
        with works(made, effectors=[Http(reach)]) as here:
            text = (
                f"use: {{secrets: [token, deep], authentications: {{me: {{{scheme.replace('HOST', server.host)}}}}}}}\n"
                f"do: [{{h: {{call: http, with: {{method: get, endpoint: {{uri: 'http://{server.host}/x', "
                "authentication: {use: me}}}, output: {as: .ok}}}]"
            )
            assert here.output(here.start(text)) is True
            facts = " ".join(repr(entity) for cls in ("Run", "Step", "Proposal", "Effect", "Decision")
                             for entity in here.store.find(cls, [], first=100).items)  # fmt: skip
    assert SECRET not in facts
    said = [got.headers.get("authorization", "").split(" ")[0] for got in server.got]
    assert (
        said
        == {"basic": ["Basic"], "digest": [""], "bearer": ["Bearer"], "oauth2": ["", "Bearer"]}[
            scheme.split(":", maxsplit=1)[0]
        ]
    )


def test_a_secret_within_other_words_of_an_authentication_is_refused(here: Works) -> None:
    run = here.start(
        "use: {secrets: [token]}\n"
        "do: [{h: {call: http, with: {method: get, endpoint: {uri: 'https://x.test', "
        "authentication: {bearer: {token: 'x-${ $secrets.token }'}}}}}}]"
    )
    assert "would stand in a fact" in here.run(run).error["detail"]
