"""What is wrong with a workflow beyond its shape: each wrong thing is named at its line and column, with a remedy, all at once."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordination.errors import WorkflowError
from coordination.workflow.document import of_body, parse
from coordination.workflow.problems import PROBLEMS_MAX
from coordination.workflow.validation import errors, load, validate
from kg.jq import Jq
from tests.conformance.workflow_ctk import OWN, pickles
from tests.workflow import published
from tests.workflow.test_schema import bodies, changed

HEAD = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }\n"

#: Name: the document after its head, the place, and a part of the sentence.
INVALID: dict[str, tuple[str, tuple[int, int], str]] = {
    # the shape
    "no do": ("", (1, 1), "has no `do`"),
    "do is a mapping": ("do: { a: { set: { x: 1 } } }", (2, 1), "must be a list of named tasks, not a mapping"),
    "a task does nothing": ("do:\n- a: { seet: { x: 1 } }", (3, 3), "did you mean `set`?"),
    "two names in one item": ("do:\n- a: { set: { x: 1 } }\n  b: { set: { x: 1 } }", (3, 3), "exactly one name"),
    "two kinds in one task": ("do:\n- a: { set: { x: 1 }, wait: PT1S }", (3, 23), "unknown field `wait`"),
    "unknown field": ("do:\n- a: { set: { x: 1 }, outptu: {} }", (3, 23), "did you mean `output`?"),
    "http without endpoint": ("do:\n- a: { call: http, with: { method: get } }", (3, 20), "has no `endpoint`"),
    "http method is a number": (
        "do:\n- a: { call: http, with: { method: 1, endpoint: 'http://x' } }",
        (3, 28),
        'write "1" in quotes',
    ),
    "output of no kind": (
        "do:\n- a: { call: http, with: { method: get, endpoint: 'http://x', output: contents } }",
        (3, 63),
        "did you mean content?",
    ),
    "grpc port": (
        "do:\n- a: { call: grpc, with: { proto: { endpoint: 'file:x' }, service: { name: a, host: b, port: 70000 }, method: m } }",
        (3, 88),
        "between 0 and 65535",
    ),
    "asyncapi both ways": (
        "do:\n- a: { call: asyncapi, with: { document: { endpoint: 'x' }, channel: c, operation: o, message: {} } }",
        (3, 24),
        "has operation and channel; keep one",
    ),
    "mcp without transport": ("do:\n- a: { call: mcp, with: { method: tools/list } }", (3, 19), "has no `transport`"),
    "a2a of no method": (
        "do:\n- a: { call: a2a, with: { method: message/sent } }",
        (3, 27),
        "did you mean message/send?",
    ),
    "container without image": ("do:\n- a: { run: { container: {} } }", (3, 15), "has no `image`"),
    "script without code": ("do:\n- a: { run: { script: { language: js } } }", (3, 15), "needs one of code, source"),
    "two processes": (
        "do:\n- a: { run: { shell: { command: x }, script: { language: js, code: x } } }",
        (3, 8),
        "keep one",
    ),
    "cleanup without after": (
        "do:\n- a: { run: { container: { image: i, lifetime: { cleanup: eventually } } } }",
        (3, 38),
        "go together",
    ),
    "empty switch": ("do:\n- a: { switch: [] }", (3, 8), "is empty"),
    "case without then": ("do:\n- a: { switch: [ b: { when: .x } ] }", (3, 18), "has no `then`"),
    "try without catch": ("do:\n- a: { try: [ b: { wait: PT1S } ] }", (3, 3), "has no `catch`"),
    "two backoffs": (
        "use: { retries: { r: { backoff: { linear: {}, constant: {} } } } }\ndo: [ a: { wait: PT1S } ]",
        (2, 24),
        "has constant and linear; keep one",
    ),
    "listen one and any": (
        "do:\n- a: { listen: { to: { one: { with: { type: x } }, any: [] } } }",
        (3, 18),
        "keep one",
    ),
    "until without any": (
        "do:\n- a: { listen: { to: { one: { with: { type: x } }, until: .x } } }",
        (3, 52),
        "means nothing without `any`",
    ),
    "empty filter": ("do:\n- a: { listen: { to: { one: { with: {} } } } }", (3, 31), "is empty"),
    "error without status": ("do:\n- a: { raise: { error: { type: 'http://x' } } }", (3, 17), "has no `status`"),
    "read without on": ("schedule: { every: PT1H, read: data }\ndo: [ a: { wait: PT1S } ]", (2, 26), "without `on`"),
    "duration that is none": ("do:\n- a: { wait: 10 seconds }", (3, 8), "ISO 8601 duration"),
    "duration of no unit": ("do:\n- a: { wait: { second: 1 } }", (3, 16), "did you mean `seconds`?"),
    "fork without branches": ("do:\n- a: { fork: {} }", (3, 8), "has no `branches`"),
    "two schemes": (
        "use: { authentications: { p: { basic: { use: s }, bearer: { use: s } } }, secrets: [ s ] }\ndo: [ a: { wait: PT1S } ]",
        (2, 27),
        "has basic and bearer; keep one",
    ),
    "schema twice": (
        "do:\n- a: { input: { schema: { document: {}, resource: { endpoint: x } } }, wait: PT1S }",
        (3, 17),
        "has document and resource; keep one",
    ),
    # the flow
    "then of no task": (
        "do:\n- one: { wait: PT1S, then: thre }\n- three: { wait: PT1S }",
        (3, 22),
        "did you mean `three`?",
    ),
    "then of another list": (
        "do:\n- a: { do: [ b: { wait: PT1S, then: c } ] }\n- c: { wait: PT1S }",
        (3, 31),
        "is a task of another list",
    ),
    "case that leads nowhere": (
        "do:\n- a: { switch: [ b: { then: nowhere } ] }",
        (3, 23),
        "`then: nowhere` is no task",
    ),
    "catch that leads nowhere": (
        "do:\n- a: { try: [ b: { wait: PT1S } ], catch: { then: c } }",
        (3, 45),
        "`then: c` is no task",
    ),
    "branch to branch": (
        "do:\n- a: { fork: { branches: [ b: { wait: PT1S, then: c }, c: { wait: PT1S } ] } }",
        (3, 45),
        "is another branch",
    ),
    "one name twice": (
        "do:\n- a: { wait: PT1S }\n- a: { wait: PT1S }",
        (4, 3),
        "two tasks of this list are called `a`",
    ),
    "name of a directive": ("do:\n- exit: { wait: PT1S }", (3, 3), "is a flow directive"),
    "two defaults": ("do:\n- a: { switch: [ b: { then: end }, c: { then: exit } ] }", (3, 36), "this is the second"),
    # names
    "no such function": ("do:\n- a: { call: htp }", (3, 8), "did you mean `http`?"),
    "no such catalog": ("do:\n- a: { call: 'log:1.0.0@there' }", (3, 8), "the catalog `there` is not among"),
    "no such error": ("do:\n- a: { raise: { error: oops } }", (3, 17), "`oops` is not among `use.errors`"),
    "no such retry": (
        "use: { retries: { twice: {} } }\ndo:\n- a: { try: [ b: { wait: PT1S } ], catch: { retry: twise } }",
        (4, 45),
        "did you mean `twice`?",
    ),
    "no such timeout": ("do:\n- a: { wait: PT1S, timeout: t }", (3, 20), "not among `use.timeouts`"),
    "no such timeout of the workflow": ("timeout: t\ndo: [ a: { wait: PT1S } ]", (2, 1), "not among `use.timeouts`"),
    "no such policy": (
        "do:\n- a: { call: http, with: { method: get, endpoint: { uri: 'http://x', authentication: { use: p } } } }",
        (3, 88),
        "not among `use.authentications`",
    ),
    "no such secret": (
        "use: { authentications: { p: { basic: { use: s } } } }\ndo: [ a: { wait: PT1S } ]",
        (2, 41),
        "not among `use.secrets`",
    ),
    "a function calls itself": (
        "use: { functions: { f: { call: g }, g: { call: f } } }\ndo: [ a: { call: f } ]",
        (2, 21),
        "`f` calls itself",
    ),
    "variable that is none": (
        "do:\n- a: { for: { each: my item, in: .x }, do: [ b: { wait: PT1S } ] }",
        (3, 15),
        "cannot be a variable",
    ),
    "variable that hides": (
        "do:\n- a: { for: { each: input, in: .x }, do: [ b: { wait: PT1S } ] }",
        (3, 15),
        "choose another name",
    ),
    "item and index alike": (
        "do:\n- a: { for: { each: i, at: i, in: .x }, do: [ b: { wait: PT1S } ] }",
        (3, 8),
        "have the same name",
    ),
    # programs
    "no jq in if": ("do:\n- a: { if: '.a ==', wait: PT1S }", (3, 8), "is no jq: syntax error"),
    "no jq in a text": ("do:\n- a: { set: { x: 'so ${ .a | } it is' } }", (3, 15), "is no jq"),
    "not closed": ("do:\n- a: { set: { x: '${ .a' } }", (3, 15), "close it with }"),
    "empty program": ("do:\n- a: { if: '', wait: PT1S }", (3, 8), "is empty"),
    "variable of another place": (
        "do:\n- a: { for: { each: n, in: .x }, do: [ b: { wait: PT1S } ] }\n- c: { set: { x: '${ $n }' } }",
        (4, 15),
        "$n is not known here",
    ),
    "argument too soon": ("do:\n- a: { if: $input.x, wait: PT1S }", (3, 8), "$input is not available here"),
    "output where there is none": (
        "do:\n- a: { set: { x: '${ $output }' } }",
        (3, 15),
        "$output is not available here",
    ),
    "function of jq that is none": ("do:\n- a: { set: { x: '${ frob(.a) }' } }", (3, 15), "frob/1 is not defined"),
    "program in an unknown attribute": (
        "do:\n- a: { emit: { event: { with: { type: t, own: '${ | }' } } } }",
        (3, 42),
        "is no jq",
    ),
    # times, addresses, events, schemas
    "schedule of an expression": (
        "schedule: { every: '${ .x }' }\ndo: [ a: { wait: PT1S } ]",
        (2, 13),
        "is no duration",
    ),
    "years": ("do:\n- a: { wait: P1Y }", (3, 8), "is no duration"),
    "negative": ("do:\n- a: { wait: { seconds: -1 } }", (3, 8), "is no duration"),
    "cron of four fields": (
        "schedule: { cron: '0 8 * *' }\ndo: [ a: { wait: PT1S } ]",
        (2, 13),
        "4 fields and needs 5",
    ),
    "cron out of range": ("schedule: { cron: '61 * * * *' }\ndo: [ a: { wait: PT1S } ]", (2, 13), "is no cron line"),
    "cron that never comes": (
        "schedule: { cron: '0 0 31 2 *' }\ndo: [ a: { wait: PT1S } ]",
        (2, 13),
        "is no cron line",
    ),
    "schedule of nothing": ("schedule: {}\ndo: [ a: { wait: PT1S } ]", (2, 1), "never starts anything"),
    "template with an operator": (
        "do:\n- a: { call: http, with: { method: get, endpoint: 'http://x/{?q}' } }",
        (3, 41),
        "only {name} is understood",
    ),
    "template not closed": (
        "do:\n- a: { call: http, with: { method: get, endpoint: 'http://x/{q' } }",
        (3, 41),
        "not closed",
    ),
    "address with a space": (
        "do:\n- a: { call: http, with: { method: get, endpoint: 'http://x/a b' } }",
        (3, 41),
        "a URI",
    ),
    "event without type": ("do:\n- a: { emit: { event: { with: { source: x } } } }", (3, 25), "has no `type`"),
    "event that says nothing": ("do:\n- a: { emit: { event: {} } }", (3, 16), "says nothing of itself"),
    "filter that is no pattern": (
        "do:\n- a: { listen: { to: { one: { with: { type: 'a(b' } } } } }",
        (3, 39),
        "no regular expression",
    ),
    "another language": ("evaluate: { language: js }\ndo: [ a: { wait: PT1S } ]", (2, 13), "write them in jq"),
    "schema that is none": (
        "input: { schema: { document: { type: 5 } } }\ndo: [ a: { wait: PT1S } ]",
        (2, 20),
        "is no JSON Schema",
    ),
    "schema of another format": (
        "input: { schema: { format: avro, document: {} } }\ndo: [ a: { wait: PT1S } ]",
        (2, 20),
        "are not understood",
    ),
}


@pytest.fixture(scope="module")
def jq() -> Iterator[Jq]:
    """One compiler for all."""
    with Jq() as compiler:
        yield compiler


@pytest.mark.parametrize("name", INVALID)
def test_what_is_wrong_is_named_where_it_stands(name: str, jq: Jq) -> None:
    text, place, said = INVALID[name]
    found = errors(validate(parse(HEAD + text), jq=jq))
    assert any(problem.place == place and said in problem.message for problem in found), [
        problem.line("w") for problem in found
    ]
    assert all("\n" not in problem.message and len(problem.message) < 600 for problem in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("do:\n- a: { wait: PT1S, then: end }\n- b: { wait: PT1S }", "`b` never runs"),
        ("do:\n- a: { wait: PT1S }\n- b: { wait: PT1S, then: a }", "never ends"),
        ("do: [ a: { do: [] } ]", "does nothing"),
        ("dos: 1\ndo: [ a: { wait: PT1S } ]", "`dos` is no part of a workflow"),
        ("do: [ a: { listen: { to: { all: [] } } } ]", "waits for no event"),
    ],
)
def test_what_is_odd_is_a_warning(text: str, said: str, jq: Jq) -> None:
    found = validate(parse(HEAD + text), jq=jq)
    assert [problem.severity for problem in found] == ["warning"]
    assert said in found[0].message


def test_several_are_named_at_once(jq: Jq) -> None:
    text = "do:\n- a: { call: htp, then: x }\n- b: { raise: { error: e } }\n- c: { if: '.a |', wait: P1Y }"
    found = errors(validate(parse(HEAD + text), jq=jq))
    assert [problem.place[0] for problem in found] == [3, 3, 4, 5, 5]
    with pytest.raises(WorkflowError) as caught:
        load(HEAD + text, "w.yaml", jq=jq)
    assert str(caught.value).count("\n") == 4
    assert str(caught.value).startswith("w.yaml:3:8: error: there is no function `htp`")


def test_a_thousand_mistakes_are_bounded(jq: Jq) -> None:
    text = "do:\n" + "".join(f"- t{number}: {{ call: nothing{number} }}\n" for number in range(1_000))
    assert len(validate(parse(HEAD + text), jq=jq)) == PROBLEMS_MAX


def test_registered_functions_are_known(jq: Jq) -> None:
    document = parse(HEAD + "do:\n- a: { call: function, with: { name: scor } }\n- b: { call: function }")
    assert not validate(document, jq=jq)
    found = validate(document, jq=jq, registered={"score"})
    assert [problem.place for problem in found] == [(3, 32), (4, 8)]
    assert "did you mean `score`?" in found[0].message


def test_published_documents_and_our_features_have_no_errors(jq: Jq) -> None:
    published.need()
    for name, text in {**published.examples(), **published.definitions()}.items():
        if text.strip() and name != "dsl.md#1":
            try:
                document = parse(text, name)
            except WorkflowError:
                continue
            assert not errors(validate(document, jq=jq)), name
    for pickle in pickles(OWN):
        texts = [block for said, block in pickle.steps if said.endswith("with definition:")]
        for text in texts:
            assert not errors(validate(parse(text or "", pickle.name), jq=jq)), pickle.name


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_changed_document_breaks_the_check(seed: int) -> None:
    published.need()
    chance = random.Random(seed)
    body = changed(chance.choice(bodies()), chance)
    try:
        document = of_body(body)
    except WorkflowError:
        return
    found = validate(document)
    assert all(problem.place == (1, 1) and problem.message for problem in found)
