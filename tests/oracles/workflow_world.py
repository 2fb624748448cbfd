"""What the oracle of workflows is made of: waits, lines of control, the world around; jq, durations and errors, done plainly."""

import copy
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jq

Json = Any
BASE = "https://open-workflow-specification.org/spec/1.0.0/errors/"
KINDS = ("for", "call", "fork", "do", "emit", "listen", "raise", "run", "set", "switch", "try", "wait")
SECOND = 1_000_000
UNITS = {
    "days": 86_400 * SECOND,
    "hours": 3_600 * SECOND,
    "minutes": 60 * SECOND,
    "seconds": SECOND,
    "milliseconds": 1_000,
}
ISO = re.compile(r"P(?:([\d.]+)W)?(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?\Z")


class Raised(Exception):
    """An error of the specification on its way up."""

    def __init__(self, problem: dict[str, Json]) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Ended(Exception):
    """`then: end` on its way up, with the output."""

    def __init__(self, data: Json) -> None:
        super().__init__()
        self.data = data


class Stuck(Exception):
    """The workflow waits for something that never comes."""


def error(kind: str, status: int, detail: str = "") -> Raised:
    return Raised({"type": BASE + kind, "status": status, "title": kind.capitalize(), "detail": detail})


@dataclass
class Wait:
    """What a task waits for: a time, and whether an event might help. Waking it without need does no harm."""

    until: int | None = None
    events: bool = False


Steps = Generator[Wait, None, Json]


@dataclass
class Line:
    """One line of control: its context and the variables of the tasks around."""

    context: Json
    variables: dict[str, Json] = field(default_factory=dict)

    def fork(self) -> "Line":
        return Line(copy.deepcopy(self.context), dict(self.variables))


@dataclass
class World:
    """What stands in for the outside. `events` are (microsecond, event) in order of time."""

    call: Callable[[str, Json, Json], Json] = lambda name, arguments, data: data
    events: list[tuple[int, dict[str, Json]]] = field(default_factory=list)
    workflows: Mapping[tuple[str, str, str], Mapping[str, Json]] = field(default_factory=dict)
    secrets: Mapping[str, Json] = field(default_factory=dict)
    now: int = 0
    arrived: list[dict[str, Json] | None] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    trace: list[tuple[str, str, str]] = field(default_factory=list)
    faults: dict[str, Json] = field(default_factory=dict)
    outputs: dict[str, Json] = field(default_factory=dict)


def moment(now: int) -> dict[str, Json]:
    text = datetime.fromtimestamp(now / SECOND, UTC).isoformat().replace("+00:00", "Z")
    return {"iso8601": text, "epoch": {"seconds": now // SECOND, "milliseconds": now // 1_000}}


def evaluate(text: str, data: Json, variables: Mapping[str, Json]) -> Json:
    """The first value of a jq program, null for none; many are an error."""
    try:
        found = jq.compile(text, args=dict(variables)).input_value(data).all()
    except ValueError as problem:
        raise error("expression", 400, str(problem)) from None
    if len(found) > 1:
        raise error("expression", 400, "several values")
    return found[0] if found else None


def inside(text: str) -> str:
    """The program of a field that is always one."""
    stripped = text.strip()
    return stripped[2:-1] if stripped.startswith("${") and stripped.endswith("}") else stripped


def fill(template: Json, data: Json, variables: Mapping[str, Json]) -> Json:
    """A template with its expressions evaluated; an expression is a whole text, or a part of one."""
    if isinstance(template, dict):
        return {name: fill(item, data, variables) for name, item in template.items()}
    if isinstance(template, list):
        return [fill(item, data, variables) for item in template]
    if not isinstance(template, str) or "${" not in template:
        return template
    parts: list[Json] = []
    rest = template
    while (start := rest.find("${")) >= 0:
        end = _closing(rest, start + 2, variables)
        if end < 0:
            break
        parts += [rest[:start], (rest[start + 2 : end],)]
        rest = rest[end + 1 :]
    parts.append(rest)
    words = [part for part in parts if isinstance(part, tuple) or part.strip()]
    if len(words) == 1 and isinstance(words[0], tuple):
        return evaluate(words[0][0], data, variables)
    made = [evaluate(part[0], data, variables) if isinstance(part, tuple) else part for part in parts]
    return "".join(
        item if isinstance(item, str) else "" if item is None else json.dumps(item, separators=(",", ":"))
        for item in made
    )


def _closing(text: str, start: int, variables: Mapping[str, Json]) -> int:
    """The first brace that makes a program of what stands before it."""
    for at, mark in enumerate(text[start:], start):
        if mark == "}":
            try:
                jq.compile(text[start:at], args=dict(variables))
            except ValueError:
                continue
            return at
    return -1


def length(value: Json) -> int:
    """A duration in microseconds."""
    if isinstance(value, dict):
        return int(sum(value[unit] * size for unit, size in UNITS.items() if unit in value))
    found = ISO.match(value) if isinstance(value, str) else None
    if found is None:
        raise error("configuration", 400, f"no duration: {value}")
    sizes = (7 * UNITS["days"], UNITS["days"], UNITS["hours"], UNITS["minutes"], SECOND)
    return round(sum(float(part) * size for part, size in zip(found.groups(), sizes, strict=True) if part))


def same_type(one: Json, other: Json) -> bool:
    """The kit names standard errors by an address of its own."""
    tail = re.compile(r"https://open-workflow-specification\.org/(?:spec/1\.0\.0/errors|dsl/errors/types)/(\w+)\Z")
    pairs = [tail.match(item) if isinstance(item, str) else None for item in (one, other)]
    return one == other or (pairs[0] is not None and pairs[1] is not None and pairs[0][1] == pairs[1][1])
