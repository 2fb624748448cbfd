"""What was found by words is ordered by these very texts, rare words and short texts first."""

from hypothesis import given
from hypothesis import strategies as st

from kg.relevance import WORDS_MAX, ordered, words

TEXTS = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    st.lists(st.sampled_from(["steel", "bolts", "late", "x"]), max_size=4).map(" ".join),
)


def test_a_word_that_few_have_counts_more() -> None:
    texts = {"a": "steel here", "b": "steel there", "c": "bolts here", "d": "steel too"}
    assert ordered("steel bolts", texts) == ["c", "a", "b", "d"]


def test_more_of_a_word_and_a_shorter_text_come_first() -> None:
    texts = {"long": "pump " + "and so on " * 20, "twice": "pump and pump", "once": "pump and more"}
    assert ordered("pump", texts) == ["twice", "once", "long"]


def test_forms_of_a_word_are_one_word() -> None:
    for forms in (
        "delivery deliveries",
        "leak leaks leaking leaked",
        "bookings booking booked book",
        "process processes",
    ):
        assert len(set(words(forms))) == 1, forms
    assert len(set(words("address add adds adder"))) == 3
    assert words("Größe GRÖSSE") == ["gröss", "gröss"]


def test_what_has_none_of_the_words_comes_last_by_id() -> None:
    assert ordered("pump", {"c": "shipments", "b": "", "a": "ship", "d": "pump"}) == ["d", "a", "b", "c"]
    assert ordered("", {"b": "x", "a": "y"}) == ["a", "b"]
    assert ordered("!", {}) == []


def test_the_words_of_a_query_are_bounded() -> None:
    many = " ".join(f"w{n}x" for n in range(WORDS_MAX))
    assert ordered(f"{many} last", {"a": "nothing", "b": "last"}) == ["a", "b"]


@given(st.text("stelbola x", max_size=12), TEXTS)
def test_each_text_has_one_place_whatever_their_order(query: str, texts: dict[str, str]) -> None:
    found = ordered(query, texts)
    assert sorted(found) == sorted(texts)
    assert ordered(query, dict(reversed(texts.items()))) == found
