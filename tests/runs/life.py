"""A worker process over a graph in a file, to be killed: `python -m tests.runs.life DATABASE RUN [SLOW]`.

It starts the run where it is not started, works until the run ends, and says on its output which function is called. The function
named SLOW does not return.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Any

from coordination import lanes
from coordination.brokers import carrier
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.worker import Worker
from kg.clock import SystemClock
from kg.committer import Committer
from kg.fibers import Crew
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import AUTHOR, RULES, Scripted, Telling, ontology, populate
from tests.runs.works import ANNA, STARTERS_MAY, document

STEPS = "abcdef"
TEXT = "do:\n" + "".join(
    f"  - {name}: {{call: step, with: {{name: {name}, so: '${{ .so // \"\" }}'}}}}\n" for name in STEPS
)
_TELL = "  - tell: {call: effect, with: {operation: n.send, effector: telling, payload: {}}, output: {as: $input}}\n"
TEXT = TEXT.replace("  - d:", f"{_TELL}  - d:")
END_SECONDS = 150.0


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(database: str, run: str, slow: str = "") -> None:
    def step(name: str, so: str) -> Any:
        say(name)
        if name == slow:
            threading.Event().wait()
        return {"so": so + name}

    clock = SystemClock()
    store = Committer(SqliteStore(Path(database), ontology(), clock))

    if store.head().position == 0:
        populate(store, clock, [], (*RULES, STARTERS_MAY))

    def handle(work: str) -> None:
        runtime.handle(work)

    carried = carrier(handle, None, 2, lambda _: lanes.GENERAL, lanes.every([]))
    runtime = Runtime(
        store, clock, ontology(), Scripted(store, {}, {}), [Telling()], carried.enqueue, holder=clock.id(),
        workflows=Workflows(functions={"step": step}), crew=Crew(store),
    )  # fmt: skip
    worker = Worker(runtime, carried)
    store.on_commit(worker.notify)
    runtime.engine.start(runtime.engine.register(document("steps", TEXT), AUTHOR, ("agents",)), {}, ANNA, id=run)
    worker.start()
    end = time.monotonic() + END_SECONDS
    while not runtime.engine.run(run).ended and time.monotonic() < end:
        time.sleep(0.02)
    worker.stop()
    say(runtime.engine.output(run)["so"])
    runtime.close()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
