"""The contract of port Clock, over the machine's clock and the tests' own."""

import base64
import random
from datetime import timedelta

import pytest

from kg.clock import Clock, SystemClock, opaque
from tests.parts import ManualClock


@pytest.fixture(name="clock", params=[SystemClock, ManualClock])
def _clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_the_time_is_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    seen = [clock.monotonic() for _ in range(1_000)]
    assert seen == sorted(seen)


def test_ids_are_opaque_and_never_alike(clock: Clock) -> None:
    ids = [clock.id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(len(id) == 26 and id.isascii() and id.isalnum() and id == id.lower() for id in ids)


def test_ids_sort_by_the_time_of_their_making(clock: Clock) -> None:
    earlier = clock.id()
    before = clock.now()
    while isinstance(clock, SystemClock) and clock.now() - before < timedelta(milliseconds=2):
        pass
    assert earlier < clock.id()


def test_an_id_is_the_base32hex_of_its_time_and_entropy() -> None:
    r = random.Random(3)
    for _ in range(1_000):
        moment, entropy = r.getrandbits(48), r.randbytes(10)
        written = base64.b32hexencode(moment.to_bytes(6, "big") + entropy).decode()
        assert opaque(moment, entropy) == written.rstrip("=").lower()


def test_entropy_has_the_size_asked_for_and_differs(clock: Clock) -> None:
    assert [len(clock.entropy(size)) for size in (0, 1, 32)] == [0, 1, 32]
    assert len({clock.entropy(16) for _ in range(100)}) == 100
