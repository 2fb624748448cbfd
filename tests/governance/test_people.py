"""Principals and people.yaml: what is read, what is refused with its line, and that importing again changes nothing (I3)."""

import pytest

from governance.errors import PeopleError, PrincipalError
from governance.people import ensure_principal, import_people
from governance.peoplefile import read_people
from governance.principals import Principal, load_principal, parse_uid
from kg.model import Cause, Op, Put, Where
from kg.store import GraphStore
from tests.governance.conftest import PEOPLE
from tests.parts import ManualClock


def test_a_principal_has_the_roles_and_departments_of_the_graph(people: GraphStore) -> None:
    anna = load_principal(people, 'User::"anna"')
    assert (anna.roles, anna.departments) == ({"purchasing-manager"}, {"purchasing"})
    assert anna.uid == 'User::"anna"'
    assert load_principal(people, "User::anna") == anna
    assert load_principal(people, 'User::"anna-work"').person == "P-17"
    with pytest.raises(PrincipalError, match="no Agent is called 'anna'"):
        load_principal(people, 'Agent::"anna"')


def test_importing_again_changes_nothing_and_a_changed_file_only_what_changed(
    people: GraphStore, clock: ManualClock, root: Principal
) -> None:
    head = people.head().position
    assert import_people(people, clock, read_people(PEOPLE), root).changes == 0
    assert people.head().position == head
    moved = PEOPLE.replace("name: dora, roles: [clerk]", "name: dora, roles: [admin]").replace("label: Anna, ", "")
    # One role ended, one begun, one label gone.
    assert import_people(people, clock, read_people(moved), root).changes == 4, (
        "the role, two relations and the version of whoever has it"
    )
    assert load_principal(people, 'User::"dora"').roles == {"admin"}
    assert "label" not in people.find("User", [Where("name", Op.EQ, "anna")]).items[0].properties
    import_people(people, clock, read_people("users: []"), root)
    assert load_principal(people, 'User::"dora"').roles == {"admin"}


def test_what_is_disabled_cannot_act_and_silence_does_not_enable_it(
    people: GraphStore, clock: ManualClock, root: Principal
) -> None:
    dora = people.find("User", [Where("name", Op.EQ, "dora")]).items[0]
    people.commit([Put(dora.id, "User", {"disabled": True})], Cause("c1", "test", "t"))
    import_people(people, clock, read_people(PEOPLE), root)
    with pytest.raises(PrincipalError, match="is disabled"):
        load_principal(people, 'User::"dora"')
    enabled = PEOPLE.replace("{name: dora,", "{name: dora, disabled: false,")
    import_people(people, clock, read_people(enabled), root)
    assert load_principal(people, 'User::"dora"').roles == {"clerk"}


def test_two_of_one_name_are_nobody(people: GraphStore) -> None:
    people.commit([Put("x", "User", {"name": "anna"})], Cause("c1", "test", "t"))
    with pytest.raises(PrincipalError, match="close all but one"):
        load_principal(people, 'User::"anna"')


def test_a_principal_is_made_once(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    first = ensure_principal(store, clock, "Agent", "router", root, roles=["clerk"], departments=["support"])
    assert ensure_principal(store, clock, "Agent", "router", root) == first
    assert load_principal(store, 'Agent::"router"').roles == {"clerk"}


@pytest.mark.parametrize("name", ["anna", 'a"b', "a\\b", "Ünï ©", "a::b", "'", "\U0001d4b3"])
def test_a_uid_can_be_read_back(name: str) -> None:
    assert parse_uid(Principal("User", name).uid) == ("User", name)


@pytest.mark.parametrize("uid", ["", "anna", "Role::x", 'User::"a', 'User::"a" ', 'User::"\\q"', "User::" + "x" * 999])
def test_a_bad_uid_is_refused(uid: str) -> None:
    with pytest.raises(PrincipalError):
        parse_uid(uid)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "users:\n- {name: anna, roles: [boss]}",
            "people.yaml line 2: anna has the role 'boss', which the file does not declare",
        ),
        ("roles: [a, b, a]", "line 1: role 'a' stands there twice"),
        ("users:\n- name: a\n- name: a", "line 3: User 'a' stands there twice"),
        ("users:\n- nam: a", "line 2: a user has no field 'nam'"),
        ("users:\n- {label: a}", "line 2: a user needs the field 'name'"),
        ("users:\n- anna", "line 2: a user must be a mapping"),
        ("users: anna", "line 1: users must be a list"),
        ("users:\n- {name: [a]}", "line 2: a name must be a text"),
        ("users:\n- {name: ''}", "a name must be a text of 1 to 200 characters"),
        ("agents:\n- {name: a, email: x}", "line 2: Agent 'a' has no email"),
        ("users:\n- {name: a, disabled: 7}", "disabled of a must be true or false"),
        ("users:\n- {name: a, name: b}", "line 2: a key must be a word that stands there once"),
        ("user: []", "the file has no field 'user'"),
        ("[]", "the file must be a mapping"),
        ("a: &x [1]\nb: *x", "line 1: anchors and aliases are not supported"),
        ("a: " + "[" * 50 + "]" * 50, "nested deeper than 12 levels"),
        ("a: [", "people.yaml line 1: "),
        ("a: b: c", "line 1: "),
        ("\x00", "people.yaml"),
        pytest.param("x" * 2_000_001, "exceed 2,000,000", id="large"),
        ("users: !!python/object/apply:os.system [x]", "must be a"),
    ],
)
def test_a_wrong_people_file_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(PeopleError) as caught:
        read_people(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_names_nobody() -> None:
    assert read_people("").principals == ()
