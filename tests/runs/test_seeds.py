"""Runs under simulated crashes at every port call, pauses, doubled and lost messages, clock jumps: nothing lost, nothing twice."""

import os
from collections.abc import Iterator

import pytest

from coordination.workflow.expressions import Expressions
from tests.runs.simulated import Lives
from tests.runs.simulated_random import OFTEN, lived

SEEDS = int(os.environ.get("RUN_SEEDS", "12"))
#: Of random workflows; RUN_SEED=n runs one alone.
RANDOM_SEEDS = int(os.environ.get("RANDOM_SEEDS", "150"))
ALONE = os.environ.get("RUN_SEED")


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
    lives = Lives(seed, expressions, OFTEN)
    lives.run()
    lives.check()


@pytest.mark.slow
def test_random_workflows_under_a_budget_and_a_switch(expressions: Expressions) -> None:
    spent = 0
    for seed in [int(ALONE)] if ALONE else range(RANDOM_SEEDS):
        try:
            lives = lived(seed, expressions)
        except Exception as error:
            raise AssertionError(f"seed {seed} fails; RUN_SEED={seed} runs it alone: {error}") from error
        spent += len(lives.keyed.told)
    assert spent or ALONE, "no workflow had an effect"
