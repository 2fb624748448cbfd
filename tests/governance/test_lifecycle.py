"""The life of a rule: four eyes, no gap while its successor is reviewed, intervals, and every refused move."""

from datetime import timedelta

import pytest

from governance.decide import decide
from governance.errors import RuleError, SelfReviewError
from governance.lifecycle import Interval, Lifecycle
from governance.people import import_people
from governance.peoplefile import read_people
from governance.principals import Principal, load_principal
from governance.rules import BOOK, find_rule, load_rules
from kg.store import GraphStore
from tests.governance.conftest import EVERY_STORE, PEOPLE
from tests.governance.world import agent, apply, ontology
from tests.parts import ManualClock

PERMIT = '@id("may-apply") permit(principal, action == Action::"apply", resource is Product);'
FORBID = '@id("never") forbid(principal, action == Action::"apply", resource is Product);'


@pytest.fixture(name="life")
def _life(store: GraphStore, clock: ManualClock, root: Principal) -> Lifecycle:
    import_people(store, clock, read_people(PEOPLE, "people.yaml"), root)
    return Lifecycle(store, clock, ontology())


def who(life: Lifecycle, name: str) -> Principal:
    return load_principal(life.store, f'User::"{name}"')


def outcome(life: Lifecycle) -> str:
    return decide(apply(agent()), load_rules(life.store, life.ontology, life.clock.now())).outcome


def in_force(life: Lifecycle, text: str, name: str) -> None:
    life.draft(text, who(life, "anna"), "needed")
    life.submit(name, who(life, "anna"), "ready")
    life.activate(name, who(life, "ben"), "read it")


@EVERY_STORE
def test_a_rule_counts_only_after_somebody_else_reviewed_it(life: Lifecycle) -> None:
    life.draft(PERMIT, who(life, "anna"), "needed")
    with pytest.raises(RuleError, match="draft and can only become"):
        life.activate("may-apply", who(life, "ben"), "too early")
    life.submit("may-apply", who(life, "anna"), "ready")
    assert outcome(life) == "deny"
    with pytest.raises(SelfReviewError, match="anna"):
        life.activate("may-apply", who(life, "anna"), "mine is fine")
    rule = life.activate("may-apply", who(life, "ben"), "read it")
    assert (rule["author"], rule["reviewer"], outcome(life)) == ('User::"anna"', 'User::"ben"', "allow")


@EVERY_STORE
@pytest.mark.parametrize("in_force_before", [False, True], ids=["a new rule", "a successor"])
def test_what_its_author_changed_since_it_was_read_is_not_put_in_force(life: Lifecycle, in_force_before: bool) -> None:
    harmless = PERMIT.replace("Product)", 'Product) when { context.operation == "look" }')
    if in_force_before:
        in_force(life, harmless.replace("look", "peek"), "may-apply")

    def hand_in(text: str) -> int:
        life.draft(text, who(life, "anna"), "needed")
        return life.submit("may-apply", who(life, "anna"), "ready").version

    read = hand_in(harmless)
    swapped = hand_in(PERMIT)
    with pytest.raises(RuleError, match=f"is at version {swapped}, you read {read}"):
        life.activate("may-apply", who(life, "ben"), "read it", read)
    assert outcome(life) == "deny"
    life.activate("may-apply", who(life, "ben"), "read that", swapped)
    assert outcome(life) == "allow"


def test_a_second_identity_of_the_author_is_no_second_pair_of_eyes(life: Lifecycle) -> None:
    life.draft(PERMIT, who(life, "anna-private"), "needed")
    life.submit("may-apply", who(life, "anna-private"), "ready")
    for same in (who(life, "anna-work"), Principal("Agent", "bot", on_behalf_of=who(life, "anna-work"))):
        with pytest.raises(SelfReviewError):
            life.activate("may-apply", same, "a second identity")
    assert life.activate("may-apply", who(life, "ben"), "read it")["status"] == "active"


