"""Workers killed at each step and brokers killed with messages in flight, on the real servers: nothing lost, nothing doubled."""

from pathlib import Path

import pytest

from coordination import letters
from coordination.brokers import carrier
from tests.faults.crew import DONE_SECONDS_MAX, crew
from tests.faults.labour import CARDS
from tests.services import again
from tests.services.ports import until
from tests.services.server import running, start, stop

BROKERS = ["redis", "rabbitmq"]
#: Each side of each commit from the feed to the receipt.
POINTS = [
    "after feed",
    "after claim act",
    "before propose",
    "after propose",
    "after claim settle",
    "before apply",
    "after apply",
    "before intend",
    "after intend",
    "after claim effect",
    "before effect.done",
    "after effect.done",
]
#: A dead worker's message is back within so many seconds: its heartbeat's time and a look.
BACK_SECONDS_MAX = 20.0
ROUNDS_MAX = 100


def clean(url: str) -> None:
    """Empty the queues of the tests before."""
    from coordination import lanes

    made = carrier(lambda work: None, url)
    for lane in lanes.every(CARDS.values()):
        made.broker.declare_queue(lane)
    made.broker.flush_all()
    made.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKERS)
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(tmp_path: Path, name: str, point: str) -> None:
    url = running(name).url
    clean(url)
    with crew(tmp_path, url) as made:
        doomed = made.start("doomed", point)
        made.add()
        assert doomed.wait(DONE_SECONDS_MAX) == -9, made.lines
        made.start("heir")
        made.until(made.done, f"all is done after a death {point}")
        made.end("heir")
        made.check()


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKERS)
def test_a_dead_workers_message_is_back_within_seconds(tmp_path: Path, name: str) -> None:
    """With the bounds as they are outside tests: a living colleague has done the dead one's work soon after."""
    url = running(name).url
    clean(url)
    with crew(tmp_path, url, quick=False) as made:
        doomed = made.start("doomed", "after claim act")
        made.start("colleague")
        made.add(products=6, tickets=6)
        # Either of the two takes a message, so the colleague may have taken all of them, and is given more.
        for _ in range(ROUNDS_MAX):
            made.until(lambda: doomed.poll() is not None or made.done(), "it dies, or nothing is left to die of")
            if doomed.poll() is not None:
                break
            made.add()
        assert doomed.poll() == -9, made.lines
        taken = made.until(made.done, "all is done")
        assert taken < BACK_SECONDS_MAX
        made.end("colleague")
        made.check()


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKERS)
def test_a_broker_killed_with_messages_in_flight_loses_and_doubles_nothing(tmp_path: Path, name: str) -> None:
    running(name)
    server = start(name)
    try:
        with crew(tmp_path, server.url) as made:
            made.start("one")
            made.start("two")
            made.add(products=10, tickets=10)
            again.kill(server)
            made.add(products=5, tickets=5)
            again.revive(server)
            made.add(products=5, tickets=5)
            made.until(made.done, "all is done after the broker came back")
            made.end("one")
            made.end("two")
            made.check()
    finally:
        stop(server)


@pytest.mark.parametrize("name", BROKERS)
def test_dead_letters_of_a_broker_are_counted_and_cleared(name: str) -> None:
    url = running(name).url
    clean(url)
    made = carrier(lambda work: None, url)
    made.enqueue("work-1")
    # A broker may take a message a moment after it was sent, and count it later still.
    until(lambda: letters.counts(made, "noesis") == (1, 0), None, Path("none"))
    stranger = carrier(lambda work: None, url)
    # A message that no actor of the worker knows is what a broker calls dead.
    stranger.broker.actors.clear()
    stranger.start()
    until(lambda: letters.dead(made, "noesis") == 1, None, Path("none"))
    stranger.stop()
    until(lambda: letters.counts(made, "noesis") == (0, 1), None, Path("none"))
    assert letters.drain(made, "noesis") == 1
    until(lambda: letters.counts(made, "noesis") == (0, 0), None, Path("none"))
    made.stop()
