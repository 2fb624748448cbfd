"""`why` leads back to records, rules, people and models, tells nothing that is withheld, and ends."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from kg import ancestry
from kg.errors import InputError
from kg.lineage import prov_json, why
from kg.model import Cause, Close, Input, Link, Put
from kg.prov_constraints import validate
from kg.store import GraphStore
from kg.why import Why
from tests.kg.views import RuleView, graph
from tests.parts import OpenView


@pytest.fixture(params=["oracle", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> GraphStore:
    """A product from the ERP, an order made for it by an agent for anna, and the decision with its rule behind the order."""
    store = graph(request.param, tmp_path)
    ingest = Cause("ingest", "ingest", 'Service::"ingest"', "nightly")
    store.commit([Put("p1", "Product", {"name": "bolt", "stock": 5, "cost": 7}, origin="erp.products/1")], ingest)
    store.commit([Put("r1", "Rule", {"name": "small-po"})], Cause("rule", "rules.add", 'User::"rita"', "limit"))
    store.commit([Put("p1", "Product", {"stock": 2})], Cause("sale", "ingest", 'Service::"ingest"', "hourly"))
    store.commit(
        [Put("d1", "Decision", {"outcome": "allow"}), Link("d1", "used", "r1")],
        Cause("decide", "decide", 'Service::"gate"', inputs=(Input("p1", 2),)),
    )
    store.commit(
        [Put("o1", "PurchaseOrder", {"quantity": 40, "price": Decimal("2.5")})],
        Cause(
            "order", "apply", 'Agent::"replenishment"', "stock 2 is under 10", 'User::"anna"',
            (Input("p1", 2), Input("d1", 1)), {"model": "none"},
        ),
    )  # fmt: skip
    return store


def kinds(answer: Why, kind: str) -> list[str]:
    return [node.label for node in answer.walk() if node.kind == kind]


def test_an_entity_leads_to_records_rules_people_and_causes(store: GraphStore) -> None:
    answer = why(store, OpenView(), "o1")
    nodes = {node.node for node in answer.walk()}
    assert {"entity:o1@1", "entity:p1@2", "entity:d1@1", "entity:r1@1", "record:erp.products/1"} <= nodes
    assert {"cause:order", "cause:sale", "cause:ingest", "cause:decide", "cause:rule"} <= nodes
    assert 'by Agent::"replenishment" on behalf of User::"anna"' in kinds(answer, "agent")
    assert "apply: stock 2 is under 10" in kinds(answer, "cause")
    assert not answer.truncated


def test_the_parts_of_a_composite_key_are_read_apart(store: GraphStore) -> None:
    put = Put("p2", "Product", {"name": "nut"}, origin="erp.stock/A 1\x1enorth")
    store.commit([put], Cause("stock", "ingest", 'Service::"ingest"'))
    answer = why(store, OpenView(), "p2")
    assert kinds(answer, "record") == ["record erp.stock/A 1 + north"]
    assert "record:erp.stock/A 1\x1enorth" in {node.node for node in answer.walk()}


def test_each_property_is_traced_to_the_change_that_set_it(store: GraphStore) -> None:
    stock = why(store, OpenView(), "p1", "stock")
    assert [c.node for c in stock.children] == ["change:3"]
    assert why(store, OpenView(), "p1", "name").children[0].node == "change:1"
    both = why(store, OpenView(), "p1")
    assert [c.label.split(": ")[1] for c in both.children] == ["stock = 2", "cost = 7, name = 'bolt'"]


def test_decisions_lead_to_rule_versions_approvals_and_listed_facts(store: GraphStore) -> None:
    gate = Cause("again", "decide", 'Service::"gate"')
    store.commit([Put("r1", "Rule", {"name": "small orders"})], Cause("rename", "rules.add", 'User::"rita"'))
    writes = [
        Put("d2", "Decision", {"outcome": "needs_approval", "used": ("p1@1", "no reference", "gone@7")}),
        Link("d2", "usedRule", "r1", {"version": 1}),
    ]
    store.commit(writes, gate)
    approval = [Put("a1", "Approval", {"answer": "approve"}), Link("a1", "wasInformedBy", "d2")]
    store.commit(approval, Cause("approve", "approve", 'User::"paul"', "looks right"))
    answer = why(store, OpenView(), "d2")
    assert [(c.via, c.node) for c in answer.children if c.kind != "change"] == [
        ("used", "entity:p1@1"),
        ("used", ""),
        ("usedRule", "entity:r1@1"),
        ("wasInformedBy", "entity:a1@1"),
    ]
    assert 'by User::"paul"' in kinds(answer, "agent")
    check_prov(prov_json(answer))
    masked = why(store, RuleView(mask={"Decision": frozenset({"used"})}), "d2")
    assert "entity:p1@1" not in {node.node for node in masked.walk()}, "what is masked is not followed"


def test_a_value_set_to_the_same_again_keeps_its_first_change(store: GraphStore) -> None:
    store.commit([Put("p1", "Product", {"stock": 2, "cost": 8})], Cause("again", "ingest", 'Service::"ingest"'))
    assert why(store, OpenView(), "p1", "stock").children[0].node == "change:3"


def test_closing_and_reopening_are_explained(store: GraphStore) -> None:
    store.commit([Close("p1")], Cause("gone", "ingest", 'Service::"ingest"', "left the source"))
    closed = why(store, OpenView(), "p1")
    assert "(closed)" in closed.label
    assert closed.children[0].children[0].details["reason"] == "left the source"
    store.commit([Put("p1", "Product", {"name": "bolt"})], Cause("back", "ingest", 'Service::"ingest"'))
    (created,) = why(store, OpenView(), "p1").children
    assert created.label.startswith("created")
    assert created.children[0].node == "cause:back", "what was set before it was gone does not count"


def test_depth_bounds_the_levels_and_says_so(store: GraphStore) -> None:
    shallow = why(store, OpenView(), "o1", depth=1)
    assert shallow.truncated
    assert "entity:p1@2" not in {node.node for node in shallow.walk()}
    with pytest.raises(InputError, match="depth 0"):
        why(store, OpenView(), "o1", depth=0)


def test_the_number_of_entities_is_bounded(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "ENTITIES_MAX", 2)
    answer = why(store, OpenView(), "o1")
    assert answer.truncated
    assert len(kinds(answer, "entity")) == 2


def test_cycles_end_and_a_version_is_explained_once(store: GraphStore) -> None:
    store.commit([Link("r1", "wasDerivedFrom", "d1")], Cause("loop", "link", 'User::"rita"'))
    answer = why(store, OpenView(), "o1", depth=50)
    nodes = [node.node for node in answer.walk() if node.kind == "entity" and not node.repeated]
    assert len(nodes) == len(set(nodes)) == 4
    assert any(node.repeated for node in answer.walk())


def test_an_unknown_or_hidden_subject_gives_the_same_sentence(store: GraphStore) -> None:
    view = RuleView(hide=lambda entity: entity.cls == "PurchaseOrder")
    for subject in ("o1", "nothing"):
        with pytest.raises(InputError, match=f"no entity '{subject}' that you may see"):
            why(store, view, subject)
    with pytest.raises(InputError, match="no property 'colour'; it has: price, quantity"):
        why(store, OpenView(), "o1", "colour")


def test_what_is_hidden_stays_as_withheld_and_its_words_do_not_leak(store: GraphStore) -> None:
    answer = why(store, RuleView(hide=lambda entity: entity.cls == "Product"), "o1")
    text = json.dumps(answer.json()) + "\n".join(answer.lines()) + json.dumps(prov_json(answer))
    assert "withheld" in text
    for secret in ("p1", "bolt", "stock 2", "erp.products", "Product", "nightly"):
        assert secret not in text, secret
    assert "entity:r1@1" in {node.node for node in answer.walk()}, "what is visible behind it is still told"


def test_a_masked_property_is_withheld_with_its_reason_and_record(store: GraphStore) -> None:
    store.commit(
        [Put("c1", "Customer", {"name": "ACME", "email": "ann@acme.test"}, origin="crm/ann@acme.test")],
        Cause("crm", "ingest", 'Service::"ingest"', "row ann@acme.test"),
    )
    store.commit(
        [Put("c1", "Customer", {"email": "bob@acme.test"})], Cause("fix", "edit", 'User::"x"', "bob@acme.test")
    )
    store.commit(
        [Put("n1", "Note", {"text": "hello"})],
        Cause("note", "write", 'Agent::"writer"', "wrote to bob@acme.test", inputs=(Input("c1", 2),)),
    )
    view = RuleView(mask={"Customer": frozenset({"email"})})
    for subject in ("c1", "n1"):
        answer = why(store, view, subject)
        text = json.dumps(answer.json()) + "\n".join(answer.lines()) + json.dumps(prov_json(answer))
        assert "bob@" not in text
        assert "withheld" in text
    assert why(store, view, "n1", depth=1).children[0].children[0].details["reason"] == "withheld"
    assert why(store, view, "c1", "email").children[0].withheld


def test_an_older_version_does_not_tell_what_is_hidden_now(store: GraphStore) -> None:
    store.commit([Put("p1", "Product", {"secret": True})], Cause("hide", "edit", 'User::"x"'))
    answer = why(store, RuleView(hide=lambda entity: entity.get("secret") is True), "o1")
    assert "bolt" not in json.dumps(answer.json())


def test_a_masked_value_inside_the_record_key_is_withheld(store: GraphStore) -> None:
    store.commit(
        [Put("c1", "Customer", {"name": "ACME", "email": "ann@acme.test"}, origin="crm/ann@acme.test")],
        Cause("crm", "ingest", 'Service::"ingest"'),
    )
    answer = why(store, RuleView(mask={"Customer": frozenset({"email"})}), "c1")
    assert kinds(answer, "record") == ["withheld"]
    assert "ann@" not in json.dumps(answer.json())


def test_the_text_is_a_tree(store: GraphStore) -> None:
    lines = why(store, OpenView(), "o1").lines()
    assert lines[0] == "PurchaseOrder o1 v1"
    assert lines[1].startswith("└─ created at 2026-03-02T09:00:00.000000Z, position 6: price = 2.5, quantity = 40")
    assert all(line[0] in "└├│ " for line in lines[1:])


RELATIONS = {
    "wasGeneratedBy": ("prov:entity", "prov:activity"),
    "used": ("prov:activity", "prov:entity"),
    "wasAssociatedWith": ("prov:activity", "prov:agent"),
    "actedOnBehalfOf": ("prov:delegate", "prov:responsible"),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasInfluencedBy": ("prov:influencee", "prov:influencer"),
}
PARTS = {
    "prov:entity": "entity", "prov:activity": "activity", "prov:agent": "agent", "prov:delegate": "agent",
    "prov:responsible": "agent", "prov:generatedEntity": "entity", "prov:usedEntity": "entity",
    "prov:influencee": "entity", "prov:influencer": "entity",
}  # fmt: skip


def check_prov(document: dict[str, object]) -> None:
    """The structure that the member submission asks for: declared prefixes, known ids of the right part, typed literals."""
    prefixes = document["prefix"]
    assert isinstance(prefixes, dict)
    parts = {name: part for name, part in document.items() if name != "prefix"}
    assert parts.keys() <= {"entity", "activity", "agent", *RELATIONS}
    for name, part in parts.items():
        assert isinstance(part, dict)
        for id, record in part.items():
            assert id.split(":", 1)[0] in {*prefixes, "_"}
            for key, value in record.items():
                assert key.split(":", 1)[0] in {*prefixes, "prov"}
                for item in value if isinstance(value, list) else [value]:
                    assert isinstance(item, str | int | bool) or item.keys() == {"$", "type"}
            for role in RELATIONS.get(name, ()):
                assert record[role] in parts[PARTS[role]], (name, record)
    ids = [set(parts.get(name, {})) for name in ("entity", "activity", "agent")]
    assert sum(map(len, ids)) == len(set().union(*ids)), "entities, activities and agents are disjoint"
    assert validate(document) == []


def test_prov_json_has_the_submissions_structure_and_stable_ids(store: GraphStore) -> None:
    store.commit([Link("o1", "hadPlan", "r1")], Cause("plan", "link", 'User::"rita"'))
    document = prov_json(why(store, OpenView(), "o1"))
    check_prov(document)
    check_prov(
        prov_json(why(store, RuleView(hide=lambda e: e.cls == "Product", mask={"Rule": frozenset({"name"})}), "o1"))
    )
    assert document.keys() == {"prefix", "entity", "activity", "agent", *RELATIONS}
    assert json.loads(json.dumps(document)) == document
    again = prov_json(why(store, OpenView(), "o1"))
    assert again == document
    product = prov_json(why(store, OpenView(), "p1"))
    assert product["entity"].keys() <= document["entity"].keys()
    assert product["activity"].keys() <= document["activity"].keys()
    revisions = [d for d in document["wasDerivedFrom"].values() if d.get("prov:type", {}).get("$") == "prov:Revision"]
    assert {(r["prov:generatedEntity"], r["prov:usedEntity"]) for r in revisions} == {
        ("noesis:entity/p1/2", "noesis:entity/p1/1")
    }
