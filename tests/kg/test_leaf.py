"""Canonical bytes against the rfc8785 package, and what a leaf gives away."""

import json
from datetime import datetime, timedelta, timezone

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kg import leaf
from kg.model import Cause, Close, Link, Put, Unlink
from kg.store import Request
from kg.stores.prepare import prepare
from kg.values import canonical, encode_properties
from tests.properties import values

names = st.text("abcXYZ_09", min_size=1, max_size=6)
words = values.texts


@given(st.dictionaries(names, values.values, max_size=5))
def test_properties_are_rfc_8785_bytes(properties: dict[str, object]) -> None:
    encoded = encode_properties(properties)  # type: ignore[arg-type]
    assert canonical(encoded).encode() == rfc8785.dumps(encoded)


@given(words, words, words, st.none() | words, st.lists(st.tuples(words, st.integers(0, 9)), max_size=2))
def test_the_text_of_a_cause_is_rfc_8785(
    id: str, agent: str, reason: str, behalf: str | None, inputs: list[tuple[str, int]]
) -> None:
    text = leaf.cause_text(id, "act", agent, reason, behalf, inputs, '{"a":1}')
    assert text.encode() == rfc8785.dumps(json.loads(text))
    assert json.loads(text)["inputs"] == [list(used) for used in inputs]


@given(words, words, st.none() | words, st.dictionaries(names, values.values, max_size=3), st.booleans())
def test_the_text_of_a_request_is_rfc_8785(
    id: str, cls: str, origin: str | None, properties: dict[str, object], flag: bool
) -> None:
    # No name may be empty.
    id, cls, origin = f"i{id}", f"c{cls}", None if origin is None else f"o{origin}"
    start = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    writes = [
        Put(id, cls, properties, frozenset({"b", "a"}), origin, start, None, flag),  # type: ignore[arg-type]
        Close(id, origin),
        Link(id, cls, id, properties, flag),  # type: ignore[arg-type]
        Unlink(id, cls, origin),
    ]
    prepared = prepare(Request(writes, Cause("c", "act", "me"), {}, ()))
    encoded = encode_properties(properties)  # type: ignore[arg-type]
    forms = [
        ["put", id, cls, encoded, ["a", "b"], origin, "2026-01-31T07:30:00.000000Z", None, flag],
        ["close", id, origin],
        ["link", id, cls, id, encoded, flag],
        ["unlink", id, cls, origin],
    ]
    assert prepared.text.encode() == rfc8785.dumps([json.loads(prepared.cause_text), forms])
    assert prepared.texts == [canonical(encoded), "{}", canonical(encoded), "{}"]


@given(words, words, st.none() | words)
def test_leaf_texts_are_rfc_8785(cls: str, id: str, origin: str | None) -> None:
    prefix = leaf.leaf_prefix("2026-01-01T00:00:00.000000Z", bytes(32))
    end = "2026-01-01T00:00:00.000000Z"
    entity = leaf.entity_text(prefix, '["a"]', cls, id, "created", "{}", 7, "00", None, end, 1)
    relation = leaf.relation_text(prefix, cls, id, "linked", 8, "uses", "00", id)
    for text in [entity, relation, leaf.rest_text(origin, "{}")]:
        assert text.encode() == rfc8785.dumps(json.loads(text))


def test_commitments_hide_equal_values() -> None:
    one = leaf.personal_commitments('{"a":"x","b":"x"}', bytes(16) + b"1" * 16)
    assert len(set(json.loads(one).values())) == 2
    assert "x" not in one
