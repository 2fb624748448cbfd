"""The ontology as loaded from Turtle: what it holds, how files merge, what it is called elsewhere."""

from decimal import Decimal

import pytest

from kg.errors import ShapeError
from kg.model import Entity
from kg.ontology import load
from kg.values import Money

PREFIXES = """
@prefix : <urn:test#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix n: <urn:noesis:ns#> .
"""
#: The line of the first line that a test adds behind the prefixes.
FIRST = PREFIXES.count("\n") + 1

SHOP = (
    PREFIXES
    + """
:Party a owl:Class ; rdfs:label "Partei"@de, "Party"@en ; n:department "sales" .
:Customer a owl:Class ; rdfs:subClassOf :Party ; rdfs:comment "Who buys." ; n:key "customerNo" .
:Order a owl:Class ; n:key ( "orderNo" "position" ) .
:name a owl:DatatypeProperty ; rdfs:domain :Party ; rdfs:range xsd:string ; n:sensitivity "pii" ; n:personal true .
:customerNo a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:credit a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range n:money ; n:indexed true .
:tags a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ; n:many true .
:note a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ; n:searchable false .
:orderNo a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:string .
:position a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:integer .
:placedBy a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Order ; rdfs:range :Party ; n:inverse "orders" .
:refers a owl:ObjectProperty ; rdfs:domain :Order ; rdfs:range :Order .
:CustomerShape a sh:NodeShape ; sh:targetClass :Customer ;
  sh:property [ sh:path :customerNo ; sh:minCount 1 ; sh:maxCount 1 ; sh:pattern "^[0-9]+$" ] ;
  sh:property [ sh:path :credit ; sh:minInclusive 0 ] .
"""
)


def test_classes_carry_what_they_inherit() -> None:
    shop = load({"shop.ttl": SHOP})
    customer = shop.classes["Customer"]
    assert customer.parents == ("Party",)
    assert customer.key == ("customerNo",)
    assert customer.department == "sales"
    assert set(customer.properties) == {"name", "customerNo", "credit", "tags", "note"}
    assert customer.properties["name"] == shop.classes["Party"].properties["name"]
    assert shop.classes["Party"].label == "Party"
    assert shop.subclasses("Party") == ("Party", "Customer")
    assert shop.classes["Order"].key == ("orderNo", "position")


def test_schema_answers_the_store() -> None:
    shop = load({"shop.ttl": SHOP})
    assert shop.personal("Customer") == {"name"}
    assert shop.text("Customer") == ("customerNo", "tags")
    assert set(shop.indexed("Customer")) == {"customerNo", "credit"}
    assert set(shop.indexed("Order")) == {"orderNo", "position"}
    with pytest.raises(ShapeError, match="did you mean Customer"):
        shop.subclasses("Custmer")


def test_relations_know_their_way_back() -> None:
    shop = load({"shop.ttl": SHOP})
    placed_by = shop.relation("Order", "placedBy")
    assert (placed_by.target, placed_by.inverse, placed_by.many) == ("Party", "orders", False)
    refers = shop.relation("Order", "refers")
    assert (refers.inverse, refers.many) == ("orderRefers", True)
    assert set(shop.inverses("Customer")) == {"orders"}
    assert set(shop.inverses("Order")) == {"orderRefers"}
    shop.check_relation("Order", "placedBy", "Customer")
    shop.check_relation("Order", "placedBy", None)
    with pytest.raises(ShapeError, match="leads to Party, not to Order"):
        shop.check_relation("Order", "placedBy", "Order")
    with pytest.raises(ShapeError, match="did you mean placedBy"):
        shop.check_relation("Order", "placeBy", None)


def test_searchable_text_leaves_out_what_is_personal() -> None:
    shop = load({"shop.ttl": SHOP})
    entity = Entity("1", "Customer", 1, {"name": "Ann", "customerNo": "7", "tags": ("a", "b"), "note": "x"}, 1)
    assert shop.text_of(entity) == "Customer\ncustomerNo: 7\ntags: a, b"


