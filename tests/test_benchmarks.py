"""Every benchmark can be started: what it measures is there under the name it uses."""

import importlib

import pytest

from benchmarks.__main__ import names


@pytest.mark.parametrize("name", names())
def test_a_benchmark_finds_what_it_measures(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.bench_{name}").run)
