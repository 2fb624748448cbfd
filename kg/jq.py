"""Runs jq programs in persistent child processes, few of them, each with an empty environment, a memory bound and a deadline.

In this process a jq program would hold the interpreter, could not be stopped and would see the environment. The child sees
nothing, opens no file, and is killed and started anew when it overruns. Integers beyond 2^53 and NaN never enter jq.
A program may be called with many values at once; it is compiled once. Thread-safe.
"""

import json
import math
import os
import re
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from kg.errors import InputError
from kg.fibers import apart
from kg.values import INTEGER_MAX, Json

_CHILD = Path(__file__).with_name("jq_child.py")
PROGRAM_MAX = 20_000
MEMORY_BYTES_MAX = 512_000_000
READ_BYTES = 1 << 20
#: Children of one owner, and how long a caller waits for one that is busy before another is started.
CHILDREN_MAX = 3
PATIENCE_SECONDS = 0.05
ANSWER_BYTES_MAX = 80_000_000
REQUEST_BYTES_MAX = 80_000_000
#: What may be an integer beyond INTEGER_MAX, or a text of as many digits.
_LONG = re.compile(rb"\d{16}")


class JqError(InputError):
    """The jq program cannot be used; correct it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a program gave for one value: a value (None also for no output), or what went wrong."""

    value: Json = None
    error: str | None = None


class Jq:
    """The owner of the children: one serves everybody, another is started while a long program holds those that are there.

    `close` ends them once what they work at has ended, and the next call starts another.
    """

    def __init__(self, *, deadline_seconds: float = 10.0, memory_bytes: int = MEMORY_BYTES_MAX) -> None:
        self._deadline = deadline_seconds
        self._memory = memory_bytes
        self._turn = threading.Condition()
        #: The last that was given back is taken first: where nobody is held up one child does all, and has all compiled.
        self._free: list[_Child] = []
        self._busy = 0

    def __enter__(self) -> "Jq":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, program: str) -> None:
        """Raise JqError, with jq's reason, where the program does not compile."""
        self.run(program, ())

    def run(self, program: str, values: Sequence[Json]) -> list[Result]:
        """One Result a value; JqError where the program does not compile, runs too long or uses too much memory."""
        if len(program) > PROGRAM_MAX:
            raise JqError(f"the jq program is longer than {PROGRAM_MAX:,} characters; shorten it")
        request = json.dumps({"program": program, "values": list(values)}, allow_nan=False).encode() + b"\n"
        if len(request) > REQUEST_BYTES_MAX:
            if len(values) == 1:
                return [Result(error=f"the row is larger than {REQUEST_BYTES_MAX:,} bytes")]
            half = len(values) // 2
            return self.run(program, values[:half]) + self.run(program, values[half:])
        answer = json.loads(self._ask(request))
        if "refused" in answer:
            raise JqError(f"the jq program is not usable: {' '.join(answer['refused'].split())}; correct it")
        return [_result(item) for item in answer["results"]]

    def run_all(self, programs: Sequence[str], value: Json) -> list[Result]:
        """One Result a program, all on one value in one exchange; JqError where they run too long or use too much memory."""
        if any(len(program) > PROGRAM_MAX for program in programs):
            raise JqError(f"a jq program is longer than {PROGRAM_MAX:,} characters; shorten it")
        request = json.dumps({"programs": list(programs), "value": value}, allow_nan=False).encode() + b"\n"
        if _LONG.search(request):
            request = json.dumps({"programs": list(programs), "value": _held(value)}, allow_nan=False).encode() + b"\n"
        if len(request) > REQUEST_BYTES_MAX:
            raise JqError(f"the value is larger than {REQUEST_BYTES_MAX:,} bytes; keep less in it")
        answer = json.loads(self._ask(request))
        if "refused" in answer:
            raise JqError(f"the jq programs are not usable: {' '.join(answer['refused'].split())}; correct them")
        return [_result(item) for item in answer["results"]]

    def close(self) -> None:
        """End the children."""
        with self._turn:
            while self._busy:
                self._turn.wait()
            while self._free:
                self._free.pop().kill()

    def _ask(self, request: bytes) -> bytes:
        return apart(lambda: self._exchanged(request))

    def _exchanged(self, request: bytes) -> bytes:
        child = self._taken()
        try:
            return child.ask(request)
        finally:
            with self._turn:
                self._busy -= 1
                self._free.append(child)
                self._turn.notify_all() if self._busy == 0 else self._turn.notify()

    def _taken(self) -> "_Child":
        """A child that nobody uses: whoever is held up for longer than a short program takes gets one of its own."""
        with self._turn:
            if not self._free and self._busy:
                self._turn.wait_for(lambda: self._free, PATIENCE_SECONDS)
            if self._busy >= CHILDREN_MAX:
                self._turn.wait_for(lambda: self._free)
            self._busy += 1
            return self._free.pop() if self._free else _Child(self._deadline, self._memory)


