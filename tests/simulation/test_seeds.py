"""A thousand simulated runs, each decided by its seed; a failure names it, and NOESIS_SEED=n runs it alone."""

import os

import pytest

from tests.simulation.world import World

SEEDS = 1_000
ALONE = os.environ.get("NOESIS_SEED")


def run(seed: int) -> World:
    """One seed to its end, its number on whatever fails."""
    world = World(seed)
    try:
        world.run()
        world.check()
    except Exception as error:
        raise AssertionError(f"seed {seed} fails; NOESIS_SEED={seed} runs it alone: {error}") from error
    return world


@pytest.mark.slow
def test_every_seed_holds() -> None:
    for seed in [int(ALONE)] if ALONE else range(SEEDS):
        run(seed)
