"""The schema: names that cannot meet, the exported file up to date, one type for each scalar."""

import re
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError, build_ast_schema, parse, validate
from hypothesis import given
from hypothesis import strategies as st

from api.graphql.export import sdl
from api.graphql.ids import entity_id, global_id
from api.graphql.names import check_roots, many
from api.graphql.scalars import ANNOTATIONS, PARSERS, duration, duration_text
from api.graphql.schema import build_schema
from api.settings import Settings
from kg.errors import OntologyError, ValueDomainError
from kg.ontology import Ontology
from kg.ontology.names import RESERVED_FIELDS, RESERVED_TYPES, class_names
from kg.values import SCALARS
from tests.api import parts
from tests.api.client import Client

ROOT = Path(__file__).resolve().parents[2]
ONTOLOGY = "examples/distributor/ontology.ttl"
PREFIXES = """@prefix e: <urn:example#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""


def test_the_exported_schema_is_up_to_date() -> None:
    text = sdl({ONTOLOGY: (ROOT / ONTOLOGY).read_text(encoding="utf-8")})
    kept = (ROOT / "api" / "schema.graphql").read_text(encoding="utf-8")
    assert text == kept, f"renew it: python -m api.graphql.export --out api/schema.graphql {ONTOLOGY}"


def test_the_export_is_the_same_in_any_file_order() -> None:
    extra = PREFIXES + 'e:Zebra a owl:Class ; rdfs:label "Zebra" . e:Ant a owl:Class ; rdfs:label "Ant" .'
    extra += " e:legs a owl:DatatypeProperty ; rdfs:domain e:Ant , e:Zebra ; rdfs:range xsd:integer ."
    first = sdl({"a.ttl": parts.COMPANY, "b.ttl": extra})
    assert first == sdl({"b.ttl": extra, "a.ttl": parts.COMPANY})


def test_every_scalar_type_has_a_graphql_type() -> None:
    assert {s.name for s in SCALARS} == {*ANNOTATIONS, "money", "list"}


def test_every_type_of_the_schema_is_reserved_in_ontologies(words: Ontology) -> None:
    taken = {name for cls in words.classes for name in class_names(cls)} | {"PlainPrincipal", "PlainParty"}
    types = build_schema(words, Settings())._schema.type_map
    strays = [name for name in types if not name.startswith("__") and name not in taken and name not in RESERVED_TYPES]
    assert not strays, f"add to RESERVED_TYPES in kg/ontology/names.py: {strays}"


def test_every_field_of_an_entity_is_reserved_in_ontologies(words: Ontology) -> None:
    entity: Any = build_schema(words, Settings())._schema.type_map["Entity"]
    assert set(entity.fields) <= RESERVED_FIELDS


@pytest.mark.parametrize("name", ["version", "history", "why", "changes", "masked", "since", "id", "class"])
def test_a_property_named_like_a_field_of_every_entity_is_refused(name: str) -> None:
    text = PREFIXES + f'e:Box a owl:Class ; rdfs:label "Box" . e:{name} a owl:DatatypeProperty ; rdfs:domain e:Box ;'
    with pytest.raises(OntologyError, match="rename it"):
        parts.ontology({"x.ttl": text + " rdfs:range xsd:string ."})


def test_root_fields_never_meet() -> None:
    for cls in ("Node", "Head", "Viewer", "Search"):
        with pytest.raises(OntologyError, match="which the platform has; rename the class"):
            check_roots([cls], ["node", "head", "viewer", "search"])
    with pytest.raises(OntologyError, match="which class Box has"):
        check_roots(["Box", "Boxes"], [])
    check_roots(["Series", "News", "Data", "Goods"], [])


@pytest.mark.parametrize(
    ("cls", "field"),
    [("Customer", "customers"), ("Policy", "policies"), ("Box", "boxes"), ("Address", "addresses"), ("Day", "days"),
     ("Status", "statuses"), ("Branch", "branches"), ("Series", "allSeries"), ("PurchaseOrder", "purchaseOrders")],
)  # fmt: skip
def test_plurals(cls: str, field: str) -> None:
    assert many(cls) == field


def test_property_names_that_python_keeps_for_itself_work(tmp_path: Path, clock: Any) -> None:
    names = ["from", "def", "self", "info", "type", "None", "lambda", "entity", "where", "first", "items", "snake_case"]
    text = PREFIXES + 'e:Box a owl:Class ; rdfs:label "Box" .'
    for name in names:
        text += f" e:{name} a owl:DatatypeProperty ; rdfs:domain e:Box ; rdfs:range xsd:string ."
    text += " e:return a owl:ObjectProperty ; rdfs:domain e:Box ; rdfs:range e:Box ."
    words = parts.ontology({"x.ttl": text})
    store = parts.sqlite(tmp_path / "names.db", words, clock)
    client = Client(parts.platform(store, clock, words))
    parts.write(store, clock, parts.Put("b", "Box", {name: name for name in names}))
    found = client.data(
        '{ box(id: "b") { from def self info type none lambda entity where first items snakeCase return { nodes { id } } } }'
    )
    assert found["box"]["from"] == "from"
    assert found["box"]["snakeCase"] == "snake_case"
    assert client.data('{ boxes(where: { from: { eq: "from" } }, orderBy: { property: def }) { nodes { id } } }')[
        "boxes"
    ]["nodes"]
    store.close()


def test_a_class_without_properties_is_served(tmp_path: Path, clock: Any) -> None:
    bare = 'e:Bare a owl:Class ; rdfs:label "Bare" . e:next a owl:ObjectProperty ; rdfs:domain e:Bare ; rdfs:range e:Bare .'
    words = parts.ontology({"x.ttl": PREFIXES + bare})
    store = parts.sqlite(tmp_path / "bare.db", words, clock)
    client = Client(parts.platform(store, clock, words))
    parts.write(store, clock, parts.Put("b", "Bare", {}))
    assert (
        client.data("{ bares(first: 1) { totalCount { text } nodes { id class } } }")["bares"]["nodes"][0]["class"]
        == "Bare"
    )
    store.close()


def test_two_hundred_classes_are_built_in_time() -> None:
    text = PREFIXES
    for n in range(200):
        text += f' e:C{n}x a owl:Class ; rdfs:label "C{n}x" .'
        text += f" e:p{n} a owl:DatatypeProperty ; rdfs:domain e:C{n}x ; rdfs:range xsd:string ."
        text += f" e:r{n} a owl:ObjectProperty ; rdfs:domain e:C{n}x ; rdfs:range e:C{(n + 1) % 200}x ."
    words = parts.ontology({"many.ttl": text})
    started = time.process_time()
    assert "c199xes(" in build_schema(words, Settings()).as_str()
    assert time.process_time() - started < 30


@given(st.timedeltas(min_value=timedelta(days=-3_000_000), max_value=timedelta(days=3_000_000)))
def test_durations_are_read_as_they_are_written(value: timedelta) -> None:
    assert duration(duration_text(value)) == value


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "1D", "P1Y", "P1M", "PT1.5M", "P-1D", "PT1S ", "P9999999999D", "P999999999DT24H"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueDomainError):
        duration(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("decimal", 1.5), ("decimal", "1e400"), ("decimal", "1.23456"), ("decimal", True), ("decimal", "x"), ("integer", 1.0),
     ("integer", "1"), ("integer", 2**53), ("date", "2026-02-30"), ("date", 1), ("instant", "2026-01-01T00:00:00"),
     ("instant", "now"), ("duration", 5)],
)  # fmt: skip
def test_wrong_scalars_are_refused(kind: str, value: Any) -> None:
    with pytest.raises(GraphQLError):
        PARSERS[kind](value)
    assert PARSERS["decimal"]("1.50") == Decimal("1.5")


@given(st.text(alphabet="ABCxyz_019", min_size=1, max_size=20), st.text(min_size=1, max_size=40))
def test_global_ids_lead_back(cls: str, id: str) -> None:
    try:
        id.encode()
    except UnicodeEncodeError:
        return
    assert entity_id(global_id(cls, id)) == id


def test_every_query_of_the_documents_is_valid() -> None:
    schema = build_ast_schema(parse((ROOT / "api" / "schema.graphql").read_text(encoding="utf-8")))
    document = (ROOT / "docs" / "graphql.md").read_text(encoding="utf-8")
    queries = re.findall(r"```graphql\n(.*?)```", document, re.DOTALL)
    assert len(queries) > 4
    for query in queries:
        assert validate(schema, parse(query)) == [], query


def test_the_documented_bounds_are_those_of_the_settings() -> None:
    document = (ROOT / "docs" / "graphql.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| (`\w+`(?:, `\w+`)*) \| ([\d, ]+) \|$", document, re.MULTILINE)
    shown = {}
    for names, values in rows:
        keys = names.replace("`", "").split(", ")
        shown |= dict(zip(keys, values.split(", "), strict=True)) if len(keys) > 1 else {keys[0]: values}
    assert len(shown) > 8
    for name, value in shown.items():
        assert Settings.model_fields[name].default == float(value.replace(",", "")), name
