"""Personal data in free text: own recognisers, each a pattern narrow enough to be cheap and a check that makes it right.

Invariant: a number is reported only where its check digits hold, so an order number is not taken for a card; text is scanned once a
recogniser, without backtracking beyond a bound. It needs no model and no network. Names of people are found only after a title.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from governance import check_digits as digits
from governance.folding import fold

#: Characters of one text that are looked at; what is longer is masked whole by whoever asks.
TEXT_MAX: Final = 1_000_000
#: The labels that recognisers give, and what a label in rules or the ontology may call them together.
KINDS: Final = ("email", "phone", "iban", "card", "ip", "national-id", "name")


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data at a place of a text."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A pattern and what its match (its first group, where it has one) must pass; `kind` is one of KINDS, `country` where it
    belongs to one. `part` gives the beginning of a match that is tried where the whole does not pass.
    """

    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool]
    country: str = ""
    part: Callable[[str], str] | None = None


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # "a::b" is a name in a program more often than somebody's address.
    return any(sign.isdigit() for sign in text)


def _always(text: str) -> bool:
    return bool(text)


def _iban_part(text: str) -> str:
    """As much of a text as an IBAN of its country is long: what follows one is written like more of it."""
    length, signs = digits.IBAN_LENGTHS.get(text[:2].upper(), 0), 0
    for place, sign in enumerate(text):
        signs += sign.isalnum()
        if signs == length:
            return "" if text[place + 1 : place + 2].isalnum() else text[: place + 1]
    return ""


def _national(country: str, pattern: str, valid: Callable[[str], bool]) -> Recogniser:
    return Recogniser("national-id", re.compile(rf"(?<![\w-]){pattern}(?![\w-])"), valid, country)


#: In order: where two overlap, the earlier one is kept.
RECOGNISERS: Final = (
    Recogniser("email", re.compile(r"[^\s@<>\"'(),;:]{1,64}@[^\s@<>\"'(),;:]{1,190}\.[^\W\d_]{2,24}"), _always),
    Recogniser(
        "iban",
        re.compile(r"(?<!\w)(?=([A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?!\w)))"),
        digits.iban,
        part=_iban_part,
    ),
    Recogniser("card", re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])"), digits.card),
    # In the groups that cards show, whatever digits stand before and behind: an amount, a date of expiry.
    Recogniser("card", re.compile(r"(?<![\w-])(?=([2-6]\d{3}([ -])\d{4}\2\d{4}\2\d{4})(?!\w))"), digits.card),
    Recogniser("card", re.compile(r"(?<![\w-])(?=(3\d{3}[ -]\d{6}[ -]\d{4,5}|[2-6]\d{12,18})(?!\w))"), digits.card),
    Recogniser("ip", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)"), _ip),
    Recogniser("ip", re.compile(r"(?<![\w.:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\d)"), _ip),
    _national("DE", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", digits.german_tax),
    _national("US", r"\d{3}-\d{2}-\d{4}", digits.us_social_security),
    _national("GB", r"[A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]", digits.british_insurance),
    _national("FR", r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", digits.french_insee),
    _national("ES", r"[XYZxyz\d]-?\d{7}-?[A-Za-z]", digits.spanish),
    _national("IT", r"[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z]", digits.italian),
    _national("NL", r"\d{9}", digits.dutch),
    _national("PL", r"\d{11}", digits.polish),
    _national("SE", r"(?:\d{2})?\d{6}[-+]?\d{4}", digits.swedish),
    _national("BE", r"\d{2}[. ]?\d{2}[. ]?\d{2}[- ]?\d{3}[. ]?\d{2}", digits.belgian),
    _national("CH", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", digits.swiss),
    _national("IN", r"[2-9]\d{3} ?\d{4} ?\d{4}", digits.indian),
    _national("BR", r"\d{3}[. ]?\d{3}[. ]?\d{3}[- ]?\d{2}", digits.brazilian),
    Recogniser("phone", re.compile(r"(?<![\w-])(?:\+|00)\d(?:[ ()/.-]{0,2}\d){6,14}(?!\w)"), _always),
    Recogniser("phone", re.compile(r"(?<![\w-])(?<!\d\.)\(?0\d{1,5}\)?[ /-]\d(?:[ -]?\d){4,9}(?![\w-])"), _always),
    Recogniser("phone", re.compile(r"(?<![\w-])\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[ .-]\d{4}(?![\w-])"), _always),
    Recogniser(
        "name",
        re.compile(r"(?<!\w)(?:Mr|Mrs|Ms|Dr|Prof|Herrn?|Frau|Mme|M|Mlle|Sr|Sra)\.?[ ]((?:[^\W\d_a-z][\w'-]{1,30}[ ]?){1,3})"),
        _always,
    ),
)  # fmt: skip


def find(text: str, kinds: frozenset[str] = frozenset(KINDS)) -> list[Found]:
    """Personal data of these kinds in a text, in order, none overlapping."""
    kept: list[Found] = []
    folded = fold(text[:TEXT_MAX])
    taken = bytearray(len(folded.text))
    for found in _matches(folded.text, kinds):
        if not any(taken[found.start : found.end]):
            taken[found.start : found.end] = b"\x01" * (found.end - found.start)
            kept.append(Found(found.kind, folded.place(found.start), folded.place(found.end)))
    return sorted(kept, key=lambda one: one.start)


def _matches(text: str, kinds: frozenset[str]) -> Iterator[Found]:
    for one in RECOGNISERS:
        if one.kind in kinds:
            for match in one.pattern.finditer(text):
                group = 1 if match.re.groups else 0
                start, whole = match.start(group), match[group].rstrip()
                if not one.valid(whole) and one.part is not None:
                    whole = one.part(whole)
                if whole and one.valid(whole):
                    yield Found(one.kind, start, start + len(whole))


def labels(text: str) -> frozenset[str]:
    """The kinds of personal data that a text holds; of one that is too long to look at, all."""
    return frozenset(KINDS) if len(text) > TEXT_MAX else frozenset(found.kind for found in find(text))


def replaced(text: str, instead: Callable[[str, str], str], kinds: frozenset[str] = frozenset(KINDS)) -> str:
    """The text with each piece of personal data replaced by `instead(kind, piece)`; beyond TEXT_MAX nothing is kept."""
    parts, place = [], 0
    for found in find(text, kinds):
        parts += [text[place : found.start], instead(found.kind, text[found.start : found.end])]
        place = found.end
    return "".join([*parts, text[place:TEXT_MAX]])
