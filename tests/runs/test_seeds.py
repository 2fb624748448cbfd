"""Runs under simulated crashes at every port call, pauses, doubled and lost messages, clock jumps: nothing lost, nothing twice."""

import os
from collections.abc import Iterator

import pytest

from coordination.testing.scheduler import Chances
from coordination.workflow.expressions import Expressions
from tests.runs.simulated import Lives

SEEDS = int(os.environ.get("RUN_SEEDS", "12"))


@pytest.fixture(scope="module")
def expressions() -> Iterator[Expressions]:
    made = Expressions()
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_seed(seed: int, expressions: Expressions) -> None:
    lives = Lives(seed, expressions)
    lives.run()
    lives.check()


@pytest.mark.parametrize("seed", range(SEEDS // 3))
def test_seed_where_processes_die_often(seed: int, expressions: Expressions) -> None:
    lives = Lives(seed, expressions, Chances(crash_before=0.02, crash_after=0.02))
    lives.run()
    lives.check()
