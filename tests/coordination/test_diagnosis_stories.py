"""Faults that were thought of apart from the table of words; of 65 of them 52, of 40 more 33 were named right before a mend."""

import pytest

from coordination.diagnosis import diagnose
from coordination.errors import GiveUp
from tests.coordination import blame_beyond, blame_inside, blame_outside
from tests.coordination.blame import STORIES, rest, verdict
from tests.coordination.plant import Telling
from tests.runs.works import works

#: They enter their stories when they are read.
ALL = (blame_outside, blame_inside, blame_beyond)


def test_there_is_no_layer_without_a_story() -> None:
    assert len(STORIES) >= 100
    assert {story.layer for story in STORIES.values()} == {"model", "tool", "routing", "context", "policy", "platform"}


@pytest.mark.parametrize("name", STORIES)
def test_the_layer_to_blame_is_named(name: str) -> None:
    story = STORIES[name]
    found = verdict(story)
    assert found.layer == story.layer, found.because
    assert found.signs[0].layer == story.layer or any(sign.layer == story.layer for sign in found.signs)


AWAY = "{get: {call: effect, with: {operation: bill, effector: telling, payload: {a: 1}}}}"
SORRY = "{sorry: {raise: {error: {type: 'https://corp.example/errors/no-quote', status: 500, detail: later}}}}"
GIFT = "{gift: {call: effect, with: {operation: gift, effector: telling, payload: {a: 1}}}}"


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        # Raised anew twice: the first fault is the one.
        ("tool", f"{{t: {{try: [{{u: {{try: [{AWAY}], catch: {{do: [{SORRY}]}}}}}}], catch: {{do: [{SORRY}]}}}}}}"),
        # In a branch of a fork.
        ("tool", f"{{t: {{try: [{{f: {{fork: {{branches: [{AWAY}]}}}}}}], catch: {{do: [{SORRY}]}}}}}}"),
        # What was to help in the catch failed itself.
        ("policy", f"{{t: {{try: [{AWAY}], catch: {{do: [{GIFT}]}}}}}}"),
        # A fault that it went on from is not what it raises later.
        ("platform", f"{{t: {{try: [{GIFT}], catch: {{}}}}}}, {SORRY}"),
    ],
)
def test_an_error_of_the_workflow_stands_for_the_fault_that_it_caught(layer: str, text: str) -> None:
    with works(effectors=[Telling(faults=[GiveUp("the account is closed")])]) as here:
        run = rest(here, here.start(f"do: [{text}]"))
        assert here.run(run).state == "faulted"
        assert diagnose(here.store, run).layer == layer


@pytest.mark.parametrize(
    "around", ["{d: {do: [%s]}}", "{f: {for: {in: '[1]'}, do: [%s]}}", "{k: {fork: {branches: [%s]}}}"]
)
def test_what_stands_around_a_call_is_not_read_in_its_place(around: str) -> None:
    """The words of the target are its own, however deep the call stands."""
    with works(effectors=[Telling(faults=[GiveUp("the ERP says: forbidden by rule 7, needs approval")])]) as here:
        run = rest(here, here.start(f"do: [{around % AWAY}]"))
        found = diagnose(here.store, run)
        assert (found.layer, found.signs[0].source) == ("tool", "proposal")


def test_what_had_something_to_do_is_not_idle() -> None:
    bids = "[{agent: a, task: t, cost: 1, confidence: 1}]"
    text = (
        "do: [{f: {for: {in: '[1, 2]'}, do: [{g: {for: {in: '[range($item)]'}, do: [{s: {set: {x: 1}}}]}}]}}, "
        f"{{al: {{call: allocate, with: {{tasks: [{{id: t}}], bids: {bids}, capacity: {{a: 1}}}}}}}}]"
    )
    with works() as here:
        run = here.start(text)
        assert here.output(run)["unassigned"] == []
        assert diagnose(here.store, run).layer == "none"
