"""Reads JSON text into events that know their line and column, without recursion.

Invariant: what RFC 8259 does not allow is refused. A step of the loop is one token, so no input makes it deep.
Does not bound size or depth: the builder of `source` does.
"""

import json
import re
from collections.abc import Iterator

from coordination.errors import WorkflowError
from coordination.workflow.events import Event
from kg.values import Json

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r"(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])")
_DECODER = json.JSONDecoder()
_OPEN = {"{": "map", "[": "list"}
_CLOSE = {"}": "{", "]": "["}
#: Digits of one number; Python itself stops at 4,300.
NUMBER_MAX = 1_000


class _Places:
    """Turns growing positions of a text into lines and columns, each character looked at once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._start, self._seen = 1, 0, 0

    def of(self, position: int) -> tuple[int, int]:
        if breaks := self._text.count("\n", self._seen, position):
            self._line += breaks
            self._start = self._text.rindex("\n", self._seen, position) + 1
        self._seen = position
        return self._line, position - self._start + 1


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._places = _Places(text)
        self._at = 0

    def events(self) -> Iterator[Event]:
        """The events of the one value, its end checked."""
        open_: list[str] = []
        expect = "value"
        while expect != "end":
            self._at = _end(_SPACE, self._text, self._at)
            mark = self._text[self._at : self._at + 1]
            line, column = self._places.of(self._at)
            if mark in _CLOSE and expect != "value" and open_ and open_[-1] == _CLOSE[mark]:
                if expect in ("key", "member"):
                    raise self._refuse(line, column, "a comma stands before the end; remove it")
                open_.pop()
                self._at += 1
                yield Event("end", line, column)
            elif expect == "next" and mark == ",":
                self._at += 1
                expect = "key" if open_[-1] == "{" else "member"
                continue
            elif expect in ("key", "first key"):
                yield self._key(mark, line, column)
                expect = "value"
                continue
            elif expect in ("value", "member", "first") and mark in _OPEN:
                open_.append(mark)
                self._at += 1
                yield Event("map" if mark == "{" else "list", line, column)
                expect = "first key" if mark == "{" else "first"
                continue
            elif expect in ("value", "member", "first"):
                yield self._scalar(mark, line, column)
            else:
                raise self._refuse(line, column, "expected a comma or the closing bracket; add it")
            expect = "next" if open_ else "end"
        self._at = _end(_SPACE, self._text, self._at)
        if self._at < len(self._text):
            raise self._refuse(*self._places.of(self._at), "something follows the end of the document; remove it")

    def _refuse(self, line: int, column: int, reason: str) -> WorkflowError:
        return WorkflowError(f"{self._name}:{line}:{column}: not valid JSON: {reason}")

    def _key(self, mark: str, line: int, column: int) -> Event:
        if mark != '"':
            raise self._refuse(line, column, 'expected a name in double quotes; write `"name": value`')
        key = self._string(line, column)
        self._at = _end(_SPACE, self._text, self._at)
        if self._text[self._at : self._at + 1] != ":":
            raise self._refuse(*self._places.of(self._at), "expected a colon after the name; add it")
        self._at += 1
        return Event("scalar", line, column, key, key)

    def _string(self, line: int, column: int) -> str:
        try:
            text, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            raise self._refuse(line, column, f"a text that {_lower(error.msg)}; correct it") from None
        return str(text)

    def _scalar(self, mark: str, line: int, column: int) -> Event:
        if mark == '"':
            text = self._string(line, column)
            return Event("scalar", line, column, text, text)
        found = _PLAIN.match(self._text, self._at)
        if found is None or len(found.group()) > NUMBER_MAX:
            raise self._refuse(line, column, "expected a value; write text in double quotes")
        self._at = found.end()
        value: Json = json.loads(found.group())
        return Event("scalar", line, column, value, found.group())


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _lower(message: str) -> str:
    return "is not closed" if "Unterminated" in message else f"has an {message[:1].lower()}{message[1:]}"


def events(text: str, name: str) -> Iterator[Event]:
    """The events of a JSON text; WorkflowError with line and column where it is none."""
    return _Reader(text, name).events()
