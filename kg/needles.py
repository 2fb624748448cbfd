"""What to look for when a person's values are to go: finds them in any text by their words, whatever stands between.

Invariant: a value is found wherever its words follow one another, in any letter case and punctuation, also inside JSON that is
itself a text. A value is *telling* where it names a person by itself (an address, a number, several words); others are looked
for only where a text is known to be about the person, since "Berlin" is not somebody's wherever it stands.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from kg.values import Money, Value, instant, plain

#: Letters and digits of the shortest value that is looked for, and of the shortest telling one.
SHORTEST: Final = 3
TELLING_LETTERS: Final = 6
TELLING_DIGITS: Final = 7
#: What stands where a value was.
ERASED: Final = "[erased]"
# A letter may be written as JSON escapes it, also within JSON that is a text, and may carry its accent as a mark of its own.
_TOKEN = re.compile(r"\\{1,8}[nrtbf]|(?:\\{1,8}u[0-9a-fA-F]{4}|[\w\u0300-\u036f])+")
_ESCAPED = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})")

Words = tuple[str, ...]


def spelled(value: Value) -> Iterator[str]:
    """The texts by which a value, or each item of it, is written into another text; none of what is true or false."""
    for item in value if isinstance(value, tuple) else (value,):
        amount = item.amount if isinstance(item, Money) else item
        if isinstance(amount, Decimal):
            yield plain(amount)
        if isinstance(amount, datetime):
            yield from (instant(amount), amount.isoformat(), amount.date().isoformat())
        if isinstance(amount, int | Decimal) and not isinstance(amount, bool):
            yield f"{amount:,}"
        if not isinstance(amount, bool | timedelta):
            yield str(amount)


class Needles:
    """The values of one person, or of one label; `mark` is what stands where one was."""

    def __init__(self, values: Iterable[str], mark: str = ERASED) -> None:
        self._mark = mark
        self._wide: set[Words] = set()
        self._lengths: dict[str, set[int]] = {}
        self._all: set[Words] = set()
        self._instead: dict[Words, str] = {}
        self._asked: tuple[str, bool] | None = None
        self._answer: str | None = None
        for value in values:
            words = tuple(_words(value))
            if sum(map(len, words)) >= SHORTEST:
                self._all.add(words)
                self._lengths.setdefault(words[0], set()).add(len(words))
                if _telling(value, words):
                    self._wide.add(words)

    def __len__(self) -> int:
        return len(self._all)

    def swap(self, word: str, instead: str) -> None:
        """Look for this word too, wherever it stands, and put another in its place."""
        words = (word.casefold(),)
        self._all.add(words)
        self._wide.add(words)
        self._lengths.setdefault(words[0], set()).add(1)
        self._instead[words] = instead
        self._asked = None

    def scrub(self, text: str, *, wide: bool) -> str | None:
        """The text without the values (only the telling ones where `wide`); None where it holds none."""
        if (text, wide) == self._asked:
            return self._answer
        self._asked, self._answer = (text, wide), self._scrubbed(text, wide)
        return self._answer

    def _scrubbed(self, text: str, wide: bool) -> str | None:
        # Most texts hold no first word of a value; that is seen without looking where words stand.
        if self._lengths.keys().isdisjoint(_tokens(text)):
            return None
        spans = self._spans(text, self._wide if wide else self._all)
        if not spans:
            return None
        parts, start = [], 0
        for first, last, words in spans:
            parts += [text[start:first], self._instead.get(words, self._mark)]
            start = last
        return "".join(parts) + text[start:]

    def met(self, text: str) -> int:
        """How many different values stand in a text."""
        return len({words for _, _, words in self._spans(text, self._all)})

    def telling(self, text: str) -> bool:
        """Whether a text holds a telling value."""
        return self.scrub(text, wide=True) is not None

    def _spans(self, text: str, wanted: set[Words]) -> list[tuple[int, int, Words]]:
        tokens = [(_plain(m[0].casefold()), m.start(), m.end()) for m in _TOKEN.finditer(text) if not _break(m[0])]
        found: list[tuple[int, int, Words]] = []
        place = 0
        while place < len(tokens):
            for length in sorted(self._lengths.get(tokens[place][0], ()), reverse=True):
                some = tokens[place : place + length]
                words = tuple(word for word, _, _ in some)
                if words in wanted:
                    found.append((some[0][1], some[-1][2], words))
                    place += length - 1
                    break
            place += 1
        return found


def _words(text: str) -> list[str]:
    return [word for word in _tokens(text) if not _break(word)]


def _tokens(text: str) -> list[str]:
    found = _TOKEN.findall(text.casefold())
    return found if text.isascii() and "\\u" not in text else [_plain(word) for word in found]


def _plain(word: str) -> str:
    """The word without escapes, each accent joined to its letter."""
    if word.isascii() and "\\u" not in word:
        return word
    return unicodedata.normalize("NFC", _ESCAPED.sub(lambda m: chr(int(m[1], 16)), word)).casefold()


def _break(word: str) -> bool:
    """Whether a token is an escaped line end or the like."""
    return word[0] == "\\" and len(word.lstrip("\\")) == 1


def _telling(value: str, words: Words) -> bool:
    letters = sum(map(len, words))
    digits = sum(ch.isdigit() for ch in value)
    return letters >= TELLING_LETTERS and (
        "@" in value or digits >= TELLING_DIGITS or (len(words) > 1 and digits < letters)
    )
