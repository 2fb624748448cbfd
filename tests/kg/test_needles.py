"""I14: a person's value is found however a text writes it: as it stands, as JSON, and as JSON inside JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.needles import ERASED, Needles

CASES = [
    ("rene.dupont", r"login CORP\rene.dupont failed"),
    ("Rene Dupont", r"user CORP\Rene Dupont"),
    (r"CORP\Noël", r"user CORP\NOËL, on leave"),
    ("Noël Dupont", "called:\nNoël\n\tDupont"),
    ("Rene Dupont", "called:\nRene Dupont"),
]


@pytest.mark.parametrize(("value", "text"), CASES)
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_value_is_found_at_each_depth_of_json(value: str, text: str, depth: int, escaped: bool) -> None:
    for _ in range(depth):
        text = json.dumps({"body": text}, ensure_ascii=escaped)
    left = Needles([value]).scrub(text, wide=False)
    assert left is not None
    assert ERASED in left
    assert not any(part in left.casefold() for part in ("dupont", "rene", "no"))


def test_a_long_run_of_backslashes_is_read_in_one_pass() -> None:
    assert Needles(["Rene Dupont"]).scrub("\\" * 1_000_000, wide=False) is None


WORDS = st.lists(st.sampled_from(["anna", "berg", "carl", "dora"]), min_size=1, max_size=4)


@given(
    st.lists(WORDS, min_size=1, max_size=6),
    st.lists(st.sampled_from(["anna", "berg", "carl", "dora", "and"]), max_size=9),
)
def test_of_values_that_share_their_words_none_is_left_wherever_the_text_ends(
    values: list[list[str]], text: list[str]
) -> None:
    left = Needles([" ".join(words) for words in values]).scrub(" ".join(text), wide=False)
    shown = " ".join(text) if left is None else left
    # Whole words: what the end of one value and the beginning of another make together is neither.
    assert not any(f" {' '.join(words)} " in f" {shown} " for words in values)
