"""Reads rules from .cedar files: a file may hold several statements, each of which becomes a rule of its own with its own words.

Invariant: every statement is checked before the first is added, so a bad file changes nothing. Does not retire rules that a file
no longer holds.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from governance.errors import RuleError
from governance.principals import Principal
from governance.rules import add, find_rule
from governance.schema import check, vocabulary
from governance.statement import parse_rule
from kg.clock import Clock
from kg.model import Entity
from kg.ontology import Ontology
from kg.store import GraphStore

SUFFIX: Final = ".cedar"
#: Files of one folder, characters of one file.
FILES_MAX: Final = 5_000
FILE_MAX: Final = 2_000_000
_PART: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|;', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one rule and where it stands, e.g. ``approvals.cedar line 12``."""

    text: str
    origin: str


def split(text: str, name: str) -> Iterator[Source]:
    """The statements of a file with the comments before them, cut at the semicolons that end them."""
    start = 0
    for match in _PART.finditer(text):
        if match.group() == ";":
            yield _source(text, start, match.end(), name)
            start = match.end()
    rest = _PART.sub(lambda match: "" if match.group().startswith("//") else match.group(), text[start:])
    if rest.strip():
        # Not ended by a semicolon: the parser says so in its own words.
        yield _source(text, start, len(text), name)


def _source(text: str, start: int, end: int, name: str) -> Source:
    part = text[start:end]
    first = start + len(part) - len(part.lstrip())
    return Source(part.strip(), f"{name} line {text.count(chr(10), 0, first) + 1}")


def read_rules(path: Path) -> tuple[Source, ...]:
    """The rules of a .cedar file, or of every such file in a folder and below, in order of name."""
    files = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if len(files) > FILES_MAX:
        raise RuleError(
            f"{path.name} holds {len(files):,} rule files, more than {FILES_MAX:,}; point at a smaller folder"
        )
    sources: list[Source] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise RuleError(f"{file.name} is not UTF-8; save it as UTF-8") from None
        except OSError as error:
            raise RuleError(f"{file.name} cannot be read ({error.strerror}); check its path and permissions") from None
        if len(text) > FILE_MAX:
            raise RuleError(f"{file.name} has more than {FILE_MAX:,} characters; split it")
        sources.extend(split(text, file.name))
    return tuple(sources)


def _overtaken(store: GraphStore, present: Entity, text: str) -> bool:
    """Whether a text was in force once and another has taken its place."""
    return present["text"] != text and any(version["text"] == text for version in store.history(present.id))


def import_rules(
    store: GraphStore,
    clock: Clock,
    ontology: Ontology,
    sources: Sequence[Source],
    author: Principal,
    reason: str,
    overtaken: list[str] | None = None,
) -> tuple[Entity, ...]:
    """Add every rule as active, after all of them were checked; one that is there with the same text stays as it is.

    With `overtaken` a rule stays too whose text in the file is that of an earlier version: the file is older than what was done in
    the graph since, and is named there instead of undoing it.
    """
    words = vocabulary(ontology)
    seen: dict[str, str] = {}
    for source in sources:
        try:
            check(source.text, words)
        except RuleError as error:
            raise RuleError(f"{source.origin}: {error}") from None
        name, _ = parse_rule(source.text)
        if name in seen:
            raise RuleError(f"{source.origin}: rule {name} stands also at {seen[name]}; give one another @id")
        seen[name] = source.origin
    added = []
    for name, source in zip(seen, sources, strict=True):
        present = find_rule(store, name)
        # A retired rule too: reviving it is a decision of its own.
        if present is not None and overtaken is not None and _overtaken(store, present, source.text):
            overtaken.append(name)
        elif present is None or present["text"] != source.text:
            present = add(store, clock, ontology, source.text, author, reason, words=words, origin=source.origin)
        added.append(present)
    return tuple(added)
