"""No value that the ontology calls personal or sensitive reaches a prompt, however the agent wrote it there."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from agents.errors import ModelRefusedError
from agents.masking import MASK, Destination, leaving
from agents.models.model import Question
from governance.people import ensure_principal
from governance.principals import Principal
from governance.rules import compile_rules
from kg.model import Entity
from kg.ontology import load
from kg.values import Money
from tests.agents.test_model import Choice
from tests.governance.world import rule
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

ROOT = Path(__file__).resolve().parents[2]
GOVERNANCE = (ROOT / "governance" / "platform.ttl").read_text("utf-8")
WORDS = load({"governance": GOVERNANCE, "test": """
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


@pytest.mark.parametrize("label", ["personal", "pay"])
def test_a_filter_hears_of_every_label_that_a_text_stands_under(label: str) -> None:
    store = DictStore(WORDS, ManualClock())
    ensure_principal(store, ManualClock(seed=5), "Agent", "a", Principal("Service", "setup"))
    forbid = (
        f'forbid(principal, action == Action::"callModel", resource) when {{ context.labels.contains("{label}") }};'
    )
    book = compile_rules([rule(f'@id("dlp") {forbid}', "dlp")], WORDS)
    out = leaving(WORDS, Destination(store, ManualClock(seed=3), lambda: book))
    twice = Entity("p2", "Person", 1, {"called": "4711", "number": 4711}, 1)
    with pytest.raises(ModelRefusedError, match="dlp"):
        out.question("a", "m", Question("Route.", "staff 4711", Choice), out.labelled(twice))


def test_a_number_within_another_is_another_one() -> None:
    out = leaving(WORDS)
    text = "order 14711, part 47112, 1127.58 EUR"
    assert out.question("a", "m", Question(text, text, Choice), out.labelled(PERSON)).material == text
