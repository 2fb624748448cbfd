"""Limits: a query that asks for too much is refused before anything of it runs."""

import time

import pytest
from graphql import parse

from api.graphql.limits import measure
from api.graphql.schema import build_schema
from api.settings import Settings
from kg.ontology import Ontology
from tests.api.client import Client
from tests.redteam.words import FLOODS


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ " + "customers { nodes { orders { nodes { customer { orders { nodes { customer { orders { nodes { id "
         + "} " * 10 + "}", "levels deep; at most 10"),
        ("{ customers(first: 500) { nodes { orders(first: 100) { nodes { id } } } } }", "may ask for 51,001 objects"),
        ("{ customers { nodes { orders(first: 500) { nodes { lines(first: 5) { nodes { id } } } } } } }", "may ask for"),
        ("query($n: Int = 500) { customers(first: $n) { nodes { orders(first: $n) { nodes { id } } } } }", "may ask for"),
        ("{ customers(first: 500) { nodes { orders { nodes { why { text } } } } } }", "may ask for"),
        ("{ orders(first: 500) { nodes { lines { nodes { order { why { text } } } } } } }", "may ask for"),
        ("{ customers(first: " + "1" * 5_000 + ") { nodes { id } } }", "more than 400 digits"),
        *FLOODS,
    ],
)  # fmt: skip
def test_too_much_is_refused(client: Client, query: str, said: str) -> None:
    code, message = client.refused(query)
    assert code == "TOO_COSTLY"
    assert said in message


def test_too_many_repeated_fields_are_refused_in_words(client: Client) -> None:
    code, message = client.refused("{ customers { nodes { " + "name " * 1_900 + "} } }")
    assert (code, "repeats too many fields" in message) == ("TOO_COSTLY", True)


def test_variables_count_as_they_are(client: Client) -> None:
    query = "query($n: Int!) { customers(first: $n) { nodes { orders(first: $n) { nodes { id } } } } }"
    assert client.data(query, n=10)
    assert client.refused(query, n=500)[0] == "TOO_COSTLY"
    assert client.refused(query, n=10**12)[0] in {"TOO_COSTLY", "BAD_INPUT"}


def test_what_fits_passes(client: Client) -> None:
    assert client.data(
        "{ customers { nodes { orders { nodes { lines(first: 5) { nodes { order { number } } } } } } } }"
    )
    assert client.data("{ " + " ".join(f"a{n}: viewer {{ uid }}" for n in range(30)) + " }")


def test_a_chain_of_fragments_hides_nothing_and_costs_nothing(words: Ontology) -> None:
    schema = build_schema(words, Settings())._schema
    links = [f"fragment f{n} on Customer {{ ...f{n + 1} ...f{n + 1} a{n}: name }}" for n in range(60)]
    document = parse("{ customers { nodes { ...f0 } } } " + " ".join(links) + " fragment f60 on Customer { name }")
    # The time of this thread, not of what else the machine does.
    started = time.thread_time()
    size = measure(schema, document, {})
    assert time.thread_time() - started < 1
    assert size.aliases == 2**60 - 1


def test_a_fragment_inside_itself_ends(client: Client) -> None:
    query = "{ customers { nodes { ...f } } } fragment f on Customer { name orders { nodes { customer { ...f } } } }"
    assert client.refused(query)[0] == "BAD_INPUT"


def test_aliases_in_fragments_count(client: Client) -> None:
    aliases = " ".join(f"a{n}: name" for n in range(16))
    query = f"{{ customers {{ nodes {{ ...f }} }} parties {{ nodes {{ ...f }} }} }} fragment f on Party {{ {aliases} }}"
    assert client.refused(query)[0] == "TOO_COSTLY"


def test_introspection_tools_still_work(client: Client) -> None:
    from graphql import get_introspection_query

    query = get_introspection_query()
    assert client.data(query)["__schema"]["queryType"]["name"] == "Query"


def test_every_operation_of_a_document_counts(client: Client) -> None:
    one = "customers(first: 400) { nodes { orders(first: 70) { nodes { id } } } }"
    assert client.data(f"query a {{ {one} }}")
    assert client.refused(f"query a {{ {one} }} query b {{ {one} }}")[0] == "TOO_COSTLY"


def test_one_of_several_operations_must_be_named(client: Client) -> None:
    code, message = client.refused("query a { viewer { uid } } query b { head { position } }")
    assert code == "BAD_INPUT"
    assert "operationName" in message
    body = {"query": "query a { viewer { uid } } query b { __typename }", "operationName": "b"}
    assert client.http.post("/graphql", json=body).json() == {"data": {"__typename": "Query"}}
