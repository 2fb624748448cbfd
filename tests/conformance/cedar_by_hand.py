"""Reads a folder of hand-written Cedar cases, laid out as the public Cedar integration tests are: `tests/**/*.json` name the rest.

Policies become text and entities explicit by their schema, as the platform itself writes both; what a case may say beyond that
is kept, so that whoever decides it can count it. A case that cannot be read is a CasesError that names it; nothing is guessed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import cedarpy

#: A whole file of cases is a few kilobytes; this keeps a wrong folder from being read into memory.
FILE_BYTES_MAX: Final = 5_000_000

T = TypeVar("T")


class CasesError(Exception):
    """The folder of cases cannot be read; give a checkout of the Cedar integration tests, or a folder laid out like it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file of cases: what is asked, of which policies and entities, and whether the policies hold by the schema."""

    name: str
    requests: tuple[Mapping[str, Any], ...]
    policies: str
    entities: str
    schema: cedarpy.Schema | None
    valid: bool


def read(root: Path) -> list[Case]:
    """Every case below `tests` of a folder, in the order of names; CasesError where there is none, or one cannot be read."""
    if not (root / "tests").is_dir():
        raise CasesError(f"{root} has no folder `tests`; give a folder laid out as the Cedar integration tests are")
    found = [case for file in sorted((root / "tests").rglob("*.json")) if (case := _case(root, file)) is not None]
    if not found:
        raise CasesError(f"there is no case below {root / 'tests'}: no .json file there has `requests` or `queries`")
    return found


def _case(root: Path, file: Path) -> Case | None:
    name = file.relative_to(root).as_posix()
    form = _understood(name, "is no JSON", lambda: json.loads(_text(file)))
    asked = form.get("requests", form.get("queries")) if isinstance(form, dict) else None
    if asked is None:
        # A schema, or policies as JSON, beside the cases.
        return None
    policies, entities, schema = (_named(root, name, form, what) for what in ("policies", "entities", "schema"))
    if policies is None or entities is None:
        raise CasesError(f"{name} names no `{'policies' if policies is None else 'entities'}`")
    if form.get("policyFormat") == "json":
        policies = _understood(name, "names policies that Cedar cannot read", cedarpy.policies_from_json_str, policies)
    handle = None
    if schema is not None:
        read_schema = cedarpy.Schema.from_json_str if form.get("schemaFormat") == "json" else cedarpy.Schema.from_str
        handle = _understood(name, "names a schema that Cedar cannot read", read_schema, schema)
    explicit = _understood(
        name, "names entities that do not fit", lambda: str(cedarpy.Entities.from_json_str(entities, handle))
    )
    requests = tuple(_understood(name, "has a request that is none", lambda: list(_requests(asked))))
    return Case(
        name, requests, policies, explicit, handle, form.get("shouldValidate", form.get("should_validate", True))
    )


def _requests(asked: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The requests in one form; the names of their parts have changed over the years."""
    for one in asked:
        yield {
            "description": one.get("description", one.get("desc", "")),
            "principal": one.get("principal"),
            "action": one["action"],
            "resource": one.get("resource"),
            "context": one.get("context", {}),
            "decision": str(one["decision"]).lower(),
            "reason": list(one.get("reason", one.get("reasons", ()))),
            "errors": list(one.get("errors", ())),
        }


def _named(root: Path, name: str, form: Mapping[str, Any], what: str) -> str | None:
    given = form.get(what)
    if given is None:
        return None
    if not isinstance(given, str) or not (root / given).resolve().is_relative_to(root.resolve()):
        raise CasesError(f"{name} names {given!r} as `{what}`, which is no path inside the folder")
    if not (root / given).is_file():
        raise CasesError(f"{name} names {given} as `{what}`, which is not there")
    return _text(root / given)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise CasesError(f"{file} has more than {FILE_BYTES_MAX:,} bytes and is no file of cases")
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CasesError(f"{file} cannot be read ({type(error).__name__})") from None


def _understood(name: str, wrong: str, read: Callable[..., T], *given: str) -> T:
    try:
        return read(*given)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CasesError(f"{name} {wrong} ({type(error).__name__}: {str(error)[:200]})") from None
