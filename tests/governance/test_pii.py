"""Personal data in free text is found by its check digits, and a mask tells no more than its form says."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance import check_digits, pii
from governance.errors import RuleError
from governance.folding import fold
from governance.masks import FORMS, WITHHELD, mask_text, masked
from governance.principals import with_purpose
from governance.schema import check, vocabulary
from governance.view import GovernedView
from kg.model import Entity
from kg.values import canonical
from tests.governance.world import book, ontology, user

#: Specimen numbers that the issuers or their standards publish.
SPECIMENS = {
    "iban": ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO9386011117947"),
    "card": ("4111 1111 1111 1111", "378282246310005", "5555555555554444"),
    "german_tax": ("86095742719", "65929970489"),
    "french_insee": ("255081416802538",),
    "spanish": ("12345678Z", "X1234567L"),
    "italian": ("RSSMRA85T10A562S",),
    "dutch": ("111222333", "123456782"),
    "polish": ("44051401359", "02070803628"),
    "swedish": ("811228-9874", "19811228-9874"),
    "belgian": ("85073003328",),
    "swiss": ("756.9217.0769.85",),
    "indian": ("2341 2341 2346",),
    "brazilian": ("390.533.447-05",),
}
FREE = ("us_social_security", "british_insurance")
CUSTOMER = Entity("c1", "Customer", 2, {"region": "N", "phone": "030 1234567", "margin": Decimal(3)}, 5)
READ = '@id("read") permit(principal, action == Action::"read", resource) when { !(resource is Label) };'


@pytest.mark.parametrize("name", sorted(SPECIMENS))
def test_a_specimen_passes_and_with_any_other_last_digit_it_does_not(name: str) -> None:
    for specimen in SPECIMENS[name]:
        assert getattr(check_digits, name)(specimen), specimen
        last = specimen[-1]
        others = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if last.isalpha() else "0123456789"
        for sign in others:
            assert getattr(check_digits, name)(specimen[:-1] + sign) == (sign == last), (specimen, sign)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.from_regex(r"[0-9A-Z .\-]{1,34}", fullmatch=True)))
def test_any_text_is_judged_and_no_mask_raises(text: str) -> None:
    for name in (*SPECIMENS, *FREE):
        assert getattr(check_digits, name)(text) in (True, False)
    for form in FORMS:
        assert isinstance(mask_text(text, form, b"k"), str)
        masked(text, form, b"k")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mail Joe.B+x@mail.acme.example now", "email"),
        ("mail jürgen@müller.example", "email"),
        ("ring +49 (0)89 123456", "phone"),
        ("ring 089/1234567", "phone"),
        ("call (555) 234-5678", "phone"),
        ("to DE89370400440532013000.", "iban"),
        ("card 4111-1111-1111-1111", "card"),
        ("from 10.1.2.3", "ip"),
        ("from 2001:db8::1", "ip"),
        ("tax 86 095 742 719", "national-id"),
        ("ssn 078-05-1120", "national-id"),
        ("with Dr. Anna Meier", "name"),
    ],
)
def test_it_is_found_in_a_sentence_and_nothing_of_it_stays(text: str, kind: str) -> None:
    assert kind in pii.labels(text)
    (first, *_) = pii.find(text)
    assert text[first.start : first.end] not in mask_text(text)


@pytest.mark.parametrize(
    ("text", "kind", "kept"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00 please", "iban", "IBAN [withheld] please"),
        ("DE89 3704 0044 0532 0130 00 GB82 WEST 1234 5698 7654 32", "iban", "[withheld] [withheld]"),
        ("card 4111 1111 1111 1111 12 27", "card", "card [withheld] 12 27"),
        ("3 of 4111 1111 1111 1111 123", "card", "3 of [withheld] 123"),
        ("5 3782 822463 10005 1", "card", "5 [withheld] 1"),
        ("10.1.2.3:8080 said no", "ip", "[withheld]:8080 said no"),
        ("ip:10.1.2.3: no", "ip", "ip:[withheld]: no"),
    ],
)
def test_what_stands_beside_a_number_hides_it_not(text: str, kind: str, kept: str) -> None:
    assert (pii.labels(text), mask_text(text)) == (frozenset({kind}), kept)


@pytest.mark.parametrize(
    ("text", "kind", "kept"),
    [
        ("ring +49\u00a030\u202f1234567 now", "phone", "ring [withheld] now"),
        ("card 4111\u20111111\u20131111\u22121111", "card", "card [withheld]"),
        ("card \uff14111 \u06f1111 1111 1111", "card", "card [withheld]"),
        ("card 4111\u200b1111\u00ad1111\u20601111!", "card", "card [withheld]!"),
        ("joe\uff20acme.example wrote", "email", "[withheld] wrote"),
        ("joe\u200b@\u2060acme.example", "email", "[withheld]"),
        (canonical({"t": "call\n030 1234567"}), "phone", '{"t":"call\\n[withheld]"}'),
        (canonical({"t": canonical({"t": "x\n4111111111111111"})}), "card", '{"t":"{\\"t\\":\\"x\\\\n[withheld]\\"}"}'),
        ('{"t": "4111\\u00a01111\\u00a01111\\u200b1111"}', "card", '{"t": "[withheld]"}'),
        ("q?to=anna%40acme.example&x", "email", "[withheld]&x"),
        ("q?to=%252B49%2030%201234567;", "phone", "q?to=[withheld];"),
    ],
)
def test_how_it_is_written_hides_it_not(text: str, kind: str, kept: str) -> None:
    assert (pii.labels(text), mask_text(text)) == (frozenset({kind}), kept)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="4a@.%2u0\\n\u200b\u00a0\uff14-é", max_size=60))
def test_each_place_of_a_folded_text_leads_back_to_its_own(text: str) -> None:
    folded = fold(text)
    places = [folded.place(n) for n in range(len(folded.text) + 1)]
    assert places == sorted(places)
    assert all(0 <= place <= len(text) for place in places)
    assert all(sign == text[place] for sign, place in zip(folded.text, places, strict=False) if sign == "é")


@pytest.mark.parametrize(
    "text",
    ["order SO-004711 of 4 pieces", "invoice 4500012345", "version 1.2.3.4.5 at 12:30:45", "a::b", "2024-01-02", "EUR 1,234.50",
     "card 4111 1111 1111 1112", "IBAN DE88370400440532013000", "part 12-34-567"],
)  # fmt: skip
def test_numbers_of_business_stay(text: str) -> None:
    assert mask_text(text) == text


def test_a_long_hostile_text_takes_no_long_time() -> None:
    for piece in ("\\" * 100_000, "%25" * 33_000, "4111 " * 20_000, "DE89 " * 20_000, "\u200b1" * 50_000):
        assert pii.find(piece) is not None
    for piece in ("a@" * 50_000, "1 " * 50_000, ":" * 100_000, "DE89" * 25_000, "Dr. A" * 20_000, "+1 (" * 25_000):
        assert pii.find(piece) is not None
    assert len(mask_text("x" * (pii.TEXT_MAX + 5))) == pii.TEXT_MAX


def test_a_form_tells_no_more_than_its_name() -> None:
    assert masked("030 1234567", "partial") == "…567"
    assert masked("joe@acme.example", "partial") == "j…@acme.example"
    assert masked("ab", "partial") == WITHHELD
    assert masked(date(1980, 5, 6), "generalise") == date(1980, 1, 1)
    assert masked(datetime(1980, 5, 6, 7, tzinfo=UTC), "generalise") == datetime(1980, 1, 1, tzinfo=UTC)
    assert masked("80331", "generalise") == "80…"
    assert masked("something", "generalise") is None
    assert masked(Decimal(3), "partial") is None
    one, two = masked("joe", "hash", b"k"), masked("joe", "hash", b"other")
    assert one == masked("joe", "hash", b"k") != two
    assert masked("joe", "hash") is None, "a hash without a key could be guessed"
    assert masked(("joe@a.example", "x" * 9), "partial") == ("j…@a.example", "…xxx")


def _seen(*texts: str, purpose: str = "") -> Entity:
    principal = user("dora", "support")
    given_ = with_purpose(principal, purpose) if purpose else principal
    (seen,) = GovernedView(given_, book(READ, *texts), ontology(), b"key").see([CUSTOMER])
    assert seen is not None
    return seen


def test_a_rule_chooses_the_form_and_the_property_stays_masked_for_filters() -> None:
    seen = _seen('@id("p") @mask("partial") permit(principal, action == Action::"read", resource == Label::"pii");')
    assert seen["phone"] == "…567"
    assert "phone" in seen.masked
    assert "margin" not in seen.properties
    both = '@id("q") permit(principal in Role::"support", action == Action::"read", resource == Label::"pii");'
    seen = _seen('@id("p") @mask("hash") permit(principal, action == Action::"read", resource == Label::"pii");', both)
    assert seen["phone"] == "030 1234567", "a permit without a form shows it as it is"
    assert "phone" not in seen.masked


def test_a_purpose_opens_what_it_is_for_and_nothing_else() -> None:
    rule = (
        '@id("t") permit(principal in Role::"support", action == Action::"read", resource == Label::"pii") '
        'when { context has purpose && context.purpose == "open-ticket" };'
    )
    assert check(rule, vocabulary(ontology())) == "t"
    assert "phone" in _seen(rule).masked
    assert "phone" in _seen(rule, purpose="marketing").masked
    assert _seen(rule, purpose="open-ticket")["phone"] == "030 1234567"


@pytest.mark.parametrize(
    "text",
    [
        '@id("m") @mask("blur") permit(principal, action == Action::"read", resource == Label::"pii");',
        '@id("m") @mask("partial") forbid(principal, action == Action::"read", resource == Label::"pii");',
        '@id("m") @mask("partial") permit(principal, action == Action::"read", resource is Customer);',
    ],
)
def test_a_mask_that_no_view_would_heed_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="@mask"):
        check(text, vocabulary(ontology()))
