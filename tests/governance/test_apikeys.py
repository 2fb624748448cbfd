"""API keys: only the holder of the secret, in time, with no more rights than the subject has; the hash shown to nobody."""

from datetime import timedelta

import pytest

from governance.apikeys import TEXT_MAX, create, revoke, verify
from governance.errors import GovernanceError, KeyRejectedError, PrincipalError
from governance.principals import Principal, load_principal
from governance.view import GovernedView
from kg.model import Cause, Put, Unlink
from kg.store import GraphStore
from tests.governance.world import book, ontology, user
from tests.parts import ManualClock


def test_a_key_opens_as_its_subject(people: GraphStore, clock: ManualClock, root: Principal) -> None:
    text, key = create(people, clock, "erp nightly", 'Service::"erp"', root)
    assert text.startswith(f"noesis_{key.id}_")
    assert verify(people, clock, text) == load_principal(people, 'Service::"erp"')


def test_the_secret_is_stored_nowhere_and_hash_and_salt_are_shown_to_nobody(
    people: GraphStore, clock: ManualClock, root: Principal
) -> None:
    text, key = create(people, clock, "k", 'Service::"erp"', root)
    secret = text.rpartition("_")[2]
    assert len(secret) == 64
    assert secret not in repr(people.history(key.id))
    assert secret not in repr(people.changes(0))
    everything = GovernedView(
        user("root", "admin"), book('@id("all") permit(principal, action, resource);'), ontology()
    )
    (seen,) = everything.see([key])
    assert seen is not None
    assert seen.masked == {"hash", "salt"}
    assert not {"hash", "salt"} & seen.properties.keys()
    assert not {"hash", "salt"} & set(ontology().text("ApiKey"))


def test_whatever_is_wrong_is_said_in_the_same_words(people: GraphStore, clock: ManualClock, root: Principal) -> None:
    text, key = create(people, clock, "k", 'Service::"erp"', root, expires=clock.now() + timedelta(hours=1))
    other, _ = create(people, clock, "k2", 'Service::"erp"', root)
    secret = text.rpartition("_")[2]
    person = load_principal(people, 'User::"anna"')
    wrong = [
        "",
        "noesis",
        "noesis__",
        "noesis_" + secret,
        f"noesis_{key.id}_",
        f"noesis_{key.id}_{secret[:-1]}",
        f"noesis_{key.id}_{secret}0",
        f"noesis_{key.id}_{other.rpartition('_')[2]}",
        f"noesis_{'0' * 26}_{secret}",
        f"noesis_{person.entity}_{secret}",
        f"other_{key.id}_{secret}",
        text.upper(),
        text + " ",
        "noesis_é_" + secret,
        "noesis_\x00_" + secret,
        "n" * (TEXT_MAX + 1),
    ]
    messages = set()
    for attempt in wrong:
        with pytest.raises(KeyRejectedError) as caught:
            verify(people, clock, attempt)
        messages.add(str(caught.value))
    assert verify(people, clock, text).id == "erp"
    clock.advance(3600)
    with pytest.raises(KeyRejectedError) as caught:
        verify(people, clock, text)
    assert messages == {str(caught.value)}


def test_a_revoked_key_opens_nothing(people: GraphStore, clock: ManualClock, root: Principal) -> None:
    text, key = create(people, clock, "k", 'Service::"erp"', root)
    revoke(people, clock, key.id, root, "lost")
    revoke(people, clock, key.id, root, "lost")
    assert len(people.history(key.id)) == 2
    with pytest.raises(KeyRejectedError):
        verify(people, clock, text)
    with pytest.raises(GovernanceError, match="there is no API key"):
        revoke(people, clock, "nothing", root, "x")


def test_a_key_gives_no_more_than_its_subject_has_now(people: GraphStore, clock: ManualClock, root: Principal) -> None:
    text, _ = create(people, clock, "k", 'User::"carl"', root, roles=["finance-manager"])
    assert verify(people, clock, text).roles == {"finance-manager"}
    carl = load_principal(people, 'User::"carl"')
    assert carl.entity is not None
    people.commit([Unlink(carl.entity, "hasRole")], Cause("c-out", "test", "t"))
    assert verify(people, clock, text).roles == frozenset()
    people.commit([Put(carl.entity, "User", {"disabled": True})], Cause("c-off", "test", "t"))
    with pytest.raises(KeyRejectedError):
        verify(people, clock, text)


def test_a_key_without_sense_is_not_made(people: GraphStore, clock: ManualClock, root: Principal) -> None:
    with pytest.raises(GovernanceError, match="does not have the role admin"):
        create(people, clock, "k", 'Service::"erp"', root, roles=["admin"])
    with pytest.raises(GovernanceError, match="expired at once"):
        create(people, clock, "k", 'Service::"erp"', root, expires=clock.now())
    with pytest.raises(GovernanceError, match="needs a name"):
        create(people, clock, "", 'Service::"erp"', root)
    with pytest.raises(GovernanceError, match=r"holds U[+]202E, which nobody sees"):
        create(people, clock, "nightly\u202e", 'Service::"erp"', root)
    with pytest.raises(PrincipalError):
        create(people, clock, "k", 'Service::"nobody"', root)
