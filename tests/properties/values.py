"""Hypothesis strategies for the values and writes of the shared graph, small pools so that they meet each other."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from kg.model import Close, Link, Op, Order, Put, StateWrite, Unlink, Where, Write
from kg.values import DECIMAL_MAX, INTEGER_MAX, Money, Ref

IDS = ["a", "b", "c", "d", "é"]
CLASSES = ["Thing", "Tool"]
NAMES = ["x", "y", "p", "na me"]
RELATIONS = ["r", "s"]

ids = st.sampled_from(IDS)
integers = st.sampled_from([0, 1, -1, 9, 10, INTEGER_MAX, -INTEGER_MAX]) | st.integers(-INTEGER_MAX, INTEGER_MAX)
decimals = st.sampled_from(
    [Decimal(text) for text in ("0", "1", "1.0", "-0.5", "-0.05", "0.05", "0.0001", "549755813888.0001", "10", "9")]
    + [DECIMAL_MAX, -DECIMAL_MAX, DECIMAL_MAX - Decimal("0.0001")]
) | st.decimals(-1000, 1000, places=4)
texts = st.sampled_from(
    ["", "a", "ab", "abc", "b", "é", "\U0001f600", "\uffff", 'q"\\/\n\x01\x7f', "1", "true"]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda value: value.replace(tzinfo=UTC))
money = st.builds(Money, decimals, st.sampled_from(["EUR", "EUS", "USD", "ZZZ"]))
scalars = (
    integers
    | decimals
    | texts
    | st.booleans()
    | st.dates(date(1, 1, 1))
    | instants
    | st.integers(-(10**12), 10**12).map(lambda us: timedelta(microseconds=us))
    | money
    | ids.map(Ref)
)
values = scalars | st.lists(scalars, max_size=3).map(tuple)
properties = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
valid_times = st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC)) | st.just(datetime(9999, 12, 31, tzinfo=UTC))
origins = st.none() | st.just("crm.customers/7")


def class_of(id: str) -> str:
    """The class that most writes give an id, so that clashes of class stay rare."""
    return CLASSES[IDS.index(id) % 2]


puts = st.builds(
    Put,
    ids,
    st.just(""),
    properties,
    st.frozensets(st.sampled_from(NAMES), max_size=1),
    origins,
    valid_times,
    valid_times,
    st.booleans(),
).flatmap(
    lambda put: st.sampled_from([class_of(put.id)] * 9 + CLASSES).map(
        lambda cls: Put(
            put.id, cls, put.set, put.unset, put.origin, put.valid_from, put.valid_to, put.replace
        )  # the class depends on the id
    )
)
links = st.builds(Link, ids, st.sampled_from(RELATIONS), ids, properties | st.just({}), st.booleans())
unlinks = st.builds(Unlink, ids, st.sampled_from(RELATIONS), st.none() | ids)
writes: st.SearchStrategy[Write] = st.one_of(puts, puts, links, links, unlinks, st.builds(Close, ids, origins))

json_values = st.recursive(
    st.integers(-5, 5) | st.text("ab", max_size=2) | st.booleans(), lambda inner: st.lists(inner, max_size=2)
)
state_writes = st.builds(
    StateWrite,
    st.sampled_from(["timer", "lease"]),
    st.sampled_from(["k", "k1", "k2", "m"]),
    st.none() | json_values,
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 3),
)


@st.composite
def conditions(draw: st.DrawFn) -> Where:
    """One condition on a property of the pool."""
    op = draw(st.sampled_from(list(Op)))
    name = draw(st.sampled_from(NAMES))
    if op in (Op.PRESENT, Op.ABSENT):
        return Where(name, op)
    if op is Op.IN:
        return Where(name, op, tuple(draw(st.lists(scalars, max_size=3))))
    return Where(name, op, draw(values))


orders = st.builds(Order, st.none() | st.sampled_from(NAMES), st.booleans())
