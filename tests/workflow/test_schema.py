"""Our tables of the specification's definitions against its official schema: on every published document, and on changed ones."""

import copy
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from coordination.errors import WorkflowError
from coordination.workflow.checker import Checker
from coordination.workflow.definitions import MOMENT, POINTER
from coordination.workflow.document import parse
from coordination.workflow.source import read
from coordination.workflow.tasks import SHAPES, WORKFLOW
from tests.workflow import published

Json = Any
#: Values put in the place of others.
STRANGE: tuple[Json, ...] = (
    *(None, True, 0, -1, 5.0, 2.5, 70_000, "", "x", "a b", "${", "${ .a }", "PT5S", "P", "/do/0", "end", "http://x"),
    *("2020-01-01T00:00:00Z", [], [1], [{}], {}, {"a": 1}, {"use": "x"}, {"use": ""}, {"seconds": 1}),
)


@cache
def official() -> Draft202012Validator:
    """The official schema, with the two formats asserted that tell an expression from a literal."""
    formats = FormatChecker(formats=())
    formats.checks("json-pointer")(lambda value: not isinstance(value, str) or bool(POINTER.match(value)))
    formats.checks("date-time")(lambda value: not isinstance(value, str) or bool(MOMENT.match(value)))
    return Draft202012Validator(published.schema(), format_checker=formats)


def ours(value: Json) -> tuple[bool, list[str]]:
    """Whether our tables let a value pass, and what they say; the two always agree."""
    checker = Checker(SHAPES)
    fits = checker.check(WORKFLOW, value, "")
    said = [f"{one.pointer}: {one.message}" for one in checker.findings.found]
    assert fits == (not said)
    return fits, said


@cache
def bodies() -> list[Json]:
    """Every published document that can be read."""
    found: list[Json] = []
    for text in [*published.examples().values(), *published.definitions().values()]:
        try:
            found.append(read(text, "published").value)
        except WorkflowError:
            continue
    return found


def parts(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """Every part of a value with its path."""
    yield path, value
    for name, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from parts(item, (*path, name))


@cache
def material() -> tuple[list[Json], list[str]]:
    """Small parts and field names of the published documents, to put where they do not belong."""
    found = [(path, part) for body in bodies() for path, part in parts(body)]
    small = [part for _, part in found if len(json.dumps(part)) < 600]
    names = sorted({path[-1] for path, _ in found if path and isinstance(path[-1], str)})
    return small, [*names, "zzz", ""]


def changed(body: Json, chance: random.Random) -> Json:
    """A copy with one to three random changes."""
    made = copy.deepcopy(body)
    small, names = material()
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        path, part = chance.choice(list(parts(made)))
        if not path:
            continue
        holder = made
        for name in path[:-1]:
            holder = holder[name]
        how = chance.randrange(6)
        new = copy.deepcopy(chance.choice(STRANGE) if chance.random() < 0.5 else chance.choice(small))
        if how == 0:
            del holder[path[-1]]
        elif how in (1, 2):
            holder[path[-1]] = new
        elif how == 3 and isinstance(part, dict):
            part[chance.choice(names)] = new
        elif how == 4 and isinstance(part, list):
            part.append(new)
        elif isinstance(holder, dict):
            holder[chance.choice(names)] = holder.pop(path[-1])
    return made


def test_every_published_document_fits_both() -> None:
    published.need()
    assert len(published.examples()) == 69
    empty = [name for name, text in published.examples().items() if not text.strip()]
    assert len(empty) == published.EMPTY_EXAMPLES
    for name, text in published.examples().items():
        if name not in empty:
            body = parse(text, name).body
            assert official().is_valid(body), name
            assert ours(body) == (True, []), name
    read_ = [name for name, text in published.definitions().items() if _readable(text)]
    assert len(published.definitions()) - len(read_) == published.BROKEN_SAMPLES
    for name in read_:
        body = read(published.definitions()[name], name).value
        assert ours(body)[0] == official().is_valid(body), name


def _readable(text: str) -> bool:
    try:
        read(text, "sample")
    except WorkflowError:
        return False
    return True


def test_changed_documents_fit_ours_where_they_fit_the_official_one() -> None:
    published.need()
    chance = random.Random(20260101)
    invalid = 0
    for _ in range(2_000):
        body = changed(chance.choice(bodies()), chance)
        fits, said = ours(body)
        assert fits == official().is_valid(body), (said, json.dumps(body)[:2_000])
        invalid += not fits
    # A comparison in which nearly everything passes, or nothing does, would prove nothing.
    assert 600 < invalid < 1_800


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_seed_agrees(seed: int) -> None:
    published.need()
    chance = random.Random(seed)
    body = changed(chance.choice(bodies()), chance)
    fits, said = ours(body)
    assert fits == official().is_valid(body), (said, json.dumps(body)[:2_000])


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["do", "set", "call", "for", "x"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_any_json_is_judged_alike(value: Json) -> None:
    published.need()
    body = {"document": {"dsl": "1.0.3", "namespace": "a", "name": "b", "version": "1.0.0"}, "do": value}
    assert ours(body)[0] == official().is_valid(body)
    assert ours(value)[0] == official().is_valid(value)
