"""Expressions: jq with the specification's arguments, evaluated in the bounded child process, all of a task in one exchange.

Invariants: only text of the workflow definition is ever a program, never data; an argument that an expression may not use is not
there, so naming it fails; what fails is the specification's expression error. Knows no task.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from coordination.workflow.faults import fault
from coordination.workflow.paths import PathError, found, place
from kg.jq import Jq, JqError, Result
from kg.payloads import text_of
from kg.values import Json

#: The arguments of an expression by name, each made only where it is named.
Variables = Mapping[str, Callable[[], Json]]
_NAME = re.compile(r"\$(?:__loc__|([A-Za-z_][A-Za-z0-9_]*))")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: Pieces of one text with expressions in it.
PIECES_MAX: Final = 100


def variable(name: str) -> bool:
    """Whether a name may be a variable of jq."""
    return bool(_VARIABLE.match(name))


@lru_cache(maxsize=4096)
def pieces(text: str) -> tuple[tuple[bool, str], ...]:
    """The parts of a text: (True, program) for each ``${ … }``, (False, words) between; a brace inside a jq string counts not."""
    found: list[tuple[bool, str]] = []
    rest = text
    for _ in range(PIECES_MAX):
        start = rest.find("${")
        end = _end(rest, start + 2) if start >= 0 else -1
        if end < 0:
            break
        if start:
            found.append((False, rest[:start]))
        found.append((True, rest[start + 2 : end].strip()))
        rest = rest[end + 1 :]
    if rest:
        found.append((False, rest))
    return tuple(found)


def _end(text: str, start: int) -> int:
    """Where the brace closes that opened before `start`, -1 where it does not; jq's strings and interpolations are understood."""
    stack = ["{"]
    index = start
    while index < len(text):
        char = text[index]
        if stack[-1] == '"':
            if char == "\\" and text[index + 1 : index + 2] == "(":
                stack.append("(")
                index += 1
            elif char == "\\":
                index += 1
            elif char == '"':
                stack.pop()
        elif char in '"{(':
            stack.append(char)
        elif (char == "}" and stack[-1] == "{") or (char == ")" and stack[-1] == "("):
            stack.pop()
            if not stack:
                return index
        index += 1
    return -1


def program(text: str) -> str:
    """The program of a field that is always an expression, with or without ``${ }`` around it."""
    stripped = text.strip()
    parts = pieces(stripped)
    return parts[0][1] if len(parts) == 1 and parts[0][0] else stripped


@lru_cache(maxsize=4096)
def _wrapped(text: str, known: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """The program as the child gets it, and which known variables it names; what it reads is ``{i: input, v: variables}``."""
    used = tuple(sorted({name for name in _NAME.findall(text) if name in known}))
    binding = "".join(f"$__.v.{name} as ${name} | " for name in used)
    return (f". as $__ | {binding}$__.i | (\n{text}\n)" if used else f".i | (\n{text}\n)"), used


@dataclass(slots=True)
class Expressions:
    """Evaluates; a few children serve every run of the process."""

    jq: Jq = field(default_factory=Jq)

    def results(self, programs: Sequence[str], value: Json, variables: Variables) -> list[Result]:
        """One Result a program, in one exchange."""
        there = _there(programs, value, variables)
        if there is not None:
            return there
        known = frozenset(variables)
        wrapped = [_wrapped(text, known) for text in programs]
        used = {name: variables[name]() for _, names in wrapped for name in names}
        try:
            return self.jq.run_all([text for text, _ in wrapped], {"i": value, "v": used})
        except (JqError, ValueError, RecursionError) as error:
            raise fault("expression", str(error)) from error

    def one(self, text: str, value: Json, variables: Variables) -> Json:
        """The value of one expression; the specification's error where it has none."""
        return self._value(program(text), self.results([program(text)], value, variables)[0])

    def true(self, text: str, value: Json, variables: Variables) -> bool:
        """Whether a condition holds, as jq sees truth: everything but false and null."""
        return self.one(text, value, variables) not in (None, False)

    def filled(self, template: Json, value: Json, variables: Variables) -> Json:
        """A template with every ``${ … }`` in its texts replaced by what it gives, all in one exchange."""
        programs: dict[str, None] = {}
        _collect(template, programs)
        if not programs:
            return template
        texts = list(programs)
        results = self.results(texts, value, variables)
        values = {text: self._value(text, result) for text, result in zip(texts, results, strict=True)}
        return _fill(template, values)

    def shaped(self, template: Json, value: Json, variables: Variables) -> Json:
        """What `from`, `as` and the like give: a text is an expression, an object a template."""
        if isinstance(template, str):
            return self.one(template, value, variables)
        return self.filled(template, value, variables)

    def close(self) -> None:
        """End the child."""
        self.jq.close()

    @staticmethod
    def _value(text: str, result: Result) -> Json:
        if result.error is not None:
            raise fault("expression", f"the expression {text[:200]!r} failed: {result.error}")
        return result.value


def _there(programs: Sequence[str], value: Json, variables: Variables) -> list[Result] | None:
    """The results where all programs are paths that lead somewhere, None where jq has to be asked."""
    given: list[Result] = []
    for text in programs:
        at = place(text)
        if at is None or (at.variable is not None and at.variable not in variables):
            return None
        try:
            given.append(Result(found(at, value if at.variable is None else variables[at.variable]())))
        except PathError:
            return None
    return given


def _collect(template: Json, programs: dict[str, None]) -> None:
    if isinstance(template, str):
        if "${" in template:
            programs.update((text, None) for is_program, text in pieces(template) if is_program)
    elif isinstance(template, Mapping):
        for item in template.values():
            _collect(item, programs)
    elif isinstance(template, list):
        for item in template:
            _collect(item, programs)


def _fill(template: Json, values: Mapping[str, Json]) -> Json:
    if isinstance(template, Mapping):
        return {name: _fill(item, values) for name, item in template.items()}
    if isinstance(template, list):
        return [_fill(item, values) for item in template]
    if not isinstance(template, str) or "${" not in template:
        return template
    parts = pieces(template)
    # A text that is one expression, but for white space behind it, gives any value; else what it gives is written into the words.
    if parts[0][0] and all(not is_program and not text.strip() for is_program, text in parts[1:]):
        return values[parts[0][1]]
    return "".join(_words(values[text]) if is_program else text for is_program, text in parts)


def _words(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else text_of(value)
