"""Stuck: how a pattern in rounds ends without a result: it tells a person, where one is named, which bound ended it; else it fails.

Data while going round: `done` once there is an output, `stuck` (title, why) once a bound is reached. Decides nothing itself.
"""

from typing import Final

from coordination.patterns.about import refused
from coordination.patterns.asking import Person, decided
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named

#: While neither done nor stuck.
MOVING: Final = "${ (.done or .stuck) | not }"
_STUCK: Final = "${ .done | not }"


def settled(person: Person | None, title: str = "No Result", why: str = "the rounds are used up") -> list[Named]:
    """The task that comes after the rounds; passed over where there is an output."""
    reason = f'${{ .stuck.why // "{why}" }}'
    if person is None:
        return [b.raise_("stuck", refused(f'${{ .stuck.title // "{title}" }}', reason), Common(if_=_STUCK))]
    kept = "${ . as $answer | $input | .output = $answer.output | .agent = $answer.agent | .done = true }"
    return [b.do("stuck", decided(person, reason), Common(if_=_STUCK, output_as=kept))]
