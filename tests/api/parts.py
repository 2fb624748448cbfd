"""A small company, its platform and a client for tests of the API: real store, real rules, real views."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from api.platform import Noesis
from api.settings import Settings
from api.texts import platform_texts
from governance import apikeys
from governance.people import ensure_principal
from governance.principals import Principal
from governance.rules import add, load_rules
from governance.view import GovernedView
from kg.clock import Clock
from kg.model import Cause, Link, Put, Write
from kg.ontology import Ontology, load
from kg.store import GraphStore, Head
from kg.stores.sqlite import SqliteStore
from kg.values import Money

COMPANY = """
@prefix n: <urn:noesis:ns#> .
@prefix e: <urn:example#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

e:Party a owl:Class ; rdfs:label "Party" ; rdfs:comment "A person or company." .
e:Customer a owl:Class ; rdfs:subClassOf e:Party ; rdfs:label "Customer" ; n:key "number" ; n:department "sales" .
e:Supplier a owl:Class ; rdfs:subClassOf e:Party ; rdfs:label "Supplier" .
e:Order a owl:Class ; rdfs:label "Order" ; n:key "number" .
e:Line a owl:Class ; rdfs:label "Line" .
e:Ticket a owl:Class ; rdfs:label "Ticket" .

e:name a owl:DatatypeProperty ; rdfs:domain e:Party ; rdfs:range xsd:string ; n:searchable true ; n:indexed true .
e:number a owl:DatatypeProperty ; rdfs:domain e:Customer , e:Order ; rdfs:range xsd:string ; n:indexed true .
e:email a owl:DatatypeProperty ; rdfs:domain e:Customer ; rdfs:range xsd:string ; n:sensitivity "pii" ; n:personal true .
e:limit a owl:DatatypeProperty ; rdfs:domain e:Customer ; rdfs:range n:money .
e:rating a owl:DatatypeProperty ; rdfs:domain e:Customer ; rdfs:range xsd:integer ; n:indexed true .
e:weight a owl:DatatypeProperty ; rdfs:domain e:Line ; rdfs:range xsd:decimal .
e:since_day a owl:DatatypeProperty ; rdfs:domain e:Customer ; rdfs:range xsd:date .
e:placed a owl:DatatypeProperty ; rdfs:domain e:Order ; rdfs:range xsd:dateTime .
e:promised a owl:DatatypeProperty ; rdfs:domain e:Order ; rdfs:range xsd:dayTimeDuration .
e:paid a owl:DatatypeProperty ; rdfs:domain e:Order ; rdfs:range xsd:boolean .
e:tags a owl:DatatypeProperty ; rdfs:domain e:Ticket ; rdfs:range xsd:string ; n:many true .
e:subject a owl:DatatypeProperty ; rdfs:domain e:Ticket ; rdfs:range xsd:string ; n:searchable true .

e:customer a owl:ObjectProperty , owl:FunctionalProperty ; rdfs:domain e:Order ; rdfs:range e:Customer ; n:inverse "orders" .
e:order a owl:ObjectProperty , owl:FunctionalProperty ; rdfs:domain e:Line ; rdfs:range e:Order ; n:inverse "lines" .
e:about a owl:ObjectProperty , owl:FunctionalProperty ; rdfs:domain e:Ticket ; rdfs:range e:Party ; n:inverse "tickets" .
"""
RULES = (
    '@id("staff-read") permit(principal in Role::"staff", action == Action::"read", resource);',
    '@id("admin-all") permit(principal in Role::"admin", action, resource);',
    '@id("sales-read") permit(principal in Role::"sales", action == Action::"read", resource is Customer);',
    '@id("no-secret-customers") forbid(principal in Role::"sales", action == Action::"read", resource is Customer) '
    'when { resource has number && resource.number like "H-*" };',
)
SYSTEM = Principal("Service", "setup")


def ontology(extra: Mapping[str, str] | None = None) -> Ontology:
    """The company's classes with those of the platform's layers."""
    return load({**platform_texts(), "company.ttl": COMPANY, **(extra or {})})


def write(store: GraphStore, clock: Clock, *writes: Write, reason: str = "test") -> None:
    """Commit as a source would."""
    store.commit(writes, Cause(clock.id(), "ingest", 'Service::"ingest"', reason))


def customer(place: int, **more: Any) -> Put:
    """A customer whose id sorts by number."""
    values: dict[str, Any] = {
        "number": f"C-{place:04}",
        "name": f"Customer {place}",
        "email": f"c{place}@example.org",
        "rating": place % 5,
        "limit": Money(Decimal(1000 + place), "EUR"),
    }
    return Put(f"customer{place:04}", "Customer", values | more)


def company(store: GraphStore, clock: Clock, customers: int = 3, orders: int = 2, lines: int = 2) -> None:
    """Customers with orders with lines, all in one commit."""
    writes: list[Write] = []
    for c in range(customers):
        writes.append(customer(c))
        for o in range(orders):
            order = f"order{c:04}x{o:04}"
            writes += [Put(order, "Order", {"number": f"O-{c}-{o}", "paid": o % 2 == 0})]
            writes += [Link(order, "customer", f"customer{c:04}", exclusive=True)]
            for n in range(lines):
                line = f"line{c:04}x{o:04}x{n:04}"
                writes += [Put(line, "Line", {"weight": Decimal(n) / 2}), Link(line, "order", order, exclusive=True)]
    write(store, clock, *writes)


def platform(store: GraphStore, clock: Clock, words: Ontology, settings: Settings | None = None) -> Noesis:
    """The platform over a store, with people and rules."""
    for kind, name, roles in (
        ("User", "anna", ("staff",)),
        ("User", "local", ("admin",)),
        ("Service", "shop", ("sales",)),
    ):
        ensure_principal(store, clock, kind, name, SYSTEM, roles=roles)
    for rule in RULES:
        add(store, clock, words, rule, SYSTEM, "a test needs it")

    def view(principal: Principal, end: Head | None = None) -> GovernedView:
        return GovernedView(principal, load_rules(store, words, end=end), words)

    return Noesis(
        store=store,
        ontology=words,
        clock=clock,
        settings=settings or Settings(),
        rules=lambda: load_rules(store, words),
        view=view,
        authenticate=lambda key, end=None: apikeys.verify(store, clock, key, end),
    )


def key(platform: Noesis, subject: str) -> str:
    """A fresh API key."""
    text, _ = apikeys.create(platform.store, platform.clock, "test", subject, SYSTEM)
    return text


def sqlite(path: Path, words: Ontology, clock: Clock) -> SqliteStore:
    """A store in a file."""
    return SqliteStore(path, words, clock, durable=False)
