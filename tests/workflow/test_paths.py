"""Programs that only name a place give, without the child process, exactly what jq gives."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordination.workflow.expressions import Expressions, _wrapped
from coordination.workflow.paths import PathError, found, place
from kg.jq import Jq

NAMES = st.sampled_from(["a", "b", "c", "_x", "A1", "and", "if", "not", "null", "true", "empty", "input", "env"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5) | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
PROGRAMS = st.one_of(
    st.just("."),
    st.builds(lambda names: "." + ".".join(names), st.lists(NAMES, min_size=1, max_size=4)),
    st.builds(lambda names: "$v" + "".join(f".{n}" for n in names), st.lists(NAMES, max_size=4)),
    st.sampled_from(
        [
            "$v",
            " .a ",
            "..",
            ".a..b",
            ".a.",
            "$v.",
            "$",
            ".1",
            "a",
            "",
            "$__loc__",
            "$ENV",
            ".a[0]",
            ".a?",
            "$v.a.b ",
            "\n.a\n",
        ]
    ),
)


@cache
def asked() -> Jq:
    """One child process for every example; the fixture ends it."""
    return Jq()


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    asked().close()


@settings(max_examples=400)
@given(program=PROGRAMS, value=VALUES, variable=VALUES)
def test_a_path_gives_what_jq_gives(program: str, value: Any, variable: Any) -> None:
    there = place(program)
    if there is None:
        return
    if there.variable not in (None, "v"):
        return
    wrapped, used = _wrapped(program, frozenset({"v"}))
    (theirs,) = asked().run_all([wrapped], {"i": value, "v": {"v": variable} if used else {}})
    try:
        ours = found(there, value if there.variable is None else variable)
    except PathError:
        # Then jq is asked: it fails, or there is a number that it writes in its own way.
        assert theirs.error is not None or "." in json.dumps(theirs.value) or "." in json.dumps([value, variable]), (
            program
        )
        return
    assert theirs.error is None
    assert (ours, type(ours)) == (theirs.value, type(theirs.value)), program


@given(program=PROGRAMS)
def test_what_is_no_path_is_left_to_jq(program: str) -> None:
    if place(program) is None:
        assert program.strip() != "."
    else:
        assert all(char.isalnum() or char in "._$" for char in program.strip())


def test_what_a_path_gives_is_a_copy() -> None:
    data = {"a": {"b": [1]}}
    made = Expressions()
    given_out = made.one(".a", data, {})
    given_out["b"].append(2)
    assert data == {"a": {"b": [1]}}


def test_no_child_process_is_started_for_paths() -> None:
    made = Expressions()
    assert made.filled({"x": "${ .a }", "y": "${ $v.b }"}, {"a": 1}, {"v": lambda: {"b": 2}}) == {"x": 1, "y": 2}
    assert made.jq._free == []
