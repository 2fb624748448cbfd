"""Lanes: a message travels by department and priority, a process takes what it was told to, and the urgent goes first."""

import threading
from dataclasses import replace

import pytest

from coordination import lanes
from coordination.brokers import carrier
from coordination.errors import LaneError
from coordination.wakes import Wake
from kg.model import Put
from tests.coordination.plant import Plant, Telling, card, low, plant

BUYER = replace(card("buyer", Wake("Product", properties=("stock",), condition=low)), department="Purchasing & Co")
TELLER = replace(card("teller", Wake("Ticket", on=frozenset({"created"})), priority=2), department="helpdesk")
IDLER = replace(card("idler", Wake("Ticket", on=frozenset({"closed"})), priority=-1), department="helpdesk")
EVERY = ("noesis", "noesis.helpdesk.high", "noesis.helpdesk.low", "noesis.purchasing-co")
#: Room for a busy machine; whoever waits goes on as soon as it holds.
SECONDS_MAX = 60


def test_lanes_follow_department_and_priority() -> None:
    assert lanes.every([BUYER, TELLER, IDLER]) == EVERY
    assert [lanes.priority(lane) for lane in EVERY] == ["normal", "high", "low", "normal"]
    assert lanes.of(None) == "noesis"
    assert lanes.of(card("free", priority=1)) == "noesis.high"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["helpdesk"], ("noesis.helpdesk.high", "noesis.helpdesk.low")),
        (["helpdesk.high", "general"], ("noesis", "noesis.helpdesk.high")),
        (["Purchasing & Co"], ("noesis.purchasing-co",)),
    ],
)
def test_names_choose_lanes(names: list[str], found: tuple[str, ...]) -> None:
    assert lanes.chosen(EVERY, names) == found


@pytest.mark.parametrize("name", ["sales", "helpdesk.middle", "high", ""])
def test_a_name_that_chooses_nothing_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(LaneError, match=r"the agents of this project use general, helpdesk\.high"):
        lanes.chosen(EVERY, [name])


def test_a_department_called_like_a_class_has_a_lane_of_its_own() -> None:
    odd = replace(card("odd"), department="high")
    assert lanes.priority(lanes.of(odd)) == "normal"
    assert lanes.of(odd) != lanes.of(card("free", priority=1))


def lanes_of(p: Plant) -> dict[str, str]:
    """The lane of each piece of work there is, by task."""
    return {row.value["task"]: p.runtime.lane(row.key) for row in p.store.scan("work", first=100)}


def test_all_work_that_follows_from_an_agent_travels_in_its_lane() -> None:
    from coordination.proposals import Draft

    def tell(*_: object) -> list[Draft]:
        return [Draft("notice.send", "t", effector="telling")]

    cards = [TELLER, replace(BUYER, name="other")]
    p = plant(cards, {"teller": tell, "other": lambda *_: ()}, effectors=[Telling()])
    p.put(Put("t", "Ticket", {}))
    p.run()
    assert lanes_of(p) == dict.fromkeys(("act", "settle", "effect"), "noesis.helpdesk.high")
    assert p.runtime.lane("release:x:1") == "noesis"
    assert p.runtime.lane("settle:unknown") == "noesis"


def test_a_free_thread_takes_the_urgent_first() -> None:
    got: list[str] = []
    begun, go_on, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def handle(work: str) -> None:
        if work == "first":
            begun.set()
            go_on.wait(SECONDS_MAX)
        got.append(work)
        done.release()

    route = {"first": "noesis", "low": "noesis.a.low", "normal": "noesis.a", "high": "noesis.a.high"}
    made = carrier(handle, threads=1, route=route.__getitem__, served=tuple(route.values()))
    made.start()
    made.enqueue("first")
    assert begun.wait(SECONDS_MAX)
    for work in ("low", "normal", "high"):
        made.enqueue(work)
    # The three have been taken off their queues, which wait for the one thread in the order of their classes.
    queue = made._worker.work_queue if made._worker is not None else None
    assert queue is not None
    while queue.qsize() < 3:
        threading.Event().wait(0.01)
    go_on.set()
    for _ in range(4):
        assert done.acquire(timeout=SECONDS_MAX)
    made.stop()
    assert got == ["first", "high", "normal", "low"]


def test_a_process_leaves_alone_what_it_was_not_told_to_take() -> None:
    got: list[str] = []
    done = threading.Event()

    def handle(work: str) -> None:
        got.append(work)
        done.set()

    made = carrier(handle, route=lambda work: f"noesis.{work}", served=("noesis.sales",))
    made.enqueue("finance")
    made.start()
    made.enqueue("sales")
    assert done.wait(SECONDS_MAX)
    made.stop()
    assert got == ["sales"]