def test_a_rule_in_force_stays_while_its_successor_is_reviewed(life: Lifecycle) -> None:
    in_force(life, PERMIT, "may-apply")
    in_force(life, FORBID, "never")
    assert outcome(life) == "deny"
    life.draft(FORBID.replace("Product", "Order"), who(life, "ben"), "orders only")
    life.submit("never", who(life, "ben"), "ready")
    assert outcome(life) == "deny", "the forbid must not lapse while it is rewritten"
    with pytest.raises(SelfReviewError):
        life.activate("never", who(life, "ben"), "own")
    rule = life.activate("never", who(life, "anna"), "right")
    assert "Order" in str(rule["text"])
    assert rule["author"] == 'User::"ben"'
    assert rule.get("nextText") is None
    assert outcome(life) == "allow"


def test_retiring_a_rule_takes_two(life: Lifecycle) -> None:
    in_force(life, PERMIT, "may-apply")
    in_force(life, FORBID, "never")
    life.propose_retirement("never", who(life, "ben"), "no longer")
    assert outcome(life) == "deny"
    with pytest.raises(SelfReviewError):
        life.activate("never", who(life, "ben"), "own")
    assert life.activate("never", who(life, "anna"), "right")["status"] == "retired"
    assert outcome(life) == "allow"


def test_what_is_sent_back_or_withdrawn_changes_nothing_in_force(life: Lifecycle) -> None:
    in_force(life, PERMIT, "may-apply")
    life.draft(PERMIT.replace("Product", "Order"), who(life, "anna"), "orders")
    life.submit("may-apply", who(life, "anna"), "ready")
    assert life.send_back("may-apply", who(life, "ben"), "why?")["nextStage"] == "draft"
    assert life.withdraw("may-apply", who(life, "anna"), "never mind").get("nextStage") is None
    assert outcome(life) == "allow"
    with pytest.raises(RuleError, match="nothing succeeds it"):
        life.submit("may-apply", who(life, "anna"), "again")


def test_a_draft_that_names_an_unknown_class_is_not_handed_in(life: Lifecycle) -> None:
    life.draft(PERMIT.replace("Product", "Produkt"), who(life, "anna"), "typing")
    with pytest.raises(RuleError, match="Produkt"):
        life.submit("may-apply", who(life, "anna"), "ready")


def test_a_rule_counts_within_its_interval_only(life: Lifecycle, clock: ManualClock) -> None:
    now = clock.now()
    interval = Interval(now + timedelta(hours=1), now + timedelta(hours=2))
    life.draft(PERMIT, who(life, "anna"), "for an hour", interval)
    life.submit("may-apply", who(life, "anna"), "ready")
    life.activate("may-apply", who(life, "ben"), "read it")
    seen = []
    for _ in range(3):
        seen.append(outcome(life))
        clock.advance(3_600)
    assert seen == ["deny", "allow", "deny"]
    clock.jump(-5_400)
    assert outcome(life) == "allow", "a clock that goes back finds the book of that time"


def test_every_move_raises_the_version_of_the_book(life: Lifecycle) -> None:
    before = 0
    for step in (
        lambda: life.draft(PERMIT, who(life, "anna"), "needed"),
        lambda: life.submit("may-apply", who(life, "anna"), "ready"),
        lambda: life.activate("may-apply", who(life, "ben"), "read"),
    ):
        step()
        version = life.store.get([BOOK])[BOOK].version
        assert version == before + 1
        before = version
    rule = find_rule(life.store, "may-apply")
    assert rule is not None
    assert len(life.store.history(rule.id)) == 3


@pytest.mark.parametrize("name", ["nobody", "x" * 500, ""])
def test_an_unknown_rule_is_one_sentence(life: Lifecycle, name: str) -> None:
    with pytest.raises(RuleError, match="no rule is called"):
        life.submit(name, who(life, "anna"), "r")


def test_a_move_needs_a_reason_and_an_interval_an_order(life: Lifecycle, clock: ManualClock) -> None:
    with pytest.raises(RuleError, match="for a reason"):
        life.draft(PERMIT, who(life, "anna"), " ")
    with pytest.raises(RuleError, match="ends before"):
        Interval(clock.now(), clock.now() - timedelta(seconds=1))
    with pytest.raises(RuleError, match="time zone"):
        Interval(clock.now().replace(tzinfo=None))
