"""Reads a small YAML file into nodes that know their line, and hands out their parts with errors that name it.

Invariant: only plain mappings, lists and scalars; anchors, tags, duplicate keys, deep nesting and large files are refused before
anything is built. Knows no file format of ours.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

#: Characters and nesting of one file.
TEXT_MAX: Final = 2_000_000
DEPTH_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Item:
    """A value of the file with its line; mappings hold Items by key, lists hold Items."""

    value: Any
    line: int


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


class Document:
    """One file, its name for messages, and the error that its format raises."""

    def __init__(self, text: str, name: str, error: Callable[[str], Exception]) -> None:
        self._name = name
        self._error = error
        if len(text) > TEXT_MAX:
            raise error(f"{name}: {len(text):,} characters exceed {TEXT_MAX:,}; split the file")
        self._refuse(text)
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, ValueError) as problem:
            raise self._syntax(problem) from None
        self.root = self._item(node) if node is not None else Item({}, 1)

    def _syntax(self, problem: Exception) -> Exception:
        mark = getattr(problem, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        said = str(getattr(problem, "problem", None) or problem).splitlines()[0]
        return self._error(f"{self._name}{line}: {said}; correct the YAML")

    def _refuse(self, text: str) -> None:
        depth = 0
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                    raise self.error(_line(event), "anchors and aliases are not supported; write it out")
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                if depth > DEPTH_MAX:
                    raise self.error(_line(event), f"nested deeper than {DEPTH_MAX} levels; flatten it")
        except (yaml.YAMLError, ValueError) as problem:
            raise self._syntax(problem) from None

    def error(self, line: int, message: str) -> Exception:
        """The format's error for a line."""
        return self._error(f"{self._name} line {line}: {message}")

    def _item(self, node: yaml.Node) -> Item:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Item] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.value in found:
                    raise self.error(key.start_mark.line + 1, "a key must be a word that stands there once")
                found[key.value] = self._item(value)
            return Item(found, line)
        if isinstance(node, yaml.SequenceNode):
            return Item([self._item(item) for item in node.value], line)
        if node.tag == "tag:yaml.org,2002:null":
            return Item(None, line)
        if node.tag == "tag:yaml.org,2002:bool":
            return Item(node.value.lower() in {"true", "yes", "on"}, line)
        return Item(str(node.value), line)

    def fields(
        self, item: Item, allowed: frozenset[str], what: str, required: frozenset[str] = frozenset()
    ) -> Mapping[str, Item]:
        """The fields of a mapping, refusing any that is not allowed or absent although required."""
        if not isinstance(item.value, dict):
            raise self.error(item.line, f"{what} must be a mapping with {', '.join(sorted(allowed))}")
        for key, value in item.value.items():
            if key not in allowed:
                raise self.error(
                    value.line, f"{what} has no field {key[:80]!r}; known are {', '.join(sorted(allowed))}"
                )
        for key in sorted(required - item.value.keys()):
            raise self.error(item.line, f"{what} needs the field {key!r}")
        return {key: value for key, value in item.value.items() if value.value is not None}

    def items(self, item: Item | None, what: str) -> Iterator[Item]:
        """The items of a list; none where the field is absent."""
        if item is None:
            return
        if not isinstance(item.value, list):
            raise self.error(item.line, f"{what} must be a list")
        yield from item.value

    def text(self, item: Item, what: str, limit: int) -> str:
        """A text that is not empty and no longer than `limit`."""
        if not isinstance(item.value, str) or not 0 < len(item.value) <= limit:
            raise self.error(item.line, f"{what} must be a text of 1 to {limit:,} characters")
        return item.value
