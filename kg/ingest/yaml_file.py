"""Reads a YAML file into values that know their line, so that every error of a mapping names one.

Invariant: only plain mappings, lists and scalars come out; anchors are bounded and no tag makes an object. Does not know what
a mapping means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from kg.errors import MappingError

FILE_BYTES_MAX = 1_000_000
NODES_MAX = 50_000
DEPTH_MAX = 20


@dataclass(frozen=True, slots=True)
class Item:
    """A value of the file with its line. `value` is a dict of Items, a list of Items, or a scalar; `raw` is a scalar as written."""

    value: Any
    line: int
    file: str
    raw: str | None = None

    def error(self, message: str) -> MappingError:
        """The error at this line."""
        return MappingError(f"{self.file} line {self.line}: {message}")

    def text(self, what: str) -> str:
        """A non-empty text as it is written: YAML would read a column named `no` as false and `1.0` as a number."""
        if self.value is not None and self.raw is not None and self.raw.strip():
            return self.raw
        raise self.error(f"{what} must be a text; write a name")

    def texts(self, what: str) -> tuple[str, ...]:
        """One text or a list of texts."""
        if isinstance(self.value, list):
            if not self.value:
                raise self.error(f"{what} is empty; name at least one")
            return tuple(item.text(what) for item in self.value)
        return (self.text(what),)

    def fields(
        self, what: str, allowed: Sequence[str] | None = None, required: Sequence[str] = ()
    ) -> "dict[str, Item]":
        """The fields of a mapping; an unknown or missing one is an error that names the nearest."""
        if not isinstance(self.value, dict):
            raise self.error(f"{what} must be a list of `name: value` lines")
        fields: dict[str, Item] = self.value
        for name, item in fields.items():
            if allowed is not None and name not in allowed:
                near = get_close_matches(name, allowed, 1)
                hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(allowed)}"
                raise item.error(f"unknown field {name[:80]!r} of {what}; {hint}")
        for name in required:
            if name not in fields:
                raise self.error(f"{what} has no {name!r}; add it")
        return fields

    def items(self, what: str) -> "list[Item]":
        """The items of a non-empty list."""
        if not isinstance(self.value, list) or not self.value:
            raise self.error(f"{what} must be a list with at least one item")
        return self.value

    def choice(self, what: str, choices: Sequence[str]) -> str:
        """One of some words."""
        if self.value not in choices:
            raise self.error(f"{what} must be one of {', '.join(choices)}")
        return str(self.value)


def read(path: Path) -> Item:
    """The content of a YAML file; MappingError with its line where it is not plain YAML."""
    file = path.name
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise MappingError(f"{file}: larger than {FILE_BYTES_MAX:,} bytes; a mapping holds no data")
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise MappingError(f"{file} line {line}: is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise MappingError(f"{file}: cannot be read ({error.strerror}); check the path and the permissions") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise MappingError(f"{file}: is empty; see docs/mapping.md for an example")
        return _Reader(file).read(node, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        raise MappingError(f"{file}{where}: not valid YAML ({error.problem or error.context}); correct it") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise MappingError(f"{file}: not valid YAML ({reason}); correct it") from None
    except RecursionError:
        raise MappingError(f"{file}: nested too deep; flatten it") from None


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._nodes = 0
        self._make = yaml.constructor.SafeConstructor()

    def read(self, node: yaml.Node, depth: int) -> Item:
        line = node.start_mark.line + 1
        self._nodes += 1
        # Aliases are read anew each time they appear, so this also bounds the "billion laughs".
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise MappingError(f"{self._file} line {line}: too many or too deeply nested entries; split the mapping")
        if node.tag not in _TAGS:
            raise MappingError(f"{self._file} line {line}: the tag {node.tag} is not allowed; write a plain value")
        if isinstance(node, yaml.MappingNode):
            fields: dict[str, Item] = {}
            for key, value in node.value:
                name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
                at = key.start_mark.line + 1
                if not name or name in fields:
                    reason = (
                        f"{name!r} stands twice; remove one" if name else "a field has no name; write `name: value`"
                    )
                    raise MappingError(f"{self._file} line {at}: {reason}")
                fields[name] = self.read(value, depth + 1)
            return Item(fields, line, self._file)
        if isinstance(node, yaml.SequenceNode):
            return Item([self.read(item, depth + 1) for item in node.value], line, self._file)
        if node.tag == "tag:yaml.org,2002:timestamp":
            return Item(node.value, line, self._file, node.value)
        return Item(self._make.construct_object(node), line, self._file, node.value)


_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")}
