"""Ontologies that are refused: one OntologyError each, with file, line and remedy."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.errors import OntologyError
from kg.ontology import load
from tests.kg.ontology.test_load import FIRST, PREFIXES, SHOP

ITEM = ":Item a owl:Class . :sku a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string .\n"
PLATFORM = (
    PREFIXES.replace("urn:test#", "urn:p#")
    + """
<urn:p> a owl:Ontology ; n:platform true .
:User a owl:Class . :login a owl:DatatypeProperty ; rdfs:domain :User ; rdfs:range xsd:string .
"""
)

#: Short forms in the table below.
SHORT = {
    "@text": "a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string",
    "@link": "a owl:ObjectProperty ; rdfs:domain :Item ; rdfs:range :Item",
    "@data": "a owl:DatatypeProperty",
    "@object": "a owl:ObjectProperty",
    "@shape": "a sh:NodeShape ; sh:targetClass :Item ; sh:property",
    "@on": "rdfs:domain :Item",
    "@string": "rdfs:range xsd:string",
}


def written(text: str) -> str:
    """A text with its short forms written out."""
    for short, full in SHORT.items():
        text = text.replace(short, full)
    return text


#: name -> (Turtle behind the prefixes, line counted from there or None, words of the message)
REFUSED: dict[str, tuple[str, int | None, str]] = {
    "malformed": (ITEM + ":Item a owl:Class ; ;; rdfs:label .", 2, "not valid Turtle"),
    "unknown prefix": (ITEM + "x:Item a owl:Class .", 2, "not valid Turtle"),
    "unknown datatype": (
        ":A a owl:Class .\n:x @data ; rdfs:domain :A ; rdfs:range xsd:duration .",
        2,
        "unknown datatype xsd:duration",
    ),
    "inexact datatype": (":A a owl:Class .\n:x @data ; rdfs:domain :A ; rdfs:range xsd:double .", 2, "use xsd:decimal"),
    "no domain": (ITEM + ":x @data ; @string .", 2, "no rdfs:domain"),
    "no range": (ITEM + ":x @data ; @on .", 2, "no rdfs:range"),
    "two ranges": (ITEM + ":x @data ; @on ;\n @string, xsd:integer .", 3, "two ranges"),
    "range and shape differ": (
        ITEM + ":S a sh:NodeShape ; sh:targetClass :Item ;\n sh:property [ sh:path :sku ; sh:datatype xsd:integer ] .",
        3,
        "two ranges, integer and string",
    ),
    "cyclic classes": (
        ":A a owl:Class ; rdfs:subClassOf :B .\n:B a owl:Class ; rdfs:subClassOf :A .\n" + ITEM,
        None,
        "its own ancestor",
    ),
    "own parent": (":A a owl:Class ; rdfs:subClassOf :A .\n" + ITEM, 1, "A -> A"),
    "unknown parent": (":A a owl:Class ; rdfs:subClassOf :Itm .\n" + ITEM, 1, "did you mean Item"),
    "no class": ("", None, "no class is declared"),
    "class without properties": (ITEM + ":Empty a owl:Class .", 2, "has no property"),
    "relation to nowhere": (ITEM + ":r @object ; @on ;\n rdfs:range :Itemm .", 3, "did you mean Item"),
    "relation without range": (ITEM + ":r @object ; @on .", 2, "no rdfs:range"),
    "both kinds": (ITEM + ":r @object, owl:DatatypeProperty ; @on ; @string .", 2, "both a datatype and an object"),
    "class Query": (ITEM.replace(":Item", ":Query"), 1, "GraphQL schema already has"),
    "class Mutation": (ITEM.replace(":Item", ":mutation"), 1, "GraphQL schema already has"),
    "class PageInfo": (ITEM.replace(":Item", ":page_Info"), 1, "GraphQL schema already has"),
    "class Action": (ITEM.replace(":Item", ":Action"), 1, "Cedar schema already has"),
    "property class": (ITEM + ":class @text .", 2, "every entity already has"),
    "property id": (ITEM + ":id @text .", 2, "every entity already has"),
    "property Id": (ITEM + ":Id @text .", 2, "every entity already has"),
    "property __typename": (ITEM + ":__typename @text .", 2, "two underscores"),
    "no GraphQL name": (ITEM + ":order-no @text .", 2, "cannot be a GraphQL name"),
    "foreign letters": (ITEM + ":größe @text .", 2, "cannot be a GraphQL name"),
    "fields collide": (ITEM + ":order_id @text .\n:orderId @text .", None, "both 'orderId' in GraphQL"),
    "classes collide": (
        ITEM
        + ":sales_order a owl:Class . :SalesOrder a owl:Class . :x @data ; rdfs:domain :sales_order, :SalesOrder ; @string .",
        None,
        "both 'SalesOrder' in GraphQL",
    ),
    "connection collides": (
        ITEM + ":ItemConnection a owl:Class . :x @data ; @onConnection ; @string .",
        None,
        "both 'ItemConnection'",
    ),
    "relations collide in Cypher": (ITEM + ":isPart @link . :is_part @link .", None, "rename one"),
    "way back collides": (ITEM + ':part @link ; n:inverse "sku" .', None, "both 'sku' on Item"),
    "same name, two addresses": (ITEM + "<urn:other#Item> a owl:Class .", 2, "declared under two addresses"),
    "property twice on one class": (ITEM + "<urn:other#sku> @text .", 2, "two properties 'sku'"),
    "restriction": (ITEM + ":A a owl:Class ; rdfs:subClassOf [ a owl:Restriction ] .", None, "owl:Restriction"),
    "union": (ITEM + ":x @data ; @string ; rdfs:domain [ owl:unionOf ( :Item :Item ) ] .", 2, "owl:unionOf"),
    "inverse of": (ITEM + ":x @object ; owl:inverseOf :y ; @on ; rdfs:range :Item .", 2, "owl:inverseOf"),
    "rdf:Property": (ITEM + ":x a rdf:Property ; @on ; @string .", 2, "not supported"),
    "imports": (ITEM + "<urn:o> a owl:Ontology ; owl:imports <urn:x> .", 2, "owl:imports"),
    "misspelt annotation": (ITEM + ":x @text ; n:persnal true .", 2, "did you mean n:personal"),
    "annotation without sense": (ITEM + ":x @text ; n:personal 1 .", 2, "must be true or false"),
    "searchable number": (
        ITEM + ":x @data ; @on ; rdfs:range xsd:integer ; n:searchable true .",
        2,
        "only strings are searchable",
    ),
    "personal relation": (ITEM + ":x @link ; n:personal true .", 2, "n:personal does not fit the relation"),
    "inverse on data": (ITEM + ':x @text ; n:inverse "y" .', 2, "fits only a relation"),
    "unknown key": (
        ITEM + ':A a owl:Class ; n:key "nope" . :x @data ; rdfs:domain :A ; @string .',
        2,
        "no single-valued property",
    ),
    "key of many": (
        ITEM + ':A a owl:Class ; n:key "x" . :x @data ; rdfs:domain :A ; @string ; n:many true .',
        2,
        "no single-valued property",
    ),
    "shape off its domain": (
        ITEM
        + ":B a owl:Class . :b @data ; rdfs:domain :B ; @string .\n"
        + ":S a sh:NodeShape ; sh:targetClass :B ; sh:property [ sh:path :sku ] .",
        3,
        "add B to the domain",
    ),
    "shape of nothing": (
        ITEM + ":S a sh:NodeShape ; sh:targetClass :Itm ; sh:property [ sh:path :sku ] .",
        2,
        "unknown class",
    ),
    "shape without target": (ITEM + ":S a sh:NodeShape ; sh:property [ sh:path :sku ] .", 2, "no sh:targetClass"),
    "shape without path": (
        ITEM + ":S a sh:NodeShape ; sh:targetClass :Item ; sh:property [ sh:minCount 1 ] .",
        2,
        "no sh:path",
    ),
    "undeclared property": (ITEM + ":S @shape [ sh:path :nope ; sh:minCount 1 ] .", 2, "is not declared"),
    "minCount of relation": (
        ITEM + ":r @link . :S @shape [ sh:path :r ; sh:minCount 1 ] .",
        2,
        "sh:minCount on a relation",
    ),
    "shapes contradict": (
        ITEM + ":S @shape [ sh:path :sku ; sh:maxLength 3 ] .\n:T @shape [ sh:path :sku ; sh:maxLength 4 ] .",
        None,
        "keep one",
    ),
    "length of number": (
        ITEM + ":x @data ; @on ; rdfs:range xsd:integer . :S @shape [ sh:path :x ; sh:minLength 1 ] .",
        2,
        "sh:minLength does not fit a integer",
    ),
    "bound of text": (ITEM + ":S @shape [ sh:path :sku ; sh:minInclusive 1 ] .", 2, "does not fit a string"),
    "bound of another type": (
        ITEM + ':x @data ; @on ; rdfs:range xsd:integer . :S @shape [ sh:path :x ; sh:minInclusive "a" ] .',
        2,
        "is no integer",
    ),
    "look-around": (ITEM + ':S @shape [ sh:path :sku ; sh:pattern "(?=a)b" ] .', None, "sh:pattern cannot be used"),
    "broken list": (ITEM + ":S @shape [ sh:path :sku ; sh:in :nothing ] .", 2, "no proper list"),
    "endless list": (
        ITEM + ":L rdf:first 1 ; rdf:rest :L . :S @shape [ sh:path :sku ; sh:in :L ] .",
        2,
        "no proper list",
    ),
    "no value possible": (ITEM + ":S @shape [ sh:path :sku ; sh:maxCount 0 ] .", 2, "can hold no value"),
    "two values needed": (ITEM + ":S @shape [ sh:path :sku ; sh:minCount 2 ] .", 2, "n:many true"),
}
UNSUPPORTED_SHACL = (
    "sh:or ( [ sh:minCount 1 ] )", "sh:and ( [ ] )", "sh:not [ ]", "sh:xone ( [ ] )", "sh:node :S", "sh:hasValue 1",
    "sh:equals :sku", "sh:disjoint :sku", "sh:lessThan :sku", "sh:uniqueLang true", 'sh:languageIn ( "en" )',
    "sh:qualifiedValueShape [ ]", "sh:qualifiedMinCount 1", 'sh:flags "i"', "sh:deactivated true", "sh:sparql [ ]",
    "sh:severity sh:Warning", "sh:nodeKind sh:BlankNode", "sh:defaultValue 1", "sh:property [ sh:path :sku ]",
)  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_file_line_and_remedy(case: str) -> None:
    text, line, words = REFUSED[case]
    with pytest.raises(OntologyError) as caught:
        load({"shop.ttl": PREFIXES + written(text)})
    message = str(caught.value)
    assert words in message, message
    if line is not None:
        assert message.startswith(f"shop.ttl line {FIRST + line - 1}: "), message


@pytest.mark.parametrize("feature", UNSUPPORTED_SHACL)
def test_unsupported_shacl_is_refused_by_name(feature: str) -> None:
    text = f":S a sh:NodeShape ; sh:targetClass :Item ;\n sh:property [ sh:path :sku ; {feature} ] ."
    with pytest.raises(OntologyError) as caught:
        load({"shop.ttl": PREFIXES + ITEM + text})
    assert feature.split()[-1 if "everity" in feature or "nodeKind" in feature else 0] in str(caught.value)
    assert "shop.ttl line " in str(caught.value)


@pytest.mark.parametrize(
    "feature",
    ["sh:targetNode :x", "sh:targetSubjectsOf :sku", "sh:targetObjectsOf :sku", "sh:or ( )", "sh:closed false"],
)
def test_unsupported_shape_feature_is_refused_by_name(feature: str) -> None:
    text = f":S a sh:NodeShape ; sh:targetClass :Item ; {feature} ; sh:property [ sh:path :sku ] ."
    with pytest.raises(OntologyError, match=feature.split(maxsplit=1)[0]):
        load({"shop.ttl": PREFIXES + ITEM + text})


@pytest.mark.parametrize(
    "text",
    [
        "@prefix p: <urn:p#> . p:User rdfs:label 'mine' .",
        "@prefix p: <urn:p#> . :mail a owl:DatatypeProperty ; rdfs:domain p:User ; rdfs:range xsd:string .",
        "@prefix p: <urn:p#> . :Boss a owl:Class ; rdfs:subClassOf p:User .",
        ":User a owl:Class . :login a owl:DatatypeProperty ; rdfs:domain :User ; rdfs:range xsd:string .",
        "@prefix p: <urn:p#> . :S a sh:NodeShape ; sh:targetClass p:User ; sh:property [ sh:path p:login ; sh:minCount 1 ] .",
    ],
)
@pytest.mark.parametrize("platform_first", [True, False])
def test_the_domain_may_not_change_a_platform_class(text: str, platform_first: bool) -> None:
    files = {"platform.ttl": PLATFORM, "shop.ttl": PREFIXES + ITEM + text}
    order = files if platform_first else dict(reversed(files.items()))
    with pytest.raises(OntologyError, match=r"platform class|two addresses"):
        load(order)


def test_no_file_no_text_and_broken_text() -> None:
    for texts in (
        {},
        {"a.ttl": ""},
        {"a.ttl": "\x00"},
        {"a.ttl": "\ud800"},
        {"a.ttl": "(" * 5_000},
        {"a.ttl": "[" * 5_000},
    ):
        with pytest.raises(OntologyError):
            load(texts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_never_ends_in_anything_but_an_ontology_error(data: st.DataObject) -> None:
    text = SHOP
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.text(max_size=8)) + text[at + cut :]
    try:
        load({"shop.ttl": text})
    except OntologyError as error:
        message = str(error)
    else:
        return
    assert message.startswith(("shop.ttl", "ontology", "Customer", "Party", "Order"))
