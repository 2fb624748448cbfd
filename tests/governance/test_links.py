"""Links in notices: one answer of one person to one decision in its version, once, within its time; anything else is refused."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from governance import links
from governance.breakglass import open_glass
from governance.decide import decide
from governance.decisions import record
from governance.errors import AlreadyAnsweredError, DeniedError, LinkError, SelfApprovalError
from governance.links import Keys, Link
from governance.principals import load_principal
from governance.rulebook import RuleBook
from kg.model import Cause, Entity, Put
from kg.store import GraphStore
from tests.governance.conftest import EVERY_STORE
from tests.governance.world import apply, book, product
from tests.parts import ManualClock

RULES = (
    '@id("apply") permit(principal, action == Action::"apply", resource is Product);',
    '@id("two") @requires("two") @approvers("finance-manager:1") @expires("1d") '
    'forbid(principal, action == Action::"apply", resource is Product);',
    '@id("answer") permit(principal in Role::"finance-manager", action == Action::"approve", resource is Decision);',
)
KEYS = Keys({"k1": b"1" * 32, "old": b"2" * 32})


@pytest.fixture(name="rules")
def _rules() -> RuleBook:
    return book(*RULES)


def waiting(people: GraphStore, clock: ManualClock, rules: RuleBook, id: str = "d1", by: str = "erp") -> Entity:
    request = apply(load_principal(people, f'Service::"{by}"' if by == "erp" else f'User::"{by}"'), product(stock=1))
    verdict = decide(request, rules)
    people.commit([Put("p1", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    writes = record(id, request, verdict, expires=None)
    people.commit(writes, Cause(clock.id(), "decide", "t"))
    return people.get([id])[id]


def token(people: GraphStore, clock: ManualClock, decision: Entity, who: str = "ben", seconds: int = 600) -> str:
    person = load_principal(people, f'User::"{who}"')
    return links.made(people, clock, KEYS, decision, person, "nonce", seconds)


def approvals(people: GraphStore) -> list[Entity]:
    return list(people.find("Approval", first=10).items)


@EVERY_STORE
def test_it_answers_once_as_that_person(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    text = token(people, clock, waiting(people, clock, rules))
    before = people.head().position
    link, decision, person = links.asked(people, clock, KEYS, text)
    assert (link.decision, decision.id, person.uid) == ("d1", "d1", 'User::"ben"')
    assert people.head().position == before, "looking decides nothing"
    done = links.answer(people, clock, rules, KEYS, text, "approve", "by mail")
    (answer,) = approvals(people)
    assert (done.met, answer["principal"], answer["comment"]) == (True, 'User::"ben"', "by mail")
    (allowed,) = [d for d in people.find("Decision").items if d["action"] == "approve"]
    assert (allowed["outcome"], allowed["principal"]) == ("allow", 'User::"ben"')
    for verdict in ("approve", "reject"):
        with pytest.raises(LinkError, match="used already"):
            links.answer(people, clock, rules, KEYS, text, verdict)
    with pytest.raises(LinkError, match="used already"):
        links.asked(people, clock, KEYS, text)


def signed(link: Link, name: str = "k1", key: bytes = b"1" * 32, text: str = "") -> str:
    return links.sign(Keys({name: key}), link)


def forgeries(good: str, link: Link) -> dict[str, str]:
    head, name, body, mac = good.split(".")
    form = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**form, "person": 'User::"carl"'}).encode()).decode().rstrip("=")
    plain = hmac.new(b"1" * 32, f"{head}.{name}.{body}".encode(), hashlib.sha256).digest()
    return {
        "empty": "",
        "garbage": "n1.k1.x.y",
        "long": good + "A" * 3_000,
        "not ascii": good + "é",
        "another person": f"{head}.{name}.{other}.{mac}",
        "no mac": f"{head}.{name}.{body}.",
        "cut mac": good[:-4],
        "another format": "n2" + good[2:],
        "another key's name": f"{head}.old.{body}.{mac}",
        "unknown key": f"{head}.nobody.{body}.{mac}",
        "wrong key": signed(link, key=b"3" * 32),
        "no domain": f"{head}.{name}.{body}.{base64.urlsafe_b64encode(plain).decode().rstrip('=')}",
        "bool for number": signed(replace(link, version=True)),
        "text for number": signed(replace(link, expires="9")),  # type: ignore[arg-type]
        "one more part": f"{good}.x",
        "newline": good + "\n",
    }


def test_what_is_forged_opens_nothing(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    good = token(people, clock, waiting(people, clock, rules))
    link = links.read(KEYS, good, clock.now())
    for name, text in forgeries(good, link).items():
        with pytest.raises(LinkError) as refused:
            links.answer(people, clock, rules, KEYS, text, "approve")
        assert str(refused.value) == str(LinkError()), name
    assert approvals(people) == []


def test_the_same_link_written_otherwise_is_the_same_link(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    good = token(people, clock, waiting(people, clock, rules))
    link = links.read(KEYS, good, clock.now())
    links.answer(people, clock, rules, KEYS, good, "approve")
    again = signed(link, "old", b"2" * 32)
    assert again != good
    for text in (again, good + "="):
        with pytest.raises(LinkError):
            links.answer(people, clock, rules, KEYS, text, "approve")
    assert len(approvals(people)) == 1


def test_it_ends_by_the_later_of_clock_and_last_commit(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    text = token(people, clock, waiting(people, clock, rules), seconds=60)
    clock.advance(61)
    people.commit([Put("p2", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    clock.advance(-61)
    with pytest.raises(LinkError, match="has ended"):
        links.answer(people, clock, rules, KEYS, text, "approve")
    far = token(people, clock, people.get(["d1"])["d1"], seconds=10**9)
    assert links.read(KEYS, far, clock.now()).expires <= clock.now().timestamp() + 2 * 24 * 3600


def test_what_changed_since_is_not_answered(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    decision = waiting(people, clock, rules)
    text = token(people, clock, decision)
    stale = signed(replace(links.read(KEYS, text, clock.now()), version=7))
    gone = signed(replace(links.read(KEYS, text, clock.now()), proposal="nothing", at=1))
    for one in (stale, gone):
        with pytest.raises(LinkError, match="has changed"):
            links.answer(people, clock, rules, KEYS, one, "approve")
    people.commit([Put("d1", "Decision", {"outcome": "deny"})], Cause(clock.id(), "test", "t"))
    with pytest.raises(LinkError, match="has changed"):
        links.asked(people, clock, KEYS, text)


def test_it_gives_no_right_that_the_person_lacks_now(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    decision = waiting(people, clock, rules)
    with pytest.raises(DeniedError):
        links.answer(people, clock, rules, KEYS, token(people, clock, decision, "anna"), "approve")
    own = waiting(people, clock, rules, "d2", by="ben")
    with pytest.raises(SelfApprovalError):
        links.answer(people, clock, rules, KEYS, token(people, clock, own, "ben"), "approve")
    text = token(people, clock, decision)
    ben = load_principal(people, 'User::"ben"')
    people.commit([Put(str(ben.entity), "User", {"disabled": True})], Cause(clock.id(), "test", "t"))
    with pytest.raises(LinkError):
        links.answer(people, clock, rules, KEYS, text, "approve")


def test_it_carries_no_break_glass(people: GraphStore, clock: ManualClock) -> None:
    glass = (
        '@id("g") permit(principal, action == Action::"approve", resource) when { context.breakGlass };',
        '@id("o") permit(principal, action == Action::"configure", resource is BreakGlass);',
    )
    rules = book(*RULES[:2], *glass)
    decision = waiting(people, clock, rules)
    open_glass(people, clock, rules, load_principal(people, 'User::"ben"'), "fire")
    with pytest.raises(DeniedError):
        links.answer(people, clock, rules, KEYS, token(people, clock, decision), "approve")


def test_two_answers_at_once_are_one(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    text = token(people, clock, waiting(people, clock, rules))

    class Racing:
        """The store, in which the same link is used between the look and the commit."""

        raced = False

        def __getattr__(self, name: str) -> Any:
            return getattr(people, name)

        def commit(self, *given: Any) -> Any:
            if not self.raced:
                self.raced = True
                links.answer(people, clock, rules, KEYS, text, "reject")
            return people.commit(*given)

    racing: Any = Racing()
    with pytest.raises(AlreadyAnsweredError):
        links.answer(racing, clock, rules, KEYS, text, "approve")
    (one,) = approvals(people)
    assert one["answer"] == "reject"


def test_used_ones_are_forgotten_once_they_have_ended(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    text = token(people, clock, waiting(people, clock, rules), seconds=60)
    links.answer(people, clock, rules, KEYS, text, "approve")
    assert links.sweep(people, clock) == 0
    clock.advance(61)
    assert links.sweep(people, clock) == 1
    with pytest.raises(LinkError, match="has ended"):
        links.asked(people, clock, KEYS, text)


def test_weak_keys_are_refused() -> None:
    for named in ({}, {"k": b"short"}, {"a.b": b"1" * 32}, {"": b"1" * 32}):
        with pytest.raises(LinkError):
            Keys(named)
    assert "1111" not in repr(KEYS)
