"""Hiding: values of secrets that flow through a run are kept out of its facts.

Invariant: what goes on record holds ``[secret NAME]`` where the value of a secret stood, and nothing that holds one is proposed: a
secret leaves only by name, filled in where the call leaves. Short values are not looked for: they would be everywhere.
"""

import json
from collections.abc import Mapping
from typing import Final

from coordination.workflow.faults import fault
from kg.payloads import text_of
from kg.values import Json

#: Characters from which on a value is looked for.
SECRET_MIN: Final = 6


def hidden(value: Json, secrets: Mapping[str, Json]) -> Json:
    """The value as it may go on record."""
    marks = _marks(secrets)
    if not marks or value is None or isinstance(value, bool | int | float):
        return value
    text = text_of(value)
    if not any(secret in text for secret in marks):
        return value
    for secret, name in marks.items():
        text = text.replace(secret, f"[secret {name}]")
    result: Json = json.loads(text)
    return result


def refuse(value: Json, secrets: Mapping[str, Json]) -> None:
    """Raise the specification's configuration error where a value that would be proposed holds a secret."""
    marks = _marks(secrets)
    text = text_of(value) if marks else ""
    for secret, name in marks.items():
        if secret in text:
            raise fault(
                "configuration",
                f"the value of secret {name} would stand in a fact; name it instead: `authentication` with `use: {name}`, or a "
                f"header {{secret: {name}}}",
            )


def named(value: Json, secrets: Mapping[str, Json]) -> Json:
    """The value with ``{"secret": NAME, "at": [KEY …]}`` wherever a text is the whole value of a secret, or of a part of it."""
    if isinstance(value, Mapping):
        return {name: item if name == "use" else named(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [named(item, secrets) for item in value]
    if not isinstance(value, str) or not value:
        return value
    for name, secret in secrets.items():
        path = _path(secret, value)
        if path is not None:
            return {"secret": name, **({"at": path} if path else {})}
    return value


def _path(secret: Json, value: str) -> list[str] | None:
    """Where in a secret a text stands: no step where it is the secret itself, None where it is not there."""
    if secret == value:
        return []
    if isinstance(secret, Mapping):
        for name, item in secret.items():
            inner = _path(item, value)
            if inner is not None:
                return [str(name), *inner]
    return None


def _marks(secrets: Mapping[str, Json]) -> dict[str, str]:
    """What is looked for in JSON text, with the secret's name; the longest first, since one may be part of another."""
    found: dict[str, str] = {}
    for name, secret in secrets.items():
        for value in _texts(secret):
            if len(value) >= SECRET_MIN:
                found[text_of(value)[1:-1]] = name
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _texts(secret: Json) -> list[str]:
    if isinstance(secret, str):
        return [secret]
    inner = secret.values() if isinstance(secret, Mapping) else secret if isinstance(secret, list) else ()
    return [text for item in inner for text in _texts(item)]
