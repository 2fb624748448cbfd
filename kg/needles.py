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
# A letter may be written as JSON escapes it, with more backslashes where texts stand inside texts, and may carry its accent as
# a mark of its own. Whether \n ends a line of such a text or begins a word (CORP\nina), no text says: both readings are tried.
_WORD = r"(?:\\{1,8}u[0-9a-fA-F]{4}|[\w\u0300-\u036f])+"
_AS_IT_STANDS = re.compile(_WORD)
_ESCAPED_ENDS = re.compile(r"\\{1,8}[nrtbf]|" + _WORD)
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
            words = tuple(_tokens(value))
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
        left = text
        for reading in _readings(text):
            left = self._without(left, reading, self._wide if wide else self._all)
        return None if left is text else left

    def _without(self, text: str, reading: re.Pattern[str], wanted: set[Words]) -> str:
        # Most texts hold no first word of a value; that is seen without looking where words stand.
        if self._lengths.keys().isdisjoint(_tokens(text, reading)):
            return text
        spans = self._spans(text, reading, wanted)
        parts, start = [], 0
        for first, last, words in spans:
            parts += [text[start:first], self._instead.get(words, self._mark)]
            start = last
        return "".join(parts) + text[start:] if spans else text

    def met(self, text: str) -> int:
        """How many different values stand in a text."""
        spans = [span for reading in _readings(text) for span in self._spans(text, reading, self._all)]
        return len({words for _, _, words in spans})

    def telling(self, text: str) -> bool:
        """Whether a text holds a telling value."""
        return self.scrub(text, wide=True) is not None

    def _spans(self, text: str, reading: re.Pattern[str], wanted: set[Words]) -> list[tuple[int, int, Words]]:
        # Folding keeps the places of ASCII texts only.
        folded = text.isascii()
        matches = list(reading.finditer(text.casefold() if folded else text))
        if "\\" in text:
            matches = [match for match in matches if not _break(match[0])]
        tokens = [match[0] if folded else match[0].casefold() for match in matches]
        if not folded or "\\u" in text:
            tokens = [_plain(token) for token in tokens]
        found: list[tuple[int, int, Words]] = []
        free = 0
        for place, token in enumerate(tokens):
            if place < free or token not in self._lengths:
                continue
            for length in sorted(self._lengths[token], reverse=True):
                words = tuple(tokens[place : place + length])
                if words in wanted:
                    # At the end of a text the words may be fewer than were asked for.
                    free = place + len(words)
                    found.append((matches[place].start(), matches[free - 1].end(), words))
                    break
        return found


def _readings(text: str) -> tuple[re.Pattern[str], ...]:
    return (_ESCAPED_ENDS, _AS_IT_STANDS) if "\\" in text else (_AS_IT_STANDS,)


def _tokens(text: str, reading: re.Pattern[str] = _AS_IT_STANDS) -> list[str]:
    found = reading.findall(text.casefold())
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
