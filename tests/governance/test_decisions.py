"""Decision entities: everything an auditor asks for, written with what was decided, negative ones too."""

import hashlib
import random
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from governance.decide import Verdict, decide
from governance.decisions import ERROR_LENGTH_MAX, ERRORS_MAX, record, requirements
from governance.principals import Principal, load_principal
from governance.requests import kept
from governance.rules import add, load_rules
from governance.verdict import Request, Requirement, Resource
from kg.model import Cause, Direction, Entity, Input
from kg.store import GraphStore
from kg.values import Money, Value, canonical, encode_properties
from tests.governance import generated
from tests.governance.world import agent, apply, ontology, product, user
from tests.parts import ManualClock
from tests.properties.values import properties

PERMIT = '@id("may") @advice("watch the stock") permit(principal, action == Action::"apply", resource is Product);'
BIG = (
    '@id("big") @requires("purchasing") @approvers("finance manager:2,m:1") '
    'forbid(principal, action == Action::"apply", resource is Product);'
)


def text(request: Request) -> str:
    """What is kept of a request, written plainly."""
    links = [
        {"uid": link.uid, "roles": sorted(link.roles), "departments": sorted(link.departments), "person": link.person}
        | ({"breakGlass": link.break_glass} if link.break_glass else {})
        for link in request.principal.chain()
    ]
    return canonical({"principal": links, "context": encode_properties(request.context)})


def digest(request: Request) -> str:
    """The digest of a request, written plainly."""
    resource = request.resource
    stored = isinstance(resource, Entity)
    form = {
        "principal": [[p.uid, sorted(p.roles), sorted(p.departments)] for p in request.principal.chain()],
        "action": request.action,
        "resource": [resource.cls, resource.id],
        "version": resource.version if isinstance(resource, Entity) else None,
        "properties": None if stored else encode_properties(resource.properties),
        "context": encode_properties(request.context),
    }
    if request.principal.under():
        form["breakGlass"] = request.principal.under()
    return hashlib.sha256(canonical(form).encode()).hexdigest()


@given(
    st.integers(0, 10**6),
    st.text(max_size=8),
    st.booleans(),
    properties,
)
def test_what_is_kept_of_a_request_is_canonical(seed: int, glass: str, stored: bool, context: dict[str, Value]) -> None:
    r = random.Random(seed)
    asking = generated.principal(r)
    asking = replace(asking, break_glass=glass, person=r.choice((None, "p")))
    asked = replace(generated.request(r), principal=asking)
    if stored:
        asked = replace(asked, resource=Entity(asked.resource.id, asked.resource.cls, seed + 1, {}, 1))
    else:
        asked = replace(asked, resource=Resource(asked.resource.cls, asked.resource.id, asked.resource.properties))
    asked = replace(asked, context=context)
    assert kept(asked) == (text(asked), digest(asked))
    # What is remembered of one principal is not told of another.
    other = replace(asked, principal=replace(asking, roles=asking.roles | {"more"}))
    assert kept(other) == (text(other), digest(other))


def test_a_decision_names_rules_facts_people_and_amount(
    people: GraphStore, clock: ManualClock, root: Principal
) -> None:
    rule = add(people, clock, ontology(), PERMIT, root, "r")
    anna = load_principal(people, 'User::"anna"')
    proposer = load_principal(people, 'Agent::"replenishment"', on_behalf_of=anna)
    request = apply(proposer, product(stock=3), amount=Money(Decimal("12.5"), "EUR"))
    verdict = decide(request, load_rules(people, ontology()))
    facts = (Input("p1", 4), Input("s1", 2))
    writes = record(
        "d1", request, verdict, facts=facts, latency=120, agent_version="1.2", model="m", prompt_digest="ab"
    )
    people.commit(writes, Cause("c1", "decide", proposer.uid))
    decision = people.get(["d1"])["d1"]
    assert dict(decision.properties) == {
        "outcome": "allow",
        "action": "apply",
        "operation": "purchase_order.create",
        "target": "p1",
        "targetClass": "Product",
        "targetVersion": 4,
        "principal": 'Agent::"replenishment"',
        "onBehalfOf": 'User::"anna"',
        "proposers": ('Agent::"replenishment"', 'User::"anna"'),
        "agentVersion": "1.2",
        "rules": (f"{rule.id}@1",),
        "used": ("p1@4", "s1@2"),
        "advice": ("watch the stock",),
        "reason": "permitted by may",
        "amount": Decimal("12.5"),
        "currency": "EUR",
        "contextDigest": digest(request),
        "request": text(request),
        "latency": 120,
        "model": "m",
        "promptDigest": "ab",
    }
    assert [e.entity.id for e in people.expand(["d1"], "usedRule")["d1"]] == [rule.id]
    assert [e.relation.properties for e in people.expand(["d1"], "usedRule")["d1"]] == [{"version": 1}]
    assert [e.entity.id for e in people.expand(["d1"], "wasAssociatedWith")["d1"]] == [proposer.entity]
    assert [e.entity.id for e in people.expand(["d1"], "actedOnBehalfOf")["d1"]] == [anna.entity]
    assert [e.entity.id for e in people.expand([rule.id], "usedRule", Direction.IN)[rule.id]] == ["d1"]


def test_what_is_required_can_be_read_back(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    add(store, clock, ontology(), PERMIT, root, "r")
    add(store, clock, ontology(), BIG, root, "r")
    request = apply(agent())
    verdict = decide(request, load_rules(store, ontology()))
    store.commit(record("d1", request, verdict), Cause("c1", "decide", "t"))
    assert requirements(store.get(["d1"])["d1"]) == (Requirement("purchasing", {"finance manager": 2, "m": 1}),)


def test_errors_are_kept_within_bounds(store: GraphStore) -> None:
    verdict = Verdict("escalate", errors=tuple(f"rule{n}: " + "x" * 999 for n in range(99)))
    store.commit(record("d1", apply(agent()), verdict), Cause("c1", "decide", "t"))
    errors = store.get(["d1"])["d1"]["errors"]
    assert isinstance(errors, tuple)
    assert len(errors) == ERRORS_MAX
    assert max(len(str(error)) for error in errors) == ERROR_LENGTH_MAX


def test_the_digest_tells_requests_apart() -> None:
    first = apply(user("anna", "a"), product(stock=1))
    assert kept(first) == kept(apply(user("anna", "a"), product(stock=1)))
    others = [
        apply(user("anna"), product(stock=1)),
        apply(user("ben", "a"), product(stock=1)),
        apply(user("anna", "a"), product(stock=1), priority=1),
        apply(user("anna", "a", on_behalf_of=user("ben")), product(stock=1)),
    ]
    assert len({kept(request)[1] for request in (first, *others)}) == 5
