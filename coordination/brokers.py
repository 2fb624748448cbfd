"""Brokers: carry the ids of work to worker threads over Dramatiq. Embedded by default, Redis or RabbitMQ by address.

Invariants: the global broker of Dramatiq stays unset; a message holds one work id and nothing else; the middleware is none but what
is named here, no TimeLimit (it would interrupt a transaction) and no Retries (the work's own row holds the tries). The one
module that imports Dramatiq. What the broker loses, the reconciler sends again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from coordination.errors import BrokerError
from kg.errors import NoesisError

if TYPE_CHECKING:
    from dramatiq import Actor, Broker, Worker

ACTOR: Final = "noesis_work"
QUEUE: Final = "noesis"
#: Maintenance of the Redis broker at every command, so that a dead worker's messages come back at once (of 1,000,000).
MAINTENANCE: Final = 1_000_000
#: How long an idle worker thread waits before it looks around, in milliseconds; messages wake it at once.
IDLE_MILLISECONDS: Final = 1_000
STOP_MILLISECONDS: Final = 10_000


@dataclass(slots=True)
class Carrier:
    """A broker with its one actor, and the worker threads of this process once started."""

    broker: "Broker"
    actor: "Actor[[str], None]"
    threads: int
    _worker: "Worker | None" = field(default=None)

    def enqueue(self, work_id: str) -> None:
        """Send a message that carries only the work's id; raises BrokerError where the broker cannot be reached."""
        try:
            self.actor.send(work_id)
        except Exception as error:
            # Each broker lets its own driver's errors through, and they share no class.
            raise BrokerError(f"the broker took no message ({error}); the reconciler sends it again") from error

    def start(self) -> None:
        """Start the worker threads of this process."""
        from dramatiq import Worker

        if self._worker is None:
            self.broker.emit_after("process_boot")
            self._worker = Worker(self.broker, worker_threads=self.threads, worker_timeout=IDLE_MILLISECONDS)
            self._worker.start()

    def stop(self) -> None:
        """Let the threads finish what they hold, then end them; messages not taken stay or come back by the reconciler."""
        if self._worker is not None:
            self._worker.stop(timeout=STOP_MILLISECONDS)
            self._worker = None
        self.broker.close()


def carrier(handle: Callable[[str], object], url: str | None = None, threads: int = 4) -> Carrier:
    """A carrier whose messages call `handle`; with no url the broker lives in this process."""
    from dramatiq import actor

    broker = _broker(url)

    def noesis_work(work_id: str) -> None:
        try:
            handle(work_id)
        except NoesisError as error:
            # The store could not serve even the record of a failed try: the claim runs out and the reconciler sends it again.
            logging.getLogger(__name__).warning("work %s was not handled: %s", work_id, error)

    # The broker is handed over: `get_broker()` would quietly build RabbitMQ on loopback.
    made = actor(broker=broker, actor_name=ACTOR, queue_name=QUEUE)(noesis_work)
    return Carrier(broker, made, threads)


def _broker(url: str | None) -> "Broker":
    """The broker for an address: none, redis(s):// or amqp(s)://."""
    if url is None:
        from dramatiq.brokers.stub import StubBroker

        return StubBroker(middleware=[])
    scheme = urlsplit(url).scheme
    try:
        if scheme in ("redis", "rediss"):
            from dramatiq.brokers.redis import RedisBroker

            redis = cast("type[Broker]", RedisBroker)
            options: dict[str, Any] = {"url": url, "middleware": [], "maintenance_chance": MAINTENANCE}
            return redis(**options)
        if scheme in ("amqp", "amqps"):
            from dramatiq.brokers.rabbitmq import RabbitmqBroker

            return RabbitmqBroker(url=url, middleware=[])
    except ImportError as error:
        raise BrokerError(f"a {scheme} broker needs the extra `servers`; install noesis[servers]") from error
    raise BrokerError(f"{scheme or url[:40]!r} is no broker address; use redis://… or amqp://…, or none for embedded")
