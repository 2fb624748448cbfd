"""Orders texts by the words of a query, by nothing but these texts: BM25 whose statistics come from the very texts compared.

Invariant I10: an index counts how rare a word is over all that it holds, so the order it gives to what a reader may see tells of
what that reader may not. Source of the formula, with k1 = 1.2 and b = 0.75: Robertson, Zaragoza, "The Probabilistic Relevance
Framework: BM25 and Beyond", 2009. Ties, and texts in which no word is found (an index may know more forms of it), are ordered
by id.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

K1: Final = 1.2
B: Final = 0.75
#: Words of a query that count.
WORDS_MAX: Final = 64
#: Endings that make forms of one word, longer ones first, and letters that must be left.
ENDINGS: Final = ("ies", "ing", "ed", "es", "s", "e", "y")
LEFT_MIN: Final = 3
_WORD: Final = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, each cut to what its common forms share."""
    return [_cut(word) for word in _WORD.findall(text.casefold())]


def ordered(query: str, texts: Mapping[str, str]) -> list[str]:
    """The ids of some texts, best first."""
    wanted = list(dict.fromkeys(words(query)))[:WORDS_MAX]
    counted = {id: Counter(words(text)) for id, text in texts.items()}
    lengths = {id: found.total() for id, found in counted.items()}
    average = sum(lengths.values()) / max(len(lengths), 1) or 1.0
    rare = {word: _rarity(len(counted), sum(word in found for found in counted.values())) for word in wanted}

    def score(id: str) -> float:
        flat = K1 * (1 - B + B * lengths[id] / average)
        found = counted[id]
        return math.fsum(rare[word] * found[word] * (K1 + 1) / (found[word] + flat) for word in wanted)

    return [id for _, id in sorted((-score(id), id) for id in counted)]


def _rarity(every: int, having: int) -> float:
    return math.log(1 + (every - having + 0.5) / (having + 0.5))


def _cut(word: str) -> str:
    while True:
        ending = next((one for one in ENDINGS if word.endswith(one) and len(word) - len(one) >= LEFT_MIN), "")
        if not ending or word.endswith("ss"):
            return word
        word = word.removesuffix(ending)
