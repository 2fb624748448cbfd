"""A worker process that the crash matrix ends: it starts a run whose one step has an effect, and works until nothing is left.

At the named point it says "here" and waits; whoever listens kills it, stops it, or lets it go on. `during` has it killed by a timer
of its own while the named commit is under way.
"""

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coordination import lanes
from coordination.bounds import Bounds
from coordination.brokers import carrier
from coordination.effectors.effector import Effect, Effector, Receipt, Undo
from coordination.effectors.sql import Database, Sql
from coordination.effectors.sql_sqlite import SqliteOutbox
from coordination.effectors.webhook import Webhook, WebhookSettings
from coordination.runs.engine import Workflows
from coordination.runs.runs import read
from coordination.runtime import Runtime
from coordination.worker import Worker
from coordination.workflow.document import Document, parse
from coordination.works import micros
from governance.principals import Principal
from kg.clock import Clock, SystemClock
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import Scripted, ontology
from tests.services.graph import open_store
from tests.services.server import Server

EFFECTS: Final = ("graph", "sql", "webhook", "webhook without key")
AUTHOR: Final = Principal("Service", "setup")
ANNA: Final = 'User::"anna"'
SECONDS_MAX: Final = 60.0
#: Work that is due later than this is not waited for.
SOON_SECONDS: Final = 60.0
STATEMENTS: Final = {
    "note": ("INSERT INTO note (text) VALUES (:text)",),
    "unnote": ("INSERT INTO undone VALUES (:text)",),
}
_TEXT: Final = """
document: {dsl: '1.0.3', namespace: crash, name: %s, version: '1.0.0'}
do:
  - before: {set: {run: '${ $workflow.id }'}}
  - act: {call: effect, with: %s}
  - after: {%s}
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What a life is told. `server` is a graph server as JSON, empty for the file in `folder`; `during` is a delay in seconds."""

    folder: Path
    effect: str
    run: str
    port: int
    server: str = ""
    point: str = ""
    during: float = 0.0
    compensate: bool = False
    broker: str = ""


def bounds(server: str, broker: str) -> Bounds:
    """Short leases, so that what happens after them does not take long; with threads the sign of life is what counts."""
    lease = 2.0 if server else 0.5
    return Bounds(
        work_lease_seconds=10.0 if broker else lease, reconcile_lease_seconds=0.3, beat_lease_seconds=2.0, feed_lease_seconds=0.3,
        beat_seconds=0.1, backoff_seconds=0.02, backoff_max_seconds=0.1, resend_seconds=0.02,
    )  # fmt: skip


def document(effect: str, *, hold: bool, port: int) -> Document:
    """The workflow: one step has the effect, between two that have none; with `hold` the run then waits for a day."""
    url = f"http://127.0.0.1:{port}"
    payloads: dict[str, dict[str, Any]] = {
        "graph": {"operation": "note.write", "target": "${ .run + \"-note\" }", "class": "Ticket", "set": {"note": "late"}},
        "sql": {
            "operation": "note.write", "effector": "sql",
            "payload": {
                "database": "erp", "statement": "note", "parameters": {"text": "${ .run }"},
                "undo": {"payload": {"database": "erp", "statement": "unnote", "parameters": {"text": "${ .run }"}}},
            },
        },
        "webhook": {
            "operation": "notice.send", "effector": "webhook",
            "payload": {
                "url": f"{url}/act", "body": {"run": "${ .run }"},
                "undo": {"payload": {"url": f"{url}/undo", "body": {"run": "${ .run }"}}},
            },
        },
    }  # fmt: skip
    given = payloads["webhook" if effect.startswith("webhook") else effect]
    name = effect.replace(" ", "-") + ("-hold" if hold else "") + f"-{port}"
    return parse(_TEXT % (name, json.dumps(given), "wait: {days: 1}" if hold else "set: {done: true}"))


class Stopping:
    """The process's way to say where it is, once."""

    def __init__(self, job: Job, pipe: Any) -> None:
        self.point, self.during, self.pipe = job.point, job.during, pipe

    def here(self, point: str) -> None:
        """Wait to be killed where this is the point."""
        if point == self.point:
            self.point = ""
            self.pipe.send("here")
            self.pipe.recv()

    def commit(self, name: str, commit: Callable[[], Any]) -> Any:
        """Commit; at the point, die while it is under way, or at the latest when it is done."""
        self.here(f"before {name}")
        if self.point == f"during {name}":
            self.point = ""
            threading.Thread(target=self._die, daemon=True).start()
            commit()
            self.pipe.send("late")
            threading.Event().wait()
        made = commit()
        self.here(f"after {name}")
        return made

    def _die(self) -> None:
        time.sleep(self.during)
        os.kill(os.getpid(), signal.SIGKILL)


