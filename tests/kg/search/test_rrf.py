"""Reciprocal Rank Fusion as published: sums of 1 / (60 + rank), ties by id."""

import pytest

from kg.rrf import fuse


def test_scores_are_those_of_the_formula() -> None:
    fused = {f.id: f for f in fuse({"dense": ["a", "b", "c"], "bm25": ["c", "a"]})}
    assert fused["a"].score == pytest.approx(1 / 61 + 1 / 62)
    assert fused["b"].score == pytest.approx(1 / 62)
    assert fused["c"].score == pytest.approx(1 / 63 + 1 / 61)
    assert fused["a"].lists == ("dense", "bm25")
    assert fused["b"].lists == ("dense",)


def test_a_hit_of_two_lists_beats_the_best_of_one() -> None:
    assert [f.id for f in fuse({"x": ["first", "both"], "y": ["other", "both"]})] == ["both", "first", "other"]


def test_ties_are_ordered_by_id_whatever_the_order_of_the_lists() -> None:
    assert [f.id for f in fuse({"x": ["b"], "y": ["a"], "z": ["c"]})] == ["a", "b", "c"]
    assert fuse({}) == []
