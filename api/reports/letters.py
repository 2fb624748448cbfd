"""Letters of a report: texts from the graph as a reader may safely see them, on the page and on paper.

Invariant: what comes out has no character that acts instead of being seen: none that controls a device, turns the reading
direction, hides, or ends a line. Lines are the report's own. It escapes nothing for any format.
"""

import unicodedata
from typing import Final

#: Stands where a character was that is not shown.
MARK: Final = "\ufffd"
#: Join letters in Persian, in Indic scripts and in pictures; they can neither hide nor turn anything by themselves.
_JOINERS: Final = "\u200c\u200d"
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def legible(text: str) -> str:
    """The text with a mark for each character that is not to be seen, and every kind of space as one."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS:
        return letter
    if letter in "\n\t":
        return " "
    return MARK if unicodedata.category(letter) in _HIDDEN else " "
