"""The machine's own clock: ids in order of making, and entropy that no two processes share."""

import os
import threading

from kg.clock import DRAWN, SystemClock


def test_a_child_of_a_fork_draws_bytes_of_its_own() -> None:
    clock = SystemClock()
    clock.entropy(1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, clock.entropy(16) + clock.id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 100)
    os.close(reading)
    os.close(writing)
    mine = clock.entropy(16)
    assert len(told) == 42
    assert told[:16] != mine
    assert told[16:].decode()[10:] != clock.id()[10:]


def test_no_bytes_are_given_twice() -> None:
    clock = SystemClock()
    sizes = [1, 10, 16, 16, DRAWN - 50, 32, DRAWN, DRAWN + 1, 16] * 20
    given: list[bytes] = []

    def draw() -> None:
        given.extend(clock.entropy(size) for size in sizes)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, given)) == sorted(sizes * 4)
    pieces = [piece for one in given for piece in (one[n : n + 16] for n in range(0, len(one) - 15, 16))]
    assert len(set(pieces)) == len(pieces)


def test_ids_are_unlike_and_follow_time() -> None:
    clock = SystemClock()
    ids = [clock.id() for _ in range(2_000)]
    assert len(set(ids)) == len(ids)
    assert all(len(id) == 26 and set(id) <= set("0123456789abcdefghijklmnopqrstuv") for id in ids)
    assert [id[:9] for id in ids] == sorted(id[:9] for id in ids)
