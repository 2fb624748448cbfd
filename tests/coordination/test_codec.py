"""Writes survive the trip through a proposal's text unchanged, and equal intents have equal digests."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordination.codec import derive, text_of, writes_of
from coordination.proposals import Draft, intent
from kg.errors import ValueDomainError
from kg.model import Close, Link, Put, Unlink
from kg.values import Money, Ref

names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
scalars = st.one_of(
    names,
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.booleans(),
    st.decimals(-(10**6), 10**6, places=4),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(timedelta(days=-100), timedelta(days=100)),
    st.builds(Money, st.decimals(-100, 100, places=2), st.just("EUR")),
    st.builds(Ref, names),
)
properties = st.dictionaries(
    names, st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3).map(tuple)), max_size=4
)
moments = st.none() | st.datetimes(timezones=st.just(UTC))
writes = st.one_of(
    st.builds(
        Put,
        names,
        names,
        properties,
        st.frozensets(names, max_size=2),
        st.none() | names,
        moments,
        moments,
        st.booleans(),
    ),
    st.builds(Close, names, st.none() | names),
    st.builds(Link, names, names, names, properties, st.booleans()),
    st.builds(Unlink, names, names, st.none() | names),
)


@given(st.lists(writes, max_size=5).map(tuple))
def test_round_trip(given_writes: tuple[Put, ...]) -> None:
    assert writes_of(text_of(given_writes)) == given_writes


def test_types_are_kept() -> None:
    put = Put(
        "a",
        "A",
        {"day": date(2026, 1, 2), "at": datetime(2026, 1, 2, tzinfo=UTC), "price": Money(Decimal("1.5"), "EUR")},
    )
    (back,) = writes_of(text_of([put]))
    assert isinstance(back, Put)
    assert {name: type(value) for name, value in back.set.items()} == {"day": date, "at": datetime, "price": Money}


def test_a_value_outside_the_table_is_refused() -> None:
    with pytest.raises(ValueDomainError, match="float"):
        text_of([Put("a", "A", {"x": 1.5})])  # type: ignore[dict-item]


def test_ids_follow_from_their_parts() -> None:
    assert derive("a", "b") == derive("a", "b") != derive("ab", "")
    assert len(derive("x")) == 26


def test_intent_ignores_made_up_ids() -> None:
    one, two = (
        Draft("order.create", "p", (Put(id, "Order", {"units": 1}), Link(id, "of", "p"), Put("p", "Product", {"x": 1})))
        for id in ("order-1", "order-2")
    )
    other = Draft("order.create", "p", (Put("order-3", "Order", {"units": 2}), Link("order-3", "of", "p")))
    assert intent(one) == intent(two) != intent(other)
