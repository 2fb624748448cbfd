"""What the lines of an archive hold: rows of the record as columns, and their strict way back.

Invariant: canonical texts travel unchanged, so that seals and leaves are recomputed from them on arrival; a column of another
type than it was written with is ArchiveError. Compares nothing with the ledger: that is the check's part.

Lines after the header, in order: ``["state", kind, key, revision, due, value]`` each; then for every cause
``["cause", number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt, request, seal, inputs,
erased]`` followed by its changes
``["change", position, kind, cls, subject, version, changed, relation, target, origin, leaf, made]``. `made` is
``[until, closed, valid_from, valid_to, salts, props, personal, erased]`` of a version, ``[until, salt, props, erased]`` of a
link, null of the end of one. Bytes are hex.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from kg.errors import ValueDomainError
from kg.stores.archive.file import damaged
from kg.stores.rows import CauseRow, ChangeRow, HeadRow, RelationRow, StateRow, VersionRow, properties
from kg.values import canonical, encode_properties

FORMAT: Final = 1
HASH_BYTES: Final = 32
#: A position, a number or a time in microseconds; below what JSON readers keep exactly.
NUMBER_MAX: Final = 2**53
_VERSION: Final = 8
_LINK: Final = 4


def header(head: HeadRow, root: bytes) -> dict[str, Any]:
    """The first line."""
    return {
        "noesis": "archive", "format": FORMAT, "position": head.position, "causes": head.causes, "at": head.at,
        "seal": head.seal.hex(), "root": root.hex(),
    }  # fmt: skip


def cause_line(row: Sequence[Any], inputs: Sequence[tuple[str, int]]) -> list[Any]:
    """The line of a cause from its 14 columns and its inputs."""
    *plain, salt, request, seal, erased = row
    return ["cause", *plain, bytes(salt).hex(), request, bytes(seal).hex(), [list(used) for used in inputs], erased]


def change_line(row: Sequence[Any], last: int) -> list[Any]:
    """The line of a change from its 11 columns, the 12 of its version and the 8 of its link; ends after `last` are not there."""
    made: list[Any] | None = None
    if row[11] is not None:
        until, closed, valid_from, valid_to, salts, *texts = row[15:23]
        made = [_known(until, last), int(closed), valid_from, valid_to, bytes(salts).hex(), *texts]
    elif row[23] is not None:
        made = [_known(row[27], last), bytes(row[28]).hex(), row[29], row[30]]
    return ["change", *row[:9], bytes(row[10]).hex(), made]


def _known(until: int | None, last: int) -> int | None:
    return None if until is None or until > last else until


class Columns:
    """Reads the columns of one line in order, each with its type."""

    def __init__(self, values: object, count: int, line: int) -> None:
        if not isinstance(values, list) or len(values) != count:
            raise damaged(line)
        self._values = iter(values)
        self._line = line

    def _checked(self, fits: Callable[[Any], bool]) -> Any:
        value = next(self._values)
        try:
            if fits(value):
                return value
        except (ValueDomainError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError):
            raise damaged(self._line) from None
        raise damaged(self._line)

    def number(self, least: int = 0) -> int:
        """A whole number."""
        found: int = self._checked(lambda value: type(value) is int and least <= value <= NUMBER_MAX)
        return found

    def number_or_none(self, least: int = 0) -> int | None:
        """A whole number or null."""
        found: int | None = self._checked(
            lambda value: value is None or (type(value) is int and least <= value <= NUMBER_MAX)
        )
        return found

    def text(self) -> str:
        """A text."""
        found: str = self._checked(lambda value: isinstance(value, str) and value.encode() is not None)
        return found

    def text_or_none(self) -> str | None:
        """A text or null."""
        found: str | None = self._checked(
            lambda value: value is None or (isinstance(value, str) and value.encode() is not None)
        )
        return found

    def time_or_none(self) -> str | None:
        """An instant as stored, or null."""
        found: str | None = self._checked(lambda value: value is None or bool(datetime.fromisoformat(value).tzinfo))
        return found

    def data(self, unit: int) -> bytes:
        """Bytes, a whole number of units of them."""
        return bytes.fromhex(self._checked(lambda value: len(bytes.fromhex(value)) % unit == 0))

    def json(self, kind: type | None = None) -> str:
        """A text that is JSON of this kind."""
        found: str = self._checked(lambda value: kind is None or isinstance(json.loads(value), kind))
        return found

    def json_or_none(self) -> str | None:
        """A text that is a JSON object, or null."""
        found: str | None = self._checked(lambda value: value is None or isinstance(json.loads(value), dict))
        return found

    def values(self) -> str:
        """The text of properties."""
        found: str = self._checked(lambda value: canonical(encode_properties(properties(value))) == value)
        return found

    def items(self) -> Any:
        """A list or null, as it is."""
        return self._checked(lambda value: value is None or isinstance(value, list))


def read_state(values: object, line: int) -> StateRow:
    """The state row of a line."""
    read = Columns(values, 5, line)
    return StateRow(read.text(), read.text(), read.number(1), read.number_or_none(-NUMBER_MAX), read.json(object))


def read_cause(values: object, line: int) -> CauseRow:
    """The cause of a line."""
    read = Columns(values, 15, line)
    row = CauseRow(
        read.number(1), read.text(), read.time_or_none() or "", read.number(1), read.number(), read.text(), read.text(),
        read.text(), read.text_or_none(), read.json(dict), read.data(16), read.text(), read.data(HASH_BYTES), [],
    )  # fmt: skip
    for used in read.items() or ():
        pair = Columns(used, 2, line)
        row.inputs.append((pair.text(), pair.number(-NUMBER_MAX)))
    return replace(row, erased=read.json_or_none())


def read_change(values: object, line: int) -> tuple[ChangeRow, VersionRow | None, RelationRow | None]:
    """The change of a line with the version or link that it made."""
    read = Columns(values, 11, line)
    change = ChangeRow(
        read.number(1), read.text(), read.text(), read.text(), read.number(), read.json(list), read.text_or_none(),
        read.text_or_none(), read.text_or_none(), 0, read.data(HASH_BYTES),
    )  # fmt: skip
    made = read.items()
    if made is None:
        return change, None, None
    if len(made) == _LINK:
        part = Columns(made, _LINK, line)
        until, salt, props, gone = part.number_or_none(1), part.data(16), part.values(), part.json_or_none()
        name, target = change.relation or "", change.target or ""
        return change, None, RelationRow(change.position, change.subject, name, target, until, salt, props, gone)
    part = Columns(made, _VERSION, line)
    until, closed = part.number_or_none(1), part.number()
    valid_from, valid_to, salts, props = part.time_or_none(), part.time_or_none(), part.data(16), part.values()
    personal, erased = part.text_or_none(), part.json_or_none()
    if personal is not None:
        Columns([personal], 1, line).values()
    row = VersionRow(
        change.position, change.subject, change.version, change.cls, until, closed, valid_from, valid_to, salts, props,
        personal, erased,
    )  # fmt: skip
    return change, row, None
