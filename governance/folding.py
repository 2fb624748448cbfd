"""Folding: a text as its reader takes it, so that what is looked for in it is found however it was written.

Invisible characters go; other spaces, dashes, digits and wide letters become their plain ones; what JSON or an address escapes is
read. Invariant: each place of the folded text leads back to its place in the text, so what is found can be taken out of it.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: Default-ignorable code points (UAX #44): nobody sees them, and any of them would part a number.
_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff"
)
_HIDDEN: Final = re.compile(f"[{_UNSEEN}]")
#: Escapes of JSON, also of JSON within JSON, and of addresses (RFC 3986): of signs that numbers and addresses are written with.
_WRITTEN: Final = re.compile(
    rf"\\{{1,8}}(?:u([0-9A-Fa-f]{{4}})|([bfnrt]))|%(?:25){{0,4}}(2[089BDEFbdef]|3[0-9Aa]|40)|[{_UNSEEN}]"
)
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
#: Characters whose plain form is remembered.
SIGNS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text; from the places `at` in it on, the text goes on at the places `of`."""

    text: str
    at: Sequence[int] = (0,)
    of: Sequence[int] = (0,)

    def place(self, folded: int) -> int:
        """The place in the text of a place in the folded one."""
        index = bisect_right(self.at, folded) - 1
        return self.of[index] + folded - self.at[index]


def fold(text: str) -> Folded:
    """A text as its reader takes it."""
    if text.isascii() and "\\" not in text and "%" not in text:
        return Folded(text)
    parts: list[str] = []
    at, of, length = [0], [0], 0
    for written in _WRITTEN.finditer(text):
        before, sign = text[of[-1] : written.start()], _sign(written)
        parts += [before, sign]
        length += len(before) + len(sign)
        at.append(length)
        of.append(written.end())
    parts.append(text[of[-1] :])
    return Folded("".join(parts).translate(_Signs()), at, of)


def _sign(written: re.Match[str]) -> str:
    point, control, octet = written.groups()
    if control:
        return _CONTROLS[control]
    if not point and not octet:
        return ""
    sign = chr(int(point or octet, 16))
    return "" if _HIDDEN.match(sign) else sign


class _Signs:
    """The table of `str.translate`: one plain character for each."""

    def __getitem__(self, point: int) -> str:
        return _plain(point)


@lru_cache(SIGNS_MAX)
def _plain(point: int) -> str:
    sign = chr(point)
    if point < 128:
        return sign
    kind = unicodedata.category(sign)
    if kind == "Nd":
        return str(unicodedata.decimal(sign))
    if kind == "Zs":
        return " "
    if kind == "Pd" or sign == "\N{MINUS SIGN}":
        return "-"
    form = unicodedata.normalize("NFKC", sign)
    return form if len(form) == 1 else sign
