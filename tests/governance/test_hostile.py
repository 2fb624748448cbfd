"""Hostile input: no text, name or value makes the evaluator fail open, crash, or say more than it may."""

import contextlib
import json
import string
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance import cedar
from governance.decide import Request, Resource, decide
from governance.errors import RuleError
from governance.principals import Principal
from governance.rulefiles import split
from governance.schema import check, vocabulary
from governance.statement import compile_rule, parse_rule
from governance.view import GovernedView
from kg.errors import ValueDomainError
from kg.model import Entity
from kg.values import encode
from tests.governance.world import ROOT, book, ontology, user

WORDS = "permit forbid principal action resource context decimal true if then else has like ?principal Product Action:: User::"
SIGNS = "( ) { } [ ] , ; . :: == && || ! - 1 // ' * \\ \\* \\u{0} \""
PARTS = (" when ", " unless ", " in ", " is ", '@id("a")', "@requires", '"read"', "\n", "\x00")
#: Turned writing, more than one unit of UTF-16, half of such a pair.
ODD = ("\u202e", "é", "\U0001f600", "\ud800")
PIECES = (*WORDS.split(), *SIGNS.split(), *PARTS, *ODD)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
ANY_TEXT = st.text(max_size=60)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_is_a_rule_or_one_clear_error(text: str) -> None:
    with contextlib.suppress(RuleError):
        parse_rule(text)
        check(text, vocabulary(ontology()))
        # What passed the check must compile.
        compile_rule("r", 1, text, ontology().subclasses)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_cutting_a_file_loses_no_statement(text: str) -> None:
    joined = "".join("".join(source.text.split()) for source in split(text, "f"))
    assert "".join(text.split()).startswith(joined)


@pytest.mark.parametrize(
    "body",
    [
        "(" * 3000 + "true" + ")" * 3000,
        "[" * 3000 + "1" + "]" * 3000 + ".isEmpty()",
        "{a:" * 3000 + "1" + "}" * 3000 + " has a",
        '"' + "\\" * 3000 + '" == "" && ' + "(" * 3000,
        "/*" + "(" * 3000,
        '// "\n' + "(" * 3000,
        "true && " * 2000 + "true",
        "if true then " * 700 + "true " + "else false " * 700,
        "context." + "a." * 4000 + "b",
        "!" * 5000 + "true",
        '"' + "x" * 30_000 + '" == ""',
    ],
    ids=["brackets", "sets", "records", "escapes", "slash", "comment", "ands", "ifs", "dots", "nots", "long"],
)
def test_what_would_end_the_process_is_refused_before_it_is_parsed(body: str) -> None:
    text = f'@id("a") permit(principal, action, resource) when {{ {body} }};'
    # In a process of its own: the native parser does not raise where its stack ends.
    program = (
        "import sys, json\nfrom governance.statement import parse_rule\nfrom governance.errors import RuleError\n"
        "try:\n    parse_rule(json.load(sys.stdin))\nexcept RuleError as error:\n    print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(text), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-300:]
    assert done.stdout.startswith("refused: ")
    assert len(done.stdout) < 500


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_name_reaches_another_ones_right(name: str, role: str, id: str) -> None:
    rules = book(
        '@id("anna") permit(principal == User::"anna", action, resource);',
        '@id("boss") permit(principal in Role::"boss", action, resource);',
        '@id("p1") permit(principal, action, resource == Product::"p1");',
    )
    verdict = decide(
        Request(Principal("User", name, frozenset({role})), "read", Resource("Product", id, {"stock": 1})), rules
    )
    assert verdict.allowed == (name == "anna" or role == "boss" or id == "p1")


@pytest.mark.parametrize(
    "attempt",
    [
        'anna"',
        'x", "parents": [{"type": "Role", "id": "boss"}]',
        'User::"anna"',
        "anna\\",
        "anna\n",
        "anna\x00",
        "ANNA",
        "ànna",
        "\u0430nna",
    ],
)
def test_injection_through_names_ids_and_values(attempt: str) -> None:
    rules = book(
        '@id("a") permit(principal == User::"anna", action, resource);',
        '@id("b") permit(principal in Role::"boss", action, resource);',
        '@id("c") permit(principal, action, resource) when { resource has region && resource.region == "open" };',
        '@id("d") permit(principal, action, resource) when { context has purpose && context.purpose == "audit" };',
    )
    values = {"region": f'open", "region": "{attempt}'}
    thing = Entity(attempt, "Customer", 1, values, 1)
    request = Request(
        user(attempt, attempt, departments=[attempt]), "read", thing, {"purpose": attempt, "kind": attempt}
    )
    assert decide(request, rules).outcome == "deny"


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["stock", "rate", "tags", "region", "purpose", "class", "satisfied", "x"]),
        st.one_of(
            st.none(),
            st.floats(),
            st.integers(),
            st.decimals(),
            st.text(max_size=20),
            st.booleans(),
            st.datetimes(),
            st.binary(max_size=3),
            st.lists(st.one_of(st.text(max_size=5), st.floats(), st.none()), max_size=3).map(tuple),
        ),
        max_size=4,
    )
)
def test_values_outside_the_table_never_allow_and_are_never_repeated(values: dict[str, Any]) -> None:
    reads = " || ".join(
        f"(resource has {name} && resource.{name} == resource.{name})" for name in ("stock", "rate", "tags")
    )
    rules = book(f'@id("a") permit(principal, action, resource) when {{ {reads} || true }};')
    entity = Entity("p", "Product", 1, values, 1)
    verdict = decide(Request(user("u"), "apply", entity, values), rules)
    if not all(_in_table(value) for value in values.values()):
        assert verdict.outcome == "deny"
        assert len(verdict.errors) == 1
        assert all(len(error) < 120 for error in verdict.errors)
    assert verdict.outcome in {"allow", "deny"}


