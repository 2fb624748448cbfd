"""Sockets: graphql-transport-ws as Strawberry speaks it, with the form of every message checked before it is taken.

Invariant: whatever a peer sends, known or not, becomes an operation, a coded refusal or a close code of the protocol, never an
error of this server. Knows nothing of what operations do.
"""

from collections.abc import Mapping
from typing import Final

from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage

from api.graphql.limits import too_costly
from api.graphql.operations import Operation

#: Characters of an operation's id; a reason to close holds 123 bytes.
ID_MAX: Final = 80
TYPES: Final = ("connection_init", "ping", "pong", "subscribe", "complete")


def fault(message: object) -> str:
    """What is wrong with the form of a message, empty where nothing is."""
    if not isinstance(message, Mapping) or message.get("type") not in TYPES:
        return "a message is an object with a type of graphql-transport-ws"
    if message["type"] not in ("subscribe", "complete"):
        return ""
    id = message.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= ID_MAX or not id.isascii():
        return f"an id has 1 to {ID_MAX} ASCII characters"
    return _asked(message.get("payload")) if message["type"] == "subscribe" else ""


def _asked(payload: object) -> str:
    if not isinstance(payload, Mapping) or not isinstance(payload.get("query"), str):
        return "a payload is an object with a query"
    if not isinstance(payload.get("operationName"), str | None):
        return "operationName is a text"
    return "" if isinstance(payload.get("variables"), Mapping | None) else "variables are an object"


class Sockets(BaseGraphQLTransportWSHandler[Operation, None]):
    """Serves one socket."""

    async def handle_message(self, message: Message) -> None:
        """Take a message, or close the socket where it is none."""
        wrong = fault(message)
        if wrong:
            await self.handle_invalid_message(wrong)
        else:
            await super().handle_message(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, or say with a code that there are too many."""
        most, id = self.max_subscriptions_per_connection, message["id"]
        full = most is not None and len(self.operations) >= most
        if not full or not self.connection_acknowledged or id in self.operations:
            await super().handle_subscribe(message)
            return
        error = too_costly(f"the socket has {most} operations already; complete one, or open another socket")
        await self.send_message({"id": id, "type": "error", "payload": [error.formatted]})
