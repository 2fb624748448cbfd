"""Whoever starts a run stands behind what it does: the right is the intersection, and nobody of that chain approves (I5)."""

from collections.abc import Callable
from typing import Any

import pytest

from coordination.editing import Edit, edit
from coordination.errors import StateError
from coordination.proposals import Proposal
from coordination.runs.engine import Workflows
from governance.approvals import approve
from governance.errors import SelfApprovalError
from governance.people import ensure_principal, import_people
from governance.peoplefile import read_people
from governance.principals import load_principal
from governance.rules import load_rules
from kg.model import Cause, Entity, Put
from tests.coordination.plant import AUTHOR, RULES, Telling, card, ontology, reorder
from tests.runs.works import ANNA, STARTERS_MAY, Works, works

SIGNED = (
    '@id("signed") @requires("signature") @approvers("managers:1") forbid(principal, action == Action::"apply", resource) '
    'when { context.operation == "notice.send" || context.operation == "order.create" };'
)
BEN, CARA, OTHER = 'User::"ben"', 'User::"cara"', 'User::"anna.private"'
CALL = "do: [{n: {call: effect, with: {operation: notice.send, effector: telling, payload: {n: 1}}}}]"
#: On something that outlives the run, and that the end of the run does not change.
ON_IT = CALL.replace("payload", "target: p-1, payload")
ASK = "do: [{a: {call: approve, with: {approvers: {managers: 1}, summary: may we}}}]"


@pytest.fixture
def here() -> Any:
    cards, acts = {"buyer": card("buyer")}, {"buyer": reorder}
    rules = (*RULES, STARTERS_MAY, SIGNED)
    with works(Workflows(), effectors=[Telling()], cards=cards, acts=acts, rules=rules) as made:
        for name in ("cara", "dan", "anna.private"):
            ensure_principal(made.store, made.clock, "User", name, AUTHOR, roles=["managers"])
        for uid in (ANNA, OTHER):
            change(made, uid, person="anna")
        yield made


def change(here: Works, uid: str, **properties: Any) -> None:
    entity = load_principal(here.store, uid).entity
    assert entity is not None
    here.store.commit([Put(entity, "User", properties)], Cause(here.clock.id(), "test", AUTHOR.uid))


def begin(here: Works, text: str, by: str = ANNA, **more: Any) -> str:
    run = here.engine.start(here.register("flow", text), None, by, **more)
    here.drain()
    return run


def asked(here: Works) -> Entity:
    """The one decision that waits for people."""
    found: list[Entity] = [item for item in here.store.find("Decision").items if item["outcome"] == "needs_approval"]
    (one,) = found
    return one


def answer(here: Works, who: str) -> None:
    rules = load_rules(here.store, ontology())
    approve(here.store, here.clock, rules, asked(here).id, load_principal(here.store, who), "approve")


def say(here: Works, who: str) -> None:
    answer(here, who)
    here.drain()


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("text", [CALL, ASK])
@pytest.mark.parametrize("who", [ANNA, OTHER])
def test_no_identity_of_the_starter_approves(here: Works, text: str, who: str) -> None:
    run = begin(here, text)
    with pytest.raises(SelfApprovalError):
        say(here, who)
    here.drain()
    assert here.run(run).state == "waiting"
    say(here, CARA)
    here.output(run)
    assert asked(here)["onBehalfOf"] == ANNA


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("text", [CALL, ASK])
def test_an_approver_who_turns_out_to_be_the_starter_does_not_count(here: Works, text: str) -> None:
    change(here, OTHER, person="somebody else")
    run = begin(here, text)
    answer(here, OTHER)
    change(here, OTHER, person="anna")
    here.drain()
    assert here.run(run).state == "waiting"
    say(here, CARA)
    here.output(run)


@pytest.mark.usefixtures("on_both")
def test_whoever_is_acted_for_does_not_approve_either(here: Works) -> None:
    begin(here, CALL, CARA, on_behalf_of=ANNA)
    for who in (ANNA, OTHER, CARA):
        with pytest.raises(SelfApprovalError):
            say(here, who)


def test_one_id_of_two_who_act_for_different_people_is_not_one_run(here: Works) -> None:
    run = begin(here, CALL, 'User::"dan"', on_behalf_of=ANNA, id="order-7")
    assert begin(here, CALL, 'User::"dan"', on_behalf_of=ANNA, id="order-7") == run
    for behalf in (CARA, ""):
        with pytest.raises(StateError, match="taken by another start"):
            begin(here, CALL, 'User::"dan"', on_behalf_of=behalf, id="order-7")


def test_a_run_may_no_more_than_whoever_started_it(here: Works) -> None:
    run = begin(here, CALL, BEN)
    assert (here.run(run).error["status"], here.run(run).error["detail"]) == (403, "no rule permits it")
    stranger = begin(here, CALL, 'Service::"nobody"')
    assert "no Service is called" in here.run(stranger).error["detail"]


