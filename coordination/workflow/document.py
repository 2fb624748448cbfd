"""A workflow document: who it is, what it says, and where each part of it stands in its text.

Invariant: the digest is of the content, so YAML and JSON of one workflow are one; `body` is never changed after parsing.
`parse` reads the form only; whether the content is a usable workflow is the part of `validation`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from coordination.errors import WorkflowError
from coordination.workflow.source import Place, read, sure
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed workflow; `lines` maps the JSON pointer of each part to its line and column, both counted from 1."""

    namespace: str
    name: str
    version: str
    digest: str
    body: Mapping[str, Json]
    lines: Mapping[str, Place]

    @property
    def key(self) -> str:
        """Namespace, name and version as one text, unique a workflow version."""
        return f"{self.namespace}.{self.name}:{self.version}"

    def place(self, pointer: str) -> Place:
        """Line and column of a part, or of the nearest part around it that was written down."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, (1, 1))


def digest(body: Json) -> str:
    """SHA-256 (hexadecimal) of the content in one canonical form."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str, name: str = "workflow") -> Document:
    """The document of a YAML or JSON text; WorkflowError, naming line and column, where it has not the form of one."""
    source = read(text, name)
    return of_body(source.value, name, source.lines)


def of_body(body: Json, name: str = "workflow", lines: Mapping[str, Place] | None = None) -> Document:
    """The document of a parsed value, such as a builder makes."""
    lines = lines if lines is not None else sure(body, name).lines
    if not isinstance(body, dict):
        raise WorkflowError(f"{name}:1:1: a workflow is a mapping; write `document:` and `do:`")
    about = body.get("document")
    line, column = lines.get("/document", (1, 1))
    if not isinstance(about, dict):
        raise WorkflowError(
            f"{name}:{line}:{column}: `document` is missing or no mapping; add dsl, namespace, name, version"
        )
    identity: list[str] = []
    for field in ("namespace", "name", "version"):
        value = about.get(field)
        if not isinstance(value, str) or not value:
            at, along = lines.get(f"/document/{field}", (line, column))
            hint = f'{value!r} is no text; write "{value}" in quotes' if field in about else "it is missing; add it"
            raise WorkflowError(f"{name}:{at}:{along}: `document.{field}` must be a text; {hint}")
        identity.append(value)
    return Document(identity[0], identity[1], identity[2], digest(body), body, lines)
