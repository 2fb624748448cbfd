"""The small pieces that a YAML or a JSON text is read into, each with its place, before anything is built of them.

Invariant: one event is one token of structure; nothing here grows with what the text says. Does not know what a workflow is.
"""

from dataclasses import dataclass
from typing import Literal

from kg.values import Json

Kind = Literal["map", "list", "end", "scalar", "alias"]


@dataclass(frozen=True, slots=True)
class Event:
    """One start, end, scalar or alias; line and column count from 1. `text` is a scalar as written, for keys."""

    kind: Kind
    line: int
    column: int
    value: Json = None
    text: str = ""
    anchor: str | None = None
