"""A small domain for the tests of governance: its ontology, rule entities without a store, and principals."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from governance.decide import Request, Resource
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.rules import compile_rules
from kg.model import Entity
from kg.ontology import Ontology, load

ROOT = Path(__file__).parents[2]

DOMAIN = """
@prefix : <urn:example:shop#> . @prefix n: <urn:noesis:ns#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Product a owl:Class ; n:department "purchasing" .
:Order a owl:Class ; n:department "sales" .
:WebOrder a owl:Class ; rdfs:subClassOf :Order .
:Customer a owl:Class .
:Effect a owl:Class .
:stock a owl:DatatypeProperty ; rdfs:domain :Product ; rdfs:range xsd:integer .
:rate a owl:DatatypeProperty ; rdfs:domain :Product , :Customer ; rdfs:range xsd:decimal .
:tags a owl:DatatypeProperty ; rdfs:domain :Product , :Customer ; rdfs:range xsd:string ; n:many true .
:total a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range n:money .
:open a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:boolean .
:due a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:dateTime .
:region a owl:DatatypeProperty ; rdfs:domain :Order , :Customer ; rdfs:range xsd:string .
:phone a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ; n:sensitivity "pii" .
:margin a owl:DatatypeProperty ; rdfs:domain :Customer , :Order ; rdfs:range xsd:decimal ; n:sensitivity "confidential" .
:token a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ; n:sensitivity "secret" .
:state a owl:DatatypeProperty ; rdfs:domain :Effect ; rdfs:range xsd:string .
:agent a owl:DatatypeProperty ; rdfs:domain :Effect ; rdfs:range xsd:string .
:department a owl:DatatypeProperty ; rdfs:domain :Effect ; rdfs:range xsd:string .
:status a owl:DatatypeProperty ; rdfs:domain :Effect ; rdfs:range xsd:string .
"""


@cache
def ontology() -> Ontology:
    return load(
        {"shop.ttl": DOMAIN, "governance.ttl": (ROOT / "governance" / "platform.ttl").read_text(encoding="utf-8")}
    )


def rule(text: str, id: str, version: int = 1) -> Entity:
    return Entity(id, "Rule", version, {"name": id, "text": text, "status": "active"}, 1)


def book(*texts: str) -> RuleBook:
    """Rules compiled without validation, so that erring ones can be had; ids are rule0, rule1 …"""
    return compile_rules([rule(text, f"rule{n}") for n, text in enumerate(texts)], ontology())


def user(name: str, *roles: str, departments: Iterable[str] = (), **more: Any) -> Principal:
    return Principal("User", name, frozenset(roles), frozenset(departments), **more)


def agent(name: str = "replenishment", *roles: str, **more: Any) -> Principal:
    return Principal("Agent", name, frozenset(roles), **more)


def product(**properties: Any) -> Entity:
    return Entity("p1", "Product", 4, properties, 9)


def apply(principal: Principal, resource: Entity | Resource | None = None, **context: Any) -> Request:
    whole = {"operation": "purchase_order.create", "effect": "graph", "confidence": 1, "priority": 0, **context}
    return Request(principal, "apply", resource or product(stock=3), whole)
