"""The lives that `test_effect_kill` ends: one worker over an SQLite file with a real effector, which stops where it is told."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from coordination.bounds import Bounds
from coordination.effectors.effector import Effect, Effector, Particular, Receipt, Undo
from coordination.effectors.file import File
from coordination.effectors.function import Function, Functions
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.smtp import Smtp, SmtpSettings
from coordination.effectors.sql import Database, Sql
from coordination.effectors.sql_sqlite import SqliteOutbox
from coordination.effectors.webhook import Webhook, WebhookSettings
from coordination.proposals import Draft
from coordination.runtime import Runtime
from coordination.wakes import Wake
from kg.clock import SystemClock
from kg.model import Change, Entity
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import Scripted, card, ontology

BOUNDS = Bounds(
    work_lease_seconds=0.4,
    reconcile_lease_seconds=0.3,
    beat_lease_seconds=0.3,
    feed_lease_seconds=0.3,
    backoff_seconds=0.02,
    backoff_max_seconds=0.1,
    resend_seconds=0.02,
)
CARDS = (card("teller", Wake("Ticket", on=frozenset({"created"}))),)
SECONDS_MAX = 90.0
STATEMENTS = {"note": ("INSERT INTO note (text) VALUES (:text)",)}


def keyed(folder: Path) -> Callable[[Any, str], Any]:
    return lambda _, key: (folder / "told" / key).touch()


def keyless(folder: Path) -> Callable[[Any, str], Any]:
    def call(_: Any, key: str) -> None:
        with (folder / "told" / "calls").open("a") as file:
            file.write(f"{key}\n")

    return call


def target(kind: str, folder: Path, port: int) -> tuple[Effector, dict[str, Any]]:
    """An effector of this kind with the payload that it acts on."""
    host = f"127.0.0.1:{port}"
    called = {"url": f"http://{host}/hook", "body": {"n": 1}}
    if kind.startswith("http"):
        return Http(HttpSettings(Reach((host,)), honours_key=kind == "http-keyed")), called
    if kind == "webhook":
        return Webhook(WebhookSettings(b"s", (host,)), SystemClock()), called
    if kind == "smtp":
        mail = Smtp(SmtpSettings("127.0.0.1", port, "noesis@corp.example", tls="none", seconds=20))
        return mail, {"to": "ops@example.com", "subject": "s", "text": "t"}
    if kind == "sql":
        database = Database(SqliteOutbox(folder / "erp.db"), STATEMENTS)
        return Sql({"erp": database}), {"database": "erp", "statement": "note", "parameters": {"text": "late"}}
    if kind == "file":
        return File(folder / "root"), {"path": "a/b.txt", "text": "late"}
    function = Function(keyed(folder) if kind == "python-keyed" else keyless(folder), kind == "python-keyed")
    return Functions({"tell": function}), {"function": "tell"}


class Stopping:
    """An effector that says where it is, and waits there to be killed or let go on."""

    def __init__(self, inner: Effector, moment: str, pipe: Any) -> None:
        self.inner, self.moment, self.pipe = inner, moment, pipe
        self.kind, self.idempotent, self.can_look_up = inner.kind, inner.idempotent, inner.can_look_up

    def stop(self, moment: str) -> None:
        if moment == self.moment:
            self.moment = ""
            self.pipe.send("here")
            self.pipe.recv()

    def repeatable(self, effect: Effect) -> bool:
        return self.inner.repeatable(effect) if isinstance(self.inner, Particular) else self.inner.idempotent

    def act(self, effect: Effect) -> Receipt:
        self.stop("before")
        receipt = self.inner.act(effect)
        self.stop("after")
        return receipt

    def look_up(self, effect: Effect) -> Receipt | None:
        self.stop("look up")
        found = self.inner.look_up(effect)
        self.stop("looked up")
        return found

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return self.inner.compensation(effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        return self.inner.simulate(effect)


def live(folder: Path, kind: str, port: int, moment: str, pipe: Any) -> None:
    """Work until nothing is left; `moment` is where to wait for the end."""
    clock = SystemClock()
    store: GraphStore = SqliteStore(folder / "graph.db", ontology(), clock)
    effector, payload = target(kind, folder, port)
    acting = Scripted(store, {c.name: c for c in CARDS}, {"teller": _tell(effector.kind, payload)})
    queue: list[str] = []
    stopping: Any = Stopping(effector, moment, pipe)
    runtime = Runtime(store, clock, ontology(), acting, [stopping], queue.append, BOUNDS)
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        read = runtime.pump()
        runtime.reconcile()
        while queue:
            runtime.handle(queue.pop(0))
        left = [r for r in store.scan("work", first=1_000) if r.value["state"] in ("ready", "claimed")]
        position = store.state("cursor", ["coordination"])
        if not read and not left and position and position["coordination"].value == store.head().position:
            pipe.send("done")
            return
        time.sleep(0.005)
    pipe.send(f"not done: {json.dumps([row.value for row in left])}")


def _tell(kind: str, payload: Mapping[str, Any]) -> Callable[[Change, Entity, GraphStore, int], Sequence[Draft]]:
    return lambda change, entity, store, at: [Draft("notice.send", entity.id, effector=kind, payload=payload)]


ontology()
