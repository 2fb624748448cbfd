"""Brokers: carry the ids of work to worker threads over Dramatiq. Embedded by default, Redis or RabbitMQ by address.

Invariants: the global broker of Dramatiq stays unset; a message holds one work id and nothing else; the middleware is none but what
is named here, no TimeLimit (it would interrupt a transaction) and no Retries (the work's own row holds the tries). The one
module that imports Dramatiq. What the broker loses, the reconciler sends again.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from coordination import lanes
from coordination.errors import BrokerError
from kg import tracing
from kg.errors import NoesisError
from kg.promises import undisturbed

if TYPE_CHECKING:
    from dramatiq import Actor, Broker, Middleware, Worker

ACTOR: Final = "noesis_work"
QUEUE: Final = lanes.GENERAL
#: Maintenance of the Redis broker at every command, so that a dead worker's messages come back at once (of 1,000,000).
MAINTENANCE: Final = 1_000_000
#: A process that gives Redis no sign of life for so long is dead, and its messages go to others.
HEARTBEAT_MILLISECONDS: Final = 5_000
#: How long a consumer waits before it looks around. Redis is asked again and again, so this bounds how late a message is seen;
#: RabbitMQ and the embedded broker wake the consumer.
REDIS_IDLE_MILLISECONDS: Final = 60
IDLE_MILLISECONDS: Final = 1_000
#: How long one command to Redis may take.
REDIS_SECONDS_MAX: Final = 10.0
STOP_MILLISECONDS: Final = 10_000
#: Messages of a lane that a process takes beyond those its threads work on.
AHEAD: Final = 2


@dataclass(slots=True)
class Carrier:
    """A broker with an actor for each class of priority, and the worker threads of this process once started.

    `route` gives the lane of a work id; `served` are the lanes whose messages this process takes.
    """

    broker: "Broker"
    actors: "Mapping[str, Actor[[str], None]]"
    threads: int
    route: Callable[[str], str]
    served: Sequence[str]
    idle_milliseconds: int = IDLE_MILLISECONDS
    _worker: "Worker | None" = field(default=None)

    def enqueue(self, work_id: str) -> None:
        """Send a message that carries only the work's id; raises BrokerError where the broker cannot be reached."""
        lane = self.route(work_id)
        message = self.actors[lanes.priority(lane)].message(work_id).copy(queue_name=lane)
        trace = tracing.carried()
        if trace:
            message = message.copy(options={"traceparent": trace})
        try:
            self.broker.declare_queue(lane)
            self.broker.enqueue(message)
        except Exception as error:
            # Each broker lets its own driver's errors through, and they share no class.
            raise BrokerError(f"the broker took no message ({error}); the reconciler sends it again") from error

    def start(self) -> None:
        """Start the worker threads of this process."""
        from dramatiq import Worker

        if self._worker is None:
            for lane in self.served:
                self.broker.declare_queue(lane)
            # No message is ever delayed, so nobody has to look at queues of delayed ones.
            self.broker.delay_queues.clear()
            self.broker.emit_after("process_boot")
            self._worker = Worker(
                self.broker,
                queues=set(self.served),
                worker_threads=self.threads,
                worker_timeout=self.idle_milliseconds,
            )
            # An agent may think for long: what one process holds back, another that is free cannot take.
            self._worker.queue_prefetch = self.threads + AHEAD
            self._worker.start()

    def stop(self) -> None:
        """Let the threads finish what they hold, then end them; messages not taken stay or come back by the reconciler."""
        if self._worker is not None:
            self._worker.stop(timeout=STOP_MILLISECONDS)
            self._worker = None
        self.broker.close()


def carrier(
    handle: Callable[[str], object],
    url: str | None = None,
    threads: int = 4,
    route: Callable[[str], str] = lambda _: QUEUE,
    served: Sequence[str] = (QUEUE,),
) -> Carrier:
    """A carrier whose messages call `handle`; with no url the broker lives in this process."""
    from dramatiq import actor

    broker = _broker(url)
    if tracing.listening():
        broker.add_middleware(_following())

    def noesis_work(work_id: str) -> None:
        try:
            # No middleware throws into this thread.
            with undisturbed():
                handle(work_id)
        except NoesisError as error:
            # The store could not serve even the record of a failed try: the claim runs out and the reconciler sends it again.
            logging.getLogger(__name__).warning("work %s was not handled: %s", work_id, error)

    # The broker is handed over: `get_broker()` would quietly build RabbitMQ on loopback.
    made = {
        name: actor(
            broker=broker, actor_name=f"{ACTOR}_{name}", queue_name=served[0] if served else QUEUE, priority=priority
        )(noesis_work)
        for name, priority in lanes.PRIORITIES.items()
    }
    redis = url is not None and urlsplit(url).scheme in ("redis", "rediss")
    return Carrier(broker, made, threads, route, tuple(served), REDIS_IDLE_MILLISECONDS if redis else IDLE_MILLISECONDS)


def _following() -> "Middleware":
    """Middleware that goes on with the trace of each message in the thread that handles it."""
    from dramatiq import Middleware

    class Following(Middleware):
        def __init__(self) -> None:
            self._here = local()

        def before_process_message(self, _: "Broker", message: Any) -> None:
            trace = str(message.options.get("traceparent", ""))
            self._here.span = tracing.span(tracing.PROCESS, trace, queue=message.queue_name)
            self._here.span.__enter__()

        def after_process_message(self, *_: Any, **__: Any) -> None:
            self._here.span.__exit__(None, None, None)

    return Following()


def _broker(url: str | None) -> "Broker":
    """The broker for an address: none, redis(s):// or amqp(s)://."""
    if url is None:
        from dramatiq.brokers.stub import StubBroker

        return StubBroker(middleware=[])
    scheme = urlsplit(url).scheme
    try:
        if scheme in ("redis", "rediss"):
            return _redis(url)
        if scheme in ("amqp", "amqps"):
            return _rabbitmq(url)
    except ImportError as error:
        raise BrokerError(f"a {scheme} broker needs the extra `servers`; install noesis[servers]") from error
    raise BrokerError(f"{scheme or url[:40]!r} is no broker address; use redis://… or amqp://…, or none for embedded")


def _redis(url: str) -> "Broker":
    from dramatiq.brokers.redis import RedisBroker

    # A server that vanished without a word must not hold a thread for ever; what the address itself says comes first and wins.
    bounds = f"socket_timeout={REDIS_SECONDS_MAX}&socket_connect_timeout={REDIS_SECONDS_MAX}"
    options: dict[str, Any] = {
        "url": f"{url}{'&' if urlsplit(url).query else '?'}{bounds}",
        "middleware": [],
        "maintenance_chance": MAINTENANCE,
        "heartbeat_timeout": HEARTBEAT_MILLISECONDS,
    }
    return cast("type[Broker]", RedisBroker)(**options)


def _rabbitmq(url: str) -> "Broker":
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    return RabbitmqBroker(url=url, middleware=[])
