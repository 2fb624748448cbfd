"""One simulated life of some runs: workers that crash at any port call, pause, and meet; a clock that jumps; doubled events.

The seed decides everything. Chaos first, then one healthy worker; then `check` says what must hold whatever happened.
"""

from collections.abc import Callable
from typing import Any

from coordination.bounds import Bounds
from coordination.errors import StateError
from coordination.runs.engine import Workflows
from coordination.runs.turns import Pace
from coordination.runtime import Runtime
from coordination.testing.scheduler import Chances, CrashedError, Life, LifeClock, Port, Scheduler
from coordination.workflow.expressions import Expressions
from kg.errors import ConflictError
from kg.model import Op, Where
from tests.coordination.plant import AUTHOR, Scripted, ontology, populate
from tests.oracles.graph import DictStore
from tests.parts import ManualClock
from tests.runs.lifecycles import legal
from tests.runs.works import ANNA, STARTERS_MAY, document
from tests.simulation.world import Outside

RULES = (
    '@id("agents-may") permit(principal in Role::"agents", action == Action::"apply", resource);',
    STARTERS_MAY,
)
CHILD = "do: [{w: {wait: {seconds: 2}}}, {a: {call: inc, with: {x: '${ .n }'}}}]"
MAIN = """
do:
  - first: {call: inc, with: {x: '${ .n }'}}
  - loop: {for: {in: '[1, 2]'}, do: [{add: {call: inc, with: {x: '${ .x + $item }'}}}]}
  - tell: {emit: {event: {with: {type: told, data: '${ . }'}}}, output: {as: .data}}
  - split:
      fork:
        branches:
          - left: {do: [{rest: {wait: {seconds: 1}}}, {l: {call: inc, with: {x: '${ .x }'}}}]}
          - right: {run: {workflow: {namespace: test, name: child, version: latest, input: {n: '${ .x }'}}}}
          - out: {call: effect, with: {operation: notice.send, effector: keyed, payload: {n: '${ .x }'}}, output: {as: .state}}
  - hear: {listen: {to: {any: [{with: {type: go}}], until: '. | length == 2'}}, output: {as: '{heard: ., before: $input}'}}
  - tried:
      try: [{fails: {call: boom}}]
      catch: {retry: {delay: {seconds: 1}, limit: {attempt: {count: 2}}}, do: [{kept: {set: '${ . }'}}]}
"""
#: What one run must have done: task and how often it ended.
TIMES = {
    "first": 1, "add": 2, "loop": 1, "tell": 1, "rest": 1, "l": 1, "left": 1, "right": 1, "out": 1, "split": 1, "hear": 1,
    "fails": 3, "kept": 1, "tried": 1,
}  # fmt: skip
RUNS = ("one", "two")
WORKERS, LIVES = 3, 4
BOUNDS = Bounds(batch=7, attempts_max=10_000, backoff_max_seconds=2.0)
PACE = Pace(tasks_a_commit=2, commits_a_claim=3, one_by_one=False)


def boom() -> Any:
    raise ValueError("always")


