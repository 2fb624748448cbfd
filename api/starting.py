"""Starts a project from a source that nobody has described: looks at its tables and writes the files to go on from.

Invariant: nothing is overwritten; what is written was loaded and checked first, and holds no password. Opens no graph.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from api.errors import SettingsError
from api.settings import FILE
from api.texts import platform_texts
from governance.pii import labels
from kg.errors import SourceError
from kg.ingest import check_mapping, load_mapping
from kg.ingest.drafting import files
from kg.ingest.drafting.draft import Draft, draft
from kg.ingest.drafting.naming import words
from kg.ingest.sources.sql import without_password
from kg.ontology import load

_NAME_MAX: Final = 60
ONTOLOGY: Final = "ontology.ttl"
PEOPLE: Final = "people.yaml"
RULES: Final = "rules"
_PEOPLE_TEXT: Final = """# Who works here. A role says what somebody may see and approve; rules/ says what each role means.
roles:
  - { name: staff, label: Everybody in the house }
  - { name: auditor, label: Reads everything and changes nothing }
  - { name: admin, label: Runs the platform }
users: []
# - { name: anna, label: Anna Example, roles: [staff] }
"""
_STAFF: Final = """@id("staff-read")
@description("Staff read every department's facts; personal data is a matter of its own.")
permit (principal in Role::"staff", action == Action::"read", resource);
"""
_MASKED: Final = """@id("personal-data-masked")
@description("Personal data is for auditors and administrators until somebody decides otherwise.")
forbid (principal, action == Action::"read", resource == Label::"pii")
unless { principal in Role::"auditor" || principal in Role::"admin" };
"""


@dataclass(frozen=True, slots=True)
class Started:
    """A project that was started: its folder, its files by their path inside, and the draft that they hold."""

    folder: Path
    files: tuple[str, ...]
    draft: Draft
    #: Whether the location names a password, which is not written.
    secret: bool


def start(
    folder: Path,
    location: str,
    *,
    name: str | None = None,
    tables: Sequence[str] = (),
    encoding: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Started:
    """Write a project for a source into a folder; SettingsError where one is there, SourceError where nothing can be drafted."""
    if (folder / FILE).exists():
        raise SettingsError(f"{folder} has a {FILE} already; choose another folder, or go on with that one")
    slug = _slug(name if name is not None else folder.resolve().name)
    _check_encoding(encoding)
    platform = platform_texts()
    taken = set(load(platform).classes)
    found = draft(
        location, tables, encoding=encoding, taken=taken, personal=lambda text: bool(labels(text)), progress=progress
    )
    if not found.classes:
        reasons = "; ".join(f"{table}: {reason}" for table, reason in list(found.left.items())[:3])
        raise SourceError(f"no table of this source can be drafted ({reasons})")
    place, secret = _written(location, folder)
    texts = {
        ONTOLOGY: files.ontology(found, slug),
        f"{slug}.yaml": files.mapping(found, slug),
        PEOPLE: _PEOPLE_TEXT,
        f"{RULES}/staff-read.cedar": _STAFF,
        ".gitignore": ".noesis/\n",
    }
    if any(one.personal for cls in found.classes for one in cls.properties):
        texts[f"{RULES}/personal-data-masked.cedar"] = _MASKED
    # Last, so that a project that was begun and not ended is none.
    texts[FILE] = _settings(slug, place)
    there = [path for path in texts if (folder / path).exists() and path != ".gitignore"]
    if there:
        raise SettingsError(f"{folder / there[0]} is there already; choose another folder")
    _check({**platform, ONTOLOGY: texts[ONTOLOGY]}, texts[f"{slug}.yaml"])
    _write(folder, texts)
    return Started(folder, tuple(texts), found, secret)


def _check_encoding(name: str | None) -> None:
    try:
        "".encode(name or "utf-8")
    except (LookupError, ValueError):
        raise SettingsError(f"unknown encoding {str(name)[:60]!r}; name one such as cp1252 or utf-16") from None


def _check(ontology: dict[str, str], mapping: str) -> None:
    """Raise where what was drafted cannot be read back."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "mapping.yaml")
        path.write_text(mapping, encoding="utf-8")
        check_mapping(load_mapping(path), load(ontology))


def _slug(name: str) -> str:
    found = "-".join(words(name))[:_NAME_MAX].strip("-")
    if not found:
        raise SettingsError(f"{name[:40]!r} makes no name for a project; give one of letters and digits with --name")
    return found


def _written(location: str, folder: Path) -> tuple[str, bool]:
    """The location as noesis.toml may hold it, and whether a password was left out."""
    scheme, found, rest = location.partition("://")
    if found and not scheme.lower().startswith("sqlite"):
        return without_password(location)
    path = unquote(rest.partition("?")[0].removeprefix("/")) if found else location
    return Path(os.path.relpath(os.path.abspath(path), os.path.abspath(folder))).as_posix(), False


def _settings(slug: str, place: str) -> str:
    return (
        f"# The project {slug}: what `noesis -P` of this folder works with. `noesis doctor` shows every setting.\n"
        f'ontology = ["{ONTOLOGY}"]\npeople = "{PEOPLE}"\nrules = "{RULES}"\n\n'
        f'[[mappings]]\nfile = "{slug}.yaml"\nlocation = {_quoted(place)}\n'
    )


def _quoted(text: str) -> str:
    """A basic string of TOML, which unlike JSON has no bare DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(folder: Path, texts: dict[str, str]) -> None:
    try:
        data = {path: text.encode() for path, text in texts.items()}
    except UnicodeEncodeError:
        raise SettingsError("the location has a name that is not UTF-8; rename it, or link to it") from None
    done: list[Path] = []
    try:
        for path, content in data.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                done.append(file)
                file.write_bytes(content)
    except OSError:
        for file in done:
            file.unlink(missing_ok=True)
        raise
