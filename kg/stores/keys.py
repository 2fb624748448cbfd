"""Sort texts: one text for each value, whose code-point order is the order of values, the type's rank first.

So equality, ranges, prefixes, cursors and indexes are one comparison of texts in every store, and a value of another type
never matches. Decimals are scaled to integers, since a double cannot hold the ends of the domain exactly.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from kg.errors import InputError, ShapeError
from kg.values import DECIMAL_PLACES, INTEGER_MAX, Money, Ref, Value, canonical, encode, instant

#: Makes every integer of the domain positive, so that 17 digits sort as the numbers do.
SHIFT: Final = INTEGER_MAX + 1
#: Ranks of the types that conditions treat in their own way.
MONEY, TEXT, REF, LIST = "6", "7", "8", "9"
#: Above every character that a text may hold.
LAST_CHARACTER: Final = "\U0010ffff"
#: More entities than this in one page or one list of ids are refused.
FIRST_MAX: Final = 100_000
_UNUSABLE = re.compile(r'["\\\x00-\x1f]')


def _number(value: int) -> str:
    return f"{value + SHIFT:017d}"


def _scaled(value: Decimal) -> str:
    return _number(int(value.scaleb(DECIMAL_PLACES)))


_SORT_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda value: "01" if value else "00",
    int: lambda value: "1" + _number(value),
    Decimal: lambda value: "2" + _scaled(value),
    date: lambda value: "3" + value.isoformat(),
    datetime: lambda value: "4" + instant(value),
    timedelta: lambda value: "5" + _number(encode(value)["duration"]),
    Money: lambda value: MONEY + value.currency + _scaled(value.amount),
    str: lambda value: TEXT + value,
    Ref: lambda value: REF + value,
}


def sort_text(value: Value) -> str:
    """The text whose code-point order is the order of values; raises ValueDomainError outside the table of types."""
    encode(value)
    return stored_text(value)


def stored_text(value: Value) -> str:
    """The sort text of a value that was checked when it was stored."""
    make = _SORT_TEXTS.get(type(value))
    return make(value) if make is not None else LIST + canonical(encode(value))


def searchable(name: str) -> str:
    """The property name itself; ShapeError for one that no query can spell safely."""
    if not name or _UNUSABLE.search(name):
        raise ShapeError(f"{name[:40]!r} cannot be the name of a property to search by")
    return name


def same_kind(text: str) -> tuple[str, str]:
    """The bounds [from, to) of the texts that compare with this one: of its type, and money of its currency."""
    start = text[:4] if text[0] == MONEY else text[0]
    return start, start[:-1] + chr(ord(start[-1]) + 1)


def page_size(first: int) -> int:
    """The page size asked for; raises InputError outside its bounds."""
    if not 0 <= first <= FIRST_MAX:
        raise InputError(f"a page of {first:,} is outside 0 to {FIRST_MAX:,}; ask for less and follow the cursor")
    return first
