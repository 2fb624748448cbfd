"""Windows: the `@readings` annotation of a permit to read, which says that people's reads by it are counted, and how.

Form: ``@readings("1h by role, class")``: a length from a minute to 31 days, and what the counts are kept apart by. Invariant: an
annotation that is not understood is refused where the rule is written. Counts nothing: `governance.tallies` does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from governance.errors import RuleError
from governance.scope import actions
from kg.values import Json

#: What counts may be kept apart by.
GROUPS: Final = ("principal", "role", "department", "class", "purpose", "channel")
DEFAULT: Final = ("principal", "class")
SECONDS_MIN: Final = 60
SECONDS_MAX: Final = 31 * 86_400
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_FORM: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])(?: by ([a-z]+(?:, ?[a-z]+)*))?\Z")


@dataclass(frozen=True, slots=True)
class Window:
    """How long one count runs, and by what counts are kept apart, in the order of GROUPS."""

    seconds: int
    by: tuple[str, ...] = DEFAULT


def window(name: str, statement: Mapping[str, Json]) -> Window | None:
    """The window of a rule, None where it has none; RuleError for one that nothing would heed."""
    text = statement.get("annotations", {}).get("readings")
    if text is None:
        return None
    match = _FORM.match(text)
    seconds = int(match[1]) * _UNITS[match[2]] if match is not None else 0
    if match is None or not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise RuleError(
            f'rule {name}: @readings({text[:80]!r}) is not usable; write a time up to 31d and groups, e.g. "1h by role, class"'
        )
    named = [word.strip() for word in match[3].split(",")] if match[3] else list(DEFAULT)
    for word in named:
        if word not in GROUPS or named.count(word) > 1:
            raise RuleError(f"rule {name}: @readings groups by each of {', '.join(GROUPS)} once, not by {word[:40]!r}")
    acts = actions(statement)
    if statement["effect"] != "permit" or (acts is not None and "read" not in acts):
        raise RuleError(f"rule {name}: @readings belongs on a permit to read; nothing is read by another")
    return Window(seconds, tuple(group for group in GROUPS if group in named))
