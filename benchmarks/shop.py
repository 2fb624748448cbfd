"""The schema and rows that the store benchmarks write: a customer with twelve typed properties, checked by a real ontology."""

from decimal import Decimal

from kg.model import Put
from kg.store import Schema
from kg.values import Money

TURTLE = """
@prefix : <urn:shop#> .
@prefix n: <urn:noesis:ns#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

:Customer a owl:Class .
:number a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ; n:indexed true .
:name a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ; n:personal true .
:city a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:limit a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range n:money .
:rating a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:integer .
:active a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:boolean .
:knows a owl:ObjectProperty ; rdfs:domain :Customer ; rdfs:range :Customer ; n:inverse "knownBy" .
"""


def schema() -> Schema:
    """The ontology of the benchmark, loaded as every other."""
    from kg.ontology import load

    return load({"shop": TURTLE})


def customer(number: int, rating: int = 3) -> Put:
    """One entity write as ingest makes it."""
    return Put(
        f"01k{number:023d}",
        "Customer",
        {
            "number": f"C-{number:07d}",
            "name": f"Customer {number} Ltd",
            "city": ("Hamburg", "Wien", "Zürich")[number % 3],
            "limit": Money(Decimal(1000 + number % 500), "EUR"),
            "rating": rating,
            "active": number % 7 != 0,
        },
        origin=f"crm.customers/{number}",
    )
