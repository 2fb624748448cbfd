"""Reading YAML and JSON: values as YAML 1.2 has them, places, bounds, and one sentence for whatever is hostile."""

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from coordination.errors import WorkflowError
from coordination.workflow.document import of_body, parse
from coordination.workflow.source import DEPTH_MAX, TEXT_MAX, read
from tests.workflow import published

HEAD = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + index)}: &{chr(98 + index)} [{', '.join(['*' + chr(97 + index)] * 9)}]\n" for index in range(9)
)

HOSTILE = {
    "alias bomb": (BOMB, "more than 100,000 values"),
    "alias of itself": ("a: &a [*a]", "refers to nothing"),
    "deep flow": ("[" * 100_000, f"deeper than {DEPTH_MAX}"),
    "deep block": ("- " * 5_000 + "x", f"deeper than {DEPTH_MAX}"),
    "deep JSON": ('{"a":' * 5_000, f"deeper than {DEPTH_MAX}"),
    "many values": ("[" + "1," * 120_000 + "1]", "more than 100,000 values"),
    "too large": ("x" * (TEXT_MAX + 1), "split the workflow"),
    "object tag": ("a: !!python/object/apply:os.system [ls]", "is not allowed"),
    "own tag": ("a: !thing 1", "is not allowed"),
    "name twice": ("a: 1\nb: 2\na: 3", "stands twice"),
    "name twice in JSON": ('{"a": 1, "a": 2}', "stands twice"),
    "name that is a list": ("? [a]\n: 1", "plain text"),
    "two documents": ("a: 1\n---\nb: 2", "second document"),
    "not a number": ("a: .nan", "no number that JSON holds"),
    "infinite": ("a: -.inf", "no number that JSON holds"),
    "endless number": ("a: " + "9" * 100_000, "more than 1,000 digits"),
    "large number": ("a: 9007199254740993", "write it as text"),
    "half a surrogate": ('{"a": "\\ud800"}', "surrogate"),
    "control character": ("a: \x00", "not valid YAML"),
    "tab": ("a:\n\tb: 1", "not valid YAML"),
    "open JSON": ('{"a": [1, 2', "not valid"),
    "empty": ("", "is empty"),
    "only a comment": ("# nothing\n", "is empty"),
    "a list": ("[]", "is a mapping"),
    "a text": ("hello", "is a mapping"),
    "no document": ("do: []", "`document` is missing"),
    "version that is a number": ("document: { namespace: a, name: b, version: 1.0 }", "in quotes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_gets_one_sentence_soon(name: str) -> None:
    text, said = HOSTILE[name]
    begin = time.process_time()
    with pytest.raises(WorkflowError) as caught:
        parse(text, "w.yaml")
    message = str(caught.value)
    assert said in message
    assert message.startswith("w.yaml:")
    assert message.split(":")[1].isdigit()
    assert message.split(":")[2].isdigit()
    assert "\n" not in message
    assert len(message) < 400
    assert time.process_time() - begin < 10


def test_plain_values_are_those_of_yaml_1_2() -> None:
    text = "a: [yes, on, 2026-01-01, 012, 0o17, 0x1F, 1e3, .5, ~, True, 'no', 1:30, null, -7]"
    wanted = ["yes", "on", "2026-01-01", 12, 15, 31, 1000.0, 0.5, None, True, "no", "1:30", None, -7]
    assert read(text, "w").value == {"a": wanted}
    assert read("on: { one: 1 }", "w").value == {"on": {"one": 1}}


def test_every_part_knows_its_place() -> None:
    found = parse(HEAD + "do:\n  - first:\n      set:\n        a/b: 1\n  - second:\n      wait: PT1S\n")
    assert found.lines["/do"] == (2, 1)
    assert found.lines["/do/0/first"] == (3, 5)
    assert found.lines["/do/0/first/set/a~1b"] == (5, 9)
    assert found.lines["/do/1/second/wait"] == (7, 7)
    assert found.place("/do/1/second/wait/not/there") == (7, 7)
    assert found.place("/nowhere") == (1, 1)


def test_an_alias_is_written_out_where_it_stands() -> None:
    found = parse(HEAD + "do:\n  - a: &set { set: { n: 1 } }\n  - b: *set\n")
    assert found.body["do"][1] == {"b": {"set": {"n": 1}}}
    assert found.lines["/do/1/b"] == (4, 5)


def test_json_and_yaml_of_one_workflow_are_one() -> None:
    published.need()
    for name, text in published.examples().items():
        if text.strip():
            one = parse(text, name)
            for other in (
                parse(json.dumps(one.body), "w.json"),
                parse(json.dumps(one.body, indent=3, ensure_ascii=False), "w.yaml"),
                parse(yaml.safe_dump(one.body), "w.yaml"),
                of_body(one.body),
            ):
                assert (other.body, other.digest) == (one.body, one.digest), name
            assert set(one.lines) == set(parse(json.dumps(one.body), "w.json").lines)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2**53, "beyond"),
        (float("nan"), "no number that JSON holds"),
        ((1, 2), "is of type tuple"),
        (b"x", "is of type bytes"),
        ({1: 2}, "is no text"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_value_made_in_python_is_held_to_the_same_bounds(value: Any, said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        of_body({"document": {"namespace": "a", "name": "b", "version": "1.0.0"}, "do": value})


def test_the_digest_is_of_the_content() -> None:
    one, other = (parse(HEAD + f"do:\n  - a: {{ set: {{ n: {number} }} }}\n") for number in (1, 2))
    assert one.digest != other.digest
    assert parse(HEAD + "# a remark\ndo:\n  - a:\n      set:\n        n: 1\n").digest == one.digest


_SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20)
_VALUES = st.recursive(
    _SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(_VALUES, st.sampled_from([None, 0, 2]))
def test_any_json_comes_back_as_it_went(value: Any, indent: int | None) -> None:
    text = json.dumps({"a": value}, indent=indent)
    assert json.dumps(read(text, "w.json").value) == json.dumps({"a": value})


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet='{}[]",:&*!|>-# \n\t0a', max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    for name in ("w.yaml", "w.json"):
        said = f"{name}:"
        try:
            parse(text, name)
        except WorkflowError as error:
            said = str(error)
        assert said.startswith(f"{name}:")
