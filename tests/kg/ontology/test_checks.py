"""Every write against its class: what fits, what does not, and what an error may show."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.errors import ShapeError
from kg.ontology import load
from kg.values import Money, Ref
from tests.kg.ontology.test_load import PREFIXES

KINDS = (
    PREFIXES
    + "".join(
        f":{name} a owl:DatatypeProperty ; rdfs:domain :Thing ; rdfs:range {range_} {more}.\n"
        for name, range_, more in [
            ("text", "xsd:string", ""),
            ("count", "xsd:integer", ""),
            ("rate", "xsd:decimal", ""),
            ("open", "xsd:boolean", ""),
            ("day", "xsd:date", ""),
            ("at", "xsd:dateTime", ""),
            ("lasts", "xsd:dayTimeDuration", ""),
            ("price", "n:money", ""),
            ("link", "xsd:anyURI", ""),
            ("words", "xsd:string", "; n:many true "),
            ("schema", "xsd:string", ""),
            ("model_config", "xsd:string", ""),
            ("copy", "xsd:integer", ""),
            ("lambda", "xsd:integer", ""),
            ("secret", "xsd:string", '; n:sensitivity "pii" '),
            ("home", "xsd:string", "; n:personal true "),
        ]
    )
    + """
:Thing a owl:Class .
:ThingShape a sh:NodeShape ; sh:targetClass :Thing ;
  sh:property [ sh:path :count ; sh:minInclusive -5 ; sh:maxExclusive 10 ] , [ sh:path :rate ; sh:minExclusive 0.5 ] ,
    [ sh:path :day ; sh:minInclusive "2026-01-01"^^xsd:date ] , [ sh:path :lasts ; sh:maxInclusive "PT1H"^^xsd:dayTimeDuration ] ,
    [ sh:path :price ; sh:minInclusive 0 ; sh:maxExclusive 100 ] , [ sh:path :text ; sh:minLength 2 ; sh:maxLength 4 ] ,
    [ sh:path :words ; sh:maxCount 2 ; sh:in ( "a" "b" ) ] , [ sh:path :secret ; sh:pattern "^x" ; sh:message "wants an x" ] ,
    [ sh:path :home ; sh:in ( "here" ) ] , [ sh:path :at ; sh:minInclusive "2026-01-01T00:00:00Z"^^xsd:dateTime ] .
"""
)
THING = load({"kinds.ttl": KINDS})

GOOD: dict[str, list[Any]] = {
    "text": ["ab", "äöü€"],
    "count": [-5, 9],
    "rate": [Decimal("0.5001")],
    "open": [True, False],
    "day": [date(2026, 1, 1)],
    "at": [datetime(2026, 1, 1, tzinfo=UTC)],
    "lasts": [timedelta(hours=1)],
    "price": [Money(Decimal(0), "EUR"), Money(Decimal("99.9999"), "EUR")],
    "link": [Ref("x")],
    "words": [("a",), ("a", "b")],
    "schema": ["x"],
    "model_config": ["x"],
    "copy": [1],
    "lambda": [1],
    "secret": ["x1"],
    "home": ["here"],
}
BAD: dict[str, list[Any]] = {
    "text": ["a", "abcde", 1, Ref("ab"), None],
    "count": [-6, 10, True, Decimal(1), "1", 1.0],
    "rate": [Decimal("0.5"), 1, 0.75, Decimal("NaN")],
    "open": [1, "true"],
    "day": [date(2025, 12, 31), datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02"],
    "at": [datetime(2026, 1, 2), date(2026, 1, 2), datetime(2025, 12, 31, tzinfo=UTC)],
    "lasts": [timedelta(hours=1, microseconds=1), 5],
    "price": [Money(Decimal(-1), "EUR"), Money(Decimal(100), "EUR"), Decimal(5)],
    "link": ["x"],
    "words": [("a", "b", "a"), ("c",), "a", ["a"], (1,), (Ref("a"),)],
    "copy": ["1"],
    "secret": ["y"],
    "home": ["there"],
    "nope": ["x"],
}


@pytest.mark.parametrize("name", GOOD)
def test_values_that_fit(name: str) -> None:
    for value in GOOD[name]:
        THING.check("Thing", {name: value})


@pytest.mark.parametrize("name", BAD)
def test_values_that_do_not_fit(name: str) -> None:
    for value in BAD[name]:
        with pytest.raises(ShapeError, match=rf"Thing.*{name}") as caught:
            THING.check("Thing", {name: value})
        if name in {"secret", "home"}:
            assert str(value) not in str(caught.value)
            assert "hidden" in str(caught.value)


def test_the_error_names_shape_property_value_and_remedy() -> None:
    with pytest.raises(ShapeError) as caught:
        THING.check("Thing", {"count": 99})
    assert str(caught.value) == (
        "Thing.count (shape ThingShape): 99 does not fit: it should be less than 10; correct the value or the shape"
    )
    with pytest.raises(ShapeError, match="wants an x"):
        THING.check("Thing", {"secret": "a"})
    with pytest.raises(ShapeError, match="did you mean count"):
        THING.check("Thing", {"conut": 1})
    with pytest.raises(ShapeError, match=r"no class 'Nope'"):
        THING.check("Nope", {})


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(ShapeError) as caught:
        THING.check("Thing", {"text": "y" * 1_000_000})
    assert len(str(caught.value)) < 300


def test_a_pattern_takes_linear_time() -> None:
    text = (
        PREFIXES
        + """:A a owl:Class . :x a owl:DatatypeProperty ; rdfs:domain :A ; rdfs:range xsd:string .
:S a sh:NodeShape ; sh:targetClass :A ; sh:property [ sh:path :x ; sh:pattern "^(a+)+$" ] ."""
    )
    with pytest.raises(ShapeError):
        load({"a.ttl": text}).check("A", {"x": "a" * 100_000 + "b"})


_ANY = st.one_of(
    st.text(max_size=5), st.integers(), st.booleans(), st.decimals(), st.dates(), st.datetimes(), st.timedeltas(),
    st.floats(), st.none(), st.builds(Ref, st.text(max_size=3)), st.tuples(st.text(max_size=1)), st.binary(max_size=3),
    st.builds(Money, st.decimals(), st.text(max_size=3)),
)  # fmt: skip


@given(st.sampled_from([*GOOD, "nope"]), _ANY)
def test_any_value_fits_or_is_a_shape_error(name: str, value: Any) -> None:
    try:
        THING.check("Thing", {name: value})
    except ShapeError:
        return
    kind = THING.classes["Thing"].properties[name]
    assert type(value) is (tuple if kind.many else type(GOOD[name][0]))


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_no_number_is_refused_in_words(amount: str) -> None:
    with pytest.raises(ShapeError, match=r"price.*finite"):
        THING.check("Thing", {"price": Money(Decimal(amount), "EUR")})


def test_the_model_has_the_same_rules() -> None:
    model = THING.model("Thing")
    assert model.model_validate({"count": 3, "schema": "x"}).model_dump(by_alias=True, exclude_none=True) == {
        "count": 3,
        "schema": "x",
    }


def test_nothing_heavy_loads_with_the_package() -> None:
    heavy = ("rdflib", "pydantic", "dlt", "sqlalchemy", "pyarrow", "jq")
    code = f"import sys, kg.ontology, kg.ingest; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
