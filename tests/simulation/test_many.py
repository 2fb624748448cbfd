"""The road over many seeds: each is lived, a failure is named with how to run it alone, and decides the exit code."""

from collections.abc import Sequence

import pytest

from tests.simulation import seeds
from tests.simulation.seeds import Family, Outcome, main, one


def test_every_seed_of_a_range_is_lived_in_processes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "3", "--first", "40", "--processes", "2"]) == 0
    assert "3 seeds (40 to 42) of runs and proposals: 0 failed" in capsys.readouterr().out


def test_a_seed_that_fails_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lived: list[int] = []

    def live(seed: int) -> None:
        lived.append(seed)
        assert seed != 8, "I3: an effect happened twice"

    monkeypatch.setitem(seeds.FAMILIES, "proposals", Family(live, "ALONE={seed}"))

    def here(wanted: Sequence[int], names: Sequence[str], _: int) -> list[Outcome]:
        return [one((seed, names)) for seed in wanted]

    monkeypatch.setattr(seeds, "every", here)
    assert main(["--count", "3", "--first", "7", "--only", "proposals"]) == 1
    assert lived == [7, 8, 9]
    said = capsys.readouterr()
    assert "seed 8 of proposals fails: AssertionError: I3: an effect happened twice" in said.err
    assert "run it alone: ALONE=8" in said.out
    assert "1 failed" in said.out


def test_a_range_without_seeds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--count", "0"])
    assert "1 or more" in capsys.readouterr().err