def _in_table(value: Any) -> bool:
    try:
        encode(value)
    except ValueDomainError:
        return isinstance(value, str)
    return True


def test_a_huge_value_is_decided_and_not_repeated() -> None:
    rules = book('@id("a") permit(principal, action, resource) when { resource.region like "*needle*" };')
    entity = Entity("c", "Customer", 1, {"region": "x" * 1_000_000}, 1)
    assert decide(Request(user("u"), "read", entity), rules).outcome == "deny"
    broken = Entity("c", "Customer", 1, {"region": "secret\ud800"}, 1)
    verdict = decide(Request(user("u"), "read", broken), rules)
    assert verdict.outcome == "deny"
    assert "secret" not in repr(verdict)
    assert GovernedView(user("u"), rules, ontology()).see([broken]) == [None]


def test_a_rule_id_with_quotes_keeps_its_place() -> None:
    statement = cedar.parse('@id("a") forbid(principal, action, resource) when { resource.stock > 1 };')[0]
    ids = ['a"b', "a`b", "a\\", "a\n", "é"]
    policies = cedar.policy_set({id: json.dumps(statement) for id in ids})
    uid = cedar.Uid("User", "u")
    entities = json.dumps([{"uid": uid.json(), "attrs": {"stock": 5}, "parents": []}])
    answer = cedar.authorize(policies, uid, "read", uid, "{}", entities)
    assert answer.reasons == tuple(sorted(ids))


def test_names_with_every_printable_sign_match_themselves_only() -> None:
    for sign in string.printable:
        quoted = (
            json.dumps(f"x{sign}")[1:-1].replace("\\u000b", "\\u{b}").replace("\\f", "\\u{c}").replace("\\b", "\\u{8}")
        )
        rules = book(f'@id("a") permit(principal in Role::"{quoted}", action, resource);')
        assert decide(Request(user("u", f"x{sign}"), "read", Resource("Product", "p")), rules).allowed, repr(sign)
        assert not decide(Request(user("u", "x"), "read", Resource("Product", "p")), rules).allowed
