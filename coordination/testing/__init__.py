"""What tests of workflows and of whoever builds on coordination use: see docs/testing.md."""

from coordination.runs.replay import Difference, Replayed, replay
from coordination.testing.environment import Call, Environment, Later, Problem, Result, Step

__all__ = ["Call", "Difference", "Environment", "Later", "Problem", "Replayed", "Result", "Step", "replay"]