def test_files_merge_and_the_digest_follows_the_content_only() -> None:
    head, _, shapes = SHOP.partition(":CustomerShape")
    apart = load({"a.ttl": head, "b.ttl": PREFIXES + ":CustomerShape" + shapes})
    whole = load({"shop.ttl": "# a comment\n" + SHOP})
    assert apart.digest == whole.digest
    assert load({"shop.ttl": SHOP.replace("sh:minInclusive 0", "sh:minInclusive 1")}).digest != whole.digest
    assert apart.describe() == whole.describe()


def test_the_same_texts_are_read_once_and_others_are_not_taken_for_them() -> None:
    first, other = load({"shop.ttl": SHOP}), load({"shop.ttl": SHOP.replace('"^[0-9]+$"', '"^[a-z]+$"')})
    assert load({"shop.ttl": SHOP}) is first
    first.check("Customer", {"customerNo": "7"})
    other.check("Customer", {"customerNo": "a"})
    with pytest.raises(ShapeError, match=r"CustomerShape|pattern"):
        other.check("Customer", {"customerNo": "7"})


def test_a_shape_alone_can_declare_properties_of_a_class() -> None:
    text = (
        PREFIXES
        + """
:Item a owl:Class, sh:NodeShape ; n:key "sku" ;
  sh:property [ sh:path :sku ; sh:datatype xsd:string ; sh:minCount 1 ] ,
              [ sh:path :price ; sh:datatype n:money ; n:sensitivity "confidential" ] ,
              [ sh:path :partOf ; sh:class :Item ; sh:maxCount 1 ] .
"""
    )
    item = load({"i.ttl": text}).classes["Item"]
    assert item.properties["price"].sensitivity == "confidential"
    assert not item.relations["partOf"].many


def test_a_subclass_may_tighten_what_it_inherits() -> None:
    text = (
        SHOP
        + """
:KeyAccount a owl:Class ; rdfs:subClassOf :Customer .
:S a sh:NodeShape ; sh:targetClass :KeyAccount ; sh:property [ sh:path :credit ; sh:minCount 1 ; sh:maxInclusive 10 ] .
"""
    )
    shop = load({"shop.ttl": text})
    shop.check("Customer", {"customerNo": "1", "credit": Money(Decimal(50), "EUR")})
    with pytest.raises(ShapeError, match="at most 10"):
        shop.check("KeyAccount", {"customerNo": "1", "credit": Money(Decimal(50), "EUR")})
    with pytest.raises(ShapeError, match="required but missing"):
        shop.check("KeyAccount", {"customerNo": "1"})


def test_platform_files_merge_with_the_domain_but_stay_closed() -> None:
    platform = (
        PREFIXES.replace("urn:test#", "urn:noesis:platform#")
        + """
<urn:noesis:platform> a owl:Ontology ; n:platform true .
:User a owl:Class ; n:key "login" .
:login a owl:DatatypeProperty ; rdfs:domain :User ; rdfs:range xsd:string .
"""
    )
    domain = (
        SHOP
        + """
@prefix p: <urn:noesis:platform#> .
:handledBy a owl:ObjectProperty ; rdfs:domain :Order ; rdfs:range p:User .
"""
    )
    both = load({"platform.ttl": platform, "shop.ttl": domain})
    assert both.classes["User"].platform
    assert not both.classes["Order"].platform
    assert both.relation("Order", "handledBy").target == "User"


def test_names_elsewhere() -> None:
    names = load({"shop.ttl": SHOP}).names
    assert names.graphql_type("sales_order") == "SalesOrder"
    assert names.graphql_field("order_no") == "orderNo"
    assert names.cypher_relation("placedBy") == "PLACED_BY"
    assert names.cypher_relation("hasVATNumber") == "HAS_VAT_NUMBER"
