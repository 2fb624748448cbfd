"""What the values of a column are, told from the first rows of its table.

Invariant: a type is chosen only where every value seen can be read as it; anything doubtful (a leading zero, a day that could
be a month, one letter alone) stays text. What comes later and does not fit becomes a reject, never another value.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from kg.ingest.convert import absent
from kg.values import DECIMAL_MAX, DECIMAL_PLACES, INTEGER_MAX

#: Rows of a table that are looked at.
ROWS_MAX: Final = 10_000
#: Values of a column that are kept to be looked through for personal data.
SAMPLES_MAX: Final = 50
SAMPLE_MAX: Final = 1_000
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})\Z")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,20})\.[0-9]{1,30}\Z")
_BOOLEANS: Final = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n"})
#: Letters alone say true and false only as one whole pair: `f` alone, or beside `n` or `m`, is a code of its own.
_LETTERS: Final = (frozenset("tf"), frozenset("yn"))
#: Ways to write a number with thousands set apart, by the example that a mapping gives; and what shows that it is this one, since
#: 1,234 may be one thousand or one and a bit.
_NUMBERS: Final = {
    "1.234,56": (re.compile(r"-?(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,6}|[1-9][0-9]{0,20})(?:,[0-9]{1,30})?\Z"), ","),
    "1,234.56": (re.compile(r"-?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,6}|[1-9][0-9]{0,20})(?:\.[0-9]{1,30})?\Z"), "."),
}
#: Ways to write a day beside ISO 8601. Two that read the same text as different days are both left alone.
_FORMATS: Final = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y")
_DATE_TEXT_MAX: Final = 40
#: What looks like a day, whatever way it is meant; years of two digits pass for too much else.
_DAY: Final = re.compile(r"(?:(\d{4})([./-])\d{1,2}\2\d{1,2}|\d{1,2}([./-])\d{1,2}\3\d{4})(?:[ T].*)?\Z")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `type` is the local name of an XSD type, "" where no single value fits.

    `values` are hashes of the texts of the values seen, good within one process; only a column that could be a key has them.
    """

    name: str
    type: str
    filled: bool
    unique: bool
    round: int | None = None
    format: str | None = None
    values: frozenset[int] = frozenset()
    samples: tuple[str, ...] = ()
    #: Why it stays text although it looks like something else, empty where it does not.
    doubt: str = ""


