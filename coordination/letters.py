"""Letters: what lies at the broker, by lane: messages that wait, and dead ones that no worker could take.

Invariant: a message is only an id, so clearing dead ones loses nothing; the work they name is in the graph, where it is done, put
aside for a person, or sent again. Reads the brokers' own places for dead letters: a sorted set in Redis, a queue in RabbitMQ.
"""

from typing import Any, Final

from coordination.brokers import Carrier
from coordination.errors import BrokerError

#: What Dramatiq adds to the name of a queue for its dead letters.
DEAD: Final = ".XQ"


def counts(carrier: Carrier, lane: str) -> tuple[int, int]:
    """Messages of a lane that wait, and dead ones; raises BrokerError where the broker cannot be reached."""
    return _ask(carrier, lane, False), _ask(carrier, lane, True)


def dead(carrier: Carrier, lane: str) -> int:
    """Dead messages of a lane."""
    return _ask(carrier, lane, True)


def drain(carrier: Carrier, lane: str) -> int:
    """Clear the dead messages of a lane; how many they were."""
    return _ask(carrier, lane, True, clear=True)


def _ask(carrier: Carrier, lane: str, dead: bool, clear: bool = False) -> int:
    broker: Any = carrier.broker
    try:
        if hasattr(broker, "client"):
            return _redis(broker, lane, dead, clear)
        if hasattr(broker, "parameters"):
            return _rabbitmq(broker, f"{lane}{DEAD}" if dead else lane, clear)
    except Exception as error:
        # Each broker lets its own driver's errors through, and they share no class.
        raise BrokerError(f"the broker does not answer ({error}); start it, or correct broker_url") from error
    return _embedded(broker, lane, dead, clear)


def _redis(broker: Any, lane: str, dead: bool, clear: bool) -> int:
    key = f"{broker.namespace}:{lane}"
    if not dead:
        return int(broker.client.llen(key))
    found = int(broker.client.zcard(f"{key}{DEAD}"))
    if clear:
        broker.client.delete(f"{key}{DEAD}", f"{key}{DEAD}.msgs")
    return found


def _rabbitmq(broker: Any, queue: str, clear: bool) -> int:
    broker.declare_queue(queue.removesuffix(DEAD), ensure=True)
    found = int(broker.channel.queue_declare(queue=queue, passive=True).method.message_count)
    if clear:
        broker.channel.queue_purge(queue)
    return found


def _embedded(broker: Any, lane: str, dead: bool, clear: bool) -> int:
    letters = broker.dead_letters_by_queue.get(lane, [])
    if not dead:
        return int(broker.queues[lane].qsize()) if lane in broker.queues else 0
    found = len(letters)
    if clear:
        letters.clear()
    return found