def test_a_starter_who_was_disabled_in_the_meantime_has_nothing_done(here: Works) -> None:
    run = begin(here, CALL)
    change(here, ANNA, disabled=True)
    say(here, CARA)
    assert "is disabled" in here.run(run).error["detail"]
    assert not here.store.find("Effect").items


def taken(here: Works, run: str) -> None:
    """Anna loses her roles."""
    del run
    import_people(here.store, here.clock, read_people("users:\n  - {name: anna}\n", "people.yaml"), AUTHOR)


def cancelled(here: Works, run: str) -> None:
    here.engine.cancel(run, ANNA, "enough")


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("behalf", ["", ANNA], ids=["anna", "another for anna"])
@pytest.mark.parametrize("text", [CALL, ON_IT], ids=["on its own step", "on a product"])
@pytest.mark.parametrize(
    ("happens", "state", "said"), [(taken, "denied", "no rule permits it"), (cancelled, "expired", "was cancelled")]
)
def test_what_happens_between_the_decision_and_its_commit_is_obeyed(
    here: Works, monkeypatch: pytest.MonkeyPatch, text: str, behalf: str,
    happens: Callable[[Works, str], None], state: str, said: str,
) -> None:  # fmt: skip
    """I4, I11: the commit that begins expects the run, its starter and whom that one acts for as they were decided on."""
    here.store.commit([Put("p-1", "Product", {"name": "Bolt"})], Cause(here.clock.id(), "ingest", AUTHOR.uid))
    run = begin(here, text, 'User::"dan"' if behalf else ANNA, on_behalf_of=behalf)
    commit, late = here.store.commit, []

    def committed(writes: Any, *more: Any, **named: Any) -> Any:
        if not late and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            late.append(True)
            happens(here, run)
        return commit(writes, *more, **named)

    answer(here, CARA)
    monkeypatch.setattr(here.store, "commit", committed)
    here.drain()
    assert late
    (proposal,) = here.store.find("Proposal").items
    assert (proposal["state"], here.store.find("Effect").items) == (state, ())
    assert said in str(proposal["reason"])


def test_a_schedule_acts_for_whoever_activated_it(here: Works) -> None:
    here.engine.activate(here.register("nightly", "schedule: {every: {minutes: 1}}\n" + CALL), ANNA)
    here.later(61)
    assert asked(here)["onBehalfOf"] == ANNA
    for who in (ANNA, OTHER):
        with pytest.raises(SelfApprovalError):
            say(here, who)
    say(here, CARA)
    (run,) = here.store.find("Run").items
    here.output(run.id)


def test_a_child_run_acts_for_the_same(here: Works) -> None:
    here.register("child", CALL)
    begin(here, "do: [{c: {run: {workflow: {namespace: test, name: child, version: latest}}}}]")
    with pytest.raises(SelfApprovalError):
        say(here, ANNA)
    say(here, CARA)


def test_an_agent_that_a_run_asks_acts_for_the_starter(here: Works) -> None:
    product = Put("p-1", "Product", {"name": "Bolt", "stock": 3})
    here.store.commit([product], Cause(here.clock.id(), "ingest", 'Service::"ingest"'))
    run = begin(here, "do: [{a: {call: agent, with: {agent: buyer, entity: p-1}}}]")
    assert (asked(here)["principal"], asked(here)["onBehalfOf"]) == ('Agent::"buyer"', ANNA)
    with pytest.raises(SelfApprovalError):
        say(here, ANNA)
    say(here, CARA)
    assert [item["state"] for item in here.output(run)["proposals"]] == ["applied"]


def test_a_run_goes_on_with_what_its_proposal_was_edited_into(here: Works) -> None:
    run = begin(here, CALL)
    rules = load_rules(here.store, ontology())
    cara = load_principal(here.store, CARA)
    done = edit(here.store, here.clock, ontology(), rules, cara, asked(here).id, Edit(payload={"n": 2}), "two")
    here.queue.extend(done.follow)
    here.drain()
    assert here.run(run).state == "waiting", "the first is superseded, and the run waits for its edit"
    last = max(
        (d for d in here.store.find("Decision").items if d["outcome"] == "needs_approval"), key=lambda d: d.since
    )
    for who in (ANNA, OTHER, CARA):
        with pytest.raises(SelfApprovalError):
            approve(here.store, here.clock, rules, last.id, load_principal(here.store, who), "approve")
    approve(here.store, here.clock, rules, last.id, load_principal(here.store, 'User::"dan"'), "approve")
    here.drain()
    here.output(run)
    assert Proposal(here.store.get([done.proposal])[done.proposal]).state == "applied"
