"""A long-running process: what to start, what to stop, and how SIGTERM and Ctrl-C end it cleanly.

Invariant: everything started is stopped in reverse order, work at hand is finished, and the second signal does not cut the
first one's clean-up short of its bounds.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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


def until_told(ready: Callable[[], None]) -> str:
    """Call `ready`, then wait for SIGTERM or SIGINT; the signal's name."""
    told = threading.Event()
    names: list[str] = []

    def heard(number: int, _frame: FrameType | None) -> None:
        names.append(signal.Signals(number).name)
        told.set()

    before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        told.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return names[0] if names else ""


@contextmanager
def outlived() -> Iterator[None]:
    """Keep SIGTERM and SIGINT from ending the process while a server that handles them itself shuts down.

    uvicorn raises the signal again once it has stopped; by default that would end the process before it cleaned up.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
