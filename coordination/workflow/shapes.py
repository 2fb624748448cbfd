"""The kinds of shape a part of a workflow document may have: a small language in which the tables of the definitions are written.

Invariant: a shape is data, so the tables can be read, compared and walked; `checker` gives it its meaning. A shape that is used
inside itself is named (`Use`) and looked up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: How a text takes part in evaluation: `value` where it may be `${ … }`; `program` is jq with or without `${ }`; `literal` never.
Reading = Literal["value", "program", "literal"]


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `is_` says in words what it must be, for messages."""

    is_: str = "a text"
    pattern: re.Pattern[str] | None = None
    choices: tuple[str, ...] = ()
    filled: bool = False
    reading: Reading = "value"
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    least: int | None = None
    most: int | None = None
    is_: str = "a whole number"


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    is_: str = "true or false"


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value; texts in it may be expressions unless it is a literal."""

    reading: Reading = "value"
    kind: str = ""
    is_: str = "a value"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of one shape."""

    item: "Shape"
    least: int = 0
    is_: str = "a list"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping of free names to one shape; `single` where it holds exactly one name."""

    value: "Shape"
    least: int = 0
    single: bool = False
    is_: str = "a mapping"


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping of known fields; `rest` is the shape of others, None where there may be none.

    Of each group in `exactly_one` one field stands there, and only one; `together` says which field a field needs beside it. A
    `marked` record is handed out whole.
    """

    name: str
    fields: Mapping[str, "Shape"]
    required: tuple[str, ...] = ()
    rest: "Shape | None" = None
    exactly_one: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, str], ...] = ()
    least: int = 0
    marked: bool = False
    is_: str = "a mapping"


@dataclass(frozen=True, slots=True)
class Matching:
    """A mapping in which exactly one of the named fields fits its shape; other fields do not count."""

    name: str
    fields: Mapping[str, "Shape"]
    is_: str = "a mapping"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several shapes, told apart by the kind of value (text, mapping, list)."""

    options: tuple["Shape", ...]
    is_: str


@dataclass(frozen=True, slots=True)
class ByValue:
    """A mapping whose shape follows from the text of one of its fields; `otherwise` where that text is none of the known ones."""

    field: str
    options: Mapping[str, "Shape"]
    otherwise: "Shape"
    is_: str = "a mapping"


@dataclass(frozen=True, slots=True)
class ByKey:
    """A mapping whose shape follows from which of the keys it holds; the first counts, `otherwise` where it holds none."""

    options: Mapping[str, "Shape"]
    otherwise: "Shape | None" = None
    is_: str = "a mapping"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A record with a condition: `after` stands there if and only if `cleanup` is `eventually`."""

    record: Record
    is_: str = "a mapping"


@dataclass(frozen=True, slots=True)
class Use:
    """The shape of that name in the table of definitions."""

    name: str


Shape = Text | Whole | Flag | Anything | Listed | Mapped | Record | Matching | Either | ByValue | ByKey | Lifetime | Use
