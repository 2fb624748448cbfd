"""Checks the JSON Schemas that a document declares for what goes in and out.

Invariant: nothing is fetched, nothing is run against them here; `schemas` does that when the workflow runs.
"""

from collections.abc import Iterator, Mapping

from coordination.workflow.problems import Findings
from coordination.workflow.walk import entries
from kg.values import Json


def check(body: Mapping[str, Json], findings: Findings) -> None:
    """Note every schema that is none, or of a format that is not understood."""
    for schema, at in _schemas(body):
        if not isinstance(schema, dict):
            continue
        form = schema.get("format", "json")
        if isinstance(form, str) and form.partition(":")[0] != "json":
            findings.add(f"{at}/format", f"schemas of the format {form[:40]!r} are not understood; write JSON Schema")
        elif "document" in schema:
            _one(schema["document"], f"{at}/document", findings)


def _schemas(body: Mapping[str, Json]) -> Iterator[tuple[Json, str]]:
    tasks = [(entry.task, entry.pointer) for entry in entries(body)]
    for holder, at in [(body, ""), *tasks]:
        for field in ("input", "output", "export"):
            said = holder.get(field)
            if isinstance(said, dict):
                yield said.get("schema"), f"{at}/{field}/schema"


def _one(schema: Json, at: str, findings: Findings) -> None:
    from jsonschema import Draft202012Validator, SchemaError, validators

    kind = validators.validator_for(schema, default=Draft202012Validator) if isinstance(schema, dict) else None
    try:
        (kind or Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        inside = "".join(f"/{part}" for part in error.absolute_path)
        findings.add(at, f"it is no JSON Schema: {error.message[:200]} at {inside or '/'}; correct it")
    except RecursionError:
        findings.add(at, "the JSON Schema is nested too deep; flatten it")