@dataclass(slots=True)
class _Seen:
    """What was seen of one column so far."""

    count: int = 0
    values: set[int] = field(default_factory=set)
    samples: list[str] = field(default_factory=list)
    left: set[str] = field(
        default_factory=lambda: {"boolean", "integer", "decimal", "date", "dateTime", *_NUMBERS, *_FORMATS}
    )
    said: set[str] = field(default_factory=set)
    proved: set[str] = field(default_factory=set)
    odd: bool = False
    places: int = 0
    midnight: bool = True
    days: int = 0
    #: Ways in which days are written, each by the same example.
    ways: set[str] = field(default_factory=set)

    def add(self, value: Any) -> None:
        """Take one value into account."""
        self.count += 1
        if isinstance(value, dict | list | tuple | set | bytes | bytearray | memoryview):
            self.odd = True
            return
        text = same(value)
        self.values.add(hash(text))
        if isinstance(value, str) and len(self.samples) < SAMPLES_MAX:
            self.samples.append(text[:SAMPLE_MAX])
        self.left &= self._fits(value, text)

    def _fits(self, value: Any, text: str) -> set[str]:
        match value:
            case bool():
                return {"boolean"}
            case int():
                return {"integer", "decimal"} if abs(value) <= INTEGER_MAX else set()
            case float() | Decimal():
                return self._number(value, text)
            case datetime():
                self.midnight &= value.time() == time()
                return {"dateTime", "date"}
            case date():
                return {"date"}
        return self._reads(text) if isinstance(value, str) else set()

    def _number(self, value: float | Decimal, text: str) -> set[str]:
        if not math.isfinite(value) or abs(Decimal(value)) > DECIMAL_MAX:
            return set()
        # A float is rounded on its way in; a decimal is refused where that would lose something.
        self.places = max(self.places, 0 if isinstance(value, float) else _places(text))
        return {"decimal"}

    def _reads(self, text: str) -> set[str]:
        found: set[str] = set()
        if (word := text.lower()) in _BOOLEANS:
            self.said.add(word)
            found.add("boolean")
        if _INTEGER.match(text):
            found |= {"integer", "decimal"} if abs(int(text)) <= INTEGER_MAX else set()
        elif _DECIMAL.match(text) and abs(Decimal(text)) <= DECIMAL_MAX:
            self.places = max(self.places, _places(text))
            found.add("decimal")
        elif len(text) <= _DATE_TEXT_MAX:
            found |= self._moments(text)
            if (day := _DAY.match(text)) is not None:
                self.days += 1
                self.ways.add(f"31{day[3]}01{day[3]}2026" if day[1] is None else f"2026{day[2]}01{day[2]}31")
        return found | self._numbers(text)

    def _numbers(self, text: str) -> set[str]:
        found: set[str] = set()
        for style, (pattern, point) in _NUMBERS.items():
            if style in self.left and pattern.match(text):
                whole, _, part = text.rpartition(point) if point in text else (text, "", "")
                plain = f"{whole.replace('.', '').replace(',', '')}.{part}"
                if abs(Decimal(plain)) <= DECIMAL_MAX:
                    found.add(style)
                    self.places = max(self.places, _places(plain))
                    if point in text:
                        self.proved.add(style)
        return found

    def _moments(self, text: str) -> set[str]:
        found: set[str] = {style for style in _FORMATS if style in self.left and _parses(text, style)}
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return found
        if len(text) == len("2026-01-31") and text[4] == text[7] == "-":
            return found | {"date", "dateTime"}
        self.midnight &= moment.time() == time()
        return found | {"dateTime", "date"} if ":" in text else found

    def column(self, name: str, rows: int) -> Column:
        """What the column is, after so many rows."""
        type, style = self._type()
        places = DECIMAL_PLACES if type == "decimal" and self.places > DECIMAL_PLACES else None
        whole = self.count == rows
        unique = whole and not self.odd and len(self.values) == rows > 0
        values = frozenset(self.values) if type in {"string", "integer"} else frozenset()
        doubt = self._undated() if type == "string" and self.days * 2 > self.count else ""
        return Column(name, type, whole, unique, places, style, values, tuple(self.samples), doubt)

    def _undated(self) -> str:
        """Why a column of days stays text, and what to do; none of its values, which may be about a person."""
        if len(self.ways) > 1:
            ways = ", ".join(sorted(self.ways))
            return f"its days are written in several ways ({ways}): write them in one in the source, or make them one with jq"
        if self.days < self.count:
            return f"{self.count - self.days:,} of its {self.count:,} values seen are no days: correct them, or make days with jq"
        if self.left:
            return "its days do not tell whether day or month comes first: say it by `format` in the mapping"
        return "no one way of writing days reads all of its values: correct those that are none, or make days with jq"

    def _type(self) -> tuple[str, str | None]:
        if self.odd:
            return "", None
        if not self.count:
            return "string", None
        if self.said and all(len(word) == 1 for word in self.said) and self.said not in _LETTERS:
            self.left.discard("boolean")
        for type in ("boolean", "integer", "decimal"):
            if type in self.left:
                return type, None
        numbers = [style for style in _NUMBERS if style in self.left]
        if len(numbers) == 1 and numbers[0] in self.proved:
            return "decimal", numbers[0]
        if "dateTime" in self.left or "date" in self.left:
            return ("date" if self.midnight and "date" in self.left else "dateTime"), None
        styles = [style for style in _FORMATS if style in self.left]
        return ("date", styles[0]) if len(styles) == 1 else ("string", None)


def same(value: Any) -> str:
    """The text of a value as ingest compares keys: what it takes for one must not pass for two."""
    return unicodedata.normalize("NFC", str(value)).strip()


def _places(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


def _parses(text: str, style: str) -> bool:
    try:
        datetime.strptime(text, style)
    except ValueError:
        return False
    return True


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """The columns of these rows, in the order in which they appear."""
    seen: dict[str, _Seen] = {}
    count = 0
    for row in rows:
        count += 1
        for name, value in row.items():
            one = seen.setdefault(name, _Seen())
            if not absent(value):
                one.add(value)
    return [one.column(name, count) for name, one in seen.items()]
