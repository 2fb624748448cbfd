"""No value that the ontology calls personal or sensitive reaches a prompt, however the agent wrote it there."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from agents.masking import MASK, leaving
from agents.models.model import Question
from kg.model import Entity
from kg.ontology import load
from kg.values import Money
from tests.agents.test_model import Choice

WORDS = load({"test": """
@prefix n: <urn:noesis:ns#> . @prefix : <urn:example:> .
@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Person a owl:Class .
:called a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range xsd:string ; n:personal true .
:born a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range xsd:date ; n:personal true .
:ill_since a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range xsd:dateTime ; n:sensitivity "health" .
:salary a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range n:money ; n:sensitivity "pay" .
:rate a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range xsd:decimal ; n:sensitivity "pay" .
:number a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range xsd:integer ; n:sensitivity "pay" .
"""})  # fmt: skip
VALUES = {
    "called": 'Zoë "Q" Müller',
    "born": date(1980, 5, 3),
    "ill_since": datetime(2025, 11, 7, 8, 30, tzinfo=UTC),
    "salary": Money(Decimal("85000"), "EUR"),
    "rate": Decimal("127.5"),
    "number": 4711,
}
PERSON = Entity("p1", "Person", 1, VALUES, 1)


@pytest.mark.parametrize(
    ("written", "secret"),
    [
        (f"{VALUES['born']} and {VALUES['born']:%Y/%m/%d}", "80"),
        (f"ill since {VALUES['ill_since']}, on {VALUES['ill_since']:%Y-%m-%d}", "11"),
        (f"{PERSON['salary']} or 85,000 or 85000.00", "85"),
        (f"{VALUES['rate']} and staff number {VALUES['number']}", "7"),
        (json.dumps(VALUES, default=str), "ller"),
        (json.dumps(VALUES, default=str, ensure_ascii=False), "ller"),
        (json.dumps({"body": json.dumps(VALUES, default=str)}), "ller"),
        ("ZOË “Q” MÜLLER wrote", "LLER"),
    ],
)
def test_a_value_is_masked_however_it_is_written(written: str, secret: str) -> None:
    out = leaving(WORDS)
    asked = out.question("a", "m", Question("Route.", written, Choice), out.labelled(PERSON))
    assert MASK in asked.material
    assert secret not in asked.material.replace("[withheld]", "")


def test_a_number_within_another_is_another_one() -> None:
    out = leaving(WORDS)
    text = "order 14711, part 47112, 1127.58 EUR"
    assert out.question("a", "m", Question(text, text, Choice), out.labelled(PERSON)).material == text