class _Child:
    """One child process, started with its first request and anew after one that it did not survive."""

    def __init__(self, deadline_seconds: float, memory_bytes: int) -> None:
        self._deadline = deadline_seconds
        self._memory = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End the process."""
        if self._process is None:
            return
        child, self._process = self._process, None
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()

    def ask(self, request: bytes) -> bytes:
        """The line that answers a request; JqError where the program is stopped."""
        child = self._started()
        if child.stdin is None or child.stdout is None:
            raise JqError("the jq process has no pipes; run `noesis doctor`")
        answer = _Exchange(child.stdin.fileno(), child.stdout.fileno()).run(request, self._deadline)
        if answer is None:
            self.kill()
            raise JqError(f"the jq program ran longer than {self._deadline:g} s and was stopped; simplify it")
        if not answer.endswith(b"\n"):
            self.kill()
            limit = self._memory // 1_000_000
            raise JqError(f"the jq program used more than {limit} MB or ended its process; simplify it")
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.kill()
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and file, no shell
                [sys.executable, "-I", str(_CHILD), str(self._memory), str(math.ceil(self._deadline))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                bufsize=0,
            )
        return self._process


class _Exchange:
    """Writes a request and reads the answer through two pipes at once, so that neither side blocks the other."""

    def __init__(self, into: int, out: int) -> None:
        self._into = into
        self._out = out

    def run(self, request: bytes, deadline_seconds: float) -> bytes | None:
        """The answer's bytes (cut short where the child ended), or None after the deadline."""
        os.set_blocking(self._into, False)
        end = time.monotonic() + deadline_seconds
        answer = bytearray()
        rest = memoryview(request)
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._into, selectors.EVENT_WRITE)
            while not answer.endswith(b"\n") and len(answer) < ANSWER_BYTES_MAX:
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    return None
                for key, _ in ready:
                    if key.fd == self._into:
                        try:
                            rest = rest[os.write(self._into, rest[:READ_BYTES]) :]
                        except BrokenPipeError:
                            rest = memoryview(b"")
                        if not rest:
                            selector.unregister(self._into)
                        continue
                    if not (part := os.read(self._out, READ_BYTES)):
                        return bytes(answer)
                    answer += part
        return bytes(answer)


def _result(item: dict[str, Any]) -> Result:
    if "error" in item:
        return Result(error=" ".join(str(item["error"]).split()))
    if item.get("many"):
        return Result(error="the program gives several values; wrap it in [ ] or take the first")
    return Result(item.get("value"))


def _held(value: Json) -> Json:
    """A value with the integers that jq would change as text."""
    if isinstance(value, dict):
        return {name: _held(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_held(item) for item in value]
    return str(value) if type(value) is int and abs(value) > INTEGER_MAX else value


def as_json(value: Any) -> Json:
    """A source value as jq may see it: exact, or as text where a double would not hold it; None for bytes and NaN."""
    return _AS_JSON.get(type(value), _other)(value)


def _other(value: Any) -> Json:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return None if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _number(value: Decimal) -> Json:
    if not value.is_finite():
        return None
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


_AS_JSON: dict[type, Callable[[Any], Json]] = {
    str: lambda value: value,
    bool: lambda value: value,
    type(None): lambda value: value,
    int: lambda value: value if -INTEGER_MAX <= value <= INTEGER_MAX else str(value),
    float: lambda value: value if math.isfinite(value) else None,
    Decimal: _number,
    list: lambda value: [as_json(item) for item in value],
    tuple: lambda value: [as_json(item) for item in value],
    dict: lambda value: {str(key): as_json(item) for key, item in value.items()},
}