class Lives:
    """Everything of one seed."""

    def __init__(self, seed: int, expressions: Expressions, chances: Chances | None = None) -> None:
        self.clock = ManualClock(seed=seed)
        self.store = DictStore(ontology(), self.clock)
        populate(self.store, self.clock, [], RULES)
        self.scheduler = Scheduler(seed, chances)
        self.random = self.scheduler.random
        self.queue: list[str] = []
        self.keyed = Outside("keyed", True, moods=self.random)
        self.workflows = Workflows(
            functions={"inc": lambda x: {"x": x + 1}, "boom": boom}, pace=PACE, expressions=expressions
        )
        runtime = self._runtime(None)
        runtime.engine.register(document("child", CHILD), AUTHOR, ("agents",))
        self.workflow = runtime.engine.register(document("main", MAIN), AUTHOR, ("agents",))

    def run(self) -> None:
        """Chaos, then recovery."""
        bodies: dict[str, Callable[[Life], None]] = {f"worker{n}": self._worker for n in range(WORKERS)}
        self.scheduler.run({"people": self._people, **bodies})
        self.scheduler.chances = Chances(0, 0, 0, 0)
        self.keyed.moody = False
        self.scheduler.run({"healthy": self._recover})

    def _runtime(self, life: Life | None) -> Runtime:
        store: Any = self.store
        clock: Any = self.clock
        keyed: Any = self.keyed
        if life is not None:
            clock = LifeClock(self.scheduler, life, self.clock)
            store, keyed = (Port(self.scheduler, life, target) for target in (self.store, self.keyed))
        acting = Scripted(store, {}, {})
        return Runtime(store, clock, ontology(), acting, [keyed], self.queue.append, BOUNDS, workflows=self.workflows)

    def _worker(self, life: Life) -> None:
        for _ in range(LIVES):
            try:
                runtime = self._runtime(life)
                while True:
                    self._act(runtime, life)
                    if self.random.random() < 0.02:
                        break
            except CrashedError:
                self.scheduler.alive_or_end()
                self.scheduler.reborn(life)

    def _act(self, runtime: Runtime, life: Life) -> None:
        choice = self.random.random()
        if choice < 0.2:
            runtime.pump()
        elif choice < 0.8:
            if not self.queue:
                self.scheduler.rest(life, self.random.randint(1, 20))
                return
            index = self.random.randrange(len(self.queue))
            fate = self.random.random()
            id = self.queue[index] if fate < 0.1 else self.queue.pop(index)
            if fate < 0.95:
                runtime.handle(id)
        elif choice < 0.9:
            runtime.reconcile()
        elif choice < 0.98:
            self.clock.advance(self.random.choice([0.1, 0.5, 1.0, 3.0, 400.0]))
        else:
            self.clock.jump(self.random.choice([-60.0, -2.0, 60.0]))

    def _people(self, life: Life) -> None:
        """Start each run, some more than once; send each event, some more than once; pause and resume in between."""
        orders: list[Callable[[Runtime], None]] = []
        for run in RUNS:
            orders += [self._start(run)] * self.random.randint(1, 2)
        for run in RUNS:
            for event in ("e1", "e2"):
                orders += [self._signal(run, event)] * self.random.randint(1, 2)
            if self.random.random() < 0.5:
                orders += [self._held(run), self._let_go(run)]
        for order in orders:
            self.scheduler.rest(life, self.random.randint(0, 60))
            try:
                order(self._runtime(life))
            except (ConflictError, StateError):
                continue
            except CrashedError:
                self.scheduler.alive_or_end()
                self.scheduler.reborn(life)

    def _start(self, run: str) -> Callable[[Runtime], None]:
        def order(runtime: Runtime) -> None:
            runtime.engine.start(self.workflow, {"n": 1}, ANNA, id=run)

        return order

    def _held(self, run: str) -> Callable[[Runtime], None]:
        return lambda runtime: runtime.engine.pause(run, ANNA)

    def _let_go(self, run: str) -> Callable[[Runtime], None]:
        return lambda runtime: runtime.engine.resume(run, ANNA)

    def _signal(self, run: str, event: str) -> Callable[[Runtime], None]:
        def order(runtime: Runtime) -> None:
            runtime.engine.signal(run, {"id": event, "source": "sim", "type": "go", "data": event})

        return order

    def _recover(self, life: Life) -> None:
        runtime = self._runtime(life)
        for run in RUNS:
            self._start(run)(runtime)
        for _ in range(60):
            for run in RUNS:
                if runtime.engine.run(run).state == "suspended":
                    runtime.engine.resume(run, ANNA)
                if not runtime.engine.run(run).ended:
                    for event in ("e1", "e2"):
                        self._signal(run, event)(runtime)
            while runtime.pump() or self.queue:
                while self.queue:
                    runtime.handle(self.queue.pop(0))
            if all(runtime.engine.run(run).ended for run in RUNS):
                return
            self.clock.advance(400)
            runtime.reconcile()

    def check(self) -> None:
        """Every run did everything once."""
        runtime = self._runtime(None)
        for run in RUNS:
            legal(self.store, run)
            found = runtime.engine.run(run)
            assert found.state == "completed", (found.state, found.error)
            output = runtime.engine.output(run)
            assert output["before"] == [{"x": 8}, {"x": 8}, "applied"]
            assert sorted(output["heard"]) == ["e1", "e2"], "I3: an event was lost or taken twice"
            steps = self.store.find("Step", [Where("run", Op.EQ, run)], first=1_000).items
            ended = [str(step["task"]) for step in steps if step["state"] in ("completed", "faulted")]
            assert {task: ended.count(task) for task in ended} == TIMES, "I3: a step was lost or done twice"
            shares = self.store.scan("family", prefix=f"{run}/", first=100)
            assert [row.value["started"] for row in shares] == [1], "I3: a run that was started once is counted once"
        assert len(self.keyed.told) == len(set(self.keyed.told)) == len(RUNS), (
            "I3: the effect happened twice, or not at all"
        )
        kinds = ("strand", "join", "listener", "letter", "mailbox", "awaited")
        left = {kind: [row.key for row in self.store.scan(kind, first=100)] for kind in kinds}
        assert not any(left.values()), left
        work = [
            row.key
            for row in self.store.scan("work", first=1_000)
            if row.key.startswith(("run:", "deliver:", "cancel:"))
        ]
        assert not [key for key in work if self.store.state("work", [key])[key].value["state"] == "failed"], work
