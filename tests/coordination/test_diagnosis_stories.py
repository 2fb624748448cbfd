"""Faults that were thought of apart from the table of words; before they were mended, 52 of these were named right."""

import pytest

from tests.coordination import blame_inside, blame_outside
from tests.coordination.blame import STORIES, verdict

#: Both enter their stories when they are read.
BOTH = (blame_outside, blame_inside)


def test_there_is_no_layer_without_a_story() -> None:
    assert len(STORIES) >= 60
    assert {story.layer for story in STORIES.values()} == {"model", "tool", "routing", "context", "policy", "platform"}


@pytest.mark.parametrize("name", STORIES)
def test_the_layer_to_blame_is_named(name: str) -> None:
    story = STORIES[name]
    found = verdict(story)
    assert found.layer == story.layer, found.because
    assert found.signs[0].layer == story.layer or any(sign.layer == story.layer for sign in found.signs)
