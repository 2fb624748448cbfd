"""A long-running process ends whole on SIGTERM and Ctrl-C, also where they come before it waits and while it is cleaned up."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.cli import keeping, running
from api.cli.main import run
from api.platform import Noesis as Platform
from api.process import at_work, until_told
from tests.api import test_cli

Noesis = Callable[..., Any]
project, noesis = test_cli.project, test_cli.noesis
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(autouse=True)
def harmless() -> Iterator[None]:
    """A signal that nobody hears does not end the test run."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", [["work"], ["serve", "--port", "0"], ["index", "run"]], ids=" ".join)
def test_a_signal_ends_it_whole_whenever_it_comes(
    noesis: Noesis, project: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], number: signal.Signals
) -> None:
    ended: list[bool] = []

    @contextmanager
    def interrupted(platform: Platform, **more: Any) -> Iterator[None]:
        with at_work(platform, **more):
            # The agents work, and nobody waits yet.
            signal.raise_signal(number)
            yield
        # Somebody is in a hurry, while it is being cleaned up.
        signal.raise_signal(number)
        ended.append(True)

    noesis("init")
    for module in (running, keeping):
        monkeypatch.setattr(module, "at_work", interrupted)
    assert run(["--project", str(project), *command]) == 0
    assert ended == [True]
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.default_int_handler] * 2


def test_a_signal_that_comes_again_as_the_first_is_heard_waits_for_no_lock() -> None:
    with until_told() as wait:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        for _ in range(3):
            wait()
