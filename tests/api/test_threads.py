"""Threads and the ticker: the crossing into the core is bounded, and followers are woken."""

import asyncio
import threading
from typing import Any

import pytest

from api import threads as module
from api.threads import OverloadedError, Threads
from api.ticker import Ticker


def test_calls_run_outside_the_loop_and_errors_come_back() -> None:
    async def main() -> None:
        pool = Threads(2)
        assert await pool.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0)
        pool.close()

    asyncio.run(main())


def test_more_than_the_bound_is_refused_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_PER_THREAD", 2)

    async def main() -> None:
        pool, leave = Threads(1), threading.Event()
        waiting = [asyncio.ensure_future(pool.run(leave.wait, 20)) for _ in range(3)]
        await asyncio.gather(*[asyncio.sleep(0)])
        with pytest.raises(OverloadedError):
            await pool.run(leave.is_set)
        leave.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await pool.run(leave.is_set)
        pool.close()

    asyncio.run(main())


def test_a_follower_is_woken_by_a_ring_from_another_thread() -> None:
    class Store:
        def head(self) -> Any:
            raise AssertionError("a ring needs no look")

    async def main() -> None:
        pool = Threads(1)
        ticker = Ticker(Store(), pool, 20)  # type: ignore[arg-type]
        waiting = asyncio.ensure_future(ticker.wait(5))
        await asyncio.gather(asyncio.sleep(0))
        await pool.run(ticker.ring, 6)
        await asyncio.wait_for(waiting, 10)
        assert ticker.position == 6
        await asyncio.wait_for(ticker.wait(5), 10)
        pool.close()

    asyncio.run(main())
