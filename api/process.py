"""A long-running process: what to start, what to stop, and how SIGTERM and Ctrl-C end it cleanly.

Invariant: everything started is stopped in reverse order, work at hand is finished, and the second signal does not cut the
first one's clean-up short of its bounds. Signals are heard before the first part is started, so none is lost on the way.
"""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from types import FrameType

from api.checkpointing import Checkpointing
from api.errors import BindingError, SettingsError
from api.health import Health
from api.indexing import Indexing
from api.metrics import Metrics
from api.platform import Noesis
from api.probes import Probes
from api.standing import rows


@contextmanager
def at_work(platform: Noesis, *, worker: bool = True, alone: bool = True) -> Iterator[None]:
    """Run the indexing and, where asked, the worker of a platform; its probes too, which only one of several processes can."""
    with ExitStack() as running:
        if platform.settings.metrics_port is not None:
            running.callback(_probes(platform, alone).stop)
        if platform.settings.checkpoint_changes:
            checkpointing = Checkpointing(platform)
            checkpointing.start()
            running.callback(checkpointing.stop)
        if platform.index is not None:
            indexing = Indexing(platform)
            indexing.start()
            running.callback(indexing.stop)
        if worker and platform.worker is not None:
            platform.worker.start()
            running.callback(platform.worker.stop)
        yield


def _probes(platform: Noesis, alone: bool) -> Probes:
    metrics = platform.metrics or Metrics()
    metrics.watch(lambda: rows(platform))
    probes = Probes(platform.settings, metrics, Health(platform))
    try:
        probes.start()
    except BindingError:
        raise
    except SettingsError as error:
        if alone:
            raise
        logging.getLogger(__name__).warning("another process answers for this one: %s", error)
    return probes


@contextmanager
def told(end: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call `end`, however often they come, also while what was started within is being stopped.

    It runs between two steps of this thread, so it takes no lock that this thread may hold.
    """

    def heard(_number: int, _frame: FrameType | None) -> None:
        end()

    before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def until_told() -> Iterator[Callable[[], None]]:
    """What waits until SIGTERM or SIGINT came, if only since this block began."""
    # Not an event: its lock is held for a moment by who begins to wait, and the handler would wait for that for ever.
    came: SimpleQueue[None] = SimpleQueue()
    with told(lambda: came.put(None)):
        yield came.get
