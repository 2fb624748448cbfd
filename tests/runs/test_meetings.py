"""What meets at one moment: a time-out with the end of a wait; and what comes before it is wanted: a signal kept for later."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from coordination.errors import StateError
from coordination.runs import delivering, mailbox
from coordination.runs.engine import Workflows
from coordination.testing import Environment
from kg.errors import ConflictError
from kg.model import Commit
from kg.store import Request
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import ontology
from tests.runs.works import ANNA, works

TIE = """
document: {dsl: '1.0.3', namespace: test, name: tie, version: '1.0.0'}
do:
  - tried:
      try: [{rest: {wait: {seconds: 5}}}]
      catch: {retry: {delay: {seconds: 2}, limit: {attempt: {count: 1, duration: {seconds: 5}}}}}
"""
LATER = """
do:
  - one: {listen: {to: {one: {with: {type: go, subject: one}}}}}
  - two: {listen: {to: {one: {with: {type: go, subject: two}}}}}
"""


def test_the_end_of_a_wait_that_timed_out_is_no_answer_to_the_next_wait() -> None:
    with Environment(TIE) as here:
        result = here.run({})
    assert (result.state, result.error["status"], result.elapsed) == ("faulted", 408, 12.0)


def test_a_signal_that_the_present_step_does_not_want_waits_for_the_step_that_does() -> None:
    with works() as here:
        run = here.start(LATER, {})
        here.engine.signal(run, here.event("go", 2, subject="two"))
        here.drain()
        assert here.run(run).state == "waiting"
        here.engine.signal(run, here.event("go", 1, subject="one"))
        here.drain()
        assert here.output(run) == [2]
        assert here.rows() == {}


def test_a_published_event_is_for_whoever_wants_it_when_it_comes() -> None:
    with works() as here:
        run = here.start(LATER, {})
        for subject in ("two", "one"):
            here.engine.publish(here.event("go", subject, subject=subject))
            here.drain()
        assert here.run(run).state == "waiting"
        here.engine.publish(here.event("go", 7, subject="two"))
        here.drain()
        assert here.output(run) == [7]


def test_branches_that_end_at_once_do_not_lose_against_each_other(tmp_path: Path) -> None:
    count = 6
    together = threading.Barrier(count)
    lost: list[ConflictError] = []

    class Told(SqliteStore):
        """A store that tells of commits that somebody else was faster than."""

        def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
            outcomes = super().commit_many(requests)
            lost.extend(one for one in outcomes if isinstance(one, ConflictError))
            return outcomes

    def meet() -> dict[str, int]:
        return {"at": together.wait(30)}

    branches = ", ".join(f"{{b{n}: {{call: meet, with: {{}}}}}}" for n in range(count))
    workflows = Workflows(functions={"meet": meet})
    with works(workflows, store=lambda clock: Told(tmp_path / "graph.db", ontology(), clock, durable=False)) as here:
        flow = here.register("flow", f"do: [{{f: {{fork: {{branches: [{branches}]}}}}}}]")
        run = here.engine.start(flow, {}, ANNA)
        here.runtime.handle(here.queue.popleft())
        assert len(here.queue) == count
        lost.clear()
        threads = [threading.Thread(target=here.runtime.handle, args=(here.queue.popleft(),)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert lost == []
        here.drain()
        assert sorted(one["at"] for one in here.output(run)) == list(range(count))


def test_only_what_was_paused_is_resumed() -> None:
    with works() as here:
        run = here.start("do: [{bad: {raise: {error: {type: 'https://example.com/errors/a', status: 400}}}}]", {})
        with pytest.raises(StateError, match="is faulted, not suspended"):
            here.engine.resume(run, ANNA)
        assert here.run(run).state == "faulted"


def test_a_signal_wakes_its_run_however_many_others_listen_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "HEARERS_MAX", 2)
    with works() as here:
        flow = here.register("flow", "do: [{one: {listen: {to: {one: {with: {type: go}}}}}}]")
        started = [here.engine.start(flow, {}, ANNA) for _ in range(4)]
        here.drain()
        for run in reversed(started):
            here.engine.signal(run, here.event("go", 1))
            here.drain()
        assert [here.run(run).state for run in started] == ["completed"] * 4


def test_a_run_that_takes_nothing_keeps_no_event_from_the_others_and_is_told_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailbox, "LETTERS_MAX", 2)
    with works() as here:
        flow = here.register(
            "flow", "do: [{all: {listen: {to: {any: [{with: {type: go}}], until: '. | length == 5'}}}}]"
        )
        asleep, awake = (here.engine.start(flow, {}, ANNA) for _ in range(2))
        here.drain()
        here.engine.pause(asleep, ANNA)
        for number in range(1, 6):
            here.engine.publish(here.event("go", number))
            here.drain()
        assert here.run(awake).state == "completed"
        here.engine.resume(asleep, ANNA)
        here.drain()
        ended = here.run(asleep)
        assert ended.state == "faulted"
        assert "3 events found no place, for 2 waited" in ended.error["detail"]
        # A person may have it listen again: what waited is there, and nothing is held against it.
        here.engine.retry(asleep, ANNA)
        here.drain()
        assert here.run(asleep).state == "waiting"
        here.engine.cancel(asleep, ANNA)
        assert here.rows() == {}


def test_of_a_run_that_is_cancelled_no_letter_is_left_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "PAGE_MAX", 2)
    monkeypatch.setattr(mailbox, "LETTERS_MAX", 2)
    branches = ", ".join(f"{{b{n}: {{listen: {{to: {{one: {{with: {{type: go}}}}}}}}}}}}" for n in range(5))
    with works() as here:
        run = here.start(f"do: [{{f: {{fork: {{branches: [{branches}]}}}}}}]")
        here.engine.pause(run, ANNA)
        here.engine.publish(here.event("go", 1))
        here.drain()
        assert len(here.rows()["letter"]) == 5
        here.engine.cancel(run, ANNA)
        assert here.rows() == {}
