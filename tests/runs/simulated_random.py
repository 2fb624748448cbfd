"""Simulated lives of random workflows with effects, under a budget and a switch that people throw; the seed decides everything.

Chaos first (see `simulated`), then one healthy worker; then I3, I4, I7, I11 and I12 are read off the record alone.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from coordination.errors import StateError
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.testing.scheduler import Chances, CrashedError, Life, Scheduler
from coordination.workflow.document import of_body
from coordination.workflow.expressions import Expressions
from governance.budgeting import define
from governance.controls import resume, stop
from governance.principals import Principal
from kg.errors import ConflictError
from kg.model import Kind
from tests.coordination.plant import AUTHOR, populate
from tests.parts import ManualClock
from tests.runs.lifecycles import legal
from tests.runs.simulated import PACE, RULES, Lives
from tests.runs.works import ANNA
from tests.simulation.world import Outside, Watched
from tests.workflow.random_workflows import Chance

RUNS = ("one", "two")
#: What the workflow's agent may spend, in calls; each run would make SPENDS of them.
LIMIT, SPENDS = 3, 3
ROUNDS = 80
#: Where processes die often.
OFTEN = Chances(crash_before=0.02, crash_after=0.02)


class RandomLives(Lives):
    """Everything of one seed."""

    def __init__(self, seed: int, expressions: Expressions, chances: Chances | None = None) -> None:
        self.clock = ManualClock(seed=seed)
        self.store: Any = Watched(self.clock)
        populate(self.store, self.clock, [], RULES)
        self.scheduler = Scheduler(seed, chances)
        self.random = self.scheduler.random
        self.queue = []
        self.keyed = Outside("keyed", True, moods=self.random)
        self.workflows = Workflows(pace=PACE, expressions=expressions)
        document, self.case = Chance(seed).case()
        body = json.loads(json.dumps(document.body))
        for number in range(SPENDS):
            payload = {"operation": "notice.send", "effector": "keyed", "payload": {"n": number}}
            spend = {
                "try": [{f"call{number}": {"call": "effect", "with": payload}}],
                "catch": {},
                "output": {"as": "$input"},
            }
            body["do"].insert(self.random.randint(0, len(body["do"])), {f"spend{number}": spend})
        self.workflow = self._runtime(None).engine.register(of_body(body), AUTHOR, ("agents",))
        define(
            self.store,
            self.clock,
            Principal("User", "root"),
            "agent:random.one",
            "calls",
            Decimal(LIMIT),
            when_out="degrade",
        )
        self.stopped_at: int | None = None
        self.stops: list[tuple[int, int]] = []

    def _people(self, life: Life) -> None:
        """Start the runs, send events, throw the switch: some of it more than once, in an order of the seed's."""
        orders: list[Callable[[Runtime], None]] = [self._start(run) for run in RUNS for _ in range(2)]
        later = [self._sent(run, event) for run in RUNS for _, event in self.case.events]
        later += [self._held(run) for run in RUNS] + [self._let_go(run) for run in RUNS]
        later += [self._toggle] * 4
        self.random.shuffle(later)
        for order in orders + later:
            self.scheduler.rest(life, self.random.randint(0, 30))
            try:
                order(self._runtime(life))
            except (ConflictError, StateError):
                continue
            except CrashedError:
                self.scheduler.alive_or_end()
                self.scheduler.reborn(life)

    def _start(self, run: str) -> Callable[[Runtime], None]:
        def order(runtime: Runtime) -> None:
            runtime.engine.start(self.workflow, self.case.input, ANNA, id=run)

        return order

    def _sent(self, run: str, event: dict[str, Any]) -> Callable[[Runtime], None]:
        return lambda runtime: runtime.engine.signal(run, event)

    def _toggle(self, runtime: Runtime) -> None:
        store, clock = runtime.store, runtime.clock
        if self.stopped_at is None:
            # Recorded as acknowledged only when the call has come back.
            self.stopped_at = stop(store, clock, AUTHOR, "global", "test").position
        else:
            since, self.stopped_at = self.stopped_at, None
            self.stops.append((since, self.store.head().position))
            resume(store, clock, AUTHOR, "global", "test")

    def _recover(self, life: Life) -> None:
        runtime = self._runtime(life)
        if self.stopped_at is not None:
            self.stops.append((self.stopped_at, self.store.head().position))
        resume(self.store, self.clock, AUTHOR, "global", "test")
        for run in RUNS:
            self._start(run)(runtime)
        for _ in range(ROUNDS):
            self._help(runtime)
            while runtime.pump() or self.queue:
                while self.queue:
                    runtime.handle(self.queue.pop(0))
            # A run that timed out leaves what it intended to end by itself.
            if all(runtime.engine.run(run).ended for run in RUNS) and not self._intended():
                return
            self.clock.advance(400)
            runtime.reconcile()

    def _intended(self) -> bool:
        return any(effect["status"] == "intent" for effect in self.store.find("Effect", first=1_000).items)

    def _help(self, runtime: Runtime) -> None:
        """Let go what is held, and send every event again."""
        for run in RUNS:
            if runtime.engine.run(run).state == "suspended":
                runtime.engine.resume(run, ANNA)
            for _, event in self.case.events:
                if not runtime.engine.run(run).ended:
                    runtime.engine.signal(run, event)

    def check(self) -> None:
        """What must hold, whatever the workflow does and whatever happened to its workers."""
        runtime = self._runtime(None)
        for run in RUNS:
            legal(self.store, run)
            found = runtime.engine.run(run)
            assert found.state in ("completed", "faulted"), f"run {run} is {found.state}: it is lost"
            assert len([v for v in self.store.history(run) if v["state"] in ("completed", "faulted")]) == 1, (
                "I3: ended twice"
            )
        for step in self.store.find("Step", first=1_000).items:
            ends = [v for v in self.store.history(step.id) if v["state"] in ("completed", "faulted", "skipped")]
            assert len(ends) <= 1, "I3: a step ended twice"
        self._effects()
        assert max(self.store.finished.values(), default=1) == 1, "I7: work was finished twice"
        kinds = (
            ("listener", "awaited")
            if any(runtime.engine.run(run).state == "faulted" for run in RUNS)
            else ("strand", "join")
        )
        left = {kind: [row.key for row in self.store.scan(kind, first=100)] for kind in kinds}
        assert not any(left.values()), left

    def _effects(self) -> None:
        effects = self.store.find("Effect", first=1_000).items
        assert len(self.keyed.told) == len(set(self.keyed.told)), "I3: an effect happened twice"
        assert set(self.keyed.told) <= {str(effect["idempotencyKey"]) for effect in effects}, (
            "told what nobody intended"
        )
        assert len(effects) <= LIMIT, "I12: the budget is overspent"
        for effect in effects:
            assert effect["status"] == "done", f"effect is {effect['status']}"
            assert effect["idempotencyKey"] in self.keyed.told, "done, yet the target knows nothing"
            (first,) = (version for version in self.store.history(effect.id) if version.version == 1)
            made = self.store.caused(self.store.changes(first.since - 1, 1)[0].cause)
            decisions = [
                self.store.history(change.subject)[0]
                for change in made
                if change.cls == "Decision" and change.kind is Kind.CREATED
            ]
            assert [decision["outcome"] for decision in decisions] == ["allow"], (
                "I4: an effect without an allowing decision"
            )
            for since, until in self.stops:
                assert not since < first.since <= until, "I11: an intent after an acknowledged stop"


def lived(seed: int, expressions: Expressions) -> RandomLives:
    """One seed to its end, checked; in every third processes die often."""
    lives = RandomLives(seed, expressions, OFTEN if seed % 3 == 0 else None)
    lives.run()
    lives.check()
    return lives
