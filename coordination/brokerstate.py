"""The state of a message broker: whether it answers, takes our password, and which product and version it is.

Invariant: one connection of its own, closed again, every wait bounded; it declares and sends nothing. It speaks just so much of
AMQP 0-9-1 and of Redis' protocol as a greeting takes, so that asking needs no driver and leaves a running one alone.
"""

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from coordination.errors import BrokerError

#: Bytes of one answer that are read at most.
ANSWER_MAX: Final = 65_536
_PORTS: Final = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
_HEADER: Final = b"AMQP\x00\x00\x09\x01"
_METHOD, _END = 1, 0xCE
#: Class and method of connection.start, connection.start-ok and connection.tune.
_START, _START_OK, _TUNE = (10, 10), (10, 11), (10, 30)


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Which product answers, and its version, empty where it does not say."""

    product: str
    version: str


def ask(url: str, seconds: float = 3.0) -> BrokerState:
    """The state of the broker at an address; BrokerError in one sentence, without the password, where it is not usable."""
    parts = urlsplit(url)
    try:
        if parts.scheme not in _PORTS or parts.hostname is None:
            raise BrokerError(f"{parts.scheme or 'this'!r} is no broker address; use redis://… or amqp://…")
        place = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
    except ValueError:
        raise BrokerError("the broker's address is not one; use redis://… or amqp://…") from None
    try:
        with _connected(parts, seconds) as connection:
            return (
                _redis(connection, parts, place)
                if parts.scheme.startswith("redis")
                else _amqp(connection, parts, place)
            )
    except TimeoutError:
        raise BrokerError(
            f"the broker at {place} gave no answer within {seconds:g} s; see whether it is overloaded"
        ) from None
    except (OSError, struct.error, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else "it speaks another protocol"
        raise BrokerError(f"the broker at {place} does not answer ({said}); start it, or correct broker_url") from None


def _connected(parts: SplitResult, seconds: float) -> socket.socket:
    plain = socket.create_connection((parts.hostname or "", parts.port or _PORTS[parts.scheme]), seconds)
    if parts.scheme in ("redis", "amqp"):
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def _refused(place: str) -> BrokerError:
    return BrokerError(f"the broker at {place} refuses the user or password; correct broker_url")


def _redis(connection: socket.socket, parts: SplitResult, place: str) -> BrokerState:
    if parts.password:
        names = [unquote(parts.username)] if parts.username else []
        connection.sendall(_command("AUTH", *names, unquote(parts.password)))
        if not _line(connection).startswith(b"+OK"):
            raise _refused(place)
    connection.sendall(_command("INFO", "server"))
    header = _line(connection)
    if header.startswith((b"-NOAUTH", b"-WRONGPASS", b"-NOPERM")):
        raise _refused(place)
    if not header.startswith(b"$"):
        raise OSError
    text = _exactly(connection, min(int(header[1:]), ANSWER_MAX)).decode()
    told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return BrokerState("Redis", told.get("redis_version", ""))


def _command(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def _line(connection: socket.socket) -> bytes:
    got = bytearray()
    while not got.endswith(b"\r\n") and len(got) < ANSWER_MAX:
        got += _exactly(connection, 1)
    return bytes(got[:-2])


def _amqp(connection: socket.socket, parts: SplitResult, place: str) -> BrokerState:
    connection.sendall(_HEADER)
    method, payload = _method(connection)
    if method != _START:
        raise OSError
    user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    response = f"\0{user}\0{password}".encode()
    answer = (
        struct.pack("!HHI", *_START_OK, 0) + b"\x05PLAIN" + struct.pack("!I", len(response)) + response + b"\x05en_US"
    )
    connection.sendall(struct.pack("!BHI", _METHOD, 0, len(answer)) + answer + bytes([_END]))
    try:
        method, _ = _method(connection)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        # Older brokers close the connection without a word on a wrong password.
        raise _refused(place) from None
    if method != _TUNE:
        raise _refused(place)
    return BrokerState(_property(payload, b"product") or "AMQP", _property(payload, b"version"))


def _method(connection: socket.socket) -> tuple[tuple[int, int], bytes]:
    """The class and method of the next frame, and its arguments."""
    kind, _, size = struct.unpack("!BHI", _exactly(connection, 7))
    if kind != _METHOD or not 4 <= size <= ANSWER_MAX:
        raise OSError
    payload = _exactly(connection, size + 1)
    first, second = struct.unpack("!HH", payload[:4])
    return (first, second), payload[4:-1]


def _property(payload: bytes, name: bytes) -> str:
    """A text among the server's properties."""
    marked = bytes([len(name)]) + name + b"S"
    start = payload.find(marked)
    if start < 0:
        return ""
    start += len(marked)
    (size,) = struct.unpack("!I", payload[start : start + 4])
    return payload[start + 4 : start + 4 + size].decode()


def _exactly(connection: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        part = connection.recv(size - len(got))
        if not part:
            raise OSError
        got += part
    return bytes(got)
