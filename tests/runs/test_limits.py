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
from kg.errors import ValueDomainError
from tests.coordination.plant import Telling
from tests.coordination.server import reply, serving
from tests.runs.works import Works, works

SECRET = "s3cret-value"
NEIGHBOUR = "do: [{w: {wait: {seconds: 5}}}, {a: {call: inc, with: {x: '${ .x }'}}}]"


def poison() -> Any:
    return float("nan")


def half() -> Any:
    return "\ud800"


def shout() -> Any:
    raise ValueError("\ud800")


@pytest.fixture
def here() -> Any:
    functions: dict[str, Any] = {"inc": lambda x: {"x": x + 1}, "poison": poison, "object": object}
    functions |= {"half": half, "shout": shout, "long": lambda: "y" * 9_000}
    made = Workflows(functions=functions, secrets={"token": SECRET})
    with works(made, effectors=[Telling("http")]) as found:
        limits = found.engine.driving.limits
        found.engine.driving.limits = replace(
            limits, history_max=200, branches_max=5, branches_within_max=8, items_max=10, depth_max=20, data_max=5_000,
            runs_deep_max=3, gathered_max=12_000,
        )  # fmt: skip
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
    "large together": (
        "do: [{f: {output: {as: length}, fork: {branches: ["
        + ", ".join(f"{{b{i}: {{set: {{x: '${{ \"y\" * 4500 }}'}}}}}}" for i in range(3))
        + "]}}}]",
        "together larger than 12,000",
    ),
    "nan": ("do: [{p: {call: poison}}]", "poison raised"),
    "object": ("do: [{p: {call: object}}]", "object raised"),
    "bad jq": ("do: [{s: {set: {x: '${ error(1) }'}}}]", "expression"),
    "unknown child": (
        "do: [{r: {run: {workflow: {namespace: test, name: nowhere, version: latest}}}}]",
        "there is no workflow",
    ),
    "unknown child aside": (
        "do: [{r: {run: {await: false, workflow: {namespace: test, name: nowhere, version: latest}}}}]",
        "there is no workflow",
    ),
    "half a character": ("do: [{p: {call: half}}]", "half raised"),
    "half a character in an error": ("do: [{p: {call: shout}}]", "shout raised ValueError: ?"),
    "long answer": ("do: [{p: {call: long}}]", "the output of p is larger than 5,000"),
    "long error": ("do: [{r: {raise: {error: {type: 'u:x', status: 500, detail: '${ \"y\" * 90000 }'}}}}]", "yyyy"),
    "long input": ("do: [{s: {input: {from: '\"y\" * 9000'}, wait: PT1S}}]", "the input of s is larger"),
    "long input of all": ("input: {from: '\"y\" * 9000'}\ndo: [{s: {wait: PT1S}}]", "workflow's input is larger"),
    "long output of all": ("output: {as: '\"y\" * 9000'}\ndo: [{s: {set: {}}}]", "workflow's output is larger"),
    "long arguments": ("do: [{p: {call: inc, with: {x: '${ \"y\" * 9000 }'}}}]", "what p hands over is larger"),
    "long arguments of a child": (
        "do: [{r: {run: {workflow: {namespace: test, name: neighbour, version: latest, input: {x: '${ \"y\" * 9000 }'}}}}}]",
        "what r hands over is larger",
    ),
    "fan in fan": (
        "use: {functions: {three: {fork: {branches: [{a: {wait: PT1S}}, {b: {wait: PT1S}}, {c: {wait: PT1S}}]}}}}\n"
        "do: [{f: {fork: {branches: [{a: {call: three}}, {b: {call: three}}, {c: {call: three}}]}}}]",
        "9 branches of forks in forks",
    ),
    "endless pattern": (
        "input: {schema: {document: {properties: {x: {pattern: '^(a+)+$'}}}}, from: '.'}\ndo: [{s: {set: {}}}]",
        "does not match",
    ),
    "endless names": (
        "input: {schema: {document: {patternProperties: {'^(a+)+$': {type: string}}, additionalProperties: false}}}\n"
        "do: [{s: {set: {}}}]",
        "Additional properties are not allowed",
    ),
    "references that multiply": (
        "input: {schema: {document: {$defs: {"
        + ", ".join(f"d{i}: {{allOf: [{{$ref: '#/$defs/d{i + 1}'}}, {{$ref: '#/$defs/d{i + 1}'}}]}}" for i in range(40))
        + ", d40: {}}, $ref: '#/$defs/d0'}}}\ndo: [{s: {set: {}}}]",
        "more than 100,000 references",
    ),
    "itself": ("do: [{r: {run: {workflow: {namespace: test, name: itself, version: latest}}}}]", "more than 3 deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_run_faults_with_a_sentence_and_its_neighbour_goes_on(here: Works, name: str) -> None:
    neighbour = here.start(NEIGHBOUR, {"x": 1}, name="neighbour")
    text, said = BAD[name]
    input = {"x": "a" * 40 + "b", "a" * 40 + "b": 1} if "endless" in name else {}
    run = here.start(text, input, name=name.replace(" ", "-"))
    assert here.run(run).state == "faulted", here.run(run).state
    assert said in here.run(run).error["detail"]
    here.later(6)
    assert here.output(neighbour) == {"x": 2}
    assert not here.runtime.failures()


def test_branches_may_together_give_more_than_may_flow_where_little_of_it_goes_on(here: Works) -> None:
    for compete, kept in ((False, "length"), (True, ".x | length")):
        branches = ", ".join(f"{{b{i}: {{set: {{x: '${{ \"y\" * 4500 }}'}}}}}}" for i in range(2 + compete * 2))
        fork = f"{{f: {{output: {{as: '{kept}'}}, fork: {{compete: {str(compete).lower()}, branches: [{branches}]}}}}}}"
        run = here.start(f"do: [{fork}]", name=f"fork-{compete}".lower())
        assert here.output(run) == (4_500 if compete else 2)


def test_poisoned_orders_are_refused(here: Works) -> None:
    neighbour = here.start(NEIGHBOUR, {"x": 1}, name="neighbour")
    with pytest.raises(StateError, match="no run"):
        here.engine.signal("unknown", here.event("go"))
    with pytest.raises(StateError, match="larger than"):
        here.engine.signal(neighbour, here.event("go", "x" * 1_100_000))
    for data in (float("nan"), "\ud800", {1}):
        with pytest.raises(ValueDomainError, match="the event cannot be kept as JSON"):
            here.engine.signal(neighbour, here.event("go", data))
        with pytest.raises(ValueDomainError, match="the input cannot be kept as JSON"):
            here.engine.start(here.register("other", NEIGHBOUR), data, 'User::"anna"')
    with pytest.raises(StateError, match="an event is an object"):
        here.engine.publish([])  # type: ignore[arg-type]
    with pytest.raises(StateError, match="no slash"):
        here.engine.start(here.register("other", NEIGHBOUR), {}, 'User::"anna"', id="a/b")
    here.later(6)
    assert here.output(neighbour) == {"x": 2}


def test_an_event_of_which_nothing_can_be_made_is_passed_over(here: Works) -> None:
    run = here.start(
        "do: [{l: {listen: {to: {one: {with: {type: paid}, correlate: {order: {from: .data.id, expect: '${ .id }'}}}}}}}]",
        {"id": 7},
    )
    for data in ("poison", {"id": 8}, {"id": 7}):
        assert here.run(run).state == "waiting"
        here.engine.publish(here.event("paid", data))
        here.drain()
    assert here.output(run) == [{"id": 7}]


def test_what_a_listener_gathers_is_bounded(here: Works) -> None:
    run = here.start("do: [{l: {listen: {to: {any: [{with: {type: a}}], until: 'length > 9'}}}}]")
    for _ in range(3):
        here.engine.publish(here.event("a", "y" * 2_000))
        here.drain()
    assert "l gathered more than 5,000 characters" in here.run(run).error["detail"]


def test_a_value_that_no_store_takes_faults_its_run_at_once(here: Works) -> None:
    here.engine.driving.limits = replace(here.engine.driving.limits, data_max=99_000_000)
    run = here.start("do: [{s: {set: {x: '${ \"y\" * 17000000 }'}}}]")
    assert "exceeds 16,000,000; keep it outside" in here.run(run).error["detail"]
    assert here.rows().keys() == {"strand", "mailbox"}


def test_a_child_that_cannot_be_started_aside_is_an_error_to_catch(here: Works) -> None:
    child = "{r: {run: {await: false, workflow: {namespace: test, name: nowhere, version: latest}}}}"
    catch = "{errors: {with: {status: 400}}, do: [{s: {set: {no: 1}}}]}"
    caught = here.start(f"do: [{{t: {{try: [{child}], catch: {catch}}}}}]")
    assert here.output(caught) == {"no": 1}


def test_a_long_integer_is_never_changed(here: Works) -> None:
    """jq would make 12345678901234567168 of it, and the next call would be about another order."""
    run = here.start("do: [{s: {set: {x: '${ .id }', y: '${ {id: .id, n: 7} }'}}}]", {"id": 12345678901234567890})
    assert here.output(run) == {"x": "12345678901234567890", "y": {"id": "12345678901234567890", "n": 7}}


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
