"""Orders over workflows and runs, as the command line and GraphQL give them: each is decided and on record before it is done.

Invariant: whoever orders needs a permit for the action ``configure`` with the operation's name, on Workflow or Run. What is
ordered is durable; whichever worker there is takes it on.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from api.errors import SettingsError
from api.platform import Noesis
from coordination.errors import StateError
from coordination.runs import runs as records
from coordination.runs.engine import Engine
from governance.configuring import permit
from governance.principals import Principal
from kg.values import Json

Order = Callable[[Engine, str, str, str], None]
#: What may be ordered of a run by a word: engine, run, who, why.
ORDERS: Final[Mapping[str, Order]] = {
    "pause": lambda engine, run, who, why: engine.pause(run, who, why),
    "resume": lambda engine, run, who, why: engine.resume(run, who, why),
    "cancel": lambda engine, run, who, why: engine.cancel(run, who, why),
    "compensate": lambda engine, run, who, why: engine.cancel(run, who, why, compensate=True),
    "terminate": lambda engine, run, who, why: engine.terminate(run, who, why),
    "retry": lambda engine, run, who, why: engine.retry(run, who, why),
}
#: Runs that one order reaches.
BULK_MAX: Final = 1_000


def engine_of(platform: Noesis) -> Engine:
    """The engine of the platform's runtime; SettingsError in a process without one."""
    if platform.runtime is None:
        raise SettingsError("this process works on no runs; order them where the workers or the API of the project run")
    engine: Engine = platform.runtime.engine
    return engine


def permitted(platform: Noesis, who: Principal, operation: str, cls: str, name: str) -> None:
    """Decide and record whether somebody may; DeniedError where not."""
    permit(platform.store, platform.clock, platform.rules(), who, operation, cls, name[:200])


def named(platform: Noesis, source: str) -> str:
    """The id of the registered workflow called NAMESPACE.NAME[:VERSION]; the latest without a version."""
    rest, _, version = source.partition(":")
    namespace, _, name = rest.rpartition(".")
    return engine_of(platform).definitions.find(namespace, name, version or "latest")


def started(
    platform: Noesis, who: Principal, workflow: str, input: Json, *, id: str = "", sandbox: bool = False
) -> str:
    """Start a run of a registered workflow, for whoever acts and whom they act for; its id."""
    behalf = who.on_behalf_of.uid if who.on_behalf_of is not None else ""
    return engine_of(platform).start(workflow, input, who.uid, id=id, on_behalf_of=behalf, sandbox=sandbox)


def ordered(platform: Noesis, who: Principal, run: str, word: str, why: str = "") -> str:
    """Carry out an order on a run; the state it has then. StateError for a word that is none."""
    order = ORDERS.get(word)
    if order is None:
        raise StateError(f"{word[:40]!r} is no order for a run; use one of {', '.join(ORDERS)}")
    permitted(platform, who, f"run.{word}", records.RUN, run)
    order(engine_of(platform), run, who.uid, why)
    return engine_of(platform).run(run).state


def signalled(platform: Noesis, who: Principal, run: str, event: Mapping[str, Any]) -> str:
    """Send an event to a run; the state it has then."""
    permitted(platform, who, "run.signal", records.RUN, run)
    engine_of(platform).signal(run, event)
    return engine_of(platform).run(run).state


def forked(platform: Noesis, who: Principal, run: str, step: str, *, id: str = "", sandbox: bool = False) -> str:
    """Start a run from a step of another; its id."""
    permitted(platform, who, "run.fork", records.RUN, run)
    return engine_of(platform).fork(run, step, who.uid, id=id, sandbox=sandbox)
