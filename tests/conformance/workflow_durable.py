"""The platform's durable engine under the conformance features: a real runtime, real effectors, time that is set.

A crash is a runtime that is gone in the middle: whatever it calls next is refused, and another one goes on from the store alone.
"""

import copy
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from coordination.bounds import Bounds
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.openapi import OpenApi
from coordination.effectors.secrets import Secret
from coordination.reconciler import EVER
from coordination.runs import lifecycles
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.testing.scheduler import CrashedError
from coordination.workflow.document import parse
from coordination.workflow.expressions import Expressions
from kg.model import Op, Put, Where
from kg.values import Ref
from tests.conformance.workflow_engine import START, Case, Outcome
from tests.conformance.workflow_services import DESCRIPTION
from tests.coordination.plant import AUTHOR, Scripted, ontology, populate
from tests.kg.views import RuleView
from tests.oracles.graph import DictStore
from tests.parts import ManualClock
from tests.runs.works import STARTERS_MAY

RULES = (
    '@id("agents-may") permit(principal in Role::"agents", action == Action::"apply", resource);',
    STARTERS_MAY,
)
#: Due times that one scenario may pass.
JUMPS_MAX = 1_000
RUN = "run"


@dataclass(frozen=True)
class Routed:
    """An HTTP effector whose addresses lead to the stand-ins."""

    inner: Http
    route: Callable[[str], str]
    kind: str = "http"
    idempotent: bool = True
    can_look_up: bool = False

    def act(self, effect: Effect) -> Receipt:
        return self.inner.act(
            replace(effect, payload={**effect.payload, "url": self.route(str(effect.payload["url"]))})
        )

    def look_up(self, effect: Effect) -> Receipt | None:
        return self.inner.look_up(effect)

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return self.inner.compensation(effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        return self.inner.simulate(effect)


class Mortal:
    """The store as a process sees it that dies right after a named task went on record as begun or ended."""

    def __init__(self, store: Any, crashes: list[str]) -> None:
        self._store, self._crashes, self._dead = store, crashes, False

    def __getattr__(self, name: str) -> Any:
        if self._dead:
            raise CrashedError
        return getattr(self._store, name)

    def commit(self, writes: Any, *args: Any, **kwargs: Any) -> Any:
        if self._dead:
            raise CrashedError
        commit = self._store.commit(writes, *args, **kwargs)
        for write in writes:
            if isinstance(write, Put) and write.cls == "Step" and write.set.get("task") in self._crashes:
                self._crashes.remove(str(write.set["task"]))
                self._dead = True
                raise CrashedError
        return commit


class Durable:
    """The durable engine."""

    name = "durable"

    def execute(self, case: Case) -> Outcome:
        """Run the workflow with its events in their time, jumping from one due time to the next."""
        with self._world(case) as world:
            workflow = world.register(case)
            world.life(lambda runtime: runtime.engine.start(workflow, case.input, 'User::"anna"', id=RUN))
            world.until(lambda: world.ended(RUN), case.events)
            return world.outcome(RUN)

    def scheduled(self, case: Case, length: int) -> list[Outcome]:
        """Activate the workflow and let the time pass."""
        with self._world(case) as world:
            workflow = world.register(case)
            world.life(lambda runtime: runtime.engine.activate(workflow, 'User::"anna"'))
            end = case.start + timedelta(microseconds=length)
            world.until(lambda: False, case.events, end)
            found = world.store.find("Run", [Where("workflow", Op.EQ, Ref(workflow))], first=1_000).items
            return [world.outcome(run.id) for run in sorted(found, key=lambda run: run["began"])]

    @contextmanager
    def _world(self, case: Case) -> Iterator["World"]:
        expressions = Expressions()
        try:
            yield World(case, expressions)
        finally:
            expressions.close()


class World:
    """One scenario's store, clock and the process of the moment."""

    def __init__(self, case: Case, expressions: Expressions) -> None:
        self.case, self.expressions = case, expressions
        self.clock = ManualClock(case.start or START)
        self.store: Any = DictStore(ontology(), self.clock)
        populate(self.store, self.clock, [], RULES)
        self.crashes = list(case.crashes)
        self.lives = 0
        self.began()

    def began(self) -> None:
        """A new process."""
        self.lives += 1
        self.queue: deque[str] = deque()
        store: Any = Mortal(self.store, self.crashes)
        heard = {
            name: Secret(value if isinstance(value, str) else json.dumps(value), frozenset({"127.0.0.1"}))
            for name, value in self.case.secrets.items()
        }
        settings = HttpSettings(Reach(allowed=("127.0.0.1",)), honours_key=True, secrets=heard)
        local = self.case.route("https://petstore.swagger.io/v2")
        host, _, path = local.removeprefix("http://").partition("/")
        described = {**copy.deepcopy(DESCRIPTION), "host": host, "basePath": f"/{path}", "schemes": ["http"]}
        effectors: Any = [
            Routed(Http(settings), self.case.route),
            OpenApi(settings, {"https://petstore.swagger.io/v2/swagger.json": described}),
        ]
        self.runtime = Runtime(
            store, self.clock, ontology(), Scripted(store, {}, {}), effectors, self.queue.append,
            Bounds(), holder=f"life{self.lives}",
            workflows=Workflows(secrets=self.case.secrets, expressions=self.expressions),
        )  # fmt: skip

    def register(self, case: Case) -> str:
        """The case's workflow, with the others it needs."""
        for text in case.others:
            self.runtime.engine.register(parse(text), AUTHOR, ("agents",))
        return self.runtime.engine.register(parse(case.definition), AUTHOR, ("agents",))

    def life(self, act: Callable[[Runtime], Any]) -> None:
        """Do something and whatever follows; where the process dies, another takes over."""
        todo: Callable[[Runtime], Any] | None = act
        for _ in range(100):
            try:
                if todo is not None:
                    todo(self.runtime)
                    todo = None
                self._drain()
                return
            except CrashedError:
                todo = None
                self.began()
                self.queue.extend(row.key for row in self.store.scan("work", due=EVER, first=1_000))
        raise AssertionError("it dies without end")

    def _drain(self) -> None:
        while self.runtime.pump() or self.queue:
            while self.queue:
                self.runtime.handle(self.queue.popleft())

    def ended(self, run: str) -> bool:
        return self.runtime.engine.run(run).ended

    def until(
        self, over: Callable[[], bool], events: list[tuple[int, dict[str, Any]]], end: datetime | None = None
    ) -> None:
        """Jump from due time to due time, events included, until it is over or nothing is left."""
        waiting = sorted(events, key=lambda pair: pair[0])
        for _ in range(JUMPS_MAX):
            if over():
                return
            times = [row.due for row in self.store.scan("work", due=EVER, first=1_000)]
            now = self._micros(self.clock.now())
            arrival = self._micros(self.case.start) + waiting[0][0] if waiting else None
            moment = min(
                [*(due for due in times if due is not None), *([arrival] if arrival is not None else [])], default=None
            )
            if moment is None or (end is not None and moment > self._micros(end)):
                return
            self.clock.advance(max(0, moment - now) / 1_000_000)
            if arrival is not None and moment == arrival:
                event = waiting.pop(0)[1]
                self.life(partial(self._arrives, event))
            due = [row.key for row in self.store.scan("work", due=self._micros(self.clock.now()), first=1_000)]
            self.life(partial(self._sent, due))
        raise AssertionError("time passes without end")

    def _arrives(self, event: dict[str, Any], runtime: Runtime) -> None:
        """An event for the run that is there, which keeps it; for whoever listens where none is."""
        if self.store.get([RUN]):
            runtime.engine.signal(RUN, event)
        else:
            runtime.engine.publish(event)

    def _sent(self, due: list[str], runtime: Runtime) -> None:
        del runtime
        self.queue.extend(due)

    def _micros(self, moment: datetime) -> int:
        return round(moment.timestamp() * 1_000_000)

    def outcome(self, id: str) -> Outcome:
        """What the record says of a run."""
        from coordination.runs import runs

        run = self.runtime.engine.run(id)
        steps = list(self.store.find("Step", [Where("run", Op.EQ, id)], first=1_000).items)
        steps.sort(key=lambda step: (step["began"], str(step.get("strand", "")), step["number"]))
        told = [("started", str(s["task"]), str(s["reference"])) for s in steps if s["state"] != "skipped"]
        for step in sorted(steps, key=lambda step: step.since):
            told.append((str(step["state"]), str(step["task"]), str(step["reference"])))
        outputs = {str(s["task"]): runs.value(self.store, id, s, "output") for s in steps}
        emitted = [
            runs.value(self.store, id, s, "output") for s in steps if s["kind"] == "emit" and s["state"] == "completed"
        ]
        status = run.state if run.ended else "waiting"
        began, ended = run.began, run.entity.get("ended")
        elapsed = self._micros(ended) - began if isinstance(ended, datetime) else 0
        output = self.runtime.engine.output(id) if run.state == "completed" else None
        events = [self._event(event) for event in lifecycles.events(self.store, RuleView(), id)]
        lifecycle = [(reference, event) for reference, event in events if ".status-changed." not in event["type"]]
        return Outcome(
            status, output, run.error or None, told, emitted, outputs, elapsed, runs.instant(began), lifecycle
        )

    def _event(self, event: Any) -> tuple[str, dict[str, Any]]:
        return str(event["data"].get("task", "")), event
