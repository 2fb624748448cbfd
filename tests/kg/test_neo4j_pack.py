"""Instants travel as the driver itself would send them, and come back the same from a real server."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from kg.stores.neo4j_pack import packed
from tests.services.server import running

INSTANTS = [
    datetime(2026, 3, 1, 9, 0, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("value", INSTANTS, ids=str)
def test_an_instant_is_packed_as_the_driver_packs_it(value: datetime) -> None:
    from neo4j._codec.hydration.bolt.v2.temporal import dehydrate_datetime

    assert packed({"at": value}) == {"at": dehydrate_datetime(value)}
    assert packed({"at": [value]}) == {"at": [dehydrate_datetime(value)]}


def test_everything_else_is_left_as_it_is() -> None:
    zoned = datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=1)))
    values = {"a": 1, "b": "x", "c": date(2026, 3, 1), "d": timedelta(1), "e": [1, 2], "f": None, "g": zoned}
    assert packed(values) == values


def test_a_real_server_gives_back_the_same_instants() -> None:
    from neo4j import GraphDatabase

    server = running("neo4j")
    with GraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver:
        sent = packed({"many": INSTANTS[:3], "one": INSTANTS[1]})
        (row,) = driver.execute_query("RETURN $many AS many, $one AS one", sent).records
    assert [value.to_native() for value in row["many"]] == INSTANTS[:3]
    assert row["one"].to_native() == INSTANTS[1]
