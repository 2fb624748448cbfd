"""A life of `test_kill`: one embedded worker over a store, which kills itself (SIGKILL) at the N-th side of its commits.

By its own hand, so that it dies where it was told to, however busy the machine is: one that another process kills goes on
until that process has been given its turn.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from coordination.bounds import Bounds
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.proposals import Draft
from coordination.runtime import Runtime
from coordination.wakes import Wake
from kg.clock import SystemClock
from kg.model import Change, Entity
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import Scripted, card, low, ontology, reorder
from tests.services.graph import open_store
from tests.services.server import Server

BOUNDS = Bounds(
    work_lease_seconds=0.3,
    feed_lease_seconds=0.3,
    reconcile_lease_seconds=0.3,
    backoff_seconds=0.05,
    resend_seconds=0.05,
)
CARDS = (
    card("buyer", Wake("Product", properties=("stock",), condition=low)),
    card("teller", Wake("Ticket", on=frozenset({"created"}))),
)


def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    return [Draft("notice.send", entity.id, effector="file", payload={"to": entity.id})]


class File:
    """An outside target that honours keys: one file a key, so a repetition adds nothing."""

    kind = "file"
    idempotent = True
    can_look_up = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def act(self, effect: Effect) -> Receipt:
        (self.folder / effect.key).touch()
        return Receipt(effect.key)

    def look_up(self, effect: Effect) -> Receipt | None:
        raise AssertionError("it cannot be asked")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return None

    def simulate(self, effect: Effect) -> Receipt:
        return Receipt()


class Mortal:
    """The store; each commit has two sides, before it and after it, and this process dies at the N-th."""

    def __init__(self, store: GraphStore, left: int) -> None:
        self._store = store
        self._left = left

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, *args: object, **kwargs: object) -> object:
        self._pass()
        made = self._store.commit(*args, **kwargs)  # type: ignore[arg-type]
        self._pass()
        return made

    def _pass(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def opened(folder: Path, server: str) -> GraphStore:
    """The store to work on: a file of this folder, or the graph of a server, told as JSON."""
    if server:
        return open_store(ontology(), SystemClock(), Server(**json.loads(server)))
    return SqliteStore(folder / "graph.db", ontology(), SystemClock())


def main(folder: Path, server: str, sides: int) -> None:
    """Work until nothing is left, or until it dies."""
    clock = SystemClock()
    store: GraphStore = Mortal(opened(folder, server), sides)  # type: ignore[assignment]
    acts = {"buyer": reorder, "teller": tell}
    queue: list[str] = []
    acting = Scripted(store, {c.name: c for c in CARDS}, acts)
    runtime = Runtime(store, clock, ontology(), acting, [File(folder / "told")], queue.append, BOUNDS)
    while True:
        read = runtime.pump()
        runtime.reconcile()
        while queue:
            runtime.handle(queue.pop(0))
        open_ = [r for r in store.scan("work", first=1_000) if r.value["state"] in ("ready", "claimed")]
        if (
            not read
            and not open_
            and store.state("cursor", ["coordination"])["coordination"].value == store.head().position
        ):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
