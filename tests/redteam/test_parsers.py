"""Fuzz: any text given to a parser of ours is a value or one clear sentence."""

import base64
import contextlib
import json

import pytest
from graphql import GraphQLError
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import BadRequestError
from api.graphql.cursors import open_cursor, seal
from api.graphql.ids import entity_id, global_id
from api.graphql.limits import check_text
from coordination.effectors.addresses import checked
from coordination.effectors.http_call import target_of
from coordination.errors import GiveUp, RetryLater
from governance.errors import PrincipalError
from governance.peoplefile import read_people
from governance.principals import parse_uid, with_purpose
from kg.errors import InputError, NoesisError
from kg.model import Cursor
from kg.ontology import load
from kg.values import decode
from tests.governance.world import user
from tests.redteam.attacks import ATTACKS

TEXT = st.text(max_size=120)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(LEAVES, lambda x: st.lists(x) | st.dictionaries(TEXT, x), max_leaves=8)
FUZZ = settings(max_examples=150, deadline=None)


@FUZZ
@given(TEXT)
def test_names_purposes_and_ids(text: str) -> None:
    with contextlib.suppress(PrincipalError):
        kind, _ = parse_uid(text)
        assert kind in ("User", "Agent", "Service")
    with contextlib.suppress(PrincipalError):
        assert with_purpose(user("a"), text).purpose == text
    with contextlib.suppress(BadRequestError, GraphQLError):
        assert isinstance(entity_id(text), str)
    assert entity_id(global_id("Customer", "c1")) == "c1"


@FUZZ
@given(TEXT, st.integers(0, 60), st.binary(max_size=3))
def test_cursors_are_taken_whole_or_not_at_all(text: str, place: int, noise: bytes) -> None:
    with contextlib.suppress(BadRequestError):
        open_cursor("Customer::False", text)
    whole = seal("Customer::False", Cursor(None, "c1"))
    broken = whole[:place] + base64.urlsafe_b64encode(noise).decode() + whole[place:]
    if broken != whole:
        with pytest.raises(BadRequestError):
            open_cursor("Customer::False", broken)


@FUZZ
@given(JSON)
def test_values_of_the_wire(form: object) -> None:
    with contextlib.suppress(InputError):
        decode(json.loads(json.dumps(form)))


@FUZZ
@given(TEXT)
def test_documents_of_graphql_people_and_turtle(text: str) -> None:
    with contextlib.suppress(GraphQLError):
        check_text(text, 1000)
    with contextlib.suppress(NoesisError):
        read_people(text)
    with contextlib.suppress(NoesisError):
        load({"x.ttl": text})


@FUZZ
@given(TEXT)
def test_addresses(text: str) -> None:
    with contextlib.suppress(GiveUp):
        target_of(f"https://{text}", (), "http")
    with contextlib.suppress(GiveUp, RetryLater):
        checked("name.example", 443, (text,), lambda host, port: ["127.0.0.1"])


def test_every_attack_of_the_table_has_tests_that_are_there() -> None:
    from pathlib import Path

    for attack in ATTACKS:
        for test in attack.tests:
            file, _, name = test.partition("::")
            assert f"def {name}" in Path(file).read_text("utf-8"), test
