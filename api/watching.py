"""Watching: a process that runs long tells what it does: logs, metrics, and traces where a collector is named.

Invariant: what is installed here is taken away again when the process ends its work, whatever happened inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from api.listening import Listening
from api.logs import configure
from api.metrics import Metrics
from api.settings import Settings
from api.tracer import make_tracer
from kg import tracing


@contextmanager
def watched(settings: Settings) -> Iterator[Metrics]:
    """The metrics of this process, while logs and traces go where the settings say."""
    configure(settings)
    listening = Listening(Metrics(), make_tracer(settings))
    tracing.install(listening)
    try:
        yield listening.metrics
    finally:
        tracing.install(None)
        listening.close()
