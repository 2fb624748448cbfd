"""Schemas: JSON Schema checks of what goes in and out of workflows and tasks.

Invariant: nothing is fetched while checking; a schema that names another address is the workflow's configuration error. Compiled
checkers are kept by the document part they come from.
"""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from coordination.workflow.faults import fault
from coordination.workflow.schema_keywords import bounded, keywords
from kg.values import Json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

#: Violations that one message names.
NAMED_MAX: Final = 3


def check(schema: Json, value: Json, what: str) -> None:
    """Raise the specification's validation error where a value does not fit a `schema` object of the DSL."""
    if not schema:
        return
    if schema.get("format", "json") != "json" or "document" not in schema:
        raise fault("configuration", f"the schema of {what} is not inline JSON Schema; write format: json and document")
    try:
        checker = _checker(json.dumps(schema["document"], sort_keys=True))
        with bounded():
            found = [error for error, _ in zip(checker.iter_errors(value), range(NAMED_MAX), strict=False)]
    except Exception as error:
        # A reference that cannot be followed, a pattern that is none: the schema's fault, whatever the library calls it.
        raise fault("configuration", f"the schema of {what} cannot be used: {error}") from error
    if found:
        named = "; ".join(f"{error.json_path}: {error.message[:200]}" for error in found)
        raise fault("validation", f"{what} does not fit its schema: {named}")


@lru_cache(maxsize=256)
def _checker(text: str) -> "Validator":
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    document: Any = json.loads(text)
    if '"patternProperties"' in text and '"unevaluatedProperties"' in text:
        # The vendor's checker would look for the patterns by itself, in a time that nothing bounds.
        raise ValueError("unevaluatedProperties beside patternProperties is not served; write additionalProperties")
    kind = validators.validator_for(document, default=Draft202012Validator)
    extend: Any = validators.extend
    made: Validator = extend(kind, keywords(kind.VALIDATORS))(document, registry=Registry())
    return made