class Store:
    """The store, with each commit of a cause as a point."""

    def __init__(self, store: GraphStore, stopping: Stopping) -> None:
        self._store, self._stopping = store, stopping

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, writes: Any, cause: Any, expects: Any = None, state: Any = ()) -> Any:
        name = cause.activity if cause is not None else "state"
        return self._stopping.commit(name, lambda: self._store.commit(writes, cause, expects, state))


class Outside:
    """An effector, with each side of what it does as a point."""

    def __init__(self, inner: Effector, stopping: Stopping) -> None:
        self.inner, self.stopping = inner, stopping
        self.kind, self.idempotent, self.can_look_up = inner.kind, inner.idempotent, inner.can_look_up

    def act(self, effect: Effect) -> Receipt:
        self.stopping.here("before act")
        receipt = self.inner.act(effect)
        self.stopping.here("after act")
        return receipt

    def look_up(self, effect: Effect) -> Receipt | None:
        found = self.inner.look_up(effect)
        self.stopping.here("looked up")
        return found

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return self.inner.compensation(effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        return self.inner.simulate(effect)


def opened(folder: Path, server: str, clock: Clock) -> GraphStore:
    """The store of a file, durable as in production, or of a server told as JSON."""
    if server:
        return open_store(ontology(), clock, Server(**json.loads(server)))
    return SqliteStore(folder / "graph.db", ontology(), clock)


def effectors(job: Job) -> list[Effector]:
    """The real effectors that the effect needs."""
    settings = WebhookSettings(b"s", (f"127.0.0.1:{job.port}",), honours_key=job.effect == "webhook")
    return [Sql({"erp": Database(SqliteOutbox(job.folder / "erp.db"), STATEMENTS)}), Webhook(settings, SystemClock())]


def live(job: Job, pipe: Any) -> None:
    """Start the run, where it is not started, or order its compensation; then work until nothing is left that is due soon."""
    # What a broker that is killed makes its client say is no news here.
    logging.disable(logging.CRITICAL)
    clock = SystemClock()
    stopping = Stopping(job, pipe)
    store: Any = Store(opened(job.folder, job.server, clock), stopping)
    queue: list[str] = []
    outside: Any = [Outside(effector, stopping) for effector in effectors(job)]
    with_broker: list[Any] = []

    def enqueue(work: str) -> None:
        (with_broker[0].enqueue if job.broker else queue.append)(work)

    runtime = Runtime(
        store, clock, ontology(), Scripted(store, {}, {}), outside,
        enqueue,
        bounds(job.server, job.broker), holder=f"life-{os.getpid()}" if job.broker else "", workflows=Workflows(),
    )  # fmt: skip
    with closing(runtime):
        working = _worker(runtime, job.broker, with_broker) if job.broker else None
        _order(runtime, job)
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            if working is None:
                runtime.pump()
                runtime.reconcile()
                while queue:
                    runtime.handle(queue.pop(0))
            if _rests(store, clock):
                pipe.send("done")
                break
            time.sleep(0.005)
        else:
            pipe.send(f"not done: {[row.value for row in store.scan('work', first=100)]}")
        if working is not None:
            working.stop()


def _worker(runtime: Runtime, broker: str, made: list[Any]) -> Worker:
    carried = carrier(runtime.handle, broker, 2, runtime.lane, lanes.every([]))
    made.append(carried)
    worker = Worker(runtime, carried, interval_seconds=0.1, poll_seconds=0.02)
    worker.start()
    return worker


def _order(runtime: Runtime, job: Job) -> None:
    engine = runtime.engine
    if job.compensate:
        if not engine.run(job.run).ended:
            engine.cancel(job.run, ANNA, "it is not wanted", compensate=True)
    elif read(runtime.store, job.run) is None:
        hold = job.run.endswith("hold")
        engine.start(
            engine.register(document(job.effect, hold=hold, port=job.port), AUTHOR, ("agents",)), {}, ANNA, id=job.run
        )


def _rests(store: Any, clock: Clock) -> bool:
    # Read first: whatever other threads add after it shows as a head that moved on.
    cursor = store.state("cursor", ["coordination"]).get("coordination")
    soon = micros(clock.now()) + int(SOON_SECONDS * 1_000_000)
    open_ = [row.value for row in store.scan("work", first=1_000) if row.value["state"] in ("ready", "claimed")]
    if any(work["state"] == "claimed" or work["until"] < soon for work in open_):
        return False
    return cursor is not None and cursor.value == store.head().position


ontology()
