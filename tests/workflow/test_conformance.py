"""The conformance features on every engine there is, and the runner itself: a wrong engine fails it."""

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.workflow_ctk import KIT, OWN, Pickle, engines, main, pickles
from tests.conformance.workflow_engine import Case, Engine, Naive, Outcome
from tests.conformance.workflow_services import services
from tests.workflow import published

#: Scenarios of the specification's kit.
SCENARIOS = 21
#: Features of ours, at least one for each of what the kit leaves out.
FEATURES = {
    "wait", "timeout", "retry", "schedule", "listen", "fork", "resume", "extension", "component", "data", "run",
    "authentication", "lifecycle",
}  # fmt: skip


@pytest.fixture
def route() -> Iterator[Callable[[str], str]]:
    """The stand-ins, running."""
    with services() as addresses:
        yield addresses


def test_the_kit_is_whole_and_so_are_we() -> None:
    published.need()
    assert len(pickles(KIT)) == SCENARIOS
    assert {pickle.feature for pickle in pickles(OWN)} == FEATURES


@pytest.mark.parametrize("engine", list(engines()), ids=lambda engine: engine.name)
@pytest.mark.parametrize("pickle", [*pickles(KIT), *pickles(OWN)], ids=lambda pickle: f"{pickle.feature}-{pickle.name}")
def test_scenario(pickle: Pickle, engine: Engine, route: Callable[[str], str]) -> None:
    pickle.run(engine, route)


class Wrong(Naive):
    """Ends everything well, with nothing."""

    def execute(self, case: Case) -> Outcome:
        return Outcome("completed")

    def scheduled(self, case: Case, length: int) -> list[Outcome]:
        return []


def test_a_wrong_engine_is_found_out(route: Callable[[str], str]) -> None:
    scenarios = [*pickles(KIT), *pickles(OWN)]
    passed = []
    for pickle in scenarios:
        try:
            pickle.run(Wrong(), route)
        except AssertionError:
            continue
        passed.append(pickle.name)
    # Two scenarios of the kit only ask that the workflow completes.
    assert len(passed) <= 2, passed


def test_a_step_nobody_knows_fails(route: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError, match="no step reads"):
        Pickle("f", "s", (("the workflow does something else", None),)).run(Naive(), route)


def test_no_scenario_leaves_this_machine(route: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError, match="has no stand-in"):
        route("https://example.com/x")


def test_the_runner_prints_its_count_last(capsys: pytest.CaptureFixture[str]) -> None:
    published.need()
    main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("open-workflow: ")
    assert f"/{SCENARIOS}" in last
