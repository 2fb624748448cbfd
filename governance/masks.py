"""Forms of a masked value: redact it, show a part, a keyed hash, or something more general. Which one is a rule's `@mask`.

Invariant: a form tells no more than its name says: a part is never longer than a third of the value, a hash cannot be recomputed
without the installation's key, and a value that has no such form is redacted. The type of a value never changes.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final

from governance import pii
from kg.values import Value

#: What stands for a redacted piece of a text.
WITHHELD: Final = "[withheld]"
#: From the most closed to the most open; of several that apply the most closed one counts.
FORMS: Final = ("redact", "hash", "generalise", "partial")
#: Bits of a hash that are shown, as hexadecimal.
HASH_SHOWN: Final = 16
_POSTCODE: Final = re.compile(r"(?:[A-Z]{1,2}-?)?\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}", re.ASCII)


def partial(text: str) -> str:
    """The last characters of a text, at most four and never over a third; of an e-mail address its domain too."""
    name, sign, domain = text.rpartition("@")
    if sign and name:
        return f"{name[0] if len(name) > 2 else ''}…@{domain}"
    kept = min(4, len(text) // 3)
    return f"…{text[len(text) - kept :]}" if kept else WITHHELD


def generalise(text: str) -> str | None:
    """The prefix of a postcode, the year of a date, the network of an address; None where nothing is known to be more general."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return text[:4]
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", text, re.ASCII):
        return ".".join(text.split(".")[:2]) + ".0.0"
    if _POSTCODE.fullmatch(text):
        return text[:2] + "…"
    return None


def keyed(text: str, key: bytes) -> str:
    """HMAC-SHA256, shortened: equal values stay equal, nothing else is told to whoever lacks the key."""
    return "#" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:HASH_SHOWN]


def masked(value: Value, form: str, key: bytes = b"") -> Value | None:
    """A value in a form, None where it is redacted; only texts and times have other forms."""
    if isinstance(value, tuple):
        items = [masked(item, form, key) for item in value]
        kept = tuple(item for item in items if item is not None and not isinstance(item, tuple))
        return kept if len(kept) == len(value) else None
    if form == "generalise" and isinstance(value, datetime):
        return datetime(value.year, 1, 1, tzinfo=UTC)
    if form == "generalise" and isinstance(value, date):
        return date(value.year, 1, 1)
    if type(value) is not str or form == "redact" or not value:
        return None
    if form == "hash":
        return keyed(value, key) if key else None
    return partial(value) if form == "partial" else generalise(value)


def mask_text(text: str, form: str = "redact", key: bytes = b"") -> str:
    """A text with the personal data found in it in this form."""

    def instead(kind: str, piece: str) -> str:
        if form == "generalise":
            return generalise(piece) or f"[{kind}]"
        if form == "hash" and key:
            return keyed(piece, key)
        return partial(piece) if form == "partial" else WITHHELD

    return pii.replaced(text, instead)


def strictest(forms: Iterable[str]) -> str:
    """The most closed of some forms."""
    return min(forms, key=FORMS.index, default="redact")


def most_open(forms: Iterable[str]) -> str:
    """The most open of some forms."""
    return max(forms, key=FORMS.index, default="redact")
