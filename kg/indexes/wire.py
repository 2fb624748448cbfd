"""What travels over the owner's local socket: one request and one reply a connection, length before JSON.

Invariant: a frame is refused before it is read when it is longer than FRAME_MAX. Knows the calls of SemanticIndex by name;
holds no index.
"""

import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kg.errors import ModelMismatchError, OwnerGoneError, SearchIndexError
from kg.index import Held, Info, Point, Scored

#: Bytes of one request or reply: 1,000 points of 1,024 numbers as JSON, with their texts.
FRAME_MAX = 64 * 1024 * 1024
_LENGTH = struct.Struct("!I")
_ERRORS = {"SearchIndexError": SearchIndexError, "ModelMismatchError": ModelMismatchError}


@dataclass(frozen=True, slots=True)
class Call:
    """How one method of SemanticIndex crosses: its arguments from JSON, its result to JSON and back."""

    arguments: Callable[[list[Any]], list[Any]]
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


def _same(form: Any) -> Any:
    return form


def _scored(form: list[Any]) -> list[Scored]:
    return [Scored(*item) for item in form]


_HITS = Call(_same, lambda hits: [[h.id, h.version, h.score] for h in hits], _scored)

CALLS: Mapping[str, Call] = {
    "upsert": Call(lambda args: [[Point(**item) for item in args[0]]], _same, _same),
    "remove": Call(_same, _same, _same),
    "search_dense": _HITS,
    "search_sparse": _HITS,
    "held": Call(
        _same,
        lambda page: [[[h.id, h.version, h.gone] for h in page[0]], page[1]],
        lambda form: ([Held(*item) for item in form[0]], form[1]),
    ),
    "info": Call(_same, asdict, lambda form: Info(**form)),
    "reset": Call(_same, _same, _same),
    "begin": Call(_same, asdict, lambda form: Info(**form)),
    "fill": Call(lambda args: [args[0], [Point(**item) for item in args[1]]], _same, _same),
    "finish": Call(_same, _same, _same),
    "embed": Call(_same, _same, _same),
}


def send(connection: socket.socket, form: Any) -> None:
    """Send one frame."""
    data = json.dumps(form).encode()
    if len(data) > FRAME_MAX:
        raise SearchIndexError(f"a message of {len(data):,} bytes exceeds {FRAME_MAX:,}; write fewer points at once")
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket) -> Any:
    """Receive one frame; OwnerGoneError where it ends early."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > FRAME_MAX:
        raise SearchIndexError(f"a message of {length:,} bytes exceeds {FRAME_MAX:,}; write fewer points at once")
    return json.loads(_exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise OwnerGoneError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def answer(do: Callable[[str, Sequence[Any]], Any], request: Any) -> Any:
    """Have the owner do what a request asks (a method's name and its arguments) and return the reply."""
    try:
        call = CALLS[request["call"]]
        return {"ok": call.pack(do(request["call"], call.arguments(request["with"])))}
    except SearchIndexError as error:
        kind = "ModelMismatchError" if isinstance(error, ModelMismatchError) else "SearchIndexError"
        return {"error": [kind, str(error)]}
    except (KeyError, TypeError, ValueError, IndexError):
        return {
            "error": ["SearchIndexError", "the request is not understood; run the same version of Noesis everywhere"]
        }


def request(name: str, arguments: list[Any]) -> Any:
    """The request of one call."""
    if name in ("upsert", "fill"):
        *before, points = arguments
        arguments = [*before, [asdict(point) for point in points]]
    return {"call": name, "with": arguments}


def result(name: str, reply: Any) -> Any:
    """The result in a reply; raises the error that it holds."""
    if "error" in reply:
        kind, message = reply["error"]
        raise _ERRORS.get(kind, SearchIndexError)(message)
    return CALLS[name].unpack(reply["ok"])
