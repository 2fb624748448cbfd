"""Characters of a name that no reader sees, or that turn what stands around them: controls, format characters, line separators.

Invariant: the answer depends on the text alone. For names that are given anew; what was stored before stays readable.
"""

import unicodedata
from typing import Final

_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})


def unseen(name: str) -> str:
    """The first such character as U+200F, empty where there is none."""
    return next((f"U+{ord(mark):04X}" for mark in name if unicodedata.category(mark) in _CATEGORIES), "")
